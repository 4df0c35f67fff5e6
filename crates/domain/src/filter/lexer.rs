//! From text to tokens.

use super::{FilterError, literal};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    /// A name or keyword.
    Name(&'a str),
    Text(String),
    Number(i64),
    Symbol(&'static str),
    End,
}

impl Token<'_> {
    /// What an error message calls it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Name(name) => format!("`{}`", shown(name)),
            Self::Text(_) => "a text".to_owned(),
            Self::Number(_) => "a number".to_owned(),
            Self::Symbol(symbol) => format!("`{symbol}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// A token and the byte offset at which it starts.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) token: Token<'a>,
    pub(super) at: usize,
}

/// A name as an error message repeats it: not at any length.
pub(super) fn shown(name: &str) -> String {
    const LONGEST: usize = 40;
    match name.char_indices().nth(LONGEST) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}…", &name[..end]),
    }
}

/// Longer ones first: `<=` must not be read as `<`.
const SYMBOLS: [&str; 15] = ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", "."];

/// Splits `text` into tokens; the last one is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Placed<'_>>, FilterError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        // CEL's white space, which is less than Unicode's.
        let rest = text[at..].trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
        at = text.len() - rest.len();
        let (token, length) = token(text, at)?;
        let last = token == Token::End;
        tokens.push(Placed { token, at });
        if last {
            return Ok(tokens);
        }
        at += length;
    }
}

/// The token that starts at `at`, and its length.
fn token(text: &str, at: usize) -> Result<(Token<'_>, usize), FilterError> {
    let rest = &text[at..];
    let Some(first) = rest.chars().next() else { return Ok((Token::End, 0)) };
    if matches!(first, '"' | '\'') || rest.starts_with(['r', 'R']) && rest[1..].starts_with(['"', '\'']) {
        let (value, length) = literal::text(text, at)?;
        return Ok((Token::Text(value), length));
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let name = leading(rest, |c| c.is_ascii_alphanumeric() || c == '_');
        return Ok((Token::Name(name), name.len()));
    }
    if first.is_ascii_digit() || first == '-' && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return number(text, at);
    }
    match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        Some(symbol) => Ok((Token::Symbol(symbol), symbol.len())),
        None => Err(FilterError::at(text, at, refusal(first))),
    }
}

fn number(text: &str, at: usize) -> Result<(Token<'_>, usize), FilterError> {
    let word = leading(&text[at..], |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    match word.parse() {
        Ok(number) => Ok((Token::Number(number), word.len())),
        Err(_) => Err(FilterError::at(text, at, "only whole decimal numbers of 64 bits are supported")),
    }
}

/// The start of `text` whose characters are all `wanted`.
fn leading(text: &str, wanted: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !wanted(c)).unwrap_or(text.len());
    &text[..end]
}

/// Says why no token starts with `first`; much of it is valid CEL outside the subset.
fn refusal(first: char) -> String {
    match first {
        '=' => "`=` is not an operator (use `==`)".to_owned(),
        '&' => "`&` is not an operator (use `&&`)".to_owned(),
        '|' => "`|` is not an operator (use `||`)".to_owned(),
        '+' | '-' | '*' | '/' | '%' => format!("arithmetic is not supported: `{first}`"),
        '?' | ':' => format!("the conditional operator is not supported: `{first}`"),
        '{' | '}' => format!("maps and messages are not supported: `{first}`"),
        // Debug form, so that a control character cannot disturb whatever shows the message.
        other => format!("unexpected character {other:?}"),
    }
}
