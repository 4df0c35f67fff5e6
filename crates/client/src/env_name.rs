//! Environment variables out of secrets: what each is called, and which are refused.
//!
//! A name is made fit as people would do it by hand (`db-password` → `DB_PASSWORD`), and nothing is guessed: two secrets
//! of one name, or a name that makes the system itself behave in another way, are refused before anything is started.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::reference::Reference;

/// Bytes of `NAME=value` with the zero byte at its end that Linux takes in one string: `MAX_ARG_STRLEN` of execve(2),
/// 32 pages of 4 KiB.
pub const LONGEST: usize = 128 << 10;

/// Variables that change what a program loads, runs or finds.
const RESERVED: &[&str] = &[
    "ALL_PROXY",
    "BASHOPTS",
    "BASH_ENV",
    "BROWSER",
    "CDPATH",
    "CLASSPATH",
    "DOTNET_STARTUP_HOOKS",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "GLOBIGNORE",
    "HOME",
    "HOSTALIASES",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LANG",
    "LESSCLOSE",
    "LESSOPEN",
    "LOCPATH",
    "LOGNAME",
    "MANPAGER",
    "NLSPATH",
    "NODE_EXTRA_CA_CERTS",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NO_PROXY",
    "OLDPWD",
    "OPENSSL_CONF",
    "PAGER",
    "PATH",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "PROMPT_COMMAND",
    "PS1",
    "PS2",
    "PS4",
    "PWD",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RES_OPTIONS",
    "RUBYLIB",
    "RUBYOPT",
    "RUSTC_WRAPPER",
    "SHELL",
    "SHELLOPTS",
    "SHLVL",
    "SSH_ASKPASS",
    "SUDO_ASKPASS",
    "TERM",
    "TMPDIR",
    "TZ",
    "UID",
    "USER",
    "VISUAL",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];

/// The same, as families: the dynamic linkers', the allocator's, git's, bash's functions. No list
/// is complete: who may write secrets of a vault that a program gets whole chooses names of its variables.
const RESERVED_FAMILIES: &[&str] =
    &["LD_", "DYLD_", "MALLOC_", "GIT_", "BASH_FUNC_", "LC_", "LUA_INIT", "SSL_CERT_"];

/// Why a set of variables cannot be made. No text holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two secrets make one variable.
    #[error("{one} and {other} would both be the variable {variable}")]
    Clash {
        /// The variable.
        variable: String,
        /// The secret that came first.
        one: Box<Reference>,
        /// The one after it.
        other: Box<Reference>,
    },
    /// The variable changes how programs run, and nobody asked for it by name.
    #[error("{secret} would be the variable {variable}, which changes how programs run")]
    Reserved {
        /// The variable.
        variable: String,
        /// The secret.
        secret: Reference,
    },
    /// What was given as a name is none.
    #[error("'{0}' is no variable's name: write letters, digits and _, and no digit first")]
    BadName(String),
    /// A zero byte ends a text in the environment.
    #[error("the value of {0} holds a zero byte, which no environment variable can")]
    ZeroByte(Reference),
    /// The system takes no text of that length.
    #[error(
        "{secret} is too long for the variable {variable}: the system takes {LONGEST} bytes with the name"
    )]
    TooLong {
        /// The variable.
        variable: String,
        /// The secret.
        secret: Reference,
    },
}

/// The variable of a secret's name: the prefix as it is, then the name in upper case with `_` for everything but ASCII
/// letters, digits and `_`. A digit gets no first place: `_` goes before it.
#[must_use]
pub fn variable(prefix: &str, name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let variable: String = prefix.chars().chain(name.chars().map(fit)).collect();
    if variable.starts_with(|c: char| c.is_ascii_digit()) { format!("_{variable}") } else { variable }
}

/// Checks a variable's name that a person chose: letters, digits and `_`, no digit first (POSIX, Base Definitions 8.1,
/// in either case).
///
/// # Errors
/// [`Error::BadName`].
pub fn check_name(name: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let good = !name.is_empty() && name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit());
    if good { Ok(()) } else { Err(Error::BadName(name.to_owned())) }
}

/// Checks a prefix: it starts a name.
///
/// # Errors
/// [`Error::BadName`].
pub fn check_prefix(prefix: &str) -> Result<(), Error> {
    if prefix.is_empty() { Ok(()) } else { check_name(prefix) }
}

/// Whether a value can be in the environment under that name.
///
/// # Errors
/// [`Error::ZeroByte`] and [`Error::TooLong`].
pub fn check_value(variable: &str, secret: &Reference, value: &str) -> Result<(), Error> {
    if value.contains('\0') {
        return Err(Error::ZeroByte(secret.clone()));
    }
    // `=` between the two, and a zero byte at the end.
    if variable.len() + value.len() + 2 > LONGEST {
        return Err(Error::TooLong { variable: variable.to_owned(), secret: secret.clone() });
    }
    Ok(())
}

/// Which secret each variable holds.
#[derive(Debug, Default)]
pub struct Variables(BTreeMap<String, Reference>);

impl Variables {
    /// Takes a variable whose name follows from its secret's. Says whether it is new: one secret may be named twice.
    ///
    /// # Errors
    /// [`Error::Clash`], and [`Error::Reserved`] for a name that nobody should set without meaning to.
    pub fn derived(&mut self, variable: &str, secret: &Reference) -> Result<bool, Error> {
        if is_reserved(variable) {
            return Err(Error::Reserved { variable: variable.to_owned(), secret: secret.clone() });
        }
        self.insert(variable, secret)
    }

    /// Takes a variable whose name a person chose, a reserved one included. Says whether it is new.
    ///
    /// # Errors
    /// [`Error::Clash`] and [`Error::BadName`].
    pub fn chosen(&mut self, variable: &str, secret: &Reference) -> Result<bool, Error> {
        check_name(variable)?;
        self.insert(variable, secret)
    }

    fn insert(&mut self, variable: &str, secret: &Reference) -> Result<bool, Error> {
        match self.0.entry(variable.to_owned()) {
            Entry::Vacant(free) => {
                free.insert(secret.clone());
                Ok(true)
            }
            Entry::Occupied(taken) if taken.get() == secret => Ok(false),
            Entry::Occupied(taken) => Err(Error::Clash {
                variable: variable.to_owned(),
                one: Box::new(taken.get().clone()),
                other: Box::new(secret.clone()),
            }),
        }
    }
}

fn is_reserved(variable: &str) -> bool {
    RESERVED.contains(&variable) || RESERVED_FAMILIES.iter().any(|family| variable.starts_with(family))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert, proptest};

    fn secret(name: &str) -> Reference {
        Reference::current("prod", name)
    }

    #[test]
    fn names_are_made_fit() {
        for (prefix, name, expected) in [
            ("", "db-password", "DB_PASSWORD"),
            ("", "tls/api.key", "TLS_API_KEY"),
            ("", "2fa", "_2FA"),
            ("X_", "2fa", "X_2FA"),
            ("app_", "Token", "app_TOKEN"),
            ("", "A_b", "A_B"),
            ("", "-", "_"),
        ] {
            assert_eq!(variable(prefix, name), expected);
        }
    }

    #[test]
    fn two_secrets_of_one_variable_are_refused_and_both_are_named() {
        let mut variables = Variables::default();
        assert_eq!(variables.derived("DB_PASSWORD", &secret("db-password")), Ok(true));
        assert_eq!(variables.derived("DB_PASSWORD", &secret("db-password")), Ok(false));
        for refused in [
            variables.derived("DB_PASSWORD", &secret("db_password")),
            variables.chosen("DB_PASSWORD", &secret("db_password")),
        ] {
            let text = refused.unwrap_err().to_string();
            for part in ["prod:db-password", "prod:db_password", "DB_PASSWORD"] {
                assert!(text.contains(part), "{text}");
            }
        }
        // Two versions of a secret are two values.
        let old = Reference { version: Some(1), ..secret("db-password") };
        assert!(variables.derived("DB_PASSWORD", &old).is_err());
    }

    #[test]
    fn what_changes_how_programs_run_is_set_only_when_it_was_asked_for() {
        for name in
            ["path", "ld-preload", "LD_LIBRARY_PATH", "ifs", "bash.env", "env", "git-config-count", "lc/all"]
        {
            let variable = variable("", name);
            let refused = Variables::default().derived(&variable, &secret(name)).unwrap_err();
            assert!(matches!(&refused, Error::Reserved { .. }), "{refused}");
            assert_eq!(Variables::default().chosen(&variable, &secret(name)), Ok(true));
        }
        for name in ["path-to-key", "environment", "user-name", "ngrok-api-key"] {
            assert_eq!(Variables::default().derived(&variable("", name), &secret(name)), Ok(true));
        }
        assert_eq!(Variables::default().derived(&variable("X_", "path"), &secret("path")), Ok(true));
    }

    #[test]
    fn a_chosen_name_is_a_name() {
        for good in ["A", "_", "a_1", "PATH"] {
            assert_eq!(check_name(good), Ok(()));
        }
        for bad in ["", "1A", "A-B", "A=B", "A B", "Ä", "A\0"] {
            assert_eq!(check_name(bad), Err(Error::BadName(bad.to_owned())));
        }
        assert_eq!(check_prefix(""), Ok(()));
        assert!(check_prefix("1_").is_err());
    }

    #[test]
    fn a_value_that_no_environment_can_hold_is_refused_without_being_told() {
        let zero = check_value("A", &secret("a"), "canary\0x").unwrap_err().to_string();
        assert!(zero.contains("prod:a") && !zero.contains("canary"), "{zero}");
        let longest = "c".repeat(LONGEST - 3);
        assert_eq!(check_value("A", &secret("a"), &longest), Ok(()));
        let long = check_value("AB", &secret("a"), &longest).unwrap_err().to_string();
        assert!(long.contains("prod:a") && !long.contains("ccc"), "{long}");
    }

    proptest! {
        #[test]
        fn every_name_of_a_secret_makes_a_name_of_a_variable(name in "[A-Za-z0-9_/.-]{1,255}", prefix in "([A-Za-z_][A-Za-z0-9_]{0,9})?") {
            let variable = variable(&prefix, &name);
            prop_assert!(check_name(&variable).is_ok(), "{}", variable);
            prop_assert!(variable.trim_start_matches('_').len() <= prefix.len() + name.len());
        }
    }
}
