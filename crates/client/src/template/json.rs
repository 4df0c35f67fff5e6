//! Macros in JSON: in its strings, and in place of a value.

use serde::de::IgnoredAny;

use super::expression::{self, Expression, Part};
use super::filter::Filter;
use super::{Pieces, RenderError, TemplateError};

pub(super) fn read(text: &str, pieces: &mut Pieces) -> Result<(), TemplateError> {
    let mut at = 0;
    while let Some(place) = text[at..].find(['"', '$']) {
        let start = at + place;
        at = if text[start..].starts_with('"') {
            let end = string_end(text, start).ok_or_else(|| {
                TemplateError::at(text, start, "this is not JSON: a string is not closed".to_owned())
            })?;
            read_string(text, start..end, pieces)?;
            end
        } else {
            read_bare(text, start, pieces)?
        };
    }
    Ok(())
}

fn string_end(text: &str, start: usize) -> Option<usize> {
    let mut bytes = text.bytes().enumerate().skip(start + 1);
    loop {
        match bytes.next()? {
            (_, b'\\') => drop(bytes.next()),
            (place, b'"') => return Some(place + 1),
            _ => {}
        }
    }
}

fn read_string(text: &str, range: std::ops::Range<usize>, pieces: &mut Pieces) -> Result<(), TemplateError> {
    let written = &text[range.clone()];
    if !written.contains(['$', '\\']) {
        return Ok(());
    }
    let read: String = serde_json::from_str(written)
        .map_err(|_| TemplateError::at(text, range.start, "this is not a JSON string".to_owned()))?;
    let parts =
        expression::parts(&read).map_err(|wrong| TemplateError::within(text, range.clone(), wrong))?;
    if let Some(parts) = parts {
        pieces.fill(range, parts, Some(Filter::Json));
    }
    Ok(())
}

/// Reads what may be a macro outside all strings; returns where to go on.
fn read_bare(text: &str, start: usize, pieces: &mut Pieces) -> Result<usize, TemplateError> {
    let Some(rest) = text[start..].strip_prefix("${") else { return Ok(start + 1) };
    let segment = &rest[..rest.find("${").unwrap_or(rest.len())];
    match expression::read(segment) {
        Expression::Other => Ok(start + 2),
        Expression::Wrong(what) => Err(TemplateError::at(text, start, what)),
        Expression::Macro(secret, filters, length) => {
            let end = start + 2 + length;
            pieces.fill(start..end, vec![Part::unquoted(secret, filters)], Some(Filter::Json));
            Ok(end)
        }
    }
}

/// Whether a rendered text is JSON: one value or several.
pub(super) fn check(text: &str) -> Result<(), RenderError> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    if values.all(|value| value.is_ok()) { Ok(()) } else { Err(RenderError::Document("JSON")) }
}
