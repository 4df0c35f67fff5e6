//! Canonical bytes of audit events: whatever the bytes, an answer; and an event that is read is written and read again as
//! the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_domain::audit::Event;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(event) = Event::from_canonical(bytes) {
        let written = event.to_canonical().expect("every event can be written");
        // A part of a second is not kept, and only old events in JSON could have one.
        let again = Event::from_canonical(&written).expect("what is written is read");
        assert_eq!(again.to_canonical().expect("it is written again"), written);
    }
});
