//! YAML files: one mapping of scalars. Read event by event, so that nothing is ever made of an alias: a small file stays
//! small.

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};
use zeroize::Zeroizing;

use super::{BadFile, Pairs, bad};

pub(super) fn read(text: &str, pairs: &mut Pairs) -> Result<(), BadFile> {
    let mut events = Parser::new_from_str(text);
    let mut next = || -> Result<(Event<'_>, usize), BadFile> {
        match events.next() {
            Some(Ok((event, Span { start, .. }))) => Ok((event, start.line())),
            // The parser's own words may repeat what stands there.
            Some(Err(error)) => Err(bad(error.marker().line(), "this is not YAML")),
            None => Ok((Event::StreamEnd, 1)),
        }
    };
    loop {
        match next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::MappingStart(_, 0, None), _) => break,
            // An empty file is an empty mapping.
            (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(()),
            (Event::Scalar(text, ScalarStyle::Plain, 0, None), _) if text.is_empty() || text == "~" => {}
            (_, line) => return Err(bad(line, "this is not one YAML mapping of names to texts")),
        }
    }
    loop {
        let (name, line) = match next()? {
            (Event::MappingEnd, _) => break,
            (Event::Scalar(name, _, 0, tag), line) if is_text(tag.as_deref()) => (name.into_owned(), line),
            (_, line) => return Err(bad(line, "a name is a text, without an anchor, an alias or a tag")),
        };
        let value = match next()? {
            (Event::Scalar(value, _, 0, tag), _) if is_text(tag.as_deref()) => value.into_owned(),
            (_, line) => {
                let what = "is not a text: lists, mappings, anchors, aliases and tags have no place here";
                return Err(bad(line, format!("{name} {what}")));
            }
        };
        pairs.add(&name, line, Zeroizing::new(value))?;
    }
    loop {
        match next()? {
            (Event::StreamEnd, _) => return Ok(()),
            (Event::DocumentEnd, _) => {}
            (_, line) => return Err(bad(line, "a file holds one YAML document")),
        }
    }
}

/// Whether a scalar is to be taken as the text that it is: untagged, or told to be one.
fn is_text(tag: Option<&Tag>) -> bool {
    tag.is_none_or(|tag| tag.is_yaml_core_schema_tag("str"))
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{pairs, refused};

    #[test]
    fn a_mapping_of_scalars_is_read_as_texts() {
        let text = "---\n# a comment\na: yes\nb: 0123\nc: 1e3\nd: null\ne: \"x\\ny\"\nf: 'it''s'\ng: |\n  -----BEGIN\n  x\nh: !!str 7\ni:\n";
        let expected = [
            ("a", "yes"),
            ("b", "0123"),
            ("c", "1e3"),
            ("d", "null"),
            ("e", "x\ny"),
            ("f", "it's"),
            ("g", "-----BEGIN\nx\n"),
            ("h", "7"),
        ];
        let read = pairs(Format::Yaml, text);
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(read[..8], expected);
        assert_eq!(read[8].0, "i");
        assert!(pairs(Format::Yaml, "# nothing\n").is_empty());
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        for text in [
            "- canary\n",
            "canary\n",
            "a: [canary]\n",
            "a: {b: canary}\n",
            "a: &x canary\nb: *x\n",
            "a: !!binary canary\n",
            "a: b\n--- \nc: canary\n",
            "a: \"canary\n",
            "? [a]\n: canary\n",
        ] {
            assert!(refused(Format::Yaml, text).starts_with("line "), "{text}");
        }
    }
}
