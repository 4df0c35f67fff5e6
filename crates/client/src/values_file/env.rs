//! `.env` files: what a POSIX shell would read with `set -a; . FILE`, without its expansions, and with the escapes in double
//! quotes that the dotenv libraries know.

use std::iter::Peekable;
use std::str::Chars;

use zeroize::Zeroizing;

use super::{BadFile, Pairs, ZeroByte, bad, refuse_zero};

/// The text from a place on, and its line.
struct Cursor<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Cursor<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    /// The characters up to one that does not belong, which stays.
    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(&next) = self.rest.peek()
            && belongs(next)
        {
            taken.extend(self.next());
        }
        taken
    }

    fn skip_blanks(&mut self) {
        self.take_while(|c| matches!(c, ' ' | '\t' | '\r'));
    }

    fn skip_line(&mut self) {
        self.take_while(|c| c != '\n');
        self.next();
    }
}

pub(super) fn read(text: &str, pairs: &mut Pairs) -> Result<(), BadFile> {
    let mut at = Cursor { rest: text.chars().peekable(), line: 1 };
    loop {
        at.take_while(char::is_whitespace);
        match at.rest.peek() {
            None => return Ok(()),
            Some('#') => at.skip_line(),
            Some(_) => read_pair(&mut at, pairs)?,
        }
    }
}

fn read_pair(at: &mut Cursor<'_>, pairs: &mut Pairs) -> Result<(), BadFile> {
    let line = at.line;
    let in_name = |c: char| c.is_ascii_alphanumeric() || "_/.-".contains(c);
    let mut name = at.take_while(in_name);
    if name == "export" && at.rest.peek().is_some_and(|c| matches!(c, ' ' | '\t')) {
        at.skip_blanks();
        name = at.take_while(in_name);
    }
    at.skip_blanks();
    if name.is_empty() || at.next() != Some('=') {
        // What stands there may be the second line of a value that was not quoted: it is not repeated.
        return Err(bad(line, "a line is NAME=value; a value of many lines stands in quotes"));
    }
    // Blanks before a value are no part of it.
    at.skip_blanks();
    let value = match at.rest.peek() {
        Some('\'') => quoted(at, line, &name, '\'')?,
        Some('"') => quoted(at, line, &name, '"')?,
        _ => unquoted(at),
    };
    pairs.add(&name, line, value)
}

fn unquoted(at: &mut Cursor<'_>) -> Zeroizing<String> {
    let raw = Zeroizing::new(at.take_while(|c| c != '\n'));
    let comment = raw
        .char_indices()
        .find(|(place, c)| *c == '#' && (*place == 0 || raw[..*place].ends_with([' ', '\t'])));
    let value = &raw[..comment.map_or(raw.len(), |(place, _)| place)];
    Zeroizing::new(value.trim_end().to_owned())
}

fn quoted(at: &mut Cursor<'_>, line: usize, name: &str, quote: char) -> Result<Zeroizing<String>, BadFile> {
    at.next();
    let mut value = Zeroizing::new(String::new());
    loop {
        match at.next() {
            None => return Err(bad(line, format!("the quotes of the value of {name} are not closed"))),
            Some(c) if c == quote => break,
            Some('\\') if quote == '"' => match at.next() {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(c @ ('"' | '\\' | '$' | '`')) => value.push(c),
                Some(c) => value.extend(['\\', c]),
                None => value.push('\\'),
            },
            Some(c) => value.push(c),
        }
    }
    at.skip_blanks();
    match at.rest.peek() {
        None | Some('\n') => {}
        Some('#') => at.skip_line(),
        Some(_) => {
            return Err(bad(at.line, format!("something follows the closing quote of the value of {name}")));
        }
    }
    Ok(value)
}

/// Writes a `.env` file. A value of plain characters stands as it is, any other in quotes; a shell, this reader and the
/// dotenv libraries read the same. `docker run --env-file` knows no quotes: for it only plain values are right.
///
/// # Errors
/// [`ZeroByte`].
pub fn write(pairs: &[(&str, &str)]) -> Result<Zeroizing<String>, ZeroByte> {
    let room = pairs.iter().map(|(name, value)| name.len() + 2 * value.len() + 8).sum();
    let mut out = Zeroizing::new(String::with_capacity(room));
    for (name, value) in pairs {
        refuse_zero(name, value)?;
        out.extend([name, "="]);
        let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,-".contains(c);
        if !value.is_empty() && value.chars().all(plain) {
            out.push_str(value);
        } else if value.contains('\'') {
            out.push('"');
            for c in value.chars() {
                if matches!(c, '"' | '\\' | '$' | '`') {
                    out.push('\\');
                }
                out.push(c);
            }
            out.push('"');
        } else {
            out.extend(["'", value, "'"]);
        }
        out.push('\n');
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{pairs, refused};

    #[test]
    fn the_usual_lines_are_read() {
        let text = "# a comment\r\nexport A=plain # and why\r\n  B = spaced out  \nC=\nD='it is $HOME \\n'\nE=\"a\\nb \\\"q\\\" \\$X \\d\" # x\n\
                    F='two\nlines'\nurl/of.db-x=postgres://u:p#w@h/db?a=b\nG=#all\nH=a#b\n\nexport=1";
        let expected = [
            ("A", "plain"),
            ("B", "spaced out"),
            ("C", ""),
            ("D", "it is $HOME \\n"),
            ("E", "a\nb \"q\" $X \\d"),
            ("F", "two\nlines"),
            ("url/of.db-x", "postgres://u:p#w@h/db?a=b"),
            ("G", ""),
            ("H", "a#b"),
            ("export", "1"),
        ];
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(pairs(Format::Env, text), expected);
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        for (text, line) in [
            ("A=1\ncanary\n", 2),
            ("=canary", 1),
            ("A B=canary", 1),
            ("ä=canary", 1),
            ("\nA=\"canary\nB=1\n", 2),
            ("A='canary'x", 1),
            ("A='x\ny' canary", 2),
        ] {
            assert!(refused(Format::Env, text).starts_with(&format!("line {line}: ")), "{text:?}");
        }
    }
}
