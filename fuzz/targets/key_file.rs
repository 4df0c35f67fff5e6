//! Key files: whatever the text, an answer; and what is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_crypto::{parse_key_file, view_key_file};

fuzz_target!(|text: &str| {
    if let Ok(file) = parse_key_file(text) {
        let again = parse_key_file(&view_key_file(&file.slot_key));
        assert_eq!(again.map(|again| again.slot_key.id()), Ok(file.slot_key.id()));
    }
});
