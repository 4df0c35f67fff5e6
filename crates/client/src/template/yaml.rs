//! Macros in YAML: in its scalars, however these are written.

use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span};
use zeroize::Zeroizing;

use super::expression::{self, Part};
use super::filter::Filter;
use super::{Pieces, RenderError, TemplateError};

/// A reader that takes the end of the last block scalar as libyaml does, and so most programs.
fn events(text: &str) -> Parser<'_, granit_parser::StrInput<'_>> {
    let mut options = Options::default();
    options.block_scalar_eof_without_line_feed = true;
    Parser::new_from_str_with_options(text, options)
}

pub(super) fn read(text: &str, pieces: &mut Pieces) -> Result<(), TemplateError> {
    let mut before = 0;
    for event in events(text) {
        let (event, span) = event.map_err(|error| {
            let what =
                format!("this is not YAML: {}; fill it in as text if it is not meant to be", error.info());
            TemplateError { line: error.marker().line(), column: error.marker().col() + 1, what }
        })?;
        let range = range(text, span);
        if let Event::Scalar(value, style, ..) = event {
            let parts = expression::parts(&value)
                .map_err(|wrong| TemplateError::within(text, range.clone(), wrong))?;
            if let Some(parts) = parts {
                let whole = whole(text, before, range.clone(), style);
                pieces.fill(whole, unquoted(parts, style), Some(Filter::Yaml));
            }
            before = range.end;
        }
    }
    Ok(())
}

fn range(text: &str, span: Span) -> Range<usize> {
    span.byte_range().unwrap_or(text.len()..text.len())
}

/// The range of a scalar with the header of a block scalar, and without the end of its last line.
fn whole(text: &str, before: usize, range: Range<usize>, style: ScalarStyle) -> Range<usize> {
    if !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
        return range;
    }
    let end = text[range.clone()].trim_end_matches(['\n', '\r', ' ', '\t']).len();
    header(text, before, range.start)..range.start + end
}

/// Where the `|` or `>` of a block scalar stands: between the scalar before it and its own text come comments, and words that
/// are indicators, a tag or an anchor.
fn header(text: &str, before: usize, start: usize) -> usize {
    let (mut is_word_start, mut is_comment) = (true, false);
    for (place, c) in text[before..start].char_indices() {
        is_comment = c != '\n' && (is_comment || (is_word_start && c == '#'));
        if is_word_start && !is_comment && matches!(c, '|' | '>') {
            return before + place;
        }
        is_word_start = c.is_whitespace();
    }
    start
}

/// A macro that is all of a scalar without quotes may quote itself, to the same effect.
fn unquoted(parts: Vec<Part>, style: ScalarStyle) -> Vec<Part> {
    if style != ScalarStyle::Plain {
        return parts;
    }
    let is_empty = |part: &Part| matches!(part, Part::Text(text) if text.is_empty());
    let mut parts: Vec<_> = parts.into_iter().filter(|part| !is_empty(part)).collect();
    match parts.pop() {
        Some(Part::Value(secret, filters)) if parts.is_empty() => vec![Part::unquoted(secret, filters)],
        last => {
            parts.extend(last);
            parts
        }
    }
}

/// Whether a rendered text loads as its template would, with the texts that were filled in in place: whatever a value
/// holds, it has changed nothing else.
pub(super) fn check(template: &str, rendered: &str, texts: &[Zeroizing<String>]) -> Result<(), RenderError> {
    let changed = || RenderError::Document("YAML");
    let mut texts = texts.iter();
    let mut rendered = events(rendered);
    for before in events(template) {
        let (before, _) = before.map_err(|_| changed())?;
        let (after, _) = rendered.next().and_then(Result::ok).ok_or_else(changed)?;
        let is_same = match (&before, &after) {
            (Event::Scalar(before, _, anchor, tag), Event::Scalar(after, _, new_anchor, new_tag)) => {
                let is_filled = matches!(expression::parts(before), Ok(Some(_)));
                let expected =
                    if is_filled { texts.next().map(|text| text.as_str()) } else { Some(&**before) };
                expected == Some(&**after) && (anchor, tag) == (new_anchor, new_tag)
            }
            _ => before == after,
        };
        if !is_same {
            return Err(changed());
        }
    }
    if rendered.next().is_none() { Ok(()) } else { Err(changed()) }
}
