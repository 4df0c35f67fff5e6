//! The forms in which programs print a value.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::SHORT;

/// A form, or a piece of one; zeroed on drop.
#[derive(PartialEq, Eq, PartialOrd, Ord, Zeroize, ZeroizeOnDrop)]
pub(super) struct Form(Vec<u8>);

impl Form {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

/// Every form of a value, each once: of the value itself whatever its length, of the rest from [`SHORT`] bytes on. Long
/// ones are there in parts, that cover them without a gap.
pub(super) fn of(value: &str) -> BTreeSet<Form> {
    let mut forms = BTreeSet::new();
    for text in texts(value) {
        let mut encoded = Encoded { forms: &mut forms };
        base64_forms(text, &mut encoded);
        for part in parts(text) {
            encoded.add(part.as_bytes().to_vec());
            url_forms(part, &mut encoded);
            json_forms(part, &mut encoded);
        }
    }
    if !value.is_empty() {
        forms.insert(Form::new(value.as_bytes().to_vec()));
    }
    forms
}

/// The value and each of its lines.
fn texts(value: &str) -> BTreeSet<&str> {
    std::iter::once(value).chain(value.split(['\n', '\r'])).collect()
}

/// Bytes of a part: in base64 they fill a piece, and with a few escapes they still fit one.
const PART: usize = 48;

/// A text in parts of [`PART`] bytes or a little less, the last of which overlaps the one before. Escapes of a text are
/// those of its parts one after the other, and most parts of a long one look alike in many ways of escaping.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.len() > PART {
        let (part, after) = rest.split_at(rest.floor_char_boundary(PART));
        parts.push(part);
        rest = after;
    }
    parts.push(&text[text.ceil_char_boundary(text.len().saturating_sub(PART))..]);
    parts
}

/// Takes forms that are long enough.
struct Encoded<'a> {
    forms: &'a mut BTreeSet<Form>,
}

impl Encoded<'_> {
    fn add(&mut self, form: Vec<u8>) {
        let form = Form::new(form);
        if form.as_slice().len() >= SHORT {
            self.forms.insert(form);
        }
    }
}

/// Columns after which encoders break base64: PEM (RFC 7468) and MIME (RFC 2045).
const COLUMNS: [usize; 2] = [64, 76];

/// Base64 (RFC 4648) in both alphabets, with padding and without, in lines, and as it stands in the middle of a longer
/// text: there the value begins at one of three places in a group of four, and the letters at its ends, which hold bits
/// of its neighbours too, are not looked for.
fn base64_forms(text: &str, to: &mut Encoded<'_>) {
    for (engine, lines) in [(&STANDARD, &COLUMNS[..]), (&URL_SAFE, &[])] {
        for before in 0..3 {
            let mut bytes = Zeroizing::new(vec![0; before]);
            bytes.extend_from_slice(text.as_bytes());
            let encoded = Zeroizing::new(engine.encode(&*bytes));
            let whole_letters = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
            let middle = encoded.get(whole_letters).unwrap_or_default();
            to.add(middle.as_bytes().to_vec());
            if before == 0 {
                for whole in [encoded.as_str(), encoded.trim_end_matches('='), middle] {
                    to.add(whole.as_bytes().to_vec());
                    lines.iter().for_each(|&width| in_lines(whole, width, to));
                }
            }
        }
    }
}

fn in_lines(encoded: &str, width: usize, to: &mut Encoded<'_>) {
    for end in ["\n", "\r\n"] {
        let lines: Vec<&[u8]> = encoded.as_bytes().chunks(width).collect();
        to.add(lines.join(end.as_bytes()));
    }
}

/// What different writers leave as it is, beside letters and digits.
const UNESCAPED: [&AsciiSet; 6] = [
    // Nothing.
    NON_ALPHANUMERIC,
    // RFC 3986's unreserved characters.
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~'),
    // The same and `/`: a path, and Python's `quote`.
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/'),
    // ECMAScript's `encodeURIComponent`.
    &COMPONENT,
    // ECMAScript's `encodeURI`.
    &COMPONENT
        .remove(b';')
        .remove(b',')
        .remove(b'/')
        .remove(b'?')
        .remove(b':')
        .remove(b'@')
        .remove(b'&')
        .remove(b'=')
        .remove(b'+')
        .remove(b'$')
        .remove(b'#'),
    // Forms: the URL Standard's `application/x-www-form-urlencoded`.
    &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_'),
];

const COMPONENT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*');

/// URL escapes (RFC 3986, section 2.1) with digits in either case, a space as `%20` or `+`.
fn url_forms(text: &str, to: &mut Encoded<'_>) {
    for escaped in UNESCAPED {
        let upper = Zeroizing::new(percent_encoding::percent_encode(text.as_bytes(), escaped).to_string());
        let lower = Zeroizing::new(lower_escapes(&upper));
        for form in [&upper, &lower] {
            to.add(form.as_bytes().to_vec());
            to.add(form.replace("%20", "+").into_bytes());
        }
    }
}

/// The two digits after each `%` in lower case. Every `%` is an escape's: each set escapes `%` itself.
fn lower_escapes(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = String::with_capacity(text.len());
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        // `percent_encode` writes two digits after each.
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        out.push('%');
        out.push_str(&digits.to_ascii_lowercase());
        out.push_str(rest);
    }
    out
}

/// How a writer of JSON escapes (RFC 8259, section 7) beyond what it has to.
struct Json {
    /// `/` as `\/`, as PHP does.
    slash: bool,
    /// Everything beyond ASCII as `\uXXXX`.
    ascii: bool,
    /// The hexadecimal digits in upper case.
    upper: bool,
    /// These as `\u00XX`.
    hexed: &'static str,
}

/// What writers write as `\u00XX` because of HTML: none, Go's, Gson's, and those of .NET and PHP's `JSON_HEX_*`.
const HEXED: [&str; 5] = ["", "<>&\u{2028}\u{2029}", "<>&='", "<>&'\"", "<>&'\"+`\u{7f}"];

/// JSON's escapes in all of these ways, and once more over the plainest, as JSON within a text of JSON has it.
fn json_forms(text: &str, to: &mut Encoded<'_>) {
    for way in 0..8 {
        for hexed in HEXED {
            let way = Json { slash: way & 1 != 0, ascii: way & 2 != 0, upper: way & 4 != 0, hexed };
            to.add(way.escape(text).into_bytes());
        }
    }
    let plain = Json { slash: false, ascii: false, upper: false, hexed: "" };
    to.add(plain.escape(&Zeroizing::new(plain.escape(text))).into_bytes());
}

impl Json {
    fn escape(&self, text: &str) -> String {
        // The longest escape of a byte: no buffer with a part of a value is left behind by growing.
        let mut out = String::with_capacity(text.len() * 6);
        for c in text.chars() {
            match c {
                _ if self.hexed.contains(c) => self.hex(c, &mut out),
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '/' if self.slash => out.push_str("\\/"),
                c if c < ' ' || self.ascii && !c.is_ascii() => self.hex(c, &mut out),
                c => out.push(c),
            }
        }
        out
    }

    fn hex(&self, c: char, out: &mut String) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&if self.upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    use proptest::prelude::{prop_assert, proptest};

    fn has(value: &str, form: &str) -> bool {
        of(value).iter().any(|found| found.as_slice() == form.as_bytes())
    }

    #[test]
    fn base64_is_there_in_both_alphabets_with_padding_and_without() {
        let value = "pa?~ss>wörd1";
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
            assert!(has(value, &engine.encode(value)));
        }
    }

    #[test]
    fn base64_in_lines_is_there_to_its_last_letter() {
        let value = "0123456789".repeat(12);
        let encoded = STANDARD.encode(&value);
        assert!(has(&value, &format!("{}\n{}\n{}", &encoded[..64], &encoded[64..128], &encoded[128..])));
        assert!(has(&value, &format!("{}\r\n{}\r\n{}", &encoded[..76], &encoded[76..152], &encoded[152..])));
    }

    #[test]
    fn escapes_of_common_writers_are_there() {
        let value = "a b/c\"<é😀>~\\\n+";
        for form in [
            // RFC 3986, in both cases; a form; encodeURIComponent; Python's quote.
            "a%20b%2Fc%22%3C%C3%A9%F0%9F%98%80%3E~%5C%0A%2B",
            "a%20b%2fc%22%3c%c3%a9%f0%9f%98%80%3e~%5c%0a%2b",
            "a+b%2Fc%22%3C%C3%A9%F0%9F%98%80%3E%7E%5C%0A%2B",
            "a%20b/c%22%3C%C3%A9%F0%9F%98%80%3E~%5C%0A%2B",
            // serde; Python; PHP; Go; .NET; JSON in JSON.
            r#"a b/c\"<é😀>~\\\n+"#,
            r#"a b/c\"<\u00e9\ud83d\ude00>~\\\n+"#,
            r#"a b\/c\"<\u00e9\ud83d\ude00>~\\\n+"#,
            r#"a b/c\"\u003cé😀\u003e~\\\n+"#,
            r#"a b/c\u0022\u003C\u00E9\uD83D\uDE00\u003E~\\\n\u002B"#,
            r#"a b/c\\\"<é😀>~\\\\\\n+"#,
        ] {
            assert!(has(value, form), "{form}");
        }
    }

    #[test]
    fn short_lines_and_short_encodings_are_left_out() {
        let found = of("}\nabc\nlonger");
        assert!(!has("}\nabc\nlonger", "abc") && has("}\nabc\nlonger", "longer"));
        assert!(found.iter().all(|form| form.as_slice().len() >= SHORT));
        assert!(has("x", "x") && of("").is_empty());
    }

    proptest! {
        #[test]
        fn parts_cover_a_text_without_a_gap(text in "(\\PC|[a-z]{9}){0,60}") {
            let mut covered = 0;
            for part in parts(&text) {
                let start = part.as_ptr() as usize - text.as_ptr() as usize;
                prop_assert!(start <= covered && part.len() <= PART);
                covered = start + part.len();
            }
            prop_assert!(covered == text.len());
        }

        #[test]
        fn what_serde_writes_is_there(value in "\\PC{4,12}") {
            let written = serde_json::to_string(&value).unwrap();
            prop_assert!(has(&value, &written[1..written.len() - 1]));
        }

        #[test]
        fn base64_of_a_longer_text_holds_a_form(before in ".{0,5}", value in "[a-z0-9]{6,30}", after in ".{0,5}") {
            let encoded = STANDARD.encode(format!("{before}{value}{after}"));
            let forms: Vec<String> =
                of(&value).iter().map(|form| String::from_utf8(form.as_slice().to_vec()).unwrap()).collect();
            let longest = forms.iter().filter(|form| encoded.contains(*form)).map(String::len).max().unwrap_or(0);
            // All letters but those at the two ends, which hold bits of what is around.
            prop_assert!(longest + 2 >= value.len() * 8 / 6, "{} of {}", longest, encoded);
        }
    }
}
