//! Templates: texts in which `${secrets.get('vault', 'name')}` stands for a value, as in ngrok's Traffic Policy.
//!
//! # The macro
//! `secrets.get` takes two texts, the vault's name and the secret's, in single or double quotes with CEL's escapes; spaces may
//! stand between all parts. It has to be all of its `${…}`: a larger expression, such as `${"Basic " + secrets.get('a', 'b')}`,
//! is refused, as is everything else that says `secrets.` and is not understood. Any other `${…}`, such as
//! `${req.headers['x']}`, stays as it is. Neither ngrok nor CEL has a way to write a literal `${`; here `$${secrets.…` gives
//! `${secrets.…`, and every other `$$` stays.
//!
//! # Filters
//! Filters may follow, applied from left to right: `${secrets.get('a', 'b') | base64 | json}`.
//!
//! | filter | gives |
//! | --- | --- |
//! | `json` | a JSON string with its quotes (RFC 8259, section 7) |
//! | `base64` | standard base64 with padding (RFC 4648, section 4) |
//! | `shell` | one word in single quotes (POSIX, Shell Command Language 2.2.2) |
//! | `yaml` | a double-quoted scalar (YAML 1.2.2, section 7.3.1) |
//!
//! # Formats
//! [`Format::Text`] puts the value in place of the macro and changes nothing else.
//!
//! ngrok reads a Traffic Policy first and fills its strings in afterwards, so there a value may hold quotes and new lines.
//! [`Format::Yaml`] and [`Format::Json`] do the same: macros are looked for in the strings of the document, and a string that
//! has one is written anew, quoted, so that what is loaded holds exactly the value. That is a string always, also for a macro
//! that stands without quotes; a last `json` or `yaml` of such a macro says what is done anyway. What the value holds can so
//! never change the document's shape, and that is checked. Comments stay as they are.

mod expression;
mod filter;
mod json;
mod yaml;

use std::collections::HashMap;
use std::ops::Range;

use zeroize::Zeroizing;

use crate::reference::Reference;
use expression::{Part, Wrong};
use filter::Filter;

/// Bytes of a template.
pub const SIZE_MAX: usize = 16 << 20;

/// What kind of text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Any text.
    Text,
    /// YAML 1.2, one document or several.
    Yaml,
    /// JSON, one value or several.
    Json,
}

impl Format {
    /// The format of a file by the end of its name: `.yaml`, `.yml`, `.json`; else text.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        match name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).as_deref() {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json") => Self::Json,
            _ => Self::Text,
        }
    }
}

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {what}")]
pub struct TemplateError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1: where the `${` stands.
    pub column: usize,
    /// What is wrong.
    pub what: String,
}

impl TemplateError {
    fn at(text: &str, place: usize, what: String) -> Self {
        let before = &text[..place];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Self { line, column: before[line_start..].chars().count() + 1, what }
    }

    /// What is wrong with an expression in a string that is written in this range. Of the string only the text is known, so
    /// the expressions are counted.
    fn within(text: &str, range: Range<usize>, wrong: Wrong) -> Self {
        let place = text[range.clone()].match_indices("${").nth(wrong.number).map_or(0, |(place, _)| place);
        Self::at(text, range.start + place, wrong.what)
    }
}

/// Why a template cannot be filled in. No text of it holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Values that were not given.
    #[error("there is no value for {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Missing(Vec<Reference>),
    /// No word of a shell has a zero byte.
    #[error("the value of {0} holds a zero byte, which no word of a shell can")]
    ZeroByte(Reference),
    /// With the values in it the text is no such document, or another one.
    #[error("with its values in place this is not the same {0}: fill it in as text")]
    Document(&'static str),
}

/// A text with its values in place. It is zeroed when it is dropped, and has no `Debug`.
pub struct Rendered(Zeroizing<String>);

impl Rendered {
    /// The text.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

/// A template that was understood.
#[derive(Debug)]
pub struct Template {
    text: String,
    format: Format,
    pieces: Vec<Piece>,
    references: Vec<Reference>,
}

/// A stretch of a template.
#[derive(Debug)]
enum Piece {
    /// Stays as it is.
    Text(Range<usize>),
    /// Is written anew.
    Fill(Fill),
}

/// What comes in place of a macro, or of a string with macros in it.
#[derive(Debug)]
struct Fill {
    parts: Vec<Part>,
    quoting: Option<Filter>,
}

impl Template {
    /// Reads a template, in time linear in its length.
    ///
    /// # Errors
    /// [`TemplateError`] for what says `secrets.` and is no macro, for a document that is not of its format, and beyond
    /// [`SIZE_MAX`].
    pub fn parse(text: String, format: Format) -> Result<Self, TemplateError> {
        if text.len() > SIZE_MAX {
            let what = format!("the template is larger than {} MiB", SIZE_MAX >> 20);
            return Err(TemplateError { line: 1, column: 1, what });
        }
        let mut pieces = Pieces { list: Vec::new(), end: 0 };
        // Without this word there is nothing to fill in, whatever else the file is.
        if text.contains("secrets") {
            match format {
                Format::Text => plain(&text, &mut pieces)?,
                Format::Yaml => yaml::read(&text, &mut pieces)?,
                Format::Json => json::read(&text, &mut pieces)?,
            }
        }
        let pieces = pieces.finish(text.len());
        let mut references: Vec<Reference> = Vec::new();
        let mut known = HashMap::new();
        for reference in pieces.iter().flat_map(Piece::references) {
            known.entry(reference).or_insert_with(|| references.push(reference.clone()));
        }
        Ok(Self { format, references, pieces, text })
    }

    /// The secrets whose values it wants, each once, in the order of the text.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Puts the values in place, which are asked for by vault and name.
    ///
    /// # Errors
    /// [`RenderError`].
    pub fn render<'v>(&self, value: impl Fn(&str, &str) -> Option<&'v str>) -> Result<Rendered, RenderError> {
        let missing = |reference: &&Reference| value(&reference.vault, &reference.name).is_none();
        let missing: Vec<_> = self.references.iter().filter(missing).cloned().collect();
        if !missing.is_empty() {
            return Err(RenderError::Missing(missing));
        }
        let texts = self.fills().map(|fill| fill.join(&value)).collect::<Result<Vec<_>, _>>()?;
        let quoted: Vec<_> = self.fills().zip(&texts).map(|(fill, text)| fill.quote(text)).collect();
        let rendered = Rendered(self.assemble(&quoted));
        match self.format {
            _ if texts.is_empty() => {}
            Format::Text => {}
            Format::Yaml => yaml::check(&self.text, rendered.expose_secret(), &texts)?,
            Format::Json => json::check(rendered.expose_secret())?,
        }
        Ok(rendered)
    }

    fn fills(&self) -> impl Iterator<Item = &Fill> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Fill(fill) => Some(fill),
            Piece::Text(_) => None,
        })
    }

    fn assemble(&self, quoted: &[Zeroizing<String>]) -> Zeroizing<String> {
        // With room for all of it, no value is left behind by a buffer that grew.
        let room = self.text.len() + quoted.iter().map(|text| text.len()).sum::<usize>();
        let mut whole = Zeroizing::new(String::with_capacity(room));
        let mut quoted = quoted.iter();
        for piece in &self.pieces {
            match piece {
                Piece::Text(range) => whole.push_str(&self.text[range.clone()]),
                Piece::Fill(_) => whole.extend(quoted.next().map(|text| text.as_str())),
            }
        }
        whole
    }
}

impl Fill {
    /// What it stands for, before it is quoted.
    fn join<'v>(
        &self,
        value: impl Fn(&str, &str) -> Option<&'v str>,
    ) -> Result<Zeroizing<String>, RenderError> {
        let mut texts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            texts.push(match part {
                Part::Text(text) => Zeroizing::new(text.clone()),
                Part::Value(secret, filters) => {
                    let missing = || RenderError::Missing(vec![secret.clone()]);
                    let value = value(&secret.vault, &secret.name).ok_or_else(missing)?;
                    if value.contains('\0') && filters.contains(&Filter::Shell) {
                        return Err(RenderError::ZeroByte(secret.clone()));
                    }
                    let value = Zeroizing::new(value.to_owned());
                    filters.iter().fold(value, |value, filter| filter.apply(&value))
                }
            });
        }
        let mut whole = Zeroizing::new(String::with_capacity(texts.iter().map(|text| text.len()).sum()));
        whole.extend(texts.iter().map(|text| text.as_str()));
        Ok(whole)
    }

    fn quote(&self, text: &Zeroizing<String>) -> Zeroizing<String> {
        self.quoting.map_or_else(|| text.clone(), |quoting| quoting.apply(text))
    }
}

impl Piece {
    fn references(&self) -> impl Iterator<Item = &Reference> {
        let parts = match self {
            Self::Text(_) => &[],
            Self::Fill(fill) => fill.parts.as_slice(),
        };
        parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value(secret, _) => Some(secret),
        })
    }
}

/// The pieces up to a place.
struct Pieces {
    list: Vec<Piece>,
    end: usize,
}

impl Pieces {
    /// Adds what comes in place of this range, which is after all before it.
    fn fill(&mut self, range: Range<usize>, parts: Vec<Part>, quoting: Option<Filter>) {
        self.list.push(Piece::Text(self.end..range.start));
        self.list.push(Piece::Fill(Fill { parts, quoting }));
        self.end = range.end;
    }

    fn finish(mut self, end: usize) -> Vec<Piece> {
        self.list.push(Piece::Text(self.end..end));
        self.list
    }
}

fn plain(text: &str, pieces: &mut Pieces) -> Result<(), TemplateError> {
    let parts = expression::parts(text).map_err(|wrong| TemplateError::within(text, 0..text.len(), wrong))?;
    if let Some(parts) = parts {
        pieces.fill(0..text.len(), parts, None);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
