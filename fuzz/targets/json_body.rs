//! Request bodies: whatever the bytes, an answer; and what is taken is one JSON object.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_server::parse::body::Fields;

const NAMES: [&str; 4] = ["name", "value", "vault_id", "active"];

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut fields) = Fields::parse(bytes, &NAMES, false) {
        assert_eq!(bytes.trim_ascii().first(), Some(&b'{'));
        let _ = (
            fields.text("name"),
            fields.secret("value"),
            fields.non_empty("vault_id"),
            fields.flag("active"),
        );
    }
});
