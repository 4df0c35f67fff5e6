//! Recovery words: whatever the text, an answer; and what is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_slots::recovery;

fuzz_target!(|text: &str| {
    if let Ok(key) = recovery::parse(text) {
        let words = recovery::words(&key).expect("words of a key");
        assert_eq!(recovery::parse(&words).map(|again| again.id()).ok(), Some(key.id()));
    }
});
