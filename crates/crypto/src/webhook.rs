//! What the deliveries of a webhook are signed with: Standard Webhooks, version 1.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::context::{RawId, encode};
use crate::{CryptoError, KeyId, Rng};

/// What the text of a signing secret starts with.
const PREFIX: &str = "whsec_";
/// Bytes of one that is made.
const MADE_LENGTH: usize = 32;

/// The secret that a webhook's deliveries are signed with: zeroed on drop, not printable, not cloneable.
pub struct SigningSecret(Zeroizing<Vec<u8>>);

impl SigningSecret {
    /// The fewest bytes that one may have.
    pub const MIN: usize = 24;
    /// The most bytes that one may have.
    pub const MAX: usize = 64;

    /// A new random one.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn make(rng: &dyn Rng) -> Result<Self, CryptoError> {
        let mut bytes = Zeroizing::new(vec![0; MADE_LENGTH]);
        rng.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads one: `whsec_` and 24 to 64 bytes in base64. `None` is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // No longer text is looked at than the longest one.
        let encoded =
            text.strip_prefix(PREFIX).filter(|encoded| encoded.len() <= Self::MAX.div_ceil(3) * 4)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(Self::MAX + 2));
        STANDARD.decode_vec(encoded, &mut bytes).ok()?;
        (Self::MIN..=Self::MAX).contains(&bytes.len()).then_some(Self(bytes))
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The one way to the text, in the form that [`Self::parse`] reads. Each call says in a comment why it needs it.
    #[must_use]
    pub fn expose_secret(&self) -> Zeroizing<String> {
        // With room for all of it, no part is left behind by a buffer that grew.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + self.0.len().div_ceil(3) * 4));
        text.push_str(PREFIX);
        STANDARD.encode_string(&*self.0, &mut text);
        text
    }

    /// Whether both are the same, in time that depends on the length alone.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    /// Signs a delivery: `v1,` and HMAC-SHA256 over `id.timestamp.body` in base64.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

pub(crate) fn signing_secret_context(account: &RawId, webhook: &RawId, wrapper: KeyId) -> Vec<u8> {
    encode(b"webhook secret", &[account, webhook, wrapper.as_bytes()])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{RootKey, SystemRng};

    /// The example of the Standard Webhooks specification's own libraries.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_made_is_read_and_nothing_else_is() {
        let made = SigningSecret::make(&SystemRng).unwrap();
        let text = made.expose_secret();
        assert!(SigningSecret::parse(&text).unwrap().same_as(&made));
        assert!(!SigningSecret::make(&SystemRng).unwrap().same_as(&made));
        let of = |length: usize| format!("whsec_{}", STANDARD.encode(vec![7; length]));
        for good in [24, 25, 63, 64] {
            assert_eq!(*SigningSecret::parse(&of(good)).unwrap().expose_secret(), of(good));
        }
        for bad in
            [of(23), of(65), of(4000), text[6..].to_owned(), "whsec_".to_owned(), format!("{} ", *text)]
        {
            assert!(SigningSecret::parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_sealed_secret_opens_in_its_place_alone() {
        let (root, other) = (RootKey::make(&SystemRng).unwrap(), RootKey::make(&SystemRng).unwrap());
        let secret = SigningSecret::make(&SystemRng).unwrap();
        let sealed = root.wrap_signing_secret(&secret, &[1; 20], &[2; 20], &SystemRng).unwrap();
        assert!(root.open_signing_secret(&sealed, &[1; 20], &[2; 20]).unwrap().same_as(&secret));
        assert!(root.open_signing_secret(&sealed, &[2; 20], &[2; 20]).is_err());
        assert!(root.open_signing_secret(&sealed, &[1; 20], &[3; 20]).is_err());
        assert!(other.open_signing_secret(&sealed, &[1; 20], &[2; 20]).is_err());
        assert!(root.open_log_key(&sealed, &[1; 20]).is_err(), "it is no log key");
    }
}
