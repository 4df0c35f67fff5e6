//! Searching many places for a word in every form in which it could leak.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// One form of a word.
pub(crate) struct Needle {
    pub(crate) form: String,
    pub(crate) bytes: Vec<u8>,
}

/// Places with what was found in each: an answer, a file, a log.
#[derive(Default)]
pub(crate) struct Haystacks(Vec<(String, Vec<u8>)>);

impl Haystacks {
    pub(crate) fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.into(), bytes.into()));
    }

    /// The places whose name starts so.
    pub(crate) fn places(&self, prefix: &str) -> usize {
        self.0.iter().filter(|(place, _)| place.starts_with(prefix)).count()
    }

    /// Each `form in place` that holds one of the needles, but for places that may.
    pub(crate) fn find(&self, needles: &[Needle], allowed: impl Fn(&str) -> bool) -> Vec<String> {
        let mut found = Vec::new();
        for (place, bytes) in self.0.iter().filter(|(place, _)| !allowed(place)) {
            let hits = needles.iter().filter(|needle| contains(bytes, &needle.bytes));
            found.extend(hits.map(|needle| format!("{} in {place}", needle.form)));
        }
        found
    }
}

/// Walks by the needle's first byte: most of a haystack is never compared.
fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    let mut remaining = haystack;
    while let Some(at) = remaining.iter().position(|byte| byte == first) {
        remaining = &remaining[at + 1..];
        if remaining.starts_with(rest) {
            return true;
        }
    }
    false
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

pub(crate) fn json_escaped(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
}

pub(crate) fn html_escaped(text: &str) -> String {
    text.chars().map(|letter| format!("&#{};", u32::from(letter))).collect()
}

pub(crate) fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// The characters of a word's base64 that do not depend on its neighbours, for each of the three places it can start at.
fn base64_middles(word: &[u8]) -> Vec<String> {
    let middle = |offset: usize, encode: &dyn Fn(&[u8]) -> String| {
        let padded = [&vec![0; offset], word].concat();
        let (start, end) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
        encode(&padded)[start..end].to_owned()
    };
    let both = |offset| [middle(offset, &|b| STANDARD.encode(b)), middle(offset, &|b| URL_SAFE.encode(b))];
    (0..3).flat_map(both).collect()
}

/// A word in clear and in every encoding. Letters and digits stand unchanged in text that was escaped for JSON, URLs or
/// HTML, so the clear form finds those too; the others are for escapers that escape everything.
pub(crate) fn forms(word: &str) -> Vec<Needle> {
    let needle = |form: &str, text: String| Needle { form: form.to_owned(), bytes: text.into_bytes() };
    let mut needles = vec![
        needle("clear", word.to_owned()),
        needle("hex", hex(word.as_bytes())),
        needle("upper-case hex", hex(word.as_bytes()).to_uppercase()),
        needle("percent", percent(word)),
        needle("JSON escapes", json_escaped(word)),
        needle("HTML escapes", html_escaped(word)),
    ];
    needles.extend(base64_middles(word.as_bytes()).into_iter().map(|text| needle("base64", text)));
    needles
}

/// A key of 32 bytes, whose file holds it in base64.
pub(crate) fn key_forms(key_base64: &str) -> Vec<Needle> {
    let key = STANDARD.decode(key_base64).expect("a key in base64");
    let mut needles = vec![
        Needle { form: "raw".to_owned(), bytes: key.clone() },
        Needle { form: "hex".to_owned(), bytes: hex(&key).into_bytes() },
        Needle { form: "upper-case hex".to_owned(), bytes: hex(&key).to_uppercase().into_bytes() },
    ];
    let base64 = base64_middles(&key).into_iter();
    needles.extend(base64.map(|text| Needle { form: "base64".to_owned(), bytes: text.into_bytes() }));
    needles
}
