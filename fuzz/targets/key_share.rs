//! Shares and openers of key slots: whatever the texts, an answer, and nothing but the shares that were made is taken.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_slots::shamir::Collector;

const OPENER: &str = r#"{"needed":2,"shares":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}"#;

fuzz_target!(|text: &str| {
    let (opener, share) = text.split_once('\n').unwrap_or((OPENER, text));
    for opener in [opener, OPENER] {
        if let Ok(mut collector) = Collector::new(opener, &[7; 32]) {
            let taken = collector.add(share).is_ok();
            assert_eq!(collector.given(), u8::from(taken));
            assert!(collector.open().is_err());
        }
    }
});
