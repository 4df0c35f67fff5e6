//! Ids, and cursors of the feed: whatever the text, an answer; and an id's own text is that id again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_domain::change::Cursor;
use strongroom_domain::ids::{Ksuid, PrincipalId, SecretId};

fuzz_target!(|text: &str| {
    if let Ok(id) = text.parse::<Ksuid>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(id) = text.parse::<SecretId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert_eq!(cursor.to_string(), text);
    }
    // Principals have several prefixes, so another text may be written than was read.
    if let Ok(id) = text.parse::<PrincipalId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
});
