//! What a change expects of the thing that it changes: the If-Match of a request (RFC 9110, section 13.1.1).

use http::{HeaderMap, header};
use strongroom_domain::expected::Expected;

use crate::error::Protocol;
use crate::view;

/// Reads the header, which may come more than once. Tags are compared strongly: a weak one never fits, nor does one that is
/// written as none of ours is.
///
/// # Errors
/// [`Protocol::IfMatch`] when it is neither `*` nor a list of entity tags.
pub fn expected(headers: &HeaderMap) -> Result<Expected, Protocol> {
    let mut lines = headers.get_all(header::IF_MATCH).iter().peekable();
    if lines.peek().is_none() {
        return Ok(Expected::Any);
    }
    let (mut tags, mut count, mut any) = (Vec::new(), 0, false);
    for line in lines {
        count += 1;
        // What is not ASCII may stand in a tag, and is in none of ours.
        let text = String::from_utf8_lossy(line.as_bytes());
        if text.trim() == "*" {
            any = true;
            continue;
        }
        tags.extend(list(&text)?.iter().filter_map(|tag| view::parse_etag(tag)));
    }
    match (count, any) {
        (_, false) => Ok(Expected::Tags(tags)),
        (1, true) => Ok(Expected::Any),
        (_, true) => Err(Protocol::IfMatch),
    }
}

/// Entity tags with commas between them; a comma may stand in one, too.
fn list(text: &str) -> Result<Vec<String>, Protocol> {
    let (mut tags, mut rest) = (Vec::new(), text.trim());
    loop {
        let weak = rest.strip_prefix("W/");
        let opaque = weak.unwrap_or(rest).strip_prefix('"').ok_or(Protocol::IfMatch)?;
        let (inside, after) = opaque.split_once('"').ok_or(Protocol::IfMatch)?;
        if inside.chars().any(|c| c == ' ' || c.is_control()) {
            return Err(Protocol::IfMatch);
        }
        tags.push(if weak.is_some() { format!("W/\"{inside}\"") } else { format!("\"{inside}\"") });
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None if rest.is_empty() => return Ok(tags),
            None => return Err(Protocol::IfMatch),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Expected, Protocol> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_MATCH, line.parse().unwrap());
        }
        expected(&headers)
    }

    #[test]
    fn tags_are_read_and_compared_strongly() {
        let tag = [0xab; 32];
        let ours = view::etag(&tag);
        for (lines, fits) in [
            (&[][..], true),
            (&["*"], true),
            (&[ours.as_str()], true),
            (&["\"x\""], false),
            (&["\"\""], false),
            (&["\"a,b\" , \"c\""], false),
            (&["\"x\"", ours.as_str()], true),
        ] {
            assert_eq!(read(lines).unwrap().fits(|| tag), fits, "{lines:?}");
        }
        assert!(!read(&[&ours.to_uppercase()]).unwrap().fits(|| [0xab; 32]), "another text");
        assert!(!read(&[&format!("W/{ours}")]).unwrap().fits(|| tag), "a weak one");
        assert!(read(&[&format!("\"x\",{ours}")]).unwrap().fits(|| tag), "one of two");
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for line in [
            "",
            "x",
            "\"",
            "\"x",
            "x\"",
            "W/",
            "w/\"x\"",
            "\"x\" \"y\"",
            "\"x\",",
            ",",
            "\"a b\"",
            "*, \"x\"",
            "**",
        ] {
            assert_eq!(read(&[line]), Err(Protocol::IfMatch), "{line}");
        }
        assert_eq!(read(&["*", "\"x\""]), Err(Protocol::IfMatch));
    }
}
