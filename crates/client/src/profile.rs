//! Profiles: servers by name, each with the key that opens it, in a file that its owner alone may read.
//!
//! ```toml
//! default = "prod"
//!
//! [profiles.prod]
//! url = "https://secrets.example.com:7070"
//! api_key = "…"
//! ca_cert = "/etc/strongroom/ca.pem"
//! client_cert = "/etc/strongroom/web.pem"
//! client_key = "/etc/strongroom/web.key"
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::api::{self, Identity, Token};

/// A server and the key that opens it. It has no `Debug`, as it holds a token.
pub struct Profile {
    /// The server's URL.
    pub url: String,
    /// The key's token.
    pub api_key: Token,
    /// A PEM file with the authorities to trust in place of the system's own.
    pub ca_cert: Option<PathBuf>,
    /// The certificate to show the server.
    pub identity: Option<Identity>,
}

/// Every profile of a file, and which of them is meant when none is named.
#[derive(Default)]
pub struct Profiles {
    default: Option<String>,
    profiles: BTreeMap<String, Profile>,
}

/// Why profiles cannot be used. No text of it holds a token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Others than the owner may read the file.
    #[error("{} can be read by other users", path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else than profiles. What it holds is not told, as it may be a key.
    #[error("{}, line {line}: no profile is written like this", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A profile has a key that is none.
    #[error("the profile '{name}' cannot be used")]
    BadKey {
        /// The profile.
        name: String,
        /// Why.
        source: Box<api::Error>,
    },
    /// A profile has a client certificate without its key, or a key without a certificate.
    #[error("the profile '{name}' has one of client_cert and client_key, and needs both")]
    HalfIdentity {
        /// The profile.
        name: String,
    },
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, WrittenProfile>,
}

/// A profile as the file has it. Its key is zeroed when it is dropped.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenProfile {
    url: String,
    api_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_cert: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_cert: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_key: Option<PathBuf>,
}

impl Drop for WrittenProfile {
    fn drop(&mut self) {
        self.api_key.zeroize();
    }
}

impl Profiles {
    /// Reads a file of profiles; where there is no file, there are no profiles.
    ///
    /// # Errors
    /// [`Error`], each with what is wrong.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(unreadable(error)),
        };
        if file.metadata().map_err(unreadable)?.permissions().mode() & 0o077 != 0 {
            return Err(Error::OpenToOthers { path: path.to_owned() });
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let mut written: Written = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
            Error::Malformed { path: path.to_owned(), line }
        })?;
        let mut profiles = BTreeMap::new();
        for (name, profile) in &mut written.profiles {
            let api_key = Token::parse(&profile.api_key)
                .map_err(|source| Error::BadKey { name: name.clone(), source: source.into() })?;
            let (url, ca_cert) = (std::mem::take(&mut profile.url), profile.ca_cert.take());
            let identity = match (profile.client_cert.take(), profile.client_key.take()) {
                (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
                (None, None) => None,
                _ => return Err(Error::HalfIdentity { name: name.clone() }),
            };
            profiles.insert(name.clone(), Profile { url, api_key, ca_cert, identity });
        }
        Ok(Self { default: written.default, profiles })
    }

    /// The file's text. It holds the keys.
    ///
    /// # Errors
    /// If a path in it is not UTF-8.
    pub fn view(&self) -> Result<Zeroizing<String>, toml::ser::Error> {
        let written = |profile: &Profile| WrittenProfile {
            url: profile.url.clone(),
            // The file is where a profile keeps its key.
            api_key: profile.api_key.expose_secret().to_owned(),
            ca_cert: profile.ca_cert.clone(),
            client_cert: profile.identity.as_ref().map(|identity| identity.certificate.clone()),
            client_key: profile.identity.as_ref().map(|identity| identity.key.clone()),
        };
        let profiles = self.profiles.iter().map(|(name, profile)| (name.clone(), written(profile)));
        let written = Written { default: self.default.clone(), profiles: profiles.collect() };
        toml::to_string(&written).map(Zeroizing::new)
    }

    /// The profile of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// The name of the profile that is meant when none is named.
    #[must_use]
    pub fn default_name(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// Makes the profile of that name the one that is meant when none is named.
    pub fn set_default(&mut self, name: &str) {
        self.default = Some(name.to_owned());
    }

    /// Every name, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(String::as_str)
    }

    /// Adds a profile or replaces the one of that name. The first becomes the default.
    pub fn insert(&mut self, name: &str, profile: Profile) {
        self.default.get_or_insert_with(|| name.to_owned());
        self.profiles.insert(name.to_owned(), profile);
    }

    /// Takes the profile of that name out. If it was the default, the only one left becomes it.
    pub fn remove(&mut self, name: &str) -> Option<Profile> {
        let removed = self.profiles.remove(name);
        if self.default.as_deref() == Some(name) {
            let mut left = self.profiles.keys();
            self.default = left.next().filter(|_| left.next().is_none()).cloned();
        }
        removed
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Profiles, Error> {
        Profiles::parse(text, Path::new("config.toml"))
    }

    fn profile(url: &str, key: &str) -> Profile {
        Profile { url: url.to_owned(), api_key: Token::parse(key).unwrap(), ca_cert: None, identity: None }
    }

    #[test]
    fn profiles_are_read_as_they_were_written() {
        let mut profiles = Profiles::default();
        let identity = Identity { certificate: "/cert.pem".into(), key: "/key.pem".into() };
        profiles.insert("prod", profile("https://a", "key-a"));
        profiles.insert(
            "odd name.1",
            Profile {
                ca_cert: Some("/ca.pem".into()),
                identity: Some(identity.clone()),
                ..profile("https://b", "key-b")
            },
        );
        let mut read = parse(&profiles.view().unwrap()).unwrap();
        assert_eq!(read.default_name(), Some("prod"));
        assert_eq!(read.names().collect::<Vec<_>>(), ["odd name.1", "prod"]);
        let odd = read.remove("odd name.1").unwrap();
        assert_eq!((odd.url.as_str(), odd.api_key.expose_secret()), ("https://b", "key-b"));
        assert_eq!(odd.ca_cert.as_deref(), Some(Path::new("/ca.pem")));
        assert_eq!(odd.identity, Some(identity));
        let half =
            parse("[profiles.a]\nurl = \"x\"\napi_key = \"y\"\nclient_cert = \"/cert.pem\"\n").err().unwrap();
        assert!(matches!(half, Error::HalfIdentity { .. }), "{half}");
    }

    #[test]
    fn the_default_goes_with_its_profile() {
        let mut profiles = Profiles::default();
        for name in ["a", "b", "c"] {
            profiles.insert(name, profile("https://a", "k"));
        }
        assert!(profiles.remove("a").is_some());
        assert_eq!(profiles.default_name(), None, "two are left, and neither was chosen");
        assert!(profiles.remove("a").is_none());
        profiles.insert("b", profile("https://a", "k"));
        assert!(profiles.remove("b").is_some());
        assert_eq!(profiles.default_name(), Some("c"));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_by_its_line_and_never_with_a_key() {
        for (text, line) in [
            ("[profiles.prod]\nurl = 1\napi_key = \"hunter2\"", 2),
            ("[profiles.prod]\nurl = \"x\"\napi_key = hunter2\n", 3),
            ("[profiles.prod]\nurl = \"x\"\napi_key = \"y\"\nhunter2 = 1\n", 4),
        ] {
            let error = parse(text).err().unwrap();
            assert!(matches!(error, Error::Malformed { line: told, .. } if told == line), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let error = parse("[profiles.prod]\nurl = \"x\"\napi_key = \"hunter 2\"\n").err().unwrap();
        assert!(matches!(error, Error::BadKey { .. }));
        assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
    }
}
