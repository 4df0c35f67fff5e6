//! Checkpoints and public keys of the audit log: whatever the text, an answer; a key is written as it was read; and no text
//! opens without a signature.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_domain::audit::checkpoint::LogPublicKey;
use strongroom_domain::ids::{AccountId, Ksuid};

fuzz_target!(|text: &str| {
    if let Ok(key) = text.parse::<LogPublicKey>() {
        assert_eq!(key.to_string(), text.trim());
    }
    // Nobody knows the private half of this one.
    let key = LogPublicKey::new(AccountId::new(Ksuid::MIN), [7; 32]);
    assert!(key.open(text).is_err());
});
