//! `strongroom login`, `logout` and `whoami`: profiles, and who a key is.

use std::fs::{self, DirBuilder};
use std::io::{IsTerminal, stdin};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use strongroom_client::api::{Client, Connection, Identity};
use strongroom_client::profile::{Profile, Profiles};
use strongroom_wire as wire;

use super::connection::{DEFAULT_URL, parse_key, read_key, read_profiles};
use super::output::{Format, Output, fields, grants, print_json};
use super::{Remote, input};
use crate::failure::{Failure, Kind, warn};
use crate::{folder, out};

/// The profile that is made when none is named.
const FIRST_PROFILE: &str = "default";

#[derive(Args)]
pub(crate) struct Login {
    #[command(flatten)]
    remote: Remote,
    /// Make this profile the one that is meant when none is named
    #[arg(long)]
    set_default: bool,
    /// A key where none belongs: clap would repeat it in its error.
    #[arg(hide = true)]
    misplaced: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Logout {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct Whoami {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
}

impl Login {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        if !self.misplaced.is_empty() {
            return Err(Failure::new("a key does not go into the command line, which other users can read")
                .todo("leave it out to be asked for it, or give it with --api-key-file or on standard input")
                .kind(Kind::Usage));
        }
        let path = self.remote.config_file()?;
        let mut profiles = read_profiles(&path)?;
        let name = self.remote.profile_name().or_else(|| profiles.default_name()).unwrap_or(FIRST_PROFILE);
        let name = name.to_owned();
        let connection = self.connection(profiles.find(&name))?;
        let Connection { url, ca, identity, .. } = &connection;
        let (url, ca_cert, identity) = (url.clone(), ca.clone(), identity.clone());
        let client = Client::new(connection)?;
        // A key that opens nothing is told now, and not when it is needed.
        let me = client.self_info()?;
        let text = format!("{}profile  {name} in {}\n", view(client.url(), &me), path.display());
        profiles.insert(&name, Profile { url, api_key: client.into_token(), ca_cert, identity });
        if self.set_default {
            profiles.set_default(&name);
        }
        store(&path, &profiles)?;
        if let Some(variable) = self.remote.key_variable() {
            warn(&format!(
                "{variable} is set, and its key is used and not this profile's, unless --profile says so"
            ));
        }
        out(&text)
    }

    /// The server and the key to be stored. What is not given stays as the profile has it, except for the key. That of a
    /// variable may be for another server, so it is not taken without being given.
    fn connection(&self, before: Option<&Profile>) -> Result<Connection, Failure> {
        let given = self.remote.given_url().or(before.map(|profile| profile.url.as_str()));
        let url = given.or_else(|| self.remote.url_setting()).unwrap_or(DEFAULT_URL).to_owned();
        let before = before.filter(|profile| profile.url == url);
        // The profile is used from other folders too.
        let whole = |file: PathBuf| fs::canonicalize(&file).unwrap_or(file);
        let ca = match self.remote.ca_setting() {
            Some(file) => Some(whole(file)),
            None => before.and_then(|profile| profile.ca_cert.clone()),
        };
        let identity = match self.remote.identity_setting()? {
            Some(Identity { certificate, key }) => {
                Some(Identity { certificate: whole(certificate), key: whole(key) })
            }
            None => before.and_then(|profile| profile.identity.clone()),
        };
        let token = match self.remote.typed_key()? {
            Some(token) => token,
            None if stdin().is_terminal() => {
                parse_key(&input::prompt_hidden(&format!("API key for {url}: "))?)?
            }
            None => read_key(Path::new("-"))?,
        };
        let connection = Connection { url, token, ca, identity };
        self.remote.warn_of(&connection);
        Ok(connection)
    }
}

impl Logout {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let path = self.remote.config_file()?;
        let mut profiles = read_profiles(&path)?;
        let name = self.remote.profile_name().or_else(|| profiles.default_name()).map(str::to_owned);
        let Some((name, removed)) =
            name.and_then(|name| profiles.remove(&name).map(|removed| (name, removed)))
        else {
            let there = profiles.names().collect::<Vec<_>>().join(", ");
            let todo =
                if there.is_empty() { "there are none".to_owned() } else { format!("there are: {there}") };
            return Err(Failure::new(format!("there is no such profile in {}", path.display()))
                .todo(todo)
                .kind(Kind::Missing));
        };
        store(&path, &profiles)?;
        out(&format!("The profile {name} is removed. Its key still opens {}.\n", removed.url))
    }
}

impl Whoami {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.remote.connect()?;
        let me = client.self_info()?;
        match self.output.format {
            Format::Json => print_json(&me),
            Format::Table => out(&view(client.url(), &me)),
        }
    }
}

fn view(url: &str, me: &wire::SelfInfo) -> String {
    fields([
        ("server", url.to_owned()),
        ("user", me.user.clone()),
        ("account", format!("{} ({})", me.account.name, me.account.id)),
        ("key", me.api_key.id.clone()),
        ("grants", grants(me.api_key.grants.as_deref())),
        ("expires", me.api_key.expires_at.clone().unwrap_or_else(|| "never".to_owned())),
    ])
}

/// Writes the profiles into a file, and a folder, that only their owner may read.
fn store(path: &Path, profiles: &Profiles) -> Result<(), Failure> {
    let failed = |why: Box<dyn std::error::Error + Send + Sync>| {
        Failure::new(format!("the profiles cannot be written to {}", path.display())).because(why)
    };
    // The file may be a link to where its owner keeps such files: that one is written.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|error| failed(error.into()))?;
    }
    let text = profiles.view().map_err(|error| failed(error.into()))?;
    folder::write_private(&path, &text).map_err(|error| failed(error.into()))
}
