//! A slot key under a passphrase: sealed by a key that Argon2id (RFC 9106) derives from it.

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use strongroom_crypto::{Rng, SlotKek, SlotKey, SlotKind, SlotPublicKey};
use zeroize::Zeroizing;

use crate::{Error, opener};

/// Characters that a passphrase has at least: NIST SP 800-63B-4, section 3.1.1.2, for one that is used alone.
pub const MIN_CHARACTERS: usize = 15;
/// Bytes that it has at most.
pub const MAX_BYTES: usize = 1024;

const SALT: usize = 16;
const KEK: usize = 32;

/// What Argon2id costs: kept beside each sealed key, so that it can grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// KiB of memory.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for Cost {
    /// RFC 9106's second recommendation (64 MiB, 4 lanes) with as many passes as take about half a second on one core of 2026. Its
    /// first, 2 GiB, is more than the machines have that this server is made for.
    fn default() -> Self {
        Self { memory: 64 * 1024, passes: 8, lanes: 4 }
    }
}

impl Cost {
    /// Up to where a cost is believed that the store says: nobody who can write there is to take all memory or time.
    fn check(self) -> Result<Self, Error> {
        let sound = (8 * 1024..=256 * 1024).contains(&self.memory)
            && (1..=16).contains(&self.passes)
            && (1..=16).contains(&self.lanes);
        if sound { Ok(self) } else { Err(Error::Opener) }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opener {
    argon2id: Cost,
    salt: String,
    sealed: String,
}

/// Checks that a passphrase is one: 15 characters to 1024 bytes. Its bytes count as they are; nothing is folded.
///
/// # Errors
/// [`Error::TooShort`], [`Error::TooLong`].
pub fn check(passphrase: &str) -> Result<(), Error> {
    if passphrase.len() > MAX_BYTES {
        return Err(Error::TooLong { max: MAX_BYTES });
    }
    if passphrase.chars().count() < MIN_CHARACTERS {
        return Err(Error::TooShort { min: MIN_CHARACTERS });
    }
    Ok(())
}

/// Seals a slot key under a passphrase; gives the opener. Takes as long as opening it.
///
/// # Errors
/// Those of [`check`]; [`Error::System`].
pub fn seal(key: &SlotKey, passphrase: &str, cost: Cost, rng: &dyn Rng) -> Result<String, Error> {
    check(passphrase)?;
    let mut salt = [0; SALT];
    rng.fill(&mut salt)?;
    let sealed = derive(passphrase, &salt, cost)?.seal(key, SlotKind::Passphrase, rng)?;
    opener::view(&Opener { argon2id: cost, salt: opener::encode(&salt), sealed: opener::encode(&sealed) })
}

/// Opens the slot key of that public key.
///
/// # Errors
/// [`Error::Refused`] for another passphrase, whatever is wrong with it, after as long as for the right one; [`Error::Opener`].
pub fn open(text: &str, public: &SlotPublicKey, passphrase: &str) -> Result<SlotKey, Error> {
    let Opener { argon2id, salt, sealed } = opener::parse(text)?;
    let (cost, salt, sealed) = (argon2id.check()?, opener::decode(&salt)?, opener::decode(&sealed)?);
    if salt.len() != SALT {
        return Err(Error::Opener);
    }
    // No passphrase is longer; one that is takes no longer than others.
    let taken = passphrase.len().min(MAX_BYTES + 1);
    let kek = derive_of(&passphrase.as_bytes()[..taken], &salt, cost)?;
    Ok(kek.open(&sealed, SlotKind::Passphrase, public)?)
}

fn derive(passphrase: &str, salt: &[u8], cost: Cost) -> Result<SlotKek, Error> {
    derive_of(passphrase.as_bytes(), salt, cost)
}

fn derive_of(passphrase: &[u8], salt: &[u8], cost: Cost) -> Result<SlotKek, Error> {
    let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(KEK)).map_err(|_| Error::Opener)?;
    let mut kek = Zeroizing::new([0; KEK]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, &mut kek[..])
        .map_err(|_| Error::System)?;
    Ok(SlotKek::from_slice(&kek[..])?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use strongroom_crypto::SystemRng;

    const CHEAP: Cost = Cost { memory: 8 * 1024, passes: 1, lanes: 1 };
    const GOOD: &str = "correct horse battery staple";

    #[test]
    fn a_passphrase_opens_its_own_slot_alone() {
        let (one, two) = (SlotKey::make(&SystemRng).unwrap(), SlotKey::make(&SystemRng).unwrap());
        let first = seal(&one, GOOD, CHEAP, &SystemRng).unwrap();
        let second = seal(&two, GOOD, CHEAP, &SystemRng).unwrap();
        assert_eq!(open(&first, one.public(), GOOD).unwrap().id(), one.id());
        for wrong in ["correct horse battery stapl", "", "Correct horse battery staple", &"x".repeat(5000)] {
            assert!(matches!(open(&first, one.public(), wrong), Err(Error::Refused)), "{wrong}");
        }
        // The same passphrase, and the openers swapped.
        assert!(matches!(open(&second, one.public(), GOOD), Err(Error::Refused)));
        assert!(!first.contains("horse"));
    }

    #[test]
    fn an_altered_opener_is_refused_and_costs_nothing() {
        let key = SlotKey::make(&SystemRng).unwrap();
        let text = seal(&key, GOOD, CHEAP, &SystemRng).unwrap();
        for (from, to) in [
            ("\"memory\":8192", "\"memory\":4294967295"),
            ("\"memory\":8192", "\"memory\":1"),
            ("\"passes\":1", "\"passes\":4294967295"),
            ("\"passes\":1", "\"passes\":0"),
            ("\"lanes\":1", "\"lanes\":1000"),
            ("{\"argon2id\"", "{\"more\":1,\"argon2id\""),
            ("\"salt\":\"", "\"salt\":\"AAAA"),
        ] {
            let altered = text.replacen(from, to, 1);
            assert_ne!(altered, text, "{from}");
            assert!(matches!(open(&altered, key.public(), GOOD), Err(Error::Opener)), "{to}");
        }
        // Another cost that is sound is another key.
        let cheaper = text.replacen("\"passes\":1", "\"passes\":2", 1);
        assert!(matches!(open(&cheaper, key.public(), GOOD), Err(Error::Refused)));
    }

    #[test]
    fn what_is_no_passphrase_is_refused() {
        let key = SlotKey::make(&SystemRng).unwrap();
        let sealed = |text: &str| seal(&key, text, CHEAP, &SystemRng).err();
        assert!(matches!(sealed("fourteen chars"), Some(Error::TooShort { .. })));
        assert!(matches!(sealed(&"x".repeat(MAX_BYTES + 1)), Some(Error::TooLong { .. })));
        assert!(sealed("fünfzehn Zeiche").is_none());
    }
}
