//! The token of an API key: `<the key's KSUID>_<random>`, as ngrok's are.

use strongroom_crypto::{CryptoError, Rng, SecretValue};
use zeroize::Zeroizing;

use crate::error::BadCredential;
use crate::ids::{ApiKeyId, Ksuid};

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Random characters of a token: 128 bits and more (22 × log₂ 58 = 128.9).
const RANDOM_LENGTH: usize = 22;
/// The longest random part that is looked at.
const RANDOM_MAX: usize = 64;

/// A token in clear: zeroed on drop, not printable.
pub struct Token(Zeroizing<String>);

impl Token {
    /// A new token for a key.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn make(key: ApiKeyId, rng: &dyn Rng) -> Result<Self, CryptoError> {
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(&key.ksuid().to_string());
        text.push('_');
        while text.len() < Ksuid::TEXT_LENGTH + 1 + RANDOM_LENGTH {
            let mut byte = Zeroizing::new([0; 1]);
            rng.fill(&mut *byte)?;
            // Bytes past the last whole multiple of 58 are drawn again, so that every digit is as likely.
            if byte[0] < 232 {
                text.push(char::from(BASE58[usize::from(byte[0] % 58)]));
            }
        }
        Ok(Self(text))
    }

    /// Looks at a credential that somebody sent and finds the key that it claims to be of.
    ///
    /// # Errors
    /// What it is instead of a token.
    pub fn parse_key_id(text: &str) -> Result<ApiKeyId, BadCredential> {
        if text.parse::<ApiKeyId>().is_ok() {
            return Err(BadCredential::ApiKeyId);
        }
        if text.strip_prefix("cr_").is_some_and(|rest| rest.parse::<Ksuid>().is_ok()) {
            return Err(BadCredential::AuthtokenId);
        }
        let (id, rest) = text.split_at_checked(Ksuid::TEXT_LENGTH).ok_or(BadCredential::Malformed)?;
        let random = rest.strip_prefix('_').ok_or(BadCredential::Malformed)?;
        let well_formed =
            (1..=RANDOM_MAX).contains(&random.len()) && random.bytes().all(|b| b.is_ascii_alphanumeric());
        let id = id.parse().map_err(|_| BadCredential::Malformed)?;
        if well_formed { Ok(ApiKeyId::new(id)) } else { Err(BadCredential::Malformed) }
    }

    /// A token that was kept, sealed.
    pub(crate) fn kept(value: &SecretValue) -> Option<Self> {
        // It goes back to the one who made the key.
        let text = std::str::from_utf8(value.expose_secret()).ok()?;
        Some(Self(Zeroizing::new(text.to_owned())))
    }

    /// The one way to the text: to hash it, and to show it to the one who made the key.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use strongroom_crypto::SystemRng;

    #[test]
    fn a_token_names_its_key_and_nothing_else_does() {
        let key: ApiKeyId = "ak_32ELEgPmoXjxGJ3MXfoPBbZKrfD".parse().unwrap();
        let token = Token::make(key, &SystemRng).unwrap();
        assert_eq!(token.expose_secret().len(), 28 + RANDOM_LENGTH);
        assert_eq!(Token::parse_key_id(token.expose_secret()), Ok(key));
        assert_eq!(Token::parse_key_id("32ELEgPmoXjxGJ3MXfoPBbZKrfD_59G1nFjCYtpoGt8Fp41Fm"), Ok(key));
        let bad = [
            ("ak_32ELEgPmoXjxGJ3MXfoPBbZKrfD", BadCredential::ApiKeyId),
            ("cr_32ELEgPmoXjxGJ3MXfoPBbZKrfD", BadCredential::AuthtokenId),
            ("", BadCredential::Malformed),
            ("hello", BadCredential::Malformed),
            ("32ELEgPmoXjxGJ3MXfoPBbZKrfD_", BadCredential::Malformed),
            ("32ELEgPmoXjxGJ3MXfoPBbZKrfD_a b", BadCredential::Malformed),
        ];
        for (text, expected) in bad {
            assert_eq!(Token::parse_key_id(text), Err(expected), "{text}");
        }
    }
}
