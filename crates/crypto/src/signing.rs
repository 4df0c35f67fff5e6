//! The key that signs the audit log's checkpoints: Ed25519.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::context::{RawId, encode};
use crate::key::KeyBytes;
use crate::{CryptoError, KeyId, Rng};

/// A public key of Ed25519.
pub type PublicKey = [u8; 32];
/// A signature of Ed25519.
pub type Signature = [u8; 64];

/// What a signed note says of a key that is one of Ed25519.
const ED25519_NOTE: u8 = 1;

/// The key that signs an account's checkpoints.
pub struct LogKey {
    bytes: KeyBytes,
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl LogKey {
    /// A new random key.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn make(rng: &dyn Rng) -> Result<Self, CryptoError> {
        Self::from_bytes(KeyBytes::make(rng)?)
    }

    pub(crate) fn from_bytes(bytes: KeyBytes) -> Result<Self, CryptoError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(bytes.as_slice()).map_err(|_| CryptoError::Refused)?;
        let mut public = PublicKey::default();
        let made = pair.public_key().as_ref();
        if made.len() != public.len() {
            return Err(CryptoError::Refused);
        }
        public.copy_from_slice(made);
        Ok(Self { bytes, pair, public })
    }

    pub(crate) fn bytes(&self) -> &KeyBytes {
        &self.bytes
    }

    /// The other half, which is for everybody.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs a text.
    #[must_use]
    pub fn sign(&self, text: &str) -> Signature {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        signature
    }
}

/// Whether the owner of a public key signed a text.
#[must_use]
pub fn is_signed(text: &str, signature: &[u8], public: &PublicKey) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(text.as_bytes(), signature).is_ok()
}

/// What a signed note calls a key beside its name: four bytes of SHA-256 over both.
#[must_use]
pub fn note_key_id(name: &str, public: &PublicKey) -> [u8; 4] {
    let hash = digest(&SHA256, &[name.as_bytes(), b"\n", &[ED25519_NOTE][..], &public[..]].concat());
    let mut id = [0; 4];
    id.copy_from_slice(&hash.as_ref()[..4]);
    id
}

pub(crate) fn log_key_context(account: &RawId, wrapper: KeyId) -> Vec<u8> {
    encode(b"log key", &[account, wrapper.as_bytes()])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{RootKey, SystemRng};

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
    }

    /// The second test of RFC 8032, section 7.1.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let key = LogKey::from_bytes(KeyBytes::from_slice(&seed).unwrap()).unwrap();
        let public = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        assert_eq!(key.public().to_vec(), public);
        let signature = bytes(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        assert_eq!(key.sign("r").to_vec(), signature);
        assert!(is_signed("r", &signature, &key.public()));
        assert!(!is_signed("s", &signature, &key.public()));
        assert!(!is_signed("r", &signature[1..], &key.public()));
        let other = LogKey::make(&SystemRng).unwrap();
        assert!(!is_signed("r", &signature, &other.public()));
    }

    #[test]
    fn a_wrapped_key_opens_in_its_place_alone() {
        let (root, other) = (RootKey::make(&SystemRng).unwrap(), RootKey::make(&SystemRng).unwrap());
        let key = LogKey::make(&SystemRng).unwrap();
        let wrapped = root.wrap_log_key(&key, &[1; 20], &SystemRng).unwrap();
        assert_eq!(root.open_log_key(&wrapped, &[1; 20]).unwrap().public(), key.public());
        assert!(root.open_log_key(&wrapped, &[2; 20]).is_err());
        assert!(other.open_log_key(&wrapped, &[1; 20]).is_err());
        assert!(root.open_token_key(&wrapped, &[1; 20]).is_err(), "it is no token key");
    }
}
