//! How long values are kept that another one has replaced.

/// How many values of a secret are kept, and how long. The current one always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// How many, the current one included.
    pub versions: u32,
    /// For how many seconds after it was replaced; `None` is without end.
    pub versions_for: Option<u32>,
}

impl Keep {
    /// The most that can be kept: all of them are sealed anew at once when their secret moves.
    pub const VERSIONS_MAX: u32 = 100;

    /// Whether a version is among those that are kept, by its number, beside that which is current.
    #[must_use]
    pub fn includes(&self, number: u32, current: u32) -> bool {
        u64::from(number) + u64::from(self.versions) > u64::from(current)
    }
}

impl Default for Keep {
    fn default() -> Self {
        Self { versions: 10, versions_for: None }
    }
}

/// What a vault has in place of the server's setting; `None` is the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VaultKeep {
    /// In place of [`Keep::versions`].
    pub versions: Option<u32>,
    /// In place of [`Keep::versions_for`].
    pub versions_for: Option<u32>,
}

impl VaultKeep {
    /// What is in force in the vault, given the server's setting.
    #[must_use]
    pub fn over(&self, server: &Keep) -> Keep {
        Keep {
            versions: self.versions.unwrap_or(server.versions),
            versions_for: self.versions_for.or(server.versions_for),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_and_the_current_one_always() {
        let kept = |versions| Keep { versions, versions_for: None };
        for (versions, number, current, expected) in [
            (10, 1, 10, true),
            (10, 1, 11, false),
            (10, 2, 11, true),
            (1, 7, 7, true),
            (1, 6, 7, false),
            (100, u32::MAX, u32::MAX, true),
        ] {
            assert_eq!(kept(versions).includes(number, current), expected, "{versions} {number} {current}");
        }
    }

    #[test]
    fn a_vault_sets_either_for_itself() {
        let server = Keep { versions: 10, versions_for: Some(60) };
        let none = VaultKeep::default();
        assert_eq!(none.over(&server), server);
        assert_eq!(VaultKeep { versions: Some(3), ..none }.over(&server), Keep { versions: 3, ..server });
        let longer = VaultKeep { versions_for: Some(90), ..none };
        assert_eq!(longer.over(&server), Keep { versions_for: Some(90), ..server });
    }
}
