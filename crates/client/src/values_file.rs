//! Files of values: `.env`, JSON and YAML to read, `.env`, JSON and shell to write.
//!
//! | format | what counts |
//! | --- | --- |
//! | `.env` | `NAME=value` lines, `export` in front or not; `'…'` as it stands; `"…"` with `\n`, `\r`, `\t`, `\"`, `\\`, `\$`, `` \` ``; both over many lines. `#` after a space ends an unquoted value. Nothing is expanded: `$X` stays as it is |
//! | JSON | one object of strings |
//! | YAML | one mapping of scalars, each taken as the text that stands there: `yes`, `0123` and `1e3` are texts. No aliases, no tags |
//!
//! A name twice is refused, with both lines. No error tells a value.

mod env;
mod json;
mod shell;
mod yaml;

use std::collections::HashMap;

use zeroize::Zeroizing;

pub use env::write as write_env;
pub use json::write as write_json;
pub use shell::write as write_shell;

/// Bytes of a file.
pub const SIZE_MAX: usize = 16 << 20;
/// Names in a file.
pub const COUNT_MAX: usize = 10_000;

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines of `NAME=value`.
    Env,
    /// One JSON object of strings.
    Json,
    /// One YAML mapping of scalars.
    Yaml,
}

impl Format {
    /// The format of a file by the end of its name; `.env` where that tells nothing.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        if name.ends_with(".json") {
            Self::Json
        } else if name.ends_with(".yaml") || name.ends_with(".yml") {
            Self::Yaml
        } else {
            Self::Env
        }
    }
}

/// A name and its value. It has no `Debug`, as it holds a value.
pub struct Pair {
    /// The name, as it stands there.
    pub name: String,
    /// The line that it stands on, from 1.
    pub line: usize,
    value: Zeroizing<String>,
}

impl Pair {
    /// The value, zeroed when the pair is dropped.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.value
    }
}

/// What is wrong with a file, and where. It never tells a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct BadFile {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

fn bad(line: usize, what: impl Into<String>) -> BadFile {
    BadFile { line, what: what.into() }
}

/// Reads a file's text.
///
/// # Errors
/// [`BadFile`]: it is not of that format, has a name twice, or is beyond [`SIZE_MAX`] or [`COUNT_MAX`].
pub fn read(format: Format, text: &str) -> Result<Vec<Pair>, BadFile> {
    if text.len() > SIZE_MAX {
        return Err(bad(1, format!("the file is larger than {} MiB", SIZE_MAX >> 20)));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut pairs = Pairs::default();
    match format {
        Format::Env => env::read(text, &mut pairs)?,
        Format::Json => json::read(text, &mut pairs)?,
        Format::Yaml => yaml::read(text, &mut pairs)?,
    }
    Ok(pairs.list)
}

/// What was read so far.
#[derive(Default)]
struct Pairs {
    list: Vec<Pair>,
    lines: HashMap<String, usize>,
}

impl Pairs {
    fn add(&mut self, name: &str, line: usize, value: Zeroizing<String>) -> Result<(), BadFile> {
        if let Some(first) = self.lines.insert(name.to_owned(), line) {
            return Err(bad(line, format!("{name} stands on line {first} already")));
        }
        if self.list.len() == COUNT_MAX {
            return Err(bad(line, format!("the file holds more than {COUNT_MAX} names")));
        }
        self.list.push(Pair { name: name.to_owned(), line, value });
        Ok(())
    }
}

/// A value that a format cannot hold: environments, and what shells read, have no place for a zero byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value of {0} holds a zero byte, which this format has no place for; JSON has")]
pub struct ZeroByte(pub String);

fn refuse_zero(name: &str, value: &str) -> Result<(), ZeroByte> {
    if value.contains('\0') { Err(ZeroByte(name.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) fn pairs(format: Format, text: &str) -> Vec<(String, String)> {
        let pairs = read(format, text).unwrap_or_else(|error| panic!("{error} in {text:?}"));
        pairs.iter().map(|pair| (pair.name.clone(), pair.expose_secret().to_owned())).collect()
    }

    pub(super) fn refused(format: Format, text: &str) -> String {
        let error = read(format, text).err().unwrap_or_else(|| panic!("{text:?} was read"));
        assert!(!error.to_string().contains("canary"), "{error}");
        error.to_string()
    }

    #[test]
    fn the_end_of_a_name_tells_the_format() {
        for (name, format) in [
            (".env", Format::Env),
            ("prod.env", Format::Env),
            ("a.JSON", Format::Json),
            ("b.yml", Format::Yaml),
            ("c.yaml", Format::Yaml),
            ("-", Format::Env),
        ] {
            assert_eq!(Format::of_name(name), format, "{name}");
        }
    }

    #[test]
    fn a_name_twice_is_refused_with_both_lines() {
        for (format, text) in [
            (Format::Env, "A=canary\n\nA=canary2\n"),
            (Format::Json, "{\"A\": \"canary\",\n\n\"A\": \"x\"}"),
            (Format::Yaml, "A: canary\n\nA: canary2\n"),
        ] {
            assert_eq!(refused(format, text), "line 3: A stands on line 1 already", "{text}");
        }
    }

    #[test]
    fn there_is_an_end_to_everything() {
        let many: String = (0..=COUNT_MAX).map(|number| format!("A{number}=x\n")).collect();
        assert_eq!(
            refused(Format::Env, &many),
            format!("line {}: the file holds more than 10000 names", COUNT_MAX + 1)
        );
        assert!(refused(Format::Env, &"#".repeat(SIZE_MAX + 1)).contains("larger than 16 MiB"));
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof!["[ -~\n\t\r'\"\\\\$`#=é]{0,40}", "[a-zA-Z0-9 #'\"]{0,12}"]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(values in proptest::collection::vec(value(), 0..8)) {
            let pairs: Vec<(String, String)> =
                values.into_iter().enumerate().map(|(number, value)| (format!("V_{number}"), value)).collect();
            let borrowed: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let (env, json) = (write_env(&borrowed).unwrap(), write_json(&borrowed));
            prop_assert_eq!(super::tests::pairs(Format::Env, &env), pairs.clone());
            prop_assert_eq!(super::tests::pairs(Format::Json, &json), pairs.clone());
            // JSON is YAML, but for what only it escapes: both read the same.
            prop_assert_eq!(super::tests::pairs(Format::Yaml, &json), pairs);
        }

        #[test]
        fn anything_is_read_or_refused(text in "[\\PC\n\r\t]{0,200}") {
            for format in [Format::Env, Format::Json, Format::Yaml] {
                let _ = read(format, &text);
            }
        }
    }

    /// A shell and nobody else says what its words mean.
    #[test]
    fn a_shell_reads_what_is_written() {
        let values =
            ["", "plain", "two words", "it's", "\"q\" $HOME `id` \\ \\n", "a\nb\n", "é # x", "'", "!x", "*"];
        let pairs: Vec<(String, &str)> =
            values.iter().enumerate().map(|(number, value)| (format!("V{number}"), *value)).collect();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        for text in [write_env(&pairs).unwrap(), write_shell(&pairs).unwrap()] {
            let print: String =
                pairs.iter().map(|(name, _)| format!("printf '%s\\0' \"${name}\"\n")).collect();
            let script = format!("set -eu\nunset V0\n{}\n{print}", *text);
            let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let read: Vec<_> = output.stdout.split(|byte| *byte == 0).collect();
            let expected: Vec<_> = values.iter().map(|value| value.as_bytes()).chain([&b""[..]]).collect();
            assert_eq!(read, expected, "{}", *text);
        }
    }
}
