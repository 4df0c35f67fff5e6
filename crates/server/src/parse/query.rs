//! Query strings.

use percent_encoding::percent_decode;

use crate::error::Protocol;

/// A query's known parameters, decoded.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Reads a raw query. With `lenient`, unknown parameters are passed over.
    ///
    /// # Errors
    /// [`Protocol::InvalidQuery`], [`Protocol::UnknownParameters`], [`Protocol::RepeatedParameter`].
    pub fn parse(
        raw: Option<&str>,
        supported: &'static [&'static str],
        lenient: bool,
    ) -> Result<Self, Protocol> {
        let mut given: Vec<(&'static str, String)> = Vec::new();
        let mut unknown = Vec::new();
        for part in raw.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            match supported.iter().find(|known| **known == name) {
                Some(known) => given.push((known, value)),
                None => unknown.push(name),
            }
        }
        if !unknown.is_empty() && !lenient {
            let supported = if supported.is_empty() { "none".to_owned() } else { supported.join(", ") };
            return Err(Protocol::UnknownParameters { names: unknown.join(", "), supported });
        }
        for (name, _) in &given {
            let count = given.iter().filter(|(other, _)| other == name).count();
            if count > 1 {
                return Err(Protocol::RepeatedParameter { name, count });
            }
        }
        Ok(Self(given))
    }

    /// A parameter that was given; an empty one counts as not given, as .NET sends those.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// A parameter that was given, be it empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// All that were given but these.
    pub(crate) fn without(&self, names: &[&str]) -> Vec<(&'static str, String)> {
        let repeated = |(name, value): &&(&'static str, String)| !names.contains(name) && !value.is_empty();
        self.0.iter().filter(repeated).cloned().collect()
    }
}

fn decode(text: &str) -> Result<String, Protocol> {
    let bytes = text.as_bytes();
    let escaped =
        |at: usize| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if bytes.iter().enumerate().any(|(at, byte)| *byte == b'%' && !escaped(at)) {
        return Err(Protocol::InvalidQuery("a % that is not followed by two hexadecimal digits"));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| Protocol::InvalidQuery("not UTF-8"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["limit", "filter"];

    #[test]
    fn parameters_are_decoded_and_empty_ones_are_not_given() {
        let query =
            Query::parse(Some("limit=&filter=obj.name+%3D%3D%20%22%C3%A4%22&"), KNOWN, false).unwrap();
        assert_eq!(query.get("limit"), None);
        assert_eq!(query.get("filter"), Some("obj.name == \"ä\""));
        assert_eq!(Query::parse(None, KNOWN, false).unwrap(), Query::default());
    }

    #[test]
    fn what_is_wrong_is_told() {
        let parse = |raw| Query::parse(Some(raw), KNOWN, false);
        assert!(
            matches!(parse("a=1&limit=2&b"), Err(Protocol::UnknownParameters { names, .. }) if names == "a, b")
        );
        assert_eq!(parse("limit=1&limit=1"), Err(Protocol::RepeatedParameter { name: "limit", count: 2 }));
        for bad in ["limit=%", "limit=%1", "limit=%zz", "limit=%ff"] {
            assert!(matches!(parse(bad), Err(Protocol::InvalidQuery(_))), "{bad}");
        }
        assert!(Query::parse(Some("a=1"), KNOWN, true).is_ok());
    }
}
