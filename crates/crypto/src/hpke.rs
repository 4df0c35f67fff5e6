//! Hybrid public key encryption with a pre-shared key: one message to one public key (RFC 9180, mode_psk, single-shot) with
//! DHKEM(X25519, HKDF-SHA256) and HKDF-SHA256.
//!
//! Who opens it needs the private key; who makes one that opens needs the pre-shared key. Since both go into the key, it holds
//! against somebody who can compute discrete logarithms and has only what is stored.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::CryptoError;
use crate::key::{KEY_LENGTH, KeyBytes};

/// Length of an X25519 public key, which is also the length of what is encapsulated.
pub(crate) const PUBLIC_LENGTH: usize = 32;
const TAG: usize = 16;
/// RFC 9180, section 7: `KEM` and the number of DHKEM(X25519, HKDF-SHA256).
const KEM: &[u8] = b"KEM\x00\x20";
/// RFC 9180, table 1.
const MODE_PSK: u8 = 1;

/// The AEAD of a suite, and its number in RFC 9180, table 5.
struct Aead {
    algorithm: &'static Algorithm,
    id: u8,
}

const AES_256: Aead = Aead { algorithm: &AES_256_GCM, id: 2 };

/// What both sides know.
pub(crate) struct Shared<'a> {
    pub(crate) info: &'a [u8],
    pub(crate) psk: &'a KeyBytes,
    pub(crate) psk_id: &'a [u8],
}

/// The public key of a private one.
pub(crate) fn public_of(private: &KeyBytes) -> Result<[u8; PUBLIC_LENGTH], CryptoError> {
    public_bytes(&private_key(private)?)
}

/// Seals a message: what is encapsulated, then the ciphertext.
pub(crate) fn seal(
    ephemeral: &KeyBytes,
    public: &[u8; PUBLIC_LENGTH],
    shared: &Shared<'_>,
    plain: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    seal_with(&AES_256, (ephemeral, public), shared, b"", plain)
}

/// Opens a message; the caller zeroes it.
pub(crate) fn open(private: &KeyBytes, shared: &Shared<'_>, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
    open_with(&AES_256, private, shared, b"", message)
}

fn seal_with(
    aead: &Aead,
    (ephemeral, public): (&KeyBytes, &[u8; PUBLIC_LENGTH]),
    shared: &Shared<'_>,
    aad: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let ephemeral = private_key(ephemeral)?;
    let encapsulated = public_bytes(&ephemeral)?;
    let secret = agree(&ephemeral, public, &encapsulated, public)?;
    let (cipher, nonce) = schedule(aead, &secret, shared)?;
    let mut message = Vec::with_capacity(PUBLIC_LENGTH + plain.len() + TAG);
    message.extend_from_slice(&encapsulated);
    message.extend_from_slice(plain);
    let tag = cipher
        .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut message[PUBLIC_LENGTH..])
        .map_err(|_| CryptoError::Refused)?;
    message.extend_from_slice(tag.as_ref());
    Ok(message)
}

fn open_with(
    aead: &Aead,
    private: &KeyBytes,
    shared: &Shared<'_>,
    aad: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let (encapsulated, ciphertext) = message.split_first_chunk().ok_or(CryptoError::Refused)?;
    let private = private_key(private)?;
    let secret = agree(&private, encapsulated, encapsulated, &public_bytes(&private)?)?;
    let (cipher, nonce) = schedule(aead, &secret, shared)?;
    let mut plain = Zeroizing::new(ciphertext.to_vec());
    let length =
        cipher.open_in_place(nonce, Aad::from(aad), &mut plain).map_err(|_| CryptoError::Refused)?.len();
    plain.truncate(length);
    Ok(std::mem::take(&mut *plain))
}

fn private_key(bytes: &KeyBytes) -> Result<PrivateKey, CryptoError> {
    PrivateKey::from_private_key(&X25519, bytes.as_slice()).map_err(|_| CryptoError::Refused)
}

fn public_bytes(private: &PrivateKey) -> Result<[u8; PUBLIC_LENGTH], CryptoError> {
    let public = private.compute_public_key().map_err(|_| CryptoError::Refused)?;
    public.as_ref().try_into().map_err(|_| CryptoError::Refused)
}

/// RFC 9180, section 4.1: the secret that both sides of an exchange come to.
fn agree(
    own: &PrivateKey,
    other: &[u8; PUBLIC_LENGTH],
    encapsulated: &[u8; PUBLIC_LENGTH],
    recipient: &[u8; PUBLIC_LENGTH],
) -> Result<KeyBytes, CryptoError> {
    let other = UnparsedPublicKey::new(&X25519, other);
    // A public key of small order gives a secret of zeros, which the library refuses (RFC 9180, section 7.1.4).
    agreement::agree(own, other, CryptoError::Refused, |exchanged| {
        let extracted = extract(b"", KEM, b"eae_prk", exchanged);
        expand(&extracted, KEM, b"shared_secret", &[&encapsulated[..], &recipient[..]].concat(), KEY_LENGTH)
    })
    .and_then(|secret| KeyBytes::from_slice(&secret).ok_or(CryptoError::Refused))
}

/// RFC 9180, section 5.1: the key and the nonce of the first and only message.
fn schedule(
    aead: &Aead,
    secret: &KeyBytes,
    shared: &Shared<'_>,
) -> Result<(LessSafeKey, Nonce), CryptoError> {
    let suite = [&b"HPKE\x00\x20\x00\x01\x00"[..], &[aead.id]].concat();
    let psk_id = extract(b"", &suite, b"psk_id_hash", shared.psk_id);
    let info = extract(b"", &suite, b"info_hash", shared.info);
    let context = [&[MODE_PSK], psk_id.as_slice(), info.as_slice()].concat();
    let secret = extract(secret.as_slice(), &suite, b"secret", shared.psk.as_slice());
    let key = expand(&secret, &suite, b"key", &context, aead.algorithm.key_len())?;
    let nonce = expand(&secret, &suite, b"base_nonce", &context, NONCE_LEN)?;
    let key = UnboundKey::new(aead.algorithm, &key).map_err(|_| CryptoError::Refused)?;
    let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| CryptoError::Refused)?;
    Ok((LessSafeKey::new(key), nonce))
}

/// `LabeledExtract` of RFC 9180, section 4, which is HMAC.
fn extract(salt: &[u8], suite: &[u8], label: &[u8], material: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut hmac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt));
    for part in [b"HPKE-v1", suite, label, material] {
        hmac.update(part);
    }
    Zeroizing::new(hmac.sign().as_ref().to_vec())
}

/// `LabeledExpand` of RFC 9180, section 4, for no more than one block of 32 bytes, which is HMAC again (RFC 5869, section 2.3).
fn expand(
    key: &[u8],
    suite: &[u8],
    label: &[u8],
    info: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let mut hmac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    let bytes = u16::try_from(length).map_err(|_| CryptoError::Refused)?.to_be_bytes();
    for part in [&bytes[..], b"HPKE-v1", suite, label, info, &[1]] {
        hmac.update(part);
    }
    let block = hmac.sign();
    let taken = block.as_ref().get(..length).ok_or(CryptoError::Refused)?;
    Ok(Zeroizing::new(taken.to_vec()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn key(hex: &str) -> KeyBytes {
        KeyBytes::from_slice(&bytes(hex)).unwrap()
    }

    /// RFC 9180, appendix A.1.2: the same suite with the smaller AES, which changes a number and a length.
    #[test]
    fn the_vector_of_rfc_9180_passes() {
        let small = Aead { algorithm: &aws_lc_rs::aead::AES_128_GCM, id: 1 };
        let ephemeral = key("463426a9ffb42bb17dbe6044b9abd1d4e4d95f9041cef0e99d7824eef2b6f588");
        let private = key("c5eb01eb457fe6c6f57577c5413b931550a162c71a03ac8d196babbd4e5ce0fd");
        let public = public_of(&private).unwrap();
        assert_eq!(public[..], bytes("9fed7e8c17387560e92cc6462a68049657246a09bfa8ade7aefe589672016366"));
        let psk = key("0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82");
        let shared = Shared { info: b"Ode on a Grecian Urn", psk: &psk, psk_id: b"Ennyn Durin aran Moria" };
        let (plain, aad) = (b"Beauty is truth, truth beauty", b"Count-0");
        let message = seal_with(&small, (&ephemeral, &public), &shared, aad, plain).unwrap();
        let expected = bytes(
            "0ad0950d9fb9588e59690b74f1237ecdf1d775cd60be2eca57af5a4b0471c91b\
             e52c6fed7f758d0cf7145689f21bc1be6ec9ea097fef4e959440012f4feb73fb611b946199e681f4cfc34db8ea",
        );
        assert_eq!(message, expected);
        assert_eq!(open_with(&small, &private, &shared, aad, &message).unwrap(), plain);
        assert!(open_with(&AES_256, &private, &shared, aad, &message).is_err());
    }

    #[test]
    fn every_part_counts() {
        let (ephemeral, private, psk) = (key(&"11".repeat(32)), key(&"22".repeat(32)), key(&"33".repeat(32)));
        let public = public_of(&private).unwrap();
        let shared = Shared { info: b"here", psk: &psk, psk_id: b"id" };
        let message = seal(&ephemeral, &public, &shared, b"plain").unwrap();
        assert_eq!(open(&private, &shared, &message).unwrap(), b"plain");
        let other = key(&"44".repeat(32));
        for wrong in [
            Shared { info: b"there", psk: &psk, psk_id: b"id" },
            Shared { info: b"here", psk: &other, psk_id: b"id" },
            Shared { info: b"here", psk: &psk, psk_id: b"other" },
        ] {
            assert_eq!(open(&private, &wrong, &message).err(), Some(CryptoError::Refused));
        }
        assert_eq!(open(&other, &shared, &message).err(), Some(CryptoError::Refused));
        for at in 0..message.len() {
            let mut altered = message.clone();
            altered[at] ^= 1;
            assert_eq!(open(&private, &shared, &altered).err(), Some(CryptoError::Refused), "{at}");
            assert_eq!(open(&private, &shared, &message[..at]).err(), Some(CryptoError::Refused), "{at}");
        }
        // Points of small order are no public keys.
        for small in [[0; 32], std::array::from_fn(|at| u8::from(at == 0))] {
            assert_eq!(seal(&ephemeral, &small, &shared, b"plain").err(), Some(CryptoError::Refused));
        }
    }
}
