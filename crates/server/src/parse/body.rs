//! Request bodies: one JSON object with distinct, known keys.

use std::fmt;

use axum::body::Body;
use http::{HeaderMap, Method, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use strongroom_domain::SecretValue;
use zeroize::Zeroizing;

use crate::error::{Problem, Protocol};

/// A value of a body's field, as far as any field needs it.
enum Given {
    Null,
    Text(Zeroizing<String>),
    Flag(bool),
    Number(u64),
    /// A list.
    List(Vec<Item>),
    /// Another number, an object, a list in a list: no field takes one.
    Other,
}

/// An item of a list.
enum Item {
    /// An object: its fields.
    Fields(Vec<(String, Given)>),
    Text(Zeroizing<String>),
    /// Anything else: no field takes one.
    Other,
}

/// The fields of a body, or of an object in a list of it.
pub struct Fields(Vec<(String, Given)>);

impl Fields {
    /// Reads the bytes of a body. `supported` are the keys that are known; `id` is passed over. With `lenient`, so is every
    /// unknown key.
    ///
    /// # Errors
    /// [`Protocol::BodyUnparsable`], [`Protocol::UnknownField`].
    pub fn parse(bytes: &[u8], supported: &[&str], lenient: bool) -> Result<Self, Protocol> {
        let Object(mut fields) = serde_json::from_slice(bytes).map_err(|_| Protocol::BodyUnparsable)?;
        fields.retain(|(name, _)| name != "id");
        Self::known(fields, supported, lenient)
    }

    /// The fields of a request that has no body.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    fn known(fields: Vec<(String, Given)>, supported: &[&str], lenient: bool) -> Result<Self, Protocol> {
        if let Some((name, _)) = fields.iter().find(|(name, _)| !supported.contains(&name.as_str()))
            && !lenient
        {
            return Err(Protocol::UnknownField { name: name.clone(), supported: supported.join(", ") });
        }
        Ok(Self(fields))
    }

    fn take(&mut self, name: &'static str) -> Given {
        let place = self.0.iter().position(|(key, _)| key == name);
        place.map_or(Given::Null, |place| self.0.swap_remove(place).1)
    }

    /// A text; `None` when it is left out or null.
    ///
    /// # Errors
    /// [`Protocol::InvalidField`] when it is anything else.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, Protocol> {
        match self.take(name) {
            Given::Null => Ok(None),
            Given::Text(mut text) => Ok(Some(std::mem::take(&mut *text))),
            _ => Err(Protocol::InvalidField(name)),
        }
    }

    /// A text; `None` also when it is empty, which Ruby and Python send for what is not given.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn non_empty(&mut self, name: &'static str) -> Result<Option<String>, Protocol> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    /// A text that is a secret's value.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn secret(&mut self, name: &'static str) -> Result<Option<SecretValue>, Protocol> {
        Ok(self.text(name)?.map(|text| SecretValue::new(text.into_bytes())))
    }

    /// True or false; `None` when it is left out or null.
    ///
    /// # Errors
    /// [`Protocol::InvalidField`] when it is anything else.
    pub fn flag(&mut self, name: &'static str) -> Result<Option<bool>, Protocol> {
        match self.take(name) {
            Given::Null => Ok(None),
            Given::Flag(flag) => Ok(Some(flag)),
            _ => Err(Protocol::InvalidField(name)),
        }
    }

    /// A whole number from 1; `None` when it is left out or null.
    ///
    /// # Errors
    /// [`Protocol::InvalidField`] when it is anything else.
    pub fn count(&mut self, name: &'static str) -> Result<Option<u32>, Protocol> {
        match self.number(name)? {
            Some(0) => Err(Protocol::InvalidField(name)),
            number => Ok(number),
        }
    }

    /// A whole number from 0; `None` when it is left out or null.
    ///
    /// # Errors
    /// [`Protocol::InvalidField`] when it is anything else.
    pub fn number(&mut self, name: &'static str) -> Result<Option<u32>, Protocol> {
        match self.take(name) {
            Given::Null => Ok(None),
            Given::Number(number) => {
                u32::try_from(number).map(Some).map_err(|_| Protocol::InvalidField(name))
            }
            _ => Err(Protocol::InvalidField(name)),
        }
    }

    /// The number of a record, from 1; `None` when it is left out or null.
    ///
    /// # Errors
    /// [`Protocol::InvalidField`] when it is anything else.
    pub fn sequence(&mut self, name: &'static str) -> Result<Option<u64>, Protocol> {
        match self.take(name) {
            Given::Null => Ok(None),
            // What the store counts with is a number of 63 bits.
            Given::Number(number) if number > 0 && i64::try_from(number).is_ok() => Ok(Some(number)),
            _ => Err(Protocol::InvalidField(name)),
        }
    }

    /// A list of texts; `None` when it is left out or null.
    ///
    /// # Errors
    /// [`Protocol::InvalidField`] when it is anything else.
    pub fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, Protocol> {
        let items = match self.take(name) {
            Given::Null => return Ok(None),
            Given::List(items) if items.len() < MAX_ITEMS => items,
            _ => return Err(Protocol::InvalidField(name)),
        };
        let read = |item| match item {
            Item::Text(mut text) => Ok(std::mem::take(&mut *text)),
            _ => Err(Protocol::InvalidField(name)),
        };
        items.into_iter().map(read).collect::<Result<_, _>>().map(Some)
    }

    /// A list of objects with those keys and no others; `None` when it is left out or null. No list is ngrok's, whose clients
    /// leniency is for.
    ///
    /// # Errors
    /// [`Protocol::InvalidField`] when it is anything else, [`Protocol::UnknownField`].
    pub fn objects(&mut self, name: &'static str, supported: &[&str]) -> Result<Option<Vec<Self>>, Protocol> {
        let items = match self.take(name) {
            Given::Null => return Ok(None),
            Given::List(items) => items,
            _ => return Err(Protocol::InvalidField(name)),
        };
        let read = |item| match item {
            Item::Fields(fields) => Self::known(fields, supported, false),
            _ => Err(Protocol::InvalidField(name)),
        };
        items.into_iter().map(read).collect::<Result<_, _>>().map(Some)
    }
}

struct Object(Vec<(String, Given)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object, A::Error> {
                read_keys(map, Vec::with_capacity(8), Depth::Body).map(Object)
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// No body has more keys than a handful; looking for repeated ones is quadratic.
const MAX_KEYS: usize = 64;

/// Items of a list that are kept: one more than any list may have, so that too many show. The rest is read and dropped.
const MAX_ITEMS: usize = 101;

fn read_keys<'de, A: MapAccess<'de>>(
    mut map: A,
    mut fields: Vec<(String, Given)>,
    depth: Depth,
) -> Result<Vec<(String, Given)>, A::Error> {
    while let Some(name) = map.next_key::<String>()? {
        // Parsers differ in which of two equal keys they take; here neither is.
        if fields.iter().any(|(known, _)| *known == name) || fields.len() == MAX_KEYS {
            return Err(serde::de::Error::custom("a repeated key, or too many"));
        }
        fields.push((name, map.next_value_seed(depth)?));
    }
    Ok(fields)
}

/// Where a value stands. Deeper than an object in a list there is nothing, so depth costs no stack.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// In the body.
    Body,
    /// In a list of the body.
    List,
    /// In an object of such a list.
    Item,
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Given;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Given, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Given, E> {
        Ok(Given::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Given, E> {
        Ok(Given::Flag(flag))
    }

    fn visit_str<E>(self, text: &str) -> Result<Given, E> {
        Ok(Given::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Given, E> {
        Ok(Given::Text(Zeroizing::new(text)))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Given, E> {
        Ok(Given::Other)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Given, E> {
        Ok(Given::Number(number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Given, E> {
        Ok(Given::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Given, A::Error> {
        if self != Self::Body {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Given::Other);
        }
        let mut list = Vec::new();
        while list.len() < MAX_ITEMS
            && let Some(item) = items.next_element_seed(Self::List)?
        {
            list.push(match item {
                Given::List(mut items) => items.pop().unwrap_or(Item::Other),
                Given::Text(text) => Item::Text(text),
                _ => Item::Other,
            });
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Given::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Given, A::Error> {
        if self == Self::List {
            return Ok(Given::List(vec![Item::Fields(read_keys(entries, Vec::new(), Self::Item)?)]));
        }
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Given::Other)
    }
}

/// Checks that a body says that it is JSON; parameters such as a charset are tolerated.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), Protocol> {
    let given = headers.get(header::CONTENT_TYPE).ok_or(Protocol::NoContentType)?;
    let text = given.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Protocol::OtherContentType(essence.to_owned()))
    }
}

/// Reads a whole body of at most `max` bytes.
///
/// Time is bounded by the connection, which gives up on a client that sends nothing.
pub(crate) async fn read(body: Body, max: usize) -> Result<bytes::Bytes, Protocol> {
    let declared = http_body::Body::size_hint(&body).lower();
    if declared > max as u64 {
        // A client that is still sending does not read the refusal when the connection is closed on it. What is far too large is
        // not waited for.
        if declared <= DISCARDED_MAX {
            discard(body).await;
        }
        return Err(Protocol::BodyTooLarge { max });
    }
    let read = Limited::new(body, max).collect().await;
    read.map(http_body_util::Collected::to_bytes).map_err(|error| {
        let too_large = error.downcast_ref::<LengthLimitError>().is_some();
        if too_large { Protocol::BodyTooLarge { max } } else { Protocol::BodyCutOff }
    })
}

/// Bytes of a body that are read and thrown away, so that its sender reads why it is refused.
const DISCARDED_MAX: u64 = 8 << 20;

async fn discard(mut body: Body) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// Refuses a body where none belongs.
pub(crate) fn refuse(method: &Method, body: &impl http_body::Body) -> Result<(), Problem> {
    if body.is_end_stream() { Ok(()) } else { Err(Protocol::UnexpectedBody(method.to_string()).into()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Fields, Protocol> {
        Fields::parse(text.as_bytes(), &["name", "active"], false)
    }

    #[test]
    fn kinds_are_told_apart() {
        let mut fields = parse(r#"{"name":"a","active":true,"id":"passed over"}"#).unwrap();
        assert_eq!(fields.text("name"), Ok(Some("a".to_owned())));
        assert_eq!(fields.flag("active"), Ok(Some(true)));
        assert_eq!(fields.flag("active"), Ok(None));
        assert_eq!(parse(r#"{"name":null}"#).unwrap().text("name"), Ok(None));
        for wrong in ["1", "1.5", "true", "[]", "{}", "[{\"a\":[1]}]"] {
            let mut fields = parse(&format!("{{\"name\":{wrong}}}")).unwrap();
            assert_eq!(fields.text("name"), Err(Protocol::InvalidField("name")), "{wrong}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{{\"name\":{}{}}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        assert_eq!(parse(&deep).unwrap().text("name"), Err(Protocol::InvalidField("name")));
        let deep = format!("{{\"name\":[{{\"a\":{}1{}}}]}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        let mut items = parse(&deep).unwrap().objects("name", &["a"]).unwrap().unwrap();
        assert_eq!(items[0].text("a"), Err(Protocol::InvalidField("a")));
    }

    #[test]
    fn a_list_holds_objects_with_known_keys() {
        let items =
            |text: &str| parse(&format!("{{\"name\":{text}}}")).unwrap().objects("name", &["a", "id"]);
        let mut read = items(r#"[{"a":"x","id":"y"},{"a":7}]"#).unwrap().unwrap();
        assert_eq!(read[0].text("id"), Ok(Some("y".to_owned())));
        assert_eq!(read[1].count("a"), Ok(Some(7)));
        assert_eq!(items("[]").unwrap().map(|items| items.len()), Some(0));
        assert!(items("null").unwrap().is_none());
        for wrong in ["[1]", "[null]", "[[]]", "[[{}]]", "\"x\"", "{}", "[{},\"x\"]"] {
            assert_eq!(items(wrong).err(), Some(Protocol::InvalidField("name")), "{wrong}");
        }
        assert!(matches!(items(r#"[{"b":1}]"#), Err(Protocol::UnknownField { .. })));
        assert!(parse(r#"{"name":[{"a":1,"a":2}]}"#).is_err(), "a repeated key");
        for number in ["0", "-1", "1.5", "4294967296", "\"1\""] {
            let mut read = items(&format!("[{{\"a\":{number}}}]")).unwrap().unwrap();
            assert_eq!(read[0].count("a"), Err(Protocol::InvalidField("a")), "{number}");
        }
    }

    #[test]
    fn a_list_holds_texts_and_nothing_else() {
        let texts = |text: &str| parse(&format!("{{\"name\":{text}}}")).unwrap().texts("name");
        assert_eq!(texts(r#"["a","b"]"#), Ok(Some(vec!["a".to_owned(), "b".to_owned()])));
        assert_eq!(texts("[]"), Ok(Some(Vec::new())));
        assert_eq!(texts("null"), Ok(None));
        let many = format!("[{}\"x\"]", "\"x\",".repeat(100));
        for wrong in ["[1]", "[null]", "[[\"a\"]]", "[{}]", "\"x\"", "{}", "[\"x\",1]", &many] {
            assert_eq!(texts(wrong), Err(Protocol::InvalidField("name")), "{wrong}");
        }
        for wrong in ["0", "-1", "9223372036854775808", "1.5", "\"1\""] {
            let mut fields = parse(&format!("{{\"name\":{wrong}}}")).unwrap();
            assert_eq!(fields.sequence("name"), Err(Protocol::InvalidField("name")), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_object_with_distinct_known_keys_is_refused() {
        let bad = ["", "[]", "1", "null", "{", r#"{"name":"a","name":"b"}"#, r#"{"name":"\ud800"}"#, "{} {}"];
        for text in bad {
            assert_eq!(parse(text).err(), Some(Protocol::BodyUnparsable), "{:.40}", text);
        }
        assert!(matches!(parse(r#"{"nam":"a"}"#), Err(Protocol::UnknownField { .. })));
        assert!(Fields::parse(br#"{"nam":"a"}"#, &["name"], true).is_ok());
    }
}
