//! How people name a secret: `vault:name`, and `vault:name@3` for a version of it.

use std::fmt;
use std::str::FromStr;

/// A secret, as people name it. A name may hold `/` and never `:` or `@`, so there is one way to read it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The vault's name.
    pub vault: String,
    /// The secret's name.
    pub name: String,
    /// Which version, from 1; the current one if none is named.
    pub version: Option<u32>,
}

/// A text that names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' names no secret: write vault:name, or vault:name@3 for a version")]
pub struct BadReference(String);

impl Reference {
    /// The current version of a secret.
    #[must_use]
    pub fn current(vault: impl Into<String>, name: impl Into<String>) -> Self {
        Self { vault: vault.into(), name: name.into(), version: None }
    }
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let bad = || BadReference(text.to_owned());
        let (vault, rest) = text.split_once(':').ok_or_else(bad)?;
        let (name, version) = match rest.split_once('@') {
            Some((name, version)) => (name, Some(version.parse::<u32>().map_err(|_| bad())?)),
            None => (rest, None),
        };
        let is_name = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_/.-".contains(&byte))
        };
        if !is_name(vault) || !is_name(name) || version == Some(0) {
            return Err(bad());
        }
        Ok(Self { vault: vault.to_owned(), name: name.to_owned(), version })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.vault, self.name)?;
        self.version.map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}

impl From<&Reference> for strongroom_wire::Reference {
    fn from(reference: &Reference) -> Self {
        Self {
            id: None,
            vault: Some(reference.vault.clone()),
            name: Some(reference.name.clone()),
            version: reference.version,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_and_written_the_same() {
        for text in ["prod:db-password", "prod:tls/api.key", "a/b:c@3", "p:n@4294967295"] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_names_no_secret_is_refused() {
        for text in
            ["", "prod", ":", "prod:", ":x", "a:b:c", "a:b@", "a:b@0", "a:b@-1", "a:b@x", "a b:c", "a:b@1@2"]
        {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
