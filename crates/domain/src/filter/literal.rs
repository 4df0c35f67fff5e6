//! Text literals.
//!
//! Clients write them in CEL's form or with Go's `strconv.Quote` (the `%q` of `fmt`), whose escapes are a subset of
//! CEL's.

use super::FilterError;

/// Reads the literal whose quote, or `r` before the quote, is at byte `at`; gives its value and its length in the
/// source.
pub(super) fn text(source: &str, at: usize) -> Result<(String, usize), FilterError> {
    let raw = source[at..].starts_with(['r', 'R']);
    let open = if raw { at + 1 } else { at };
    let mut cursor = Cursor { source, at: open };
    let quote = cursor.take();
    let mut value = String::new();
    loop {
        let here = cursor.at;
        match cursor.take() {
            None => return Err(FilterError::at(source, at, "this text has no closing quote")),
            closing if closing == quote => return Ok((value, cursor.at - at)),
            Some('\n' | '\r') => {
                return Err(FilterError::at(source, here, "a line break in a text must be written `\\n`"));
            }
            Some('\\') if !raw => value.push(cursor.escape(here)?),
            Some(other) => value.push(other),
        }
    }
}

struct Cursor<'a> {
    source: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self) -> Option<char> {
        let next = self.source[self.at..].chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// What follows a backslash, which stood at `start`.
    fn escape(&mut self, start: usize) -> Result<char, FilterError> {
        let code = match self.take() {
            Some('a') => 0x07,
            Some('b') => 0x08,
            Some('f') => 0x0c,
            Some('n') => 0x0a,
            Some('r') => 0x0d,
            Some('t') => 0x09,
            Some('v') => 0x0b,
            Some(itself @ ('\\' | '"' | '\'' | '`' | '?')) => return Ok(itself),
            // To Go `\xff` is a byte, which it writes only for text that is not UTF-8. No stored text is, so only
            // CEL's reading, a code point, can match anything.
            Some('x' | 'X') => self.digits(start, 2, 16)?,
            Some('u') => self.digits(start, 4, 16)?,
            Some('U') => self.digits(start, 8, 16)?,
            Some('0'..='3') => {
                self.at -= 1;
                self.digits(start, 3, 8)?
            }
            _ => return Err(FilterError::at(self.source, start, "unknown escape sequence")),
        };
        char::from_u32(code)
            .ok_or_else(|| FilterError::at(self.source, start, "the escape sequence is no Unicode character"))
    }

    fn digits(&mut self, start: usize, count: usize, radix: u32) -> Result<u32, FilterError> {
        let mut value = 0;
        for _ in 0..count {
            match self.take().and_then(|digit| digit.to_digit(radix)) {
                // Eight hexadecimal digits just fit.
                Some(digit) => value = value * radix + digit,
                None => {
                    let what = format!("the escape sequence needs {count} digits");
                    return Err(FilterError::at(self.source, start, what));
                }
            }
        }
        Ok(value)
    }
}
