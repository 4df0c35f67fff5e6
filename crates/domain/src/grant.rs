//! Grants: what an API key may do, on which vaults and secrets.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Grants that one key may have.
pub const GRANTS_MAX: usize = 100;
/// Bytes of a pattern.
pub const PATTERN_MAX: usize = 255;

/// What a grant allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Reading metadata.
    Read,
    /// Reading metadata, making, changing and removing; never reading values.
    Manage,
    /// Reading values; not metadata.
    Resolve,
    /// Reading the audit log.
    Audit,
    /// Looking after API keys and service users.
    Admin,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Read, Self::Manage, Self::Resolve, Self::Audit, Self::Admin];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Manage => "manage",
            Self::Resolve => "resolve",
            Self::Audit => "audit",
            Self::Admin => "admin",
        }
    }

    /// The action of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }

    /// Whether a grant of it names vaults and secrets.
    #[must_use]
    pub fn takes_target(self) -> bool {
        matches!(self, Self::Read | Self::Manage | Self::Resolve)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names, by a pattern: a name's characters, and `*` for any run of them, none included.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// Checks a pattern.
    ///
    /// # Errors
    /// [`BadGrant::Pattern`]: it is empty, longer than [`PATTERN_MAX`] bytes, or has a character that no name has.
    pub fn parse(text: &str) -> Result<Self, BadGrant> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_/.-*".contains(&byte);
        if text.is_empty() || text.len() > PATTERN_MAX || !text.bytes().all(allowed) {
            return Err(BadGrant::Pattern);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text. Its only special character is `*`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it matches every name.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0.bytes().all(|byte| byte == b'*')
    }

    /// Whether it matches a name, in time proportional to the product of both lengths at worst.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut at, mut seen) = (0, 0);
        // Where to go on when what follows the last `*` does not fit: that `*` takes one character more.
        let mut retry = None;
        while seen < name.len() {
            if pattern.get(at) == Some(&b'*') {
                retry = Some((at, seen));
                at += 1;
            } else if pattern.get(at) == Some(&name[seen]) {
                at += 1;
                seen += 1;
            } else if let Some((star, taken)) = retry {
                retry = Some((star, taken + 1));
                at = star + 1;
                seen = taken + 1;
            } else {
                return false;
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

/// The vaults and secrets that a grant is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The vaults.
    pub vault: Pattern,
    /// The secrets in them.
    pub secret: Pattern,
}

impl Target {
    /// Whether a secret is among them.
    #[must_use]
    pub fn covers(&self, vault: &str, secret: &str) -> bool {
        self.vault.matches(vault) && self.secret.matches(secret)
    }

    /// Whether a vault is, with all that may ever be in it.
    #[must_use]
    pub fn covers_vault(&self, vault: &str) -> bool {
        self.secret.is_any() && self.vault.matches(vault)
    }
}

/// One thing that a key may do. People write it `resolve prod:tls-*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    action: Action,
    target: Option<Target>,
}

impl Grant {
    /// Puts a grant together.
    ///
    /// # Errors
    /// [`BadGrant::NoTarget`], [`BadGrant::NeedlessTarget`].
    pub fn new(action: Action, target: Option<Target>) -> Result<Self, BadGrant> {
        match (action.takes_target(), &target) {
            (true, None) => Err(BadGrant::NoTarget(action)),
            (false, Some(_)) => Err(BadGrant::NeedlessTarget(action)),
            _ => Ok(Self { action, target }),
        }
    }

    /// What it allows.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// What it is about; none for `audit` and `admin`.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// Whether it allows an action: managing includes reading metadata.
    #[must_use]
    pub fn includes(&self, action: Action) -> bool {
        self.action == action || (self.action == Action::Manage && action == Action::Read)
    }

    /// Whether only an admin gives it: it opens what an ordinary key does not.
    #[must_use]
    pub fn is_admins(&self) -> bool {
        matches!(self.action, Action::Resolve | Action::Audit | Action::Admin)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.action.fmt(f)?;
        match &self.target {
            Some(Target { vault, secret }) => write!(f, " {}:{}", vault.as_str(), secret.as_str()),
            None => Ok(()),
        }
    }
}

impl FromStr for Grant {
    type Err = BadGrant;

    fn from_str(text: &str) -> Result<Self, BadGrant> {
        let (action, rest) = text.split_once(' ').map_or((text, None), |(action, rest)| (action, Some(rest)));
        let action = Action::parse(action).ok_or(BadGrant::Action)?;
        let target = rest.map(|rest| {
            let (vault, secret) = rest.split_once(':').ok_or(BadGrant::Pattern)?;
            Ok(Target { vault: Pattern::parse(vault)?, secret: Pattern::parse(secret)? })
        });
        Self::new(action, target.transpose()?)
    }
}

/// What a key may do, and nothing else: 1 to [`GRANTS_MAX`] grants. Its text is one grant a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Grants(Arc<[Grant]>);

impl Grants {
    /// Takes a list of grants.
    ///
    /// # Errors
    /// [`BadGrant::Count`].
    pub fn new(grants: Vec<Grant>) -> Result<Self, BadGrant> {
        if (1..=GRANTS_MAX).contains(&grants.len()) { Ok(Self(grants.into())) } else { Err(BadGrant::Count) }
    }

    /// The grants, in the order that they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, grant) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            grant.fmt(f)?;
        }
        Ok(())
    }
}

impl FromStr for Grants {
    type Err = BadGrant;

    fn from_str(text: &str) -> Result<Self, BadGrant> {
        Self::new(text.split('\n').map(str::parse).collect::<Result<_, _>>()?)
    }
}

impl From<Grants> for Vec<String> {
    fn from(grants: Grants) -> Self {
        grants.iter().map(Grant::to_string).collect()
    }
}

impl TryFrom<Vec<String>> for Grants {
    type Error = BadGrant;

    fn try_from(texts: Vec<String>) -> Result<Self, BadGrant> {
        Self::new(texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
    }
}

/// What is wrong with a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadGrant {
    /// There is no such action.
    #[error("a grant's action is one of read, manage, resolve, audit and admin")]
    Action,
    /// The pattern is none.
    #[error(
        "a grant names vaults and secrets by a-z A-Z 0-9 _ / . - and * for any run of characters, up to 255 in all"
    )]
    Pattern,
    /// An action that takes a target has none.
    #[error("a grant to {0} names a vault")]
    NoTarget(Action),
    /// An action that takes no target has one.
    #[error("a grant to {0} takes no vault and no secret")]
    NeedlessTarget(Action),
    /// There are none, or too many.
    #[error("a key has 1 to 100 grants; leave them out for one that may do what its owner may")]
    Count,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_grant_is_read_and_written_the_same() {
        for text in ["resolve prod:tls-*", "manage *:*", "read a/b.c_d-e:*x*", "audit", "admin"] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn grants_are_read_and_written_the_same() {
        let text = "resolve prod:tls-*\nread *:*\naudit";
        assert_eq!(text.parse::<Grants>().unwrap().to_string(), text);
        assert!("".parse::<Grants>().is_err());
    }

    #[test]
    fn what_is_no_grant_is_refused() {
        let bad = [
            ("", BadGrant::Action),
            ("resolv prod:*", BadGrant::Action),
            ("Resolve prod:*", BadGrant::Action),
            ("resolve", BadGrant::NoTarget(Action::Resolve)),
            ("audit prod:*", BadGrant::NeedlessTarget(Action::Audit)),
            ("resolve prod", BadGrant::Pattern),
            ("resolve prod:", BadGrant::Pattern),
            ("resolve :x", BadGrant::Pattern),
            ("resolve prod:a:b", BadGrant::Pattern),
            ("resolve prod:a b", BadGrant::Pattern),
            ("resolve  prod:a", BadGrant::Pattern),
            ("resolve prod:a?", BadGrant::Pattern),
            ("resolve prod:[a]", BadGrant::Pattern),
        ];
        for (text, why) in bad {
            assert_eq!(text.parse::<Grant>(), Err(why), "{text}");
        }
        assert_eq!(Grants::new(Vec::new()), Err(BadGrant::Count));
        assert_eq!(Grants::new(vec!["audit".parse().unwrap(); GRANTS_MAX + 1]), Err(BadGrant::Count));
    }

    #[test]
    fn a_star_stands_for_any_run() {
        let matches = |pattern: &str, name: &str| Pattern::parse(pattern).unwrap().matches(name);
        for (pattern, name) in [
            ("*", "a"),
            ("a*", "a"),
            ("*a", "ba"),
            ("a*c", "abbc"),
            ("*a*", "bab"),
            ("**", "x"),
            ("a*b*c", "axbxbxc"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("a", "A"), ("a", "aa"), ("a*b", "ba"), ("*ab", "abx"), ("a.c", "abc"), ("prod", "prod/x")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        let (pattern, name) = ("a*".repeat(100), "a".repeat(200));
        assert!(!matches(&format!("{pattern}b"), &name), "and it does not take for ever");
    }

    proptest! {
        /// The same as the simplest recursive matcher.
        #[test]
        fn patterns_match_as_defined(pattern in "[ab*]{1,8}", name in "[ab]{1,8}") {
            fn simple(pattern: &[u8], name: &[u8]) -> bool {
                match pattern.split_first() {
                    None => name.is_empty(),
                    Some((b'*', rest)) => (0..=name.len()).any(|taken| simple(rest, &name[taken..])),
                    Some((byte, rest)) => name.first() == Some(byte) && simple(rest, &name[1..]),
                }
            }
            let expected = simple(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(Pattern::parse(&pattern).unwrap().matches(&name), expected);
        }
    }
}
