//! The `filter` query parameter: whatever the text, an answer.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use strongroom_domain::filter::{Field, Filter, Kind};
use strongroom_domain::ids::{SecretId, VaultId};

/// One field of each kind, and one with a dot.
const FIELDS: &[Field] = &[
    Field { name: "name", kind: Kind::Text },
    Field { name: "active", kind: Kind::Bool },
    Field { name: "created_at", kind: Kind::Time },
    Field { name: "id", kind: Kind::Id { decode: SecretId::decode } },
    Field { name: "vault.id", kind: Kind::Id { decode: VaultId::decode } },
];

fuzz_target!(|text: &str| {
    if let Ok(filter) = Filter::parse(text, FIELDS, Timestamp::UNIX_EPOCH) {
        let _ = filter.required_equal("name");
    }
});
