//! The offline cache: answers that an API key was given, sealed so that only the same key's token opens them.
//!
//! The key is HKDF-SHA256 (RFC 5869) of the token, under a salt that is random for each seal and stands before the sealed
//! bytes. A token has 128 bits of randomness, so no slow hash is needed.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};

use crate::context::encode;
use crate::key::{KEY_LENGTH, KeyBytes};
use crate::{CryptoError, Rng, SecretValue, envelope};

/// The first bytes of a cache file. What they say is bound into the seal, so that a newer format is never taken for this.
const MARK: &[u8] = b"strongroom cache v1\n";
const SALT_LENGTH: usize = 32;

/// What a cached answer is the answer to.
#[derive(Debug, Clone, Copy)]
pub struct CachePlace<'a> {
    /// The server's URL.
    pub server: &'a str,
    /// What was asked of it, in a form that is the same each time.
    pub asked: &'a [u8],
}

/// A key of 32 bytes, as HKDF is asked for one.
struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_LENGTH
    }
}

impl CachePlace<'_> {
    /// Names the place: 32 hexadecimal digits, that tell nothing to whoever has not the token.
    ///
    /// # Errors
    /// [`CryptoError::Refused`], which a working library never gives.
    pub fn name(&self, token: &str) -> Result<String, CryptoError> {
        let name = derive(token, &[], &self.context(b"cache name"))?;
        Ok(name.as_slice()[..16].iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Seals an answer.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn seal(&self, token: &str, plain: &SecretValue, rng: &dyn Rng) -> Result<Vec<u8>, CryptoError> {
        let mut salt = [0; SALT_LENGTH];
        rng.fill(&mut salt)?;
        let key = derive(token, &salt, b"strongroom cache key v1")?;
        // Sealing is what the plaintext was taken in for.
        let sealed = envelope::seal(&key, plain.expose_secret(), &self.context(b"cache"), rng)?;
        Ok([MARK, &salt, &sealed].concat())
    }

    /// Opens a sealed answer.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open(&self, token: &str, file: &[u8]) -> Result<SecretValue, CryptoError> {
        let rest = file.strip_prefix(MARK).ok_or(CryptoError::Refused)?;
        let (salt, sealed) = rest.split_at_checked(SALT_LENGTH).ok_or(CryptoError::Refused)?;
        let key = derive(token, salt, b"strongroom cache key v1")?;
        envelope::open(&key, sealed, &self.context(b"cache")).map(SecretValue::new)
    }

    fn context(&self, purpose: &[u8]) -> Vec<u8> {
        encode(purpose, &[MARK, self.server.as_bytes(), self.asked])
    }
}

fn derive(token: &str, salt: &[u8], info: &[u8]) -> Result<KeyBytes, CryptoError> {
    let prk = Salt::new(HKDF_SHA256, salt).extract(token.as_bytes());
    let info = [info];
    let okm = prk.expand(&info, Length).map_err(|_| CryptoError::Refused)?;
    KeyBytes::filled(|bytes| okm.fill(bytes).map_err(|_| CryptoError::Refused))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::SystemRng;

    const PLACE: CachePlace = CachePlace { server: "https://a", asked: b"prod:db-password" };

    fn sealed() -> Vec<u8> {
        PLACE.seal("token", &SecretValue::new(b"s3cret".to_vec()), &SystemRng).unwrap()
    }

    #[test]
    fn an_answer_opens_with_its_token_and_in_its_place_alone() {
        let file = sealed();
        assert_eq!(PLACE.open("token", &file).unwrap().expose_secret(), b"s3cret");
        assert_eq!(PLACE.open("other", &file).err(), Some(CryptoError::Refused));
        for place in
            [CachePlace { server: "https://b", ..PLACE }, CachePlace { asked: b"prod:db-passwort", ..PLACE }]
        {
            assert_eq!(place.open("token", &file).err(), Some(CryptoError::Refused));
        }
    }

    #[test]
    fn every_bit_counts_and_every_cut_is_refused() {
        let file = sealed();
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut altered = file.clone();
                altered[at] ^= 1 << bit;
                assert_eq!(PLACE.open("token", &altered).err(), Some(CryptoError::Refused), "{at}");
            }
            assert_eq!(PLACE.open("token", &file[..at]).err(), Some(CryptoError::Refused), "{at}");
        }
    }

    #[test]
    fn two_seals_share_no_key_and_tell_no_value() {
        let (one, other) = (sealed(), sealed());
        let salt = MARK.len()..MARK.len() + SALT_LENGTH;
        assert_ne!(one[salt.clone()], other[salt]);
        assert!(!one.windows(6).any(|window| window == b"s3cret"));
    }

    #[test]
    fn a_name_depends_on_token_and_place() {
        let names = [
            PLACE.name("token"),
            PLACE.name("other"),
            CachePlace { server: "https://b", ..PLACE }.name("token"),
            CachePlace { asked: b"", ..PLACE }.name("token"),
        ];
        let mut names: Vec<String> = names.into_iter().map(Result::unwrap).collect();
        assert_eq!(names[0], PLACE.name("token").unwrap());
        assert!(names.iter().all(|name| name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit())));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 4);
    }

    /// The format as `docs/formats.md` tells it, over fixed randomness.
    #[test]
    fn the_format_is_the_one_written_down() {
        struct Counting(std::sync::atomic::AtomicU8);
        impl Rng for Counting {
            fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
                bytes.iter_mut().for_each(|b| *b = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
                Ok(())
            }
        }
        let plain = SecretValue::new(b"known answer".to_vec());
        let file = PLACE.seal("token", &plain, &Counting(0.into())).unwrap();
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(&file), include_str!("../testdata/cache.hex").trim());
        assert_eq!(PLACE.name("token").unwrap(), include_str!("../testdata/cache-name.hex").trim());
    }
}
