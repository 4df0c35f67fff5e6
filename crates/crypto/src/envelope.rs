//! The byte formats of sealed things.
//!
//! | thing | layout |
//! | --- | --- |
//! | sealed bytes | format (1 byte, = 1), nonce (12), AES-256-GCM ciphertext, tag (16) |
//! | wrapped key | id of the wrapping key (8), then sealed bytes of the key's 32 bytes; a signing secret has 24 to 64 |
//!
//! A nonce is random. A data key seals one value, and a wrapping key stays far below the 2³² seals up to which random
//! 96-bit nonces are safe (NIST SP 800-38D, section 8.3).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::key::KeyBytes;
use crate::{CryptoError, KeyId, Rng};

const FORMAT: u8 = 1;
const HEADER: usize = 1 + NONCE_LEN;
const TAG: usize = 16;

/// A key, sealed under another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey(Vec<u8>);

impl WrappedKey {
    /// The bytes, as they are stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes stored bytes; whether they open shows when they are opened.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Which key it says it was wrapped by.
    #[must_use]
    pub fn wrapped_by(&self) -> Option<KeyId> {
        self.0.first_chunk().copied().map(KeyId::from_bytes)
    }
}

/// A value, sealed under its data key, and that key, wrapped by the vault's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedValue {
    /// The data key, wrapped.
    pub wrapped_key: WrappedKey,
    /// The value, sealed.
    pub ciphertext: Vec<u8>,
}

pub(crate) fn seal(
    key: &KeyBytes,
    plain: &[u8],
    context: &[u8],
    rng: &dyn Rng,
) -> Result<Vec<u8>, CryptoError> {
    let mut nonce = [0; NONCE_LEN];
    rng.fill(&mut nonce)?;
    let mut sealed = Vec::with_capacity(HEADER + plain.len() + TAG);
    sealed.push(FORMAT);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = cipher(key)?
        .seal_in_place_separate_tag(nonce, Aad::from(context), &mut sealed[HEADER..])
        .map_err(|_| CryptoError::Refused)?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

pub(crate) fn open(key: &KeyBytes, sealed: &[u8], context: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let (header, body) = sealed.split_at_checked(HEADER).ok_or(CryptoError::Refused)?;
    let Some((&FORMAT, nonce)) = header.split_first() else { return Err(CryptoError::Refused) };
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::Refused)?;
    let mut plain = Zeroizing::new(body.to_vec());
    let length = cipher(key)?
        .open_in_place(nonce, Aad::from(context), &mut plain)
        .map_err(|_| CryptoError::Refused)?
        .len();
    plain.truncate(length);
    Ok(std::mem::take(&mut *plain))
}

pub(crate) fn wrap(
    wrapper: &KeyBytes,
    id: KeyId,
    key: &[u8],
    context: &[u8],
    rng: &dyn Rng,
) -> Result<WrappedKey, CryptoError> {
    let mut wrapped = Vec::with_capacity(KeyId::LENGTH + HEADER + key.len() + TAG);
    wrapped.extend_from_slice(id.as_bytes());
    wrapped.extend_from_slice(&seal(wrapper, key, context, rng)?);
    Ok(WrappedKey(wrapped))
}

pub(crate) fn unwrap(
    wrapper: &KeyBytes,
    id: KeyId,
    wrapped: &WrappedKey,
    context: &[u8],
) -> Result<KeyBytes, CryptoError> {
    let plain = Zeroizing::new(unwrap_any(wrapper, id, wrapped, context)?);
    KeyBytes::from_slice(&plain).ok_or(CryptoError::Refused)
}

/// The same for a key of any length; the caller zeroes it.
pub(crate) fn unwrap_any(
    wrapper: &KeyBytes,
    id: KeyId,
    wrapped: &WrappedKey,
    context: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let (wrapped_by, sealed) = wrapped.0.split_at_checked(KeyId::LENGTH).ok_or(CryptoError::Refused)?;
    if wrapped_by != id.as_bytes() {
        return Err(CryptoError::Refused);
    }
    open(wrapper, sealed, context)
}

fn cipher(key: &KeyBytes) -> Result<LessSafeKey, CryptoError> {
    UnboundKey::new(&AES_256_GCM, key.as_slice()).map(LessSafeKey::new).map_err(|_| CryptoError::Refused)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod vectors;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::context::{ValuePlace, VaultPlace};
    use crate::{RootKey, SecretValue, SystemRng, VaultKey};
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, prop_assume, proptest};

    /// Bytes 0, 1, 2 … : fixes the randomness of the known answer.
    struct Counting(std::sync::atomic::AtomicU8);

    impl crate::Rng for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
            bytes.iter_mut().for_each(|b| *b = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            Ok(())
        }
    }

    fn place() -> ValuePlace {
        ValuePlace { account: [1; 20], vault: [2; 20], secret: [3; 20], version: 1 }
    }

    #[test]
    fn a_value_opens_only_in_its_place() {
        let key = VaultKey::make(&SystemRng).unwrap();
        let sealed = key.seal(&SecretValue::new(b"s3cret".to_vec()), &place(), &SystemRng).unwrap();
        assert_eq!(key.open(&sealed, &place()).unwrap().expose_secret(), b"s3cret");

        let elsewhere = [
            ValuePlace { account: [9; 20], ..place() },
            ValuePlace { vault: [9; 20], ..place() },
            ValuePlace { secret: [9; 20], ..place() },
            ValuePlace { version: 2, ..place() },
        ];
        for other in elsewhere {
            assert_eq!(key.open(&sealed, &other).err(), Some(CryptoError::Refused), "{other:?}");
        }
        let other_key = VaultKey::make(&SystemRng).unwrap();
        assert_eq!(other_key.open(&sealed, &place()).err(), Some(CryptoError::Refused));
    }

    #[test]
    fn parts_of_two_values_do_not_mix() {
        let key = VaultKey::make(&SystemRng).unwrap();
        let one = key.seal(&SecretValue::new(b"one".to_vec()), &place(), &SystemRng).unwrap();
        let two = key.seal(&SecretValue::new(b"two".to_vec()), &place(), &SystemRng).unwrap();
        let mixed = SealedValue { wrapped_key: one.wrapped_key, ciphertext: two.ciphertext };
        assert_eq!(key.open(&mixed, &place()).err(), Some(CryptoError::Refused));
    }

    #[test]
    fn a_vault_key_opens_only_in_its_place_and_under_its_root_key() {
        let root = RootKey::make(&SystemRng).unwrap();
        let home = VaultPlace { account: [1; 20], vault: [2; 20] };
        let key = VaultKey::make(&SystemRng).unwrap();
        let wrapped = root.wrap_vault_key(&key, &home, &SystemRng).unwrap();
        assert!(root.open_vault_key(&wrapped, &home).is_ok());
        assert!(root.open_vault_key(&wrapped, &VaultPlace { vault: [9; 20], ..home }).is_err());
        assert!(root.open_vault_key(&wrapped, &VaultPlace { account: [9; 20], ..home }).is_err());
        let other = RootKey::make(&SystemRng).unwrap();
        assert!(other.open_vault_key(&wrapped, &home).is_err());
        // A wrapped vault key is not a wrapped token key, though the same root key wrapped both.
        assert!(root.open_token_key(&wrapped, &home.account).is_err());
    }

    #[test]
    fn the_format_is_the_one_written_down() {
        let rng = Counting(0.into());
        let key = VaultKey::make(&rng).unwrap();
        let sealed = key.seal(&SecretValue::new(b"known answer".to_vec()), &place(), &rng).unwrap();
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(&sealed.ciphertext), include_str!("../testdata/sealed-value.hex").trim());
        assert_eq!(
            hex(sealed.wrapped_key.as_bytes()),
            include_str!("../testdata/wrapped-data-key.hex").trim()
        );
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_refused(value in proptest::collection::vec(any::<u8>(), 0..64), at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let key = VaultKey::make(&SystemRng).unwrap();
            let sealed = key.seal(&SecretValue::new(value), &place(), &SystemRng).unwrap();
            let wrapped = sealed.wrapped_key.as_bytes().len();
            let at = at.index(wrapped + sealed.ciphertext.len());
            let mut altered = sealed;
            if at < wrapped {
                altered.wrapped_key.0[at] ^= 1 << bit;
            } else {
                altered.ciphertext[at - wrapped] ^= 1 << bit;
            }
            prop_assert_eq!(key.open(&altered, &place()).err(), Some(CryptoError::Refused));
        }

        #[test]
        fn any_cut_is_refused(length in 0..80usize) {
            let key = VaultKey::make(&SystemRng).unwrap();
            let mut sealed = key.seal(&SecretValue::new(vec![7; 40]), &place(), &SystemRng).unwrap();
            prop_assume!(length < sealed.ciphertext.len());
            sealed.ciphertext.truncate(length);
            prop_assert!(key.open(&sealed, &place()).is_err());
        }
    }
}
