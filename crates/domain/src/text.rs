//! The texts people give, once they are known to keep the rules.
//!
//! Each is kept exactly as it was given: Terraform fails an apply whose answer differs from its plan.

use crate::error::{Noun, Rule};
use crate::limits::Limits;

/// A vault's or secret's name: one or more of `a-z A-Z 0-9 _ / . -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Name {
    /// Checks a name. ngrok's message leaves the hyphen out, its recorded answers have it.
    ///
    /// # Errors
    /// The rule that it breaks: empty, too long, or a character that is not allowed.
    pub fn parse(noun: Noun, text: String, limits: &Limits) -> Result<Self, Rule> {
        check_length(noun, &text, limits.name)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_/.-".contains(&byte);
        if text.bytes().all(allowed) {
            Ok(Self(text))
        } else {
            Err(Rule::NameCharacters { noun, name: text })
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A service user's name: anything but nothing and NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// Checks a name.
    ///
    /// # Errors
    /// The rule that it breaks: empty, too long, or a NUL.
    pub fn parse(text: String, limits: &Limits) -> Result<Self, Rule> {
        check_length(Noun::ServiceUser, &text, limits.name)?;
        refuse_nul("name", text).map(Self)
    }

    /// The text, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A description, possibly empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description(String);

impl Description {
    /// Checks a description.
    ///
    /// # Errors
    /// The rule that it breaks: too long, or a NUL, which PostgreSQL cannot keep.
    pub fn parse(noun: Noun, text: String, limits: &Limits) -> Result<Self, Rule> {
        if text.len() > limits.description {
            return Err(Rule::DescriptionTooLong { noun, max: limits.description, length: text.len() });
        }
        refuse_nul("description", text).map(Self)
    }

    /// The text, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Metadata: text that means something to its writer alone, possibly empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata(String);

impl Metadata {
    /// Checks metadata.
    ///
    /// # Errors
    /// The rule that it breaks: too long, or a NUL, which PostgreSQL cannot keep.
    pub fn parse(noun: Noun, text: String, limits: &Limits) -> Result<Self, Rule> {
        if text.len() > limits.metadata {
            return Err(Rule::MetadataTooLong { noun, max: limits.metadata, length: text.len() });
        }
        refuse_nul("metadata", text).map(Self)
    }

    /// The text, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

fn check_length(noun: Noun, text: &str, max: usize) -> Result<(), Rule> {
    if text.is_empty() {
        return Err(Rule::NameEmpty(noun));
    }
    if text.len() > max {
        return Err(Rule::NameTooLong { noun, max, length: text.len() });
    }
    Ok(())
}

fn refuse_nul(parameter: &'static str, text: String) -> Result<String, Rule> {
    if text.contains('\0') { Err(Rule::Parameter(parameter)) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_the_rules() {
        let parse = |text: &str| Name::parse(Noun::Secret, text.to_owned(), &Limits::default());
        for good in ["a", "db-password", "a/b.c_d", &"x".repeat(255)] {
            assert_eq!(parse(good).map(Name::into_string).as_deref(), Ok(good));
        }
        assert_eq!(parse(""), Err(Rule::NameEmpty(Noun::Secret)));
        assert_eq!(
            parse(&"x".repeat(256)),
            Err(Rule::NameTooLong { noun: Noun::Secret, max: 255, length: 256 })
        );
        for bad in ["a b", "a:b", "ä", "a\0", "a\n", "*"] {
            assert_eq!(parse(bad), Err(Rule::NameCharacters { noun: Noun::Secret, name: bad.to_owned() }));
        }
    }
}
