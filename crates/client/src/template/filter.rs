//! What may be done to a value on its way into a text.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A way to write a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Json,
    Base64,
    Shell,
    Yaml,
}

impl Filter {
    pub(super) fn of_name(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "base64" => Some(Self::Base64),
            "shell" => Some(Self::Shell),
            "yaml" => Some(Self::Yaml),
            _ => None,
        }
    }

    /// Writes a value. There is room for the longest that it can become, so that none is left behind by a buffer that grew.
    pub(super) fn apply(self, value: &str) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(self.room(value)));
        match self {
            Self::Json => quote(value, &mut text, json_escape),
            Self::Yaml => quote(value, &mut text, yaml_escape),
            Self::Base64 => STANDARD.encode_string(value, &mut text),
            Self::Shell => {
                text.push('\'');
                for (number, part) in value.split('\'').enumerate() {
                    text.push_str(if number == 0 { "" } else { r"'\''" });
                    text.push_str(part);
                }
                text.push('\'');
            }
        }
        text
    }

    fn room(self, value: &str) -> usize {
        match self {
            // `\u0001` for one byte.
            Self::Json | Self::Yaml => value.len() * 6 + 2,
            Self::Base64 => value.len().div_ceil(3) * 4,
            Self::Shell => value.len() + value.matches('\'').count() * 3 + 2,
        }
    }
}

/// Writes a text in double quotes. What `escape` does not write stands there as it is.
fn quote(value: &str, text: &mut String, escape: fn(char, &mut String) -> bool) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if escape(c, text) => {}
            c => text.push(c),
        }
    }
    text.push('"');
}

/// Control characters (RFC 8259, section 7).
fn json_escape(c: char, text: &mut String) -> bool {
    // Writing to a text does not fail.
    c < ' ' && write!(text, "\\u{:04x}", c as u32).is_ok()
}

/// What is not printable (YAML 1.2.2, section 5.1), and what YAML 1.1 takes for the end of a line.
fn yaml_escape(c: char, text: &mut String) -> bool {
    match c {
        '\0'..='\u{1f}' | '\u{7f}'..='\u{a0}' => write!(text, "\\x{:02x}", c as u32).is_ok(),
        '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
            write!(text, "\\u{:04x}", c as u32).is_ok()
        }
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Filter;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn each_filter_writes_what_it_says() {
        let value = "it's \"5\" \\ €\n\u{1}\u{85}";
        assert_eq!(*Filter::Json.apply(value), "\"it's \\\"5\\\" \\\\ €\\n\\u0001\u{85}\"");
        assert_eq!(*Filter::Yaml.apply(value), "\"it's \\\"5\\\" \\\\ €\\n\\x01\\x85\"");
        assert_eq!(*Filter::Shell.apply("it's"), r"'it'\''s'");
        assert_eq!(*Filter::Base64.apply("a"), "YQ==");
        assert_eq!(*Filter::Base64.apply("€?>"), "4oKsPz4=");
    }

    #[test]
    fn a_shell_reads_the_word() {
        for value in ["", "a b", "it's", "''", "$HOME `id` \\ \" ! *", "a\nb\n", "-n"] {
            let script = format!("printf %s {}", *Filter::Shell.apply(value));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
        }
    }

    proptest! {
        #[test]
        fn a_reader_reads_the_value_and_no_buffer_grows(value in any::<String>()) {
            let json = Filter::Json.apply(&value);
            prop_assert_eq!(&serde_json::from_str::<String>(&json).unwrap(), &value);
            for filter in [Filter::Json, Filter::Yaml, Filter::Base64, Filter::Shell] {
                prop_assert!(filter.apply(&value).len() <= filter.room(&value));
            }
        }
    }
}
