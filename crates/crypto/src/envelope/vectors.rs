//! Vectors that others wrote, and those of docs/formats.md, which never change.

use serde_json::Value;

use super::{FORMAT, open, seal};
use crate::context::{ValuePlace, VaultPlace};
use crate::key::KeyBytes;
use crate::{CryptoError, Rng, RootKey, SealedValue, SecretValue, SystemRng, TokenKey, VaultKey, WrappedKey};

const WYCHEPROOF: &str = include_str!("../../testdata/wycheproof/aes_gcm_test.json");
const FORMATS: &str = include_str!("../../../../docs/formats.md");

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "{hex}");
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(pair).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Gives these bytes, once.
struct Given(Vec<u8>);

impl Rng for Given {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        bytes.copy_from_slice(&self.0);
        Ok(())
    }
}

/// Gives 0, 1, 2 and so on.
#[derive(Default)]
struct Counting(std::sync::atomic::AtomicU8);

impl Rng for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        bytes.iter_mut().for_each(|byte| *byte = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        Ok(())
    }
}

/// AES-256-GCM with a nonce of 96 bits and a tag of 128, the only form that sealed bytes have: all of its vectors, through the
/// very functions that seal and open.
#[test]
fn the_vectors_of_wycheproof_pass() {
    let vectors: Value = serde_json::from_str(WYCHEPROOF).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    let ours = |group: &&Value| group["keySize"] == 256 && group["ivSize"] == 96 && group["tagSize"] == 128;
    for group in vectors["testGroups"].as_array().unwrap().iter().filter(ours) {
        for test in group["tests"].as_array().unwrap() {
            let field = |name: &str| bytes(test[name].as_str().unwrap());
            let key = KeyBytes::from_slice(&field("key")).unwrap();
            let (nonce, plain, context) = (field("iv"), field("msg"), field("aad"));
            let sealed = [&[FORMAT], &nonce[..], &field("ct"), &field("tag")].concat();
            let opened = open(&key, &sealed, &context);
            if test["result"] == "valid" {
                assert_eq!(opened.as_ref(), Ok(&plain), "{test}");
                assert_eq!(seal(&key, &plain, &context, &Given(nonce)), Ok(sealed), "{test}");
                valid += 1;
            } else {
                assert_eq!(opened, Err(CryptoError::Refused), "{test}");
                invalid += 1;
            }
        }
    }
    assert_eq!((valid, invalid), (39, 27), "the file is another one");
}

/// The value of a row of the table "Known answers".
fn written(name: &str) -> String {
    let row = FORMATS.lines().find_map(|line| line.strip_prefix(&format!("| {name} | `")));
    let row = row.unwrap_or_else(|| panic!("docs/formats.md has no known answer '{name}'"));
    row.trim_end_matches("` |").to_owned()
}

#[test]
fn the_known_answers_that_are_written_down_hold() {
    let (account, vault, secret) = ([1; 20], [2; 20], [3; 20]);
    let (in_vault, in_secret) =
        (VaultPlace { account, vault }, ValuePlace { account, vault, secret, version: 4 });
    let rng = Counting::default();
    let root = RootKey::make(&rng).unwrap();
    let key = VaultKey::make(&rng).unwrap();
    let wrapped = root.wrap_vault_key(&key, &in_vault, &rng).unwrap();
    let sealed = key.seal(&SecretValue::new(b"known answer".to_vec()), &in_secret, &rng).unwrap();
    let token_key = TokenKey::make(&rng).unwrap();
    let wrapped_token_key = root.wrap_token_key(&token_key, &account, &rng).unwrap();
    for (name, answer) in [
        ("key id of the root key", root.id().as_bytes()),
        ("wrapped vault key", wrapped.as_bytes()),
        ("sealed value", &sealed.ciphertext),
        ("wrapped data key", sealed.wrapped_key.as_bytes()),
        ("wrapped token key", wrapped_token_key.as_bytes()),
        ("token hash", token_key.hash("known_token").as_bytes()),
    ] {
        assert_eq!(written(name), hex(answer), "{name}");
    }
    // And the other way: what is written opens, whatever is sealed today.
    let stored = |name: &str| bytes(&written(name));
    let key = root.open_vault_key(&WrappedKey::from_bytes(stored("wrapped vault key")), &in_vault).unwrap();
    let sealed = SealedValue {
        wrapped_key: WrappedKey::from_bytes(stored("wrapped data key")),
        ciphertext: stored("sealed value"),
    };
    assert_eq!(key.open(&sealed, &in_secret).unwrap().expose_secret(), b"known answer");
    let wrapped = WrappedKey::from_bytes(stored("wrapped token key"));
    let token_key = root.open_token_key(&wrapped, &account).unwrap();
    assert_eq!(token_key.hash("known_token").as_bytes().to_vec(), stored("token hash"));
    let other = RootKey::make(&SystemRng).unwrap();
    assert!(other.open_token_key(&wrapped, &account).is_err());
}
