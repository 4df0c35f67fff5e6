//! Query strings: whatever the text, an answer; and no parameter that is given is empty.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_server::parse::query::Query;

const NAMES: &[&str] = &["before_id", "limit", "filter"];

fuzz_target!(|text: &str| {
    if let Ok(query) = Query::parse(Some(text), NAMES, false) {
        assert!(NAMES.iter().all(|name| query.get(name) != Some("")));
    }
});
