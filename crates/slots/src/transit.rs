//! A slot key sealed by a key of a transit engine, of OpenBao or Vault. That key stays there; what is kept here is its ciphertext.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strongroom_client::api::Service;
use strongroom_crypto::{SlotKey, SlotKind, SlotPublicKey, slot_key_context};
use zeroize::Zeroizing;

use crate::{Error, key_of, opener, private_file};

/// Where the engine is, and what opens it: the server's own configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `https://host[:port]`; `http` on this machine itself.
    pub address: String,
    /// A file that holds the token, which others may not read.
    pub token_file: PathBuf,
    /// A PEM file with the authorities to trust, in place of the system's own.
    pub ca: Option<PathBuf>,
    /// Where the engine is mounted.
    pub mount: String,
    /// The key's name.
    pub key: String,
    /// The namespace, where there are some.
    pub namespace: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opener {
    /// The key's name, to be told where another one is configured.
    key: String,
    ciphertext: String,
}

/// Seals a slot key; gives the opener.
///
/// # Errors
/// [`Error::Configuration`], [`Error::Unreachable`], [`Error::ServiceRefused`].
pub fn seal(config: &Config, key: &SlotKey) -> Result<String, Error> {
    must_be_there(config)?;
    // To be sealed is what the key was taken for.
    let plaintext = Zeroizing::new(STANDARD.encode(key.expose_secret()));
    let body = json!({"plaintext": *plaintext, "associated_data": bound_to(key.public())});
    let data = asked(config, "encrypt", body)?;
    let ciphertext = data["ciphertext"].as_str().ok_or_else(|| strange(config))?.to_owned();
    opener::view(&Opener { key: config.key.clone(), ciphertext })
}

/// Opens the slot key of that public key.
///
/// # Errors
/// Those of [`seal`]; [`Error::Opener`]; [`Error::Refused`] for what another key sealed, or for another slot.
pub fn open(config: &Config, text: &str, public: &SlotPublicKey) -> Result<SlotKey, Error> {
    let Opener { key, ciphertext } = opener::parse(text)?;
    if key != config.key {
        return Err(Error::Configuration(format!(
            "the key slot was sealed by the transit key '{key}', and '{}' is configured",
            config.key
        )));
    }
    let body = json!({"ciphertext": ciphertext, "associated_data": bound_to(public)});
    let data = asked(config, "decrypt", body)?;
    let plaintext = data["plaintext"].as_str().ok_or_else(|| strange(config))?;
    let bytes = Zeroizing::new(STANDARD.decode(plaintext).map_err(|_| strange(config))?);
    key_of(public, &bytes)
}

/// Refuses a key that is not there, which encrypting would make where the token may make keys: mistyped, it would be another one.
/// To decrypt makes none, and takes no right more than is needed anyway.
fn must_be_there(config: &Config) -> Result<(), Error> {
    let nothing = format!("vault:v1:{}", STANDARD.encode([0; 32]));
    match asked(config, "decrypt", json!({"ciphertext": nothing})) {
        Err(Error::ServiceRefused { why, .. }) if why.contains("encryption key not found") => {
            Err(Error::Configuration(format!(
                "there is no transit key '{}': make it first, or look at its name",
                config.key
            )))
        }
        Err(error @ Error::Unreachable { .. }) => Err(error),
        // What else is wrong is told when it is asked to seal.
        _ => Ok(()),
    }
}

fn bound_to(public: &SlotPublicKey) -> String {
    STANDARD.encode(slot_key_context(SlotKind::Transit, public))
}

/// Asks the engine, and gives what is in the answer's `data`.
fn asked(config: &Config, what: &str, body: Value) -> Result<Value, Error> {
    let service = Service::new(&config.address, config.ca.as_deref(), None)
        .map_err(|error| Error::Configuration(format!("the transit engine: {error}")))?;
    let token = private_file::read("the token", &config.token_file)?;
    let path = format!("/v1/{}/{what}/{}", segment(&config.mount)?, segment(&config.key)?);
    let mut headers = vec![("x-vault-token", token.as_str()), ("x-vault-request", "true")];
    if let Some(namespace) = &config.namespace {
        headers.push(("x-vault-namespace", namespace));
    }
    let (status, mut answer) = service
        .post(&path, &headers, &body)
        .map_err(|source| Error::Unreachable { service: service.url().to_owned(), source: source.into() })?;
    match status {
        200 => Ok(answer["data"].take()),
        status => Err(refused(service.url(), status, &answer)),
    }
}

/// What an answer says that is none of success. Its own words hold no secret: they are about the request.
fn refused(url: &str, status: u16, answer: &Value) -> Error {
    let said: Vec<&str> =
        answer["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let said: String = said.join("; ").chars().filter(|c| !c.is_control()).take(200).collect();
    let why = match status {
        403 => "the token may not use that key, or is over: renew it in its file",
        404 => "there is no such mount or key",
        503 => "it is sealed itself: unseal it first",
        400 if said.contains("authentication failed") || said.contains("unable to decrypt") => {
            return Error::Refused;
        }
        _ => "",
    };
    let parts: Vec<&str> = [why, &said].into_iter().filter(|part| !part.is_empty()).collect();
    Error::ServiceRefused { service: url.to_owned(), why: format!("status {status}: {}", parts.join(": ")) }
}

fn strange(config: &Config) -> Error {
    let why = "the answer has another shape than that of a transit engine".to_owned();
    Error::ServiceRefused { service: config.address.clone(), why }
}

/// A part of a path, which a mount may have several of.
fn segment(text: &str) -> Result<&str, Error> {
    let sound = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let parts = || text.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if text.chars().all(sound) && parts() {
        Ok(text)
    } else {
        Err(Error::Configuration(format!("'{text}' is no name of a transit mount or key")))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lead_elsewhere() {
        for good in ["transit", "teams/ops/transit", "strongroom-1.a_b"] {
            assert_eq!(segment(good).unwrap(), good);
        }
        for bad in ["", "/", "a//b", "../sys", "a/../b", "a?b", "a b", "ä", "a%2e"] {
            assert!(segment(bad).is_err(), "{bad}");
        }
    }
}
