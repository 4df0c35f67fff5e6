//! Keyed hashes of API tokens: what is stored in their place.

use aws_lc_rs::{constant_time, hmac};

use crate::context::encode_to;
use crate::key::KeyBytes;
use crate::{CryptoError, Digest, Rng};

/// The keyed hash of a token. It proves a token and does not give it away.
#[derive(Debug, Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The bytes, as they are stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A stored hash.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Whether both are the same, in constant time. There is no `==`, so that nobody compares in another way.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

/// The key of an account's token hashes: a store that leaks lets nobody test guesses without it.
pub struct TokenKey {
    bytes: KeyBytes,
    hmac: hmac::Key,
}

impl TokenKey {
    /// A new random token key.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn make(rng: &dyn Rng) -> Result<Self, CryptoError> {
        Ok(Self::from_bytes(KeyBytes::make(rng)?))
    }

    pub(crate) fn from_bytes(bytes: KeyBytes) -> Self {
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice());
        Self { bytes, hmac }
    }

    pub(crate) fn bytes(&self) -> &KeyBytes {
        &self.bytes
    }

    /// HMAC-SHA256 of a token.
    #[must_use]
    pub fn hash(&self, token: &str) -> TokenHash {
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&self.hmac, token.as_bytes()).as_ref());
        TokenHash(hash)
    }

    /// HMAC-SHA256 of anything else. What is hashed begins with NULs, as no token does, and tells its purpose.
    #[must_use]
    pub fn mark(&self, purpose: &[u8], fields: &[&[u8]]) -> Digest {
        let mut hmac = hmac::Context::with_key(&self.hmac);
        encode_to(purpose, fields, |bytes| hmac.update(bytes));
        let mut mark = Digest::default();
        mark.copy_from_slice(hmac.sign().as_ref());
        mark
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::SystemRng;

    #[test]
    fn a_hash_depends_on_token_and_key() {
        let (a, b) = (TokenKey::make(&SystemRng).unwrap(), TokenKey::make(&SystemRng).unwrap());
        assert!(a.hash("t").same_as(&a.hash("t")));
        assert!(!a.hash("t").same_as(&a.hash("u")));
        assert!(!a.hash("t").same_as(&b.hash("t")));
    }

    #[test]
    fn a_mark_depends_on_key_purpose_and_every_field() {
        let (a, b) = (TokenKey::make(&SystemRng).unwrap(), TokenKey::make(&SystemRng).unwrap());
        let mark = a.mark(b"x", &[b"ab", b"c"]);
        assert_eq!(mark, a.mark(b"x", &[b"ab", b"c"]));
        for other in [
            b.mark(b"x", &[b"ab", b"c"]),
            a.mark(b"y", &[b"ab", b"c"]),
            a.mark(b"x", &[b"a", b"bc"]),
            a.mark(b"x", &[b"abc"]),
            *a.hash("xabc").as_bytes(),
        ] {
            assert_ne!(mark, other);
        }
    }
}
