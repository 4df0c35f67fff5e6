//! The key under which a create may come again: the header `Idempotency-Key`
//! (draft-ietf-httpapi-idempotency-key-header).

use http::HeaderMap;

use crate::error::Protocol;

const HEADER: &str = "idempotency-key";
/// Bytes of a key.
const LENGTH: usize = 255;

/// Reads the header, if there is one: a string in quotes, as the draft has it, or bare, as most clients send it. Both are the
/// same key.
///
/// # Errors
/// [`Protocol::IdempotencyKey`] when it comes more than once, or is not 1 to 255 visible ASCII characters.
pub fn of(headers: &HeaderMap) -> Result<Option<String>, Protocol> {
    let mut lines = headers.get_all(HEADER).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let text = line.to_str().map_err(|_| Protocol::IdempotencyKey)?.trim();
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquoted(quoted).ok_or(Protocol::IdempotencyKey)?,
        None => text.to_owned(),
    };
    let is_one = lines.next().is_none();
    let fits = (1..=LENGTH).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_one && fits { Ok(Some(key)) } else { Err(Protocol::IdempotencyKey) }
}

/// Refuses the header where there is no asking again: who sends it must not believe that there is.
///
/// # Errors
/// [`Protocol::NotRepeatable`] when there is one.
pub fn refuse(headers: &HeaderMap) -> Result<(), Protocol> {
    if headers.contains_key(HEADER) { Err(Protocol::NotRepeatable) } else { Ok(()) }
}

/// What is in quotes, without them and without its escapes (RFC 9651, section 3.3.3); nothing follows.
fn unquoted(quoted: &str) -> Option<String> {
    let mut out = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(out),
            '\\' => out.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(lines: &[&str]) -> Result<Option<String>, Protocol> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HEADER, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        of(&headers)
    }

    #[test]
    fn quoted_and_bare_are_the_same() {
        assert_eq!(read(&[]), Ok(None));
        for (line, key) in [
            ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            ("\"8e03978e-40d5-43e8-bc93-6894a57f9324\"", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            (" x ", "x"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            (r#"a"b\c"#, r#"a"b\c"#),
            ("!~", "!~"),
        ] {
            assert_eq!(read(&[line]), Ok(Some(key.to_owned())), "{line}");
        }
        for length in [1, 255] {
            assert!(read(&[&"k".repeat(length)]).is_ok());
            assert!(read(&[&format!("\"{}\"", "k".repeat(length))]).is_ok());
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "k".repeat(256);
        let quoted = format!("\"{long}\"");
        for lines in [
            &[""][..],
            &[" "],
            &["\"\""],
            &["\""],
            &["\"a"],
            &["a b"],
            &["\"a b\""],
            &["a\tb"],
            &["é"],
            &[r#""a\b""#],
            &[r#""a\"#],
            &["\"a\"b"],
            &["\"a\";p=1"],
            &["\"a\", \"b\""],
            &["a", "a"],
            &[&long],
            &[&quoted],
        ] {
            assert_eq!(read(lines), Err(Protocol::IdempotencyKey), "{lines:?}");
        }
    }
}
