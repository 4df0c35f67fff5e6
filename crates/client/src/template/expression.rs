//! One `${…}` after the other: which are macros, which stay, and which are wrong.

use super::filter::Filter;
use crate::reference::Reference;

/// A stretch of a text.
#[derive(Debug)]
pub(super) enum Part {
    /// Text that is given as it is.
    Text(String),
    /// A value, through filters.
    Value(Reference, Vec<Filter>),
}

impl Part {
    /// A value that stands without quotes where they are put round it: a filter that does the same is left out.
    pub(super) fn unquoted(secret: Reference, mut filters: Vec<Filter>) -> Self {
        filters.pop_if(|last| matches!(last, Filter::Json | Filter::Yaml));
        Self::Value(secret, filters)
    }
}

/// The first expression that is wrong.
#[derive(Debug)]
pub(super) struct Wrong {
    /// How many `${` stand before it.
    pub(super) number: usize,
    pub(super) what: String,
}

/// What stands between `${` and the next one.
pub(super) enum Expression {
    /// A macro, and its length with the closing brace.
    Macro(Reference, Vec<Filter>, usize),
    /// Somebody else's.
    Other,
    /// It says `secrets.` and is no macro.
    Wrong(String),
}

/// The parts of a text; `None` if it stays as it is.
///
/// Every `${` starts an expression and ends the one before it, so that no character is looked at more often than twice.
pub(super) fn parts(text: &str) -> Result<Option<Vec<Part>>, Wrong> {
    let (mut parts, mut from, mut changed) = (Vec::new(), 0, false);
    let mut unfinished = false;
    let starts: Vec<usize> = text.match_indices("${").map(|(start, _)| start).collect();
    for (number, &start) in starts.iter().enumerate() {
        let end = starts.get(number + 1).copied().unwrap_or(text.len());
        let segment = &text[start + 2..end];
        let is_escaped = start > from && text.as_bytes()[start - 1] == b'$';
        match read(segment) {
            Expression::Other => {
                unfinished = !segment.contains(['}', '\n']);
                continue;
            }
            // One of both `$` goes, and the rest stays.
            Expression::Macro(..) | Expression::Wrong(_) if is_escaped => {
                parts.push(Part::Text(text[from..start - 1].to_owned()));
                from = start;
            }
            Expression::Wrong(what) => return Err(Wrong { number, what }),
            Expression::Macro(..) if unfinished => return Err(Wrong { number, what: LARGER.to_owned() }),
            Expression::Macro(secret, filters, length) => {
                parts.push(Part::Text(text[from..start].to_owned()));
                parts.push(Part::Value(secret, filters));
                from = start + 2 + length;
            }
        }
        unfinished = false;
        changed = true;
    }
    parts.push(Part::Text(text[from..].to_owned()));
    Ok(changed.then_some(parts))
}

const LARGER: &str = "secrets.get stands inside a larger expression, and only a macro that is all of its ${…} can be \
    filled in; write $${ for a ${ that is to stay";

/// Reads what comes after a `${`.
pub(super) fn read(segment: &str) -> Expression {
    let mut cursor = Cursor { rest: segment };
    if cursor.word() == "secrets" && cursor.takes('.') {
        return match read_macro(&mut cursor) {
            Ok((secret, filters)) => Expression::Macro(secret, filters, segment.len() - cursor.rest.len()),
            Err(what) => Expression::Wrong(what),
        };
    }
    if says_secrets(segment) { Expression::Wrong(LARGER.to_owned()) } else { Expression::Other }
}

fn read_macro(cursor: &mut Cursor<'_>) -> Result<(Reference, Vec<Filter>), String> {
    let function = cursor.word();
    if function != "get" {
        return Err(format!("there is no secrets.{function}: write secrets.get('vault', 'name')"));
    }
    let arguments = read_arguments(cursor)?;
    let [vault, name] = arguments.as_slice() else {
        let count = arguments.len();
        return Err(format!(
            "secrets.get takes two texts, the vault's name and the secret's, and here are {count}"
        ));
    };
    let mut filters = Vec::new();
    while cursor.takes('|') {
        let filter = cursor.word();
        let known = Filter::of_name(filter);
        filters.push(known.ok_or_else(|| {
            format!("there is no filter '{filter}': there are json, base64, shell and yaml")
        })?);
    }
    if !cursor.takes('}') {
        let is_open = cursor.rest.trim_start().is_empty();
        return Err(if is_open { "the closing } is missing".to_owned() } else { LARGER.to_owned() });
    }
    let secret = format!("{vault}:{name}").parse::<Reference>().ok().filter(|it| it.version.is_none());
    let secret = secret.ok_or_else(|| {
        format!(
            "'{vault}', '{name}' names no secret: names are of letters, digits and _ / . -, and no version"
        )
    })?;
    Ok((secret, filters))
}

fn read_arguments(cursor: &mut Cursor<'_>) -> Result<Vec<String>, String> {
    if !cursor.takes('(') {
        return Err("after secrets.get comes ( and two texts in quotes".to_owned());
    }
    let mut arguments = Vec::new();
    loop {
        if cursor.takes(')') && arguments.is_empty() {
            return Ok(arguments);
        }
        arguments.push(cursor.literal()?);
        if cursor.takes(')') {
            return Ok(arguments);
        }
        if !cursor.takes(',') {
            return Err("between the texts of secrets.get comes a comma, and after them )".to_owned());
        }
    }
}

/// What is still to be read. White space before a token does not count.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn takes(&mut self, token: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn word(&mut self) -> &'a str {
        let text = self.rest.trim_start();
        let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
        self.rest = &text[end..];
        &text[..end]
    }

    /// A text in quotes (CEL specification, string literals; those in triple quotes and raw ones left out).
    fn literal(&mut self) -> Result<String, String> {
        let text = self.rest.trim_start();
        let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            return Err("the names in secrets.get are texts in quotes".to_owned());
        };
        let mut value = String::new();
        let mut rest = text[1..].chars();
        loop {
            match rest.next() {
                None | Some('\n' | '\r') => return Err("a quote is not closed".to_owned()),
                Some('\\') => value.push(escape(&mut rest).ok_or("after \\ comes no escape that CEL has")?),
                Some(c) if c == quote => break,
                Some(c) => value.push(c),
            }
        }
        self.rest = rest.as_str();
        Ok(value)
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn escape(rest: &mut std::str::Chars<'_>) -> Option<char> {
    let (digits, radix) = match rest.next()? {
        c @ ('\\' | '"' | '\'' | '`' | '?') => return Some(c),
        'a' => return Some('\u{7}'),
        'b' => return Some('\u{8}'),
        'f' => return Some('\u{c}'),
        'n' => return Some('\n'),
        'r' => return Some('\r'),
        't' => return Some('\t'),
        'v' => return Some('\u{b}'),
        'x' | 'X' => (2, 16),
        'u' => (4, 16),
        'U' => (8, 16),
        first @ '0'..='3' => {
            let code =
                rest.by_ref().take(2).try_fold(first.to_digit(8)?, |code, c| Some(code * 8 + c.to_digit(8)?));
            return char::from_u32(code?);
        }
        _ => return None,
    };
    let mut code: u32 = 0;
    for _ in 0..digits {
        code = code.checked_mul(radix)?.checked_add(rest.next()?.to_digit(radix)?)?;
    }
    char::from_u32(code)
}

/// Whether an expression says `secrets.` outside its texts. One that is not finished, or not CEL, is taken to end at the
/// first brace, and what it says in texts counts too: they may be none.
fn says_secrets(segment: &str) -> bool {
    // Most expressions are other people's.
    if !segment.contains("secrets") {
        return false;
    }
    match bare(segment) {
        Some(code) => has_secrets(&code),
        None => has_secrets(segment.split_inclusive('}').next().unwrap_or(segment)),
    }
}

/// An expression up to its closing brace, without what stands in its texts; `None` if it is none.
fn bare(segment: &str) -> Option<String> {
    let (mut code, mut depth) = (String::new(), 0_usize);
    let mut rest = segment;
    loop {
        let c = rest.chars().next()?;
        match c {
            '"' | '\'' => {
                let is_raw = code.ends_with(['r', 'R']);
                rest = after_text(rest, c, is_raw)?;
                code.push(c);
                continue;
            }
            '{' => depth += 1,
            '}' if depth == 0 => return Some(code),
            '}' => depth -= 1,
            _ => {}
        }
        code.push(c);
        rest = &rest[c.len_utf8()..];
    }
}

/// What comes after a text that stands at the start.
fn after_text(text: &str, quote: char, is_raw: bool) -> Option<&str> {
    let triple = [quote; 3].iter().collect::<String>();
    let close = if text.starts_with(&triple) { triple.as_str() } else { &triple[..1] };
    let mut rest = &text[close.len()..];
    loop {
        if let Some(after) = rest.strip_prefix(close) {
            return Some(after);
        }
        let mut chars = rest.chars();
        match chars.next()? {
            '\n' | '\r' if close.len() == 1 => return None,
            '\\' if !is_raw => drop(chars.next()?),
            _ => {}
        }
        rest = chars.as_str();
    }
}

/// Whether `secrets.` stands there as a name of its own.
fn has_secrets(code: &str) -> bool {
    code.match_indices("secrets").any(|(start, word)| {
        let is_own = !code[..start].ends_with(|c: char| is_word(c) || c == '.');
        is_own && code[start + word.len()..].trim_start().starts_with('.')
    })
}
