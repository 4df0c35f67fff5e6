//! Templates: whatever the text and the value, an answer; a text without macros is given as it is; and what comes between the
//! values does not depend on them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_client::template::{Format, Template};

const VALUE: &str = "it's \"a\": #1\n\\ \u{85}${secrets.get('a','b')}\0";
const MARK: &str = "\u{1}mark\u{1}";

fuzz_target!(|text: &str| {
    for format in [Format::Text, Format::Yaml, Format::Json] {
        let Ok(template) = Template::parse(text.to_owned(), format) else { continue };
        let Ok(rendered) = template.render(|_, _| Some(VALUE)) else { continue };
        let rendered = rendered.expose_secret();
        if !text.contains("secrets") {
            assert_eq!(rendered, text);
        }
        // A filter writes another text than the value.
        if format == Format::Text && !text.contains(['|', '\u{1}']) {
            let marked = template.render(|_, _| Some(MARK));
            assert!(marked.is_ok_and(|marked| marked.expose_secret().replace(MARK, VALUE) == rendered));
        }
    }
});
