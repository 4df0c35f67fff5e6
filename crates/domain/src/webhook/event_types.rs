//! What a webhook is told of.

/// Every type that there is: those of the changes of vaults and secrets.
const KINDS: [&str; 12] = [
    "secret_created.v0",
    "secret_updated.v0",
    "secret_deleted.v0",
    "secret_undeleted.v0",
    "secret_purged.v0",
    "secret_expiring.v0",
    "secret_expired.v0",
    "vault_created.v0",
    "vault_updated.v0",
    "vault_deleted.v0",
    "vault_undeleted.v0",
    "vault_purged.v0",
];
/// Stands for every type.
const EVERY: &str = "*";

/// A type that there is not, or none at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no event type")]
pub struct UnknownEventType(pub String);

/// Types of events, as they were given; `*` among them is every type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTypes(Vec<String>);

impl EventTypes {
    /// Checks a list of types.
    ///
    /// # Errors
    /// [`UnknownEventType`]: the first that there is not; an empty one for an empty list.
    pub fn new(types: Vec<String>) -> Result<Self, UnknownEventType> {
        let unknown = |kind: &&String| *kind != EVERY && !KINDS.contains(&kind.as_str());
        match types.iter().find(unknown) {
            Some(kind) => Err(UnknownEventType(kind.clone())),
            None if types.is_empty() => Err(UnknownEventType(String::new())),
            None => Ok(Self(types)),
        }
    }

    /// Whether a type is among them.
    #[must_use]
    pub fn include(&self, kind: &str) -> bool {
        self.0.iter().any(|known| known == EVERY || known == kind)
    }

    /// The types, as they were given.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// The stored form: a space between two of them.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.0.join(" ")
    }

    /// Reads the stored form, also of types that there are not any more.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.split(' ').map(str::to_owned).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_ones() {
        let new = |types: &[&str]| EventTypes::new(types.iter().map(|&kind| kind.to_owned()).collect());
        let two = new(&["secret_updated.v0", "vault_deleted.v0"]).unwrap();
        assert!(two.include("secret_updated.v0") && !two.include("secret_created.v0"));
        assert_eq!(EventTypes::from_text(&two.to_text()), two);
        assert!(new(&["*"]).unwrap().include("secret_created.v0"));
        for bad in [&[][..], &["secret_updated"], &["*", "x"], &["secret_*"], &["secret_updated.v0 *"]] {
            assert!(new(bad).is_err(), "{bad:?}");
        }
    }
}
