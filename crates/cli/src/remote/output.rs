//! How an answer is shown: a table for people, or JSON for programs.

use std::fmt::Write as _;
use std::process::ExitCode;

use anstyle::Style;
use clap::{Args, ValueEnum};
use serde::Serialize;
use strongroom_wire as wire;

use crate::failure::Failure;
use crate::out;

/// How to show an answer.
#[derive(Args, Clone, Copy)]
pub(crate) struct Output {
    /// A table for people, or the API's shapes for programs
    #[arg(id = "output", long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
}

impl Output {
    /// Prints what was asked for: as JSON, or as the text that people get.
    pub(crate) fn print<T: Serialize>(
        self,
        item: &T,
        text: impl FnOnce() -> String,
    ) -> Result<ExitCode, Failure> {
        match self.format {
            Format::Json => print_json(item),
            Format::Table => out(&text()),
        }
    }
}

/// Prints JSON with two spaces, without escaping what only HTML would need escaped.
pub(crate) fn print_json<T: Serialize>(item: &T) -> Result<ExitCode, Failure> {
    let text = serde_json::to_string_pretty(item);
    let text = text.map(zeroize::Zeroizing::new);
    let text = text.map_err(|error| Failure::new("the answer cannot be written as JSON").because(error))?;
    out(&text)?;
    out("\n")
}

/// Rows below a heading, as wide as what is in them.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| shown(&cell)).collect());
    }

    /// The text of it; the heading is bold on a terminal.
    pub(crate) fn view(&self) -> String {
        self.view_in(if has_colours() { Style::new().bold() } else { Style::new() })
    }

    fn view_in(&self, heading: Style) -> String {
        let mut widths = vec![0; self.rows.iter().map(Vec::len).max().unwrap_or(0)];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let padded = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
            let line = padded.collect::<Vec<_>>().join("  ");
            let style = if number == 0 { heading } else { Style::new() };
            let _ = writeln!(text, "{style}{}{style:#}", line.trim_end());
        }
        text
    }
}

/// One thing, a line for each of its fields; empty ones are left out.
pub(crate) fn fields<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let fields: Vec<_> = fields.into_iter().filter(|(_, text)| !text.is_empty()).collect();
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let style = if has_colours() { Style::new().dimmed() } else { Style::new() };
    let lines = fields.iter().map(|(name, text)| format!("{style}{name:width$}{style:#}  {}\n", shown(text)));
    lines.collect()
}

/// Whether standard output takes colours: a terminal, unless `NO_COLOR` is set (no-color.org).
fn has_colours() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// Somebody else's words for a terminal: control characters, which it would obey, and those that turn the direction of
/// writing are told by their number.
pub(crate) fn shown(text: &str) -> String {
    let is_obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut told = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) { told.extend(c.escape_default()) } else { told.push(c) }
    }
    told
}

/// What may or may not be: a dash where it is not.
pub(crate) fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

/// A grant as people write it: `resolve prod:tls-*`.
pub(crate) fn grant(grant: &wire::Grant) -> String {
    match &grant.vault {
        Some(vault) => format!("{} {vault}:{}", grant.action, grant.secret.as_deref().unwrap_or("*")),
        None => grant.action.clone(),
    }
}

/// A key's grants; one without any does what its owner may.
pub(crate) fn grants(grants: Option<&[wire::Grant]>) -> String {
    match grants {
        Some(grants) => grants.iter().map(grant).collect::<Vec<_>>().join(", "),
        None => "what its owner may, but no values".to_owned(),
    }
}

/// JSON with two spaces and one item a line, and otherwise as it came: its order and every character of its texts are kept.
pub(crate) fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    let mut rest = json.chars().peekable();
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = rest.next() {
        if is_text {
            text.push(c);
            is_text = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        match c {
            c if c.is_ascii_whitespace() => {}
            '{' | '[' => {
                text.push(c);
                while rest.next_if(char::is_ascii_whitespace).is_some() {}
                match rest.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => text.push(end),
                    None => {
                        depth += 1;
                        line(&mut text, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            c => {
                is_text = c == '"';
                text.push(c);
            }
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut table = Table::new(&["NAME", "DESCRIPTION"]);
        table.row(["prod:db-password".to_owned(), "the database".to_owned()]);
        table.row(["ä".to_owned(), String::new()]);
        let text = "NAME              DESCRIPTION\nprod:db-password  the database\nä\n";
        assert_eq!(table.view_in(Style::new()), text);
        assert!(table.view_in(Style::new().bold()).starts_with("\u{1b}[1mNAME"));
    }

    #[test]
    fn what_a_terminal_would_obey_is_told_by_its_number() {
        assert_eq!(shown("a\u{1b}[31mb\nc\u{202e}d é"), "a\\u{1b}[31mb\\nc\\u{202e}d é");
    }

    #[test]
    fn json_is_indented_as_it_came() {
        let json = r#"{"b":[1,{}, [ ]],"a":"<x> \" , { \\","c":null}"#;
        let text = "{\n  \"b\": [\n    1,\n    {},\n    []\n  ],\n  \"a\": \"<x> \\\" , { \\\\\",\n  \"c\": null\n}\n";
        assert_eq!(indented(json), text);
    }

    #[test]
    fn indented_json_means_the_same() {
        proptest::proptest!(|(texts: Vec<String>, number: i64)| {
            let value = serde_json::json!({"texts": texts, "n": number, "none": null, "empty": {}, "o": {"k": [true, [number]]}});
            let indented = indented(&value.to_string());
            proptest::prop_assert_eq!(&indented, &format!("{}\n", serde_json::to_string_pretty(&value).unwrap()));
        });
    }
}
