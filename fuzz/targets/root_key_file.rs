//! Root key files: whatever the text, an answer; and what is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_crypto::{parse_root_key_file, view_root_key_file};

fuzz_target!(|text: &str| {
    if let Ok(key) = parse_root_key_file(text) {
        let again = parse_root_key_file(&view_root_key_file(&key));
        assert_eq!(again.map(|key| key.id()), Ok(key.id()));
    }
});
