//! A slot key sealed by an AES key on a token of PKCS #11: a hardware security module, or a smart card. That key stays there.
//!
//! The module is its vendor's code, which runs in this process and cannot be hurried.

use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as TokenError, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use serde::{Deserialize, Serialize};
use strongroom_crypto::{Rng, SlotKey, SlotKind, SlotPublicKey, slot_key_context};
use zeroize::Zeroizing;

use crate::{Error, key_of, opener, private_file};

pub use crate::TokenConfig as Config;

const NONCE: usize = 12;
/// Bits.
const TAG: u64 = 128;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opener {
    /// The key's label, to be told where another one is configured.
    key: String,
    nonce: String,
    sealed: String,
}

/// Seals a slot key; gives the opener.
///
/// # Errors
/// [`Error::Configuration`], [`Error::ServiceRefused`], [`Error::System`].
pub fn seal(config: &Config, key: &SlotKey, rng: &dyn Rng) -> Result<String, Error> {
    let context = slot_key_context(SlotKind::Pkcs11, key.public());
    let mut nonce = [0; NONCE];
    rng.fill(&mut nonce)?;
    let sealed = with_key(config, |session, handle| {
        // A token that insists on a nonce of its own writes it into ours.
        let params = GcmParams::new(&mut nonce, &context, TAG.into());
        let mechanism = Mechanism::AesGcm(params.map_err(|error| failed(config, &error))?);
        // To be sealed is what the key was taken for.
        session.encrypt(&mechanism, handle, key.expose_secret()).map_err(|error| failed(config, &error))
    })?;
    opener::view(&Opener {
        key: config.key.clone(),
        nonce: opener::encode(&nonce),
        sealed: opener::encode(&sealed),
    })
}

/// Opens the slot key of that public key.
///
/// # Errors
/// Those of [`seal`]; [`Error::Opener`]; [`Error::Refused`] for what another key sealed, or for another slot.
pub fn open(config: &Config, text: &str, public: &SlotPublicKey) -> Result<SlotKey, Error> {
    let Opener { key, nonce, sealed } = opener::parse(text)?;
    if key != config.key {
        return Err(Error::Configuration(format!(
            "the key slot was sealed by the token's key '{key}', and '{}' is configured",
            config.key
        )));
    }
    let (mut nonce, sealed) = (opener::decode(&nonce)?, opener::decode(&sealed)?);
    if nonce.len() != NONCE {
        return Err(Error::Opener);
    }
    let context = slot_key_context(SlotKind::Pkcs11, public);
    let bytes = with_key(config, |session, handle| {
        let params = GcmParams::new(&mut nonce, &context, TAG.into());
        let mechanism = Mechanism::AesGcm(params.map_err(|error| failed(config, &error))?);
        let opened = session.decrypt(&mechanism, handle, &sealed).map(Zeroizing::new);
        opened.map_err(|error| not_opened(config, &error))
    })?;
    key_of(public, &bytes)
}

/// A module is started once in a process, and who is logged in is too: one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Starts the module, logs in, finds the key, does something with it, and ends all that again.
fn with_key<T>(
    config: &Config,
    act: impl FnOnce(&Session, ObjectHandle) -> Result<T, Error>,
) -> Result<T, Error> {
    // Nothing is kept in the lock, so nothing is broken by who panicked with it.
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let pin = private_file::read("the PIN", &config.pin_file)?;
    let unusable = |error: &TokenError| {
        let module = config.module.display();
        Error::Configuration(format!("the PKCS #11 module {module} cannot be used: {error}"))
    };
    let module = Pkcs11::new(&config.module).map_err(|error| unusable(&error))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(TokenError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(unusable(&error)),
    }
    let done = in_session(config, &module, &pin, act);
    // What was done is done; a module that does not end well is started anew the next time, which tells if it cannot be.
    let _ = module.finalize();
    done
}

fn in_session<T>(
    config: &Config,
    module: &Pkcs11,
    pin: &str,
    act: impl FnOnce(&Session, ObjectHandle) -> Result<T, Error>,
) -> Result<T, Error> {
    let slot = find_token(config, module)?;
    let session = module.open_ro_session(slot).map_err(|error| failed(config, &error))?;
    // Logging in is what the PIN is for.
    session.login(UserType::User, Some(&AuthPin::from(pin))).map_err(|error| match error {
        // Nothing that passes: to try it again and again would lock the token.
        TokenError::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => {
            let file = config.pin_file.display();
            Error::Configuration(format!(
                "the token {}: the PIN in {file} is wrong; a token counts the tries, and locks itself",
                config.token
            ))
        }
        TokenError::Pkcs11(RvError::PinLocked, _) => refused(config, LOCKED),
        error => failed(config, &error),
    })?;
    let key = find_key(config, &session)?;
    act(&session, key)
}

const LOCKED: &str = "it is locked after wrong PINs: its security officer unlocks it";

fn find_token(config: &Config, module: &Pkcs11) -> Result<Slot, Error> {
    let slots = module.get_slots_with_token().map_err(|error| failed(config, &error))?;
    for slot in slots {
        // A token that was pulled out in between is not the one.
        let Ok(about) = module.get_token_info(slot) else { continue };
        if about.label() != config.token {
            continue;
        }
        if about.user_pin_locked() {
            return Err(refused(config, LOCKED));
        }
        if about.user_pin_final_try() {
            let why = "one more wrong PIN would lock it, so none is tried: log in once by its own tool";
            return Err(refused(config, why));
        }
        return Ok(slot);
    }
    Err(refused(config, "no token of that label is there: put it in, or look at its label"))
}

fn find_key(config: &Config, session: &Session) -> Result<ObjectHandle, Error> {
    let wanted = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Label(config.key.clone().into_bytes()),
    ];
    let found = session.find_objects(&wanted).map_err(|error| failed(config, &error))?;
    match found[..] {
        [key] => Ok(key),
        [] => Err(refused(
            config,
            &format!("it has no AES key called '{}': make one, or look at its label", config.key),
        )),
        _ => {
            Err(refused(config, &format!("it has several AES keys called '{}': leave it to one", config.key)))
        }
    }
}

fn refused(config: &Config, why: &str) -> Error {
    Error::ServiceRefused { service: format!("the token {}", config.token), why: why.to_owned() }
}

fn failed(config: &Config, error: &TokenError) -> Error {
    refused(config, &error.to_string())
}

/// Modules differ in how they say that something does not open.
fn not_opened(config: &Config, error: &TokenError) -> Error {
    match error {
        TokenError::Pkcs11(
            RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange | RvError::DataInvalid,
            _,
        ) => Error::Refused,
        // Of a token that is busy or was pulled out as well as of what does not open.
        TokenError::Pkcs11(RvError::GeneralError | RvError::FunctionFailed, _) => refused(
            config,
            "it failed and does not say why: try again; if it stays so, it is not the key that sealed the slot",
        ),
        error => failed(config, error),
    }
}
