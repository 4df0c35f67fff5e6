//! Files of values: whatever the text, an answer; and what is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_client::values_file::{Format, Pair, read, write_env, write_json};

fn named(pairs: &[Pair]) -> Vec<(&str, &str)> {
    pairs.iter().map(|pair| (pair.name.as_str(), pair.expose_secret())).collect()
}

fuzz_target!(|text: &str| {
    for format in [Format::Env, Format::Json, Format::Yaml] {
        let Ok(pairs) = read(format, text) else { continue };
        let Ok(again) = read(Format::Json, &write_json(&named(&pairs))) else {
            panic!("JSON is not read again")
        };
        assert_eq!(named(&again), named(&pairs));
        if format == Format::Env
            && let Ok(env) = write_env(&named(&pairs))
        {
            let Ok(again) = read(Format::Env, &env) else { panic!("what was written is not read again") };
            assert_eq!(named(&again), named(&pairs));
        }
    }
});
