//! API tokens: whatever the text, an answer; and a token names the key that it begins with.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_domain::token::Token;

fuzz_target!(|text: &str| {
    if let Ok(key) = Token::parse_key_id(text) {
        assert!(text.starts_with(&key.ksuid().to_string()));
    }
});
