//! A grant as people write it: an action, and for most of them a target.

use strongroom_wire::Grant;

/// Reads `resolve prod:tls-*`, `manage prod` or `audit`. Which actions there are and which take a target, the server
/// knows.
pub(crate) fn parse(text: &str) -> Result<Grant, String> {
    let mut words = text.split_whitespace();
    let (action, target, more) = (words.next(), words.next(), words.next());
    let (Some(action), None) = (action, more) else { return Err(bad()) };
    let (vault, secret) = match target.map(|target| target.split_once(':').unwrap_or((target, "*"))) {
        Some((vault, secret)) if is_pattern(vault) && is_pattern(secret) => (Some(vault), Some(secret)),
        Some(_) => return Err(bad()),
        None => (None, None),
    };
    Ok(Grant {
        action: action.to_owned(),
        vault: vault.map(str::to_owned),
        secret: secret.map(str::to_owned),
    })
}

fn bad() -> String {
    "write an action and what it is for, such as 'resolve prod:tls-*', 'manage *:*' or 'audit'".to_owned()
}

fn is_pattern(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_/.-*".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_read_as_it_is_shown() {
        for text in ["resolve prod:tls-*", "manage *:*", "read a/b:c.d_e-f", "audit", "admin"] {
            assert_eq!(super::super::output::grant(&parse(text).unwrap()), text);
        }
        assert_eq!(parse("resolve prod"), parse("resolve  prod:*"));
    }

    #[test]
    fn what_is_no_grant_is_refused() {
        for text in
            ["", " ", "resolve prod:x y", "resolve :x", "resolve prod:", "resolve a:b:c", "resolve p!"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
