//! JSON files: one object of strings.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

use super::{BadFile, Pairs, bad};

pub(super) fn read(text: &str, pairs: &mut Pairs) -> Result<(), BadFile> {
    let mut found = Vec::new();
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_map(Object { found: &mut found }).and_then(|()| json.end());
    // serde's own words may repeat a value: the place is enough.
    read.map_err(|error| bad(error.line().max(1), "this is not one JSON object with texts in it"))?;
    for ((name, value), line) in found.into_iter().zip(name_lines(text)) {
        let Some(value) = value else {
            let what = "is not a text: put it in quotes; objects and lists have no place here";
            return Err(bad(line, format!("{name} {what}")));
        };
        pairs.add(&name, line, value)?;
    }
    Ok(())
}

/// The lines of the names of an object, which serde does not tell. The text has to be one JSON object.
fn name_lines(text: &str) -> Vec<usize> {
    let (mut lines, mut line, mut depth, mut is_name) = (Vec::new(), 1, 0_usize, false);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\n' => line += 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                if is_name {
                    lines.push(line);
                }
                while let Some(byte) = bytes.next().filter(|byte| *byte != b'"') {
                    if byte == b'\\' {
                        bytes.next();
                    }
                }
            }
            _ => {}
        }
        // A name comes first, and after every comma of the object's own.
        is_name = match byte {
            b'{' | b',' => depth == 1,
            byte => is_name && byte.is_ascii_whitespace(),
        };
    }
    lines
}

/// An object's names in order, each with its text, or with nothing if it is none.
struct Object<'a> {
    found: &'a mut Vec<(String, Option<Zeroizing<String>>)>,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let Text(value) = map.next_value()?;
            self.found.push((name, value));
        }
        Ok(())
    }
}

struct Text(Option<Zeroizing<String>>);

impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Some(Zeroizing::new(text.to_owned()))))
            }

            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Text, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Text, A::Error> {
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// Writes an object, a name a line. Every value has a place in it.
#[must_use]
pub fn write(pairs: &[(&str, &str)]) -> Zeroizing<String> {
    let room = pairs.iter().map(|(name, value)| name.len() + 6 * value.len() + 12).sum();
    let mut out = Zeroizing::new(String::with_capacity(room));
    out.push('{');
    for (index, (name, value)) in pairs.iter().enumerate() {
        out.push_str(if index == 0 { "\n  " } else { ",\n  " });
        // Writing a text as JSON does not fail.
        let quoted = |text: &str| Zeroizing::new(serde_json::to_string(text).unwrap_or_default());
        out.extend([quoted(name).as_str(), ": ", quoted(value).as_str()]);
    }
    out.push_str(if pairs.is_empty() { "}\n" } else { "\n}\n" });
    out
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{pairs, refused};

    #[test]
    fn an_object_of_texts_is_read() {
        let text = "{\"a\": \"x\\u00e9\\n\", \"\\u0062\": \"\"}";
        assert_eq!(
            pairs(Format::Json, text),
            [("a".to_owned(), "xé\n".to_owned()), ("b".to_owned(), String::new())]
        );
        assert!(pairs(Format::Json, "{}").is_empty());
    }

    #[test]
    fn a_name_is_told_by_its_line_however_it_is_written() {
        for text in [
            "{\"a\": \"b\",\n \"\\u0062\": \"é\", \"b\": 1}",
            "{\"a\":\n\"\\\"b\\\": {[,\", \"\\u0062\"\n: 1}",
            "\n{\"x\\\\\": \"\\u00e9é\", \"b\": [{\"a\": [\"b\"]}]\n}",
        ] {
            assert!(refused(Format::Json, text).starts_with("line 2: b "), "{text}");
        }
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        for text in ["", "[]", "\"canary\"", "{\"a\": \"canary\"", "{\"a\": \"canary\"} x", "{a: 1}"] {
            assert!(refused(Format::Json, text).ends_with("not one JSON object with texts in it"), "{text}");
        }
        for other in ["1", "true", "null", "[\"canary\"]", "{\"b\": \"canary\"}", "1.5"] {
            let text = format!("{{\n\"a\": \"x\",\n\"b\": {other}}}");
            assert!(refused(Format::Json, &text).starts_with("line 3: b is not a text"), "{text}");
        }
    }
}
