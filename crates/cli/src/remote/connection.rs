//! Which server and which key: flags, then variables, then the profile, then the default.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use strongroom_client::api::{Connection, Identity, Token};
use strongroom_client::profile::{self, Profile, Profiles};
use zeroize::Zeroizing;

use super::{Remote, input};
use crate::failure::{Failure, Kind};

/// Where a server listens that was started without settings.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:7070";

impl Remote {
    pub(super) fn choose(&self) -> Result<Connection, Failure> {
        let (key, url) = (self.given_key()?, self.given_url());
        let profile = if key.is_some() && url.is_some() { None } else { self.profile()? };
        let (ca, identity) = (self.ca_setting(), self.identity_setting()?);
        let files = |profile: Profile| (profile.url, (profile.ca_cert, profile.identity));
        let (token, own) = match (key, profile) {
            (Some(token), profile) => (token, profile.map(|(_, profile)| files(profile))),
            // A key is for its own server: to send it to another would give it away.
            (None, Some((name, profile))) if url.is_some_and(|url| !is_same(url, &profile.url)) => {
                return Err(key_of_another(&name, &profile.url));
            }
            (None, Some((_, profile))) => {
                let Profile { url, api_key, ca_cert, identity } = profile;
                (api_key, Some((url, (ca_cert, identity))))
            }
            (None, None) => return Err(no_key()),
        };
        let (own_url, own_files) = own.unzip();
        let (own_ca, own_identity) = own_files
            .filter(|_| url.is_none_or(|url| own_url.as_deref().is_some_and(|own| is_same(url, own))))
            .unwrap_or_default();
        let url = url.map(str::to_owned).or(own_url).unwrap_or_else(|| DEFAULT_URL.to_owned());
        Ok(Connection { url, token, ca: ca.or(own_ca), identity: identity.or(own_identity) })
    }

    /// The URL of a flag or variable. A profile that is named in the command line goes before variables.
    pub(super) fn given_url(&self) -> Option<&str> {
        self.url_setting().filter(|_| self.typed.url || !self.typed.profile)
    }

    /// The key of a flag or variable, in the same order.
    fn given_key(&self) -> Result<Option<Token>, Failure> {
        if let Some(token) = self.typed_key()? {
            return Ok(Some(token));
        }
        self.refuse_empty_key()?;
        let variables = set(&self.flags.api_key).or_else(|| set(&self.flags.ngrok_api_key));
        variables.filter(|_| !self.typed.profile).map(parse_key).transpose()
    }

    /// Refuses a key that is there and empty, as of a command in `$(…)` that failed: another key must not take its place.
    fn refuse_empty_key(&self) -> Result<(), Failure> {
        let empty = self.flags.api_key.as_deref() == Some("") && !self.typed.profile;
        if !empty {
            return Ok(());
        }
        let (what, kind) = match self.typed.api_key {
            true => ("--api-key is empty", Kind::Usage),
            false => ("STRONGROOM_API_KEY is set, and empty", Kind::Denied),
        };
        Err(Failure::new(what).todo("give a key, or leave it out to use the profile's").kind(kind))
    }

    /// The key of a flag.
    pub(super) fn typed_key(&self) -> Result<Option<Token>, Failure> {
        if self.typed.api_key {
            self.refuse_empty_key()?;
        }
        match (set(&self.flags.api_key).filter(|_| self.typed.api_key), &self.flags.api_key_file) {
            (Some(_), Some(_)) => {
                let what = "--api-key and --api-key-file are given, and only one may be";
                Err(Failure::new(what).kind(Kind::Usage))
            }
            (Some(key), None) => parse_key(key).map(Some),
            (None, Some(file)) => read_key(file).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The URL of a flag or variable, whatever profile is named.
    pub(super) fn url_setting(&self) -> Option<&str> {
        set(&self.flags.url)
    }

    /// The file of authorities that a flag or variable names, in the same order as the URL.
    pub(super) fn ca_setting(&self) -> Option<PathBuf> {
        let counts = self.typed.ca_cert || !self.typed.profile;
        self.flags.ca_cert.as_ref().filter(|ca| counts && !ca.is_empty()).map(PathBuf::from)
    }

    /// The certificate that flags or variables name, and its key, in the same order.
    pub(super) fn identity_setting(&self) -> Result<Option<Identity>, Failure> {
        if self.typed.profile && !self.typed.identity {
            return Ok(None);
        }
        let named =
            |file: &Option<OsString>| file.as_ref().filter(|file| !file.is_empty()).map(PathBuf::from);
        match (named(&self.flags.client_cert), named(&self.flags.client_key)) {
            (Some(certificate), Some(key)) => Ok(Some(Identity { certificate, key })),
            (None, None) => Ok(None),
            _ => Err(Failure::new("a client certificate needs both --client-cert and --client-key")
                .todo("give both, or neither to use the profile's")
                .kind(Kind::Usage)),
        }
    }

    /// The profile that is meant, and its name. A profile that was asked for has to be there.
    fn profile(&self) -> Result<Option<(String, Profile)>, Failure> {
        let path = self.config_file()?;
        let mut profiles = read_profiles(&path)?;
        let asked = set(&self.flags.profile);
        let Some(name) = asked.or_else(|| profiles.default_name()).map(str::to_owned) else {
            return Ok(None);
        };
        match profiles.remove(&name) {
            Some(profile) => Ok(Some((name, profile))),
            None => Err(Failure::new(format!("there is no profile '{name}' in {}", path.display()))
                .kind(Kind::Missing)
                .todo(format!("strongroom login --profile {name}"))),
        }
    }

    /// The variable whose key goes before that of a profile, if there is one.
    pub(super) fn key_variable(&self) -> Option<&'static str> {
        match (set(&self.flags.api_key), set(&self.flags.ngrok_api_key)) {
            (Some(_), _) if !self.typed.api_key => Some("STRONGROOM_API_KEY"),
            (None, Some(_)) => Some("NGROK_API_KEY"),
            _ => None,
        }
    }

    /// The name that `--profile` or its variable gives.
    pub(super) fn profile_name(&self) -> Option<&str> {
        set(&self.flags.profile)
    }

    /// The file with the profiles, whether or not there is one.
    pub(super) fn config_file(&self) -> Result<PathBuf, Failure> {
        match self.config.as_ref().filter(|config| !config.is_empty()) {
            Some(config) => Ok(config.into()),
            None => config_folder().map(|folder| folder.join("strongroom/config.toml")).ok_or_else(|| {
                Failure::new("it is not known where the profiles are, as HOME is not set")
                    .todo("name the file with --config or STRONGROOM_CLIENT_CONFIG")
            }),
        }
    }
}

/// The folder that programs keep their settings in (XDG Base Directory Specification).
#[expect(clippy::disallowed_methods, reason = "the folder is not a setting of this program's")]
fn config_folder() -> Option<PathBuf> {
    let set = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    set.or_else(|| std::env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".config")))
}

/// A setting; one that is empty is not set.
fn set(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/').eq_ignore_ascii_case(other.trim_end_matches('/'))
}

pub(super) fn read_profiles(path: &Path) -> Result<Profiles, Failure> {
    Profiles::read(path).map_err(|error| {
        let todo = match &error {
            profile::Error::OpenToOthers { .. } => format!("chmod 600 {}", path.display()),
            profile::Error::Unreadable { .. } => {
                "look at its owner and mode, or name another with --config".to_owned()
            }
            profile::Error::Malformed { .. }
            | profile::Error::BadKey { .. }
            | profile::Error::HalfIdentity { .. } => {
                "mend the file, or remove it and use strongroom login".to_owned()
            }
        };
        Failure::new("the profiles cannot be used").because(error).todo(todo).kind(Kind::Invalid)
    })
}

pub(super) fn read_key(file: &Path) -> Result<Token, Failure> {
    /// A token is far shorter: what is longer is another file.
    const LONGEST: u64 = 4096;
    let failed = |error: io::Error| {
        let what = format!("the API key file {} cannot be read", file.display());
        let kind = if error.kind() == io::ErrorKind::NotFound { Kind::Missing } else { Kind::Invalid };
        Failure::new(what).because(error).kind(kind)
    };
    let source = if file.as_os_str() == "-" { input::stdin() } else { File::open(file) }.map_err(failed)?;
    let mut text = Zeroizing::new(String::with_capacity(LONGEST as usize + 1));
    source.take(LONGEST + 1).read_to_string(&mut text).map_err(failed)?;
    parse_key(&text)
}

pub(super) fn parse_key(text: &str) -> Result<Token, Failure> {
    Token::parse(text).map_err(|error| {
        Failure::from(error).kind(Kind::Denied).todo("give the token as it was shown when the key was made")
    })
}

fn key_of_another(name: &str, url: &str) -> Failure {
    Failure::new(format!("the profile '{name}' has the key of {url}, and --url or STRONGROOM_URL names another server"))
        .kind(Kind::Denied)
        .todo("give the key of that server with STRONGROOM_API_KEY or --api-key-file, or make a profile for it with strongroom login")
}

fn no_key() -> Failure {
    Failure::new("there is no API key").kind(Kind::Denied).todo(
        "store one with strongroom login, or set STRONGROOM_API_KEY (or NGROK_API_KEY), or give --api-key-file FILE; a server's \
         first start writes one to first-api-key in its data folder",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::{Flags, Typed};
    use super::*;

    /// A file with the profiles `a` (the default) and `b`.
    fn config() -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "default = \"a\"\n[profiles.a]\nurl = \"https://a\"\napi_key = \"key-a\"\nca_cert = \"/a.pem\"\n\
                    [profiles.b]\nurl = \"https://b\"\napi_key = \"key-b\"\n";
        std::fs::write(file.path(), text).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        file
    }

    /// What is chosen: URL, token, authorities.
    fn chosen(change: impl FnOnce(&mut Remote)) -> Result<(String, String, Option<PathBuf>), Failure> {
        let file = config();
        let config = Some(file.path().into());
        let mut remote = Remote { flags: Flags::default(), config, typed: Typed::default() };
        change(&mut remote);
        let Connection { url, token, ca, .. } = remote.choose()?;
        Ok((url, token.expose_secret().to_owned(), ca))
    }

    #[track_caller]
    fn assert_chosen(change: impl FnOnce(&mut Remote), url: &str, key: &str) {
        let (chosen_url, chosen_key, _) = chosen(change).unwrap();
        assert_eq!((chosen_url.as_str(), chosen_key.as_str()), (url, key));
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn flags_go_before_variables_and_those_before_the_profile() {
        assert_chosen(|_| {}, "https://a", "key-a");
        assert_chosen(|remote| remote.flags.profile = some("b"), "https://b", "key-b");
        assert_chosen(|remote| remote.flags.ngrok_api_key = some("ngrok"), "https://a", "ngrok");
        let both = |remote: &mut Remote| {
            remote.flags.ngrok_api_key = some("ngrok");
            remote.flags.api_key = some("own");
        };
        assert_chosen(both, "https://a", "own");
        let typed_profile = |remote: &mut Remote| {
            both(remote);
            remote.flags.url = some("https://c");
            remote.flags.profile = some("b");
            remote.typed.profile = true;
        };
        assert_chosen(typed_profile, "https://b", "key-b");
        let typed_key = |remote: &mut Remote| {
            typed_profile(remote);
            remote.typed.api_key = true;
        };
        assert_chosen(typed_key, "https://b", "own");
    }

    /// The files of another server's variables would show it a certificate, or have it believed by its authorities.
    #[test]
    fn a_typed_profile_goes_before_the_files_of_variables() {
        let variables = |remote: &mut Remote| {
            remote.flags.ca_cert = Some("/c.pem".into());
            remote.flags.client_cert = Some("/c-cert.pem".into());
            remote.flags.client_key = Some("/c-key.pem".into());
        };
        assert_eq!(chosen(variables).unwrap().2, Some("/c.pem".into()));
        let typed_profile = |remote: &mut Remote| {
            variables(remote);
            remote.flags.profile = some("a");
            remote.typed.profile = true;
        };
        assert_eq!(chosen(typed_profile).unwrap().2, Some("/a.pem".into()));
        let identity = |typed: Typed| {
            let flags = Flags { profile: some("a"), ..Flags::default() };
            let mut remote = Remote { flags, config: None, typed };
            variables(&mut remote);
            remote.identity_setting().unwrap().map(|identity| identity.certificate)
        };
        assert_eq!(identity(Typed { profile: true, ..Typed::default() }), None);
        let both = Typed { profile: true, identity: true, ..Typed::default() };
        assert_eq!(identity(both), Some("/c-cert.pem".into()));
    }

    #[test]
    fn an_empty_setting_is_not_set() {
        let empty = |remote: &mut Remote| {
            remote.flags.url = some("");
            remote.flags.ngrok_api_key = some("");
            remote.flags.profile = some("");
            remote.flags.ca_cert = Some("".into());
        };
        assert_chosen(empty, "https://a", "key-a");
    }

    /// `STRONGROOM_API_KEY=$(a command that failed) strongroom run …` must not go on with a key that can do more.
    #[test]
    fn an_empty_key_is_not_replaced_by_another() {
        let variable = |remote: &mut Remote| remote.flags.api_key = some("");
        let failure = chosen(variable).unwrap_err();
        assert!(failure.to_string().contains("STRONGROOM_API_KEY is set, and empty"), "{failure}");
        let typed = |remote: &mut Remote| {
            remote.flags.api_key = some("");
            remote.typed.api_key = true;
        };
        let failure = chosen(typed).unwrap_err();
        assert!(failure.to_string().contains("--api-key is empty"), "{failure}");
    }

    #[test]
    fn a_profiles_key_goes_to_its_own_server_alone() {
        let elsewhere = |remote: &mut Remote| remote.flags.url = some("https://evil");
        let failure = chosen(elsewhere).unwrap_err();
        assert!(!failure.to_string().contains("key-a"), "{failure}");
        let same = chosen(|remote| remote.flags.url = some("https://A/")).unwrap();
        assert_eq!((same.1.as_str(), same.2), ("key-a", Some("/a.pem".into())));
    }

    #[test]
    fn a_profiles_authorities_are_for_its_own_server() {
        let elsewhere = |remote: &mut Remote| {
            remote.flags.url = some("https://c");
            remote.flags.api_key = some("own");
        };
        assert_eq!(chosen(elsewhere).unwrap(), ("https://c".to_owned(), "own".to_owned(), None));
    }

    #[test]
    fn without_a_profile_the_server_is_the_one_of_this_machine() {
        let alone = |remote: &mut Remote| {
            remote.config = Some("/nowhere/config.toml".into());
            remote.flags.api_key = some("own");
        };
        assert_chosen(alone, DEFAULT_URL, "own");
        let none = chosen(|remote| remote.config = Some("/nowhere/config.toml".into())).unwrap_err();
        assert_eq!(none.exit_code(), std::process::ExitCode::from(4));
        let missing = chosen(|remote| remote.flags.profile = some("c")).unwrap_err();
        assert_eq!(missing.exit_code(), std::process::ExitCode::from(3));
    }
}
