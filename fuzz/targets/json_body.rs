//! Request bodies: whatever the bytes, an answer; and what is taken is one JSON object.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_domain::grant::{Action, Grant, Pattern, Target};
use strongroom_server::parse::body::Fields;

const NAMES: [&str; 6] = ["name", "value", "vault_id", "active", "grants", "secrets"];
const ITEM: [&str; 6] = ["action", "vault", "secret", "id", "name", "version"];

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut fields) = Fields::parse(bytes, &NAMES, false) {
        assert_eq!(bytes.trim_ascii().first(), Some(&b'{'));
        let _ = (
            fields.text("name"),
            fields.secret("value"),
            fields.non_empty("vault_id"),
            fields.flag("active"),
        );
        for list in ["grants", "secrets"] {
            let items = fields.objects(list, &ITEM).ok().flatten().unwrap_or_default();
            items.into_iter().for_each(read_item);
        }
    }
});

/// What is taken for a grant is written as one and read again the same; a version is a number from 1.
fn read_item(mut item: Fields) {
    let mut text = |name| item.text(name).ok().flatten().unwrap_or_default();
    let (action, vault, secret, _) = (text("action"), text("vault"), text("secret"), text("id"));
    if let (Some(action), Ok(vault), Ok(secret)) =
        (Action::parse(&action), Pattern::parse(&vault), Pattern::parse(&secret))
        && let Ok(grant) = Grant::new(action, Some(Target { vault, secret }))
    {
        assert_eq!(grant.to_string().parse(), Ok(grant));
    }
    assert_ne!(item.count("version"), Ok(Some(0)));
}
