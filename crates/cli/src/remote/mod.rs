//! Commands that talk to a server. What they share: which server, with which key, and how its refusals are told.

pub(crate) mod api;
pub(crate) mod api_key;
pub(crate) mod changes;
pub(crate) mod completions;
mod connection;
mod deleted;
pub(crate) mod diff;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod find;
mod grant;
pub(crate) mod healthcheck;
pub(crate) mod import;
mod input;
pub(crate) mod key;
pub(crate) mod login;
mod new_files;
mod opening;
pub(crate) mod output;
pub(crate) mod render;
pub(crate) mod run;
mod run_files;
pub(crate) mod seal;
pub(crate) mod secret;
pub(crate) mod slot;
pub(crate) mod stale;
pub(crate) mod values;
pub(crate) mod vault;
mod watch;
pub(crate) mod webhook;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use strongroom_client::api::{Client, Connection, Error, Identity, Refusal};

use crate::failure::{Failure, Kind, warn};

/// Which server, and with which key.
pub(crate) struct Remote {
    flags: Flags,
    /// The file of profiles.
    config: Option<OsString>,
    typed: Typed,
}

/// The same for a command that is about an installation too, whose file of settings is `--config`.
pub(crate) struct Beside(pub(crate) Remote);

#[derive(Args, Default)]
struct Flags {
    /// The server's URL [default: that of the profile, or else http://127.0.0.1:7070]
    #[arg(
        long,
        global = true,
        env = "STRONGROOM_URL",
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Server"
    )]
    url: Option<String>,
    /// The API key's token. Other users can read a command line: rather set the variable, or name a file
    #[arg(
        long,
        global = true,
        env = "STRONGROOM_API_KEY",
        hide_env_values = true,
        value_name = "TOKEN",
        help_heading = "Server"
    )]
    api_key: Option<String>,
    /// A file with the API key's token; - is standard input
    #[arg(long, global = true, value_name = "FILE", help_heading = "Server")]
    api_key_file: Option<PathBuf>,
    /// A profile, as `strongroom login` makes it [default: the one that the config file names]
    #[arg(
        long,
        global = true,
        env = "STRONGROOM_PROFILE",
        hide_env_values = true,
        value_name = "NAME",
        help_heading = "Server"
    )]
    profile: Option<String>,
    /// A PEM file with the certificate authorities to trust in place of the system's
    #[arg(
        long,
        global = true,
        env = "STRONGROOM_CA_CERT",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Server"
    )]
    ca_cert: Option<OsString>,
    /// A PEM file with the certificate to show the server
    #[arg(
        long,
        global = true,
        env = "STRONGROOM_CLIENT_CERT",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Server"
    )]
    client_cert: Option<OsString>,
    /// A PEM file with that certificate's private key
    #[arg(
        long,
        global = true,
        env = "STRONGROOM_CLIENT_KEY",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Server"
    )]
    client_key: Option<OsString>,
    /// The variable of ngrok's own client; as a flag it is --api-key
    #[arg(long, global = true, env = "NGROK_API_KEY", hide = true, hide_env_values = true)]
    ngrok_api_key: Option<String>,
}

#[derive(Args)]
struct ProfilesFile {
    /// The file of profiles [default: strongroom/config.toml in $XDG_CONFIG_HOME or in ~/.config]
    #[arg(
        long,
        global = true,
        env = "STRONGROOM_CLIENT_CONFIG",
        hide_env_values = true,
        overrides_with = "config",
        value_name = "FILE",
        help_heading = "Server"
    )]
    config: Option<OsString>,
}

#[derive(Args)]
struct ClientConfig {
    /// The file of profiles [default: strongroom/config.toml in $XDG_CONFIG_HOME or in ~/.config]
    #[arg(
        long,
        env = "STRONGROOM_CLIENT_CONFIG",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Server"
    )]
    client_config: Option<OsString>,
}

/// Which settings stand in the command line itself: those go before variables.
#[derive(Clone, Copy, Default)]
struct Typed {
    url: bool,
    api_key: bool,
    profile: bool,
    ca_cert: bool,
    /// The client's certificate or its key.
    identity: bool,
}

impl FromArgMatches for Remote {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Self::with_config(matches, ProfilesFile::from_arg_matches(matches)?.config)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Remote {
    fn augment_args(command: Command) -> Command {
        ProfilesFile::augment_args(Flags::augment_args(command))
    }

    fn augment_args_for_update(command: Command) -> Command {
        ProfilesFile::augment_args_for_update(Flags::augment_args_for_update(command))
    }
}

impl FromArgMatches for Beside {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Remote::with_config(matches, ClientConfig::from_arg_matches(matches)?.client_config).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Beside {
    fn augment_args(command: Command) -> Command {
        ClientConfig::augment_args(Flags::augment_args(command))
    }

    fn augment_args_for_update(command: Command) -> Command {
        ClientConfig::augment_args_for_update(Flags::augment_args_for_update(command))
    }
}

impl Remote {
    fn with_config(matches: &ArgMatches, config: Option<OsString>) -> Result<Self, clap::Error> {
        let is = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        let typed = Typed {
            url: is("url"),
            api_key: is("api_key"),
            profile: is("profile"),
            ca_cert: is("ca_cert"),
            identity: is("client_cert") || is("client_key"),
        };
        Ok(Self { flags: Flags::from_arg_matches(matches)?, config, typed })
    }

    /// Whether the command line itself says which server it is.
    pub(crate) fn names_server(&self) -> bool {
        self.typed.url || self.typed.profile
    }

    /// A client of the server. Called once a command, as it warns and may read standard input.
    pub(crate) fn connect(&self) -> Result<Client, Failure> {
        Ok(Client::new(self.connection()?)?)
    }

    /// Where the server is, for what needs no key: its URL, the authorities to trust and the certificate to show.
    pub(crate) fn place(&self) -> Result<(String, Option<PathBuf>, Option<Identity>), Failure> {
        match self.choose() {
            Ok(Connection { url, ca, identity, .. }) => Ok((url, ca, identity)),
            // Whoever unseals a server need not have a key.
            Err(_) => {
                let url = self.given_url().unwrap_or(connection::DEFAULT_URL).to_owned();
                Ok((url, self.ca_setting(), self.identity_setting()?))
            }
        }
    }

    /// The server and the key, without any use of the network. Called once a command, as it warns and may read standard
    /// input.
    pub(crate) fn connection(&self) -> Result<Connection, Failure> {
        crate::hygiene::no_core();
        let connection = self.choose()?;
        self.warn_of(&connection);
        Ok(connection)
    }

    fn warn_of(&self, connection: &Connection) {
        if self.typed.api_key {
            warn(
                "other users of this machine can read --api-key while the command runs; use STRONGROOM_API_KEY or \
                 --api-key-file",
            );
        }
        if connection.is_in_clear() {
            warn(&format!("the key and all values cross the network unencrypted to {}", connection.url));
        }
    }
}

impl From<Error> for Failure {
    /// The one place where a failed call becomes a failure of a command.
    fn from(error: Error) -> Self {
        let failure = Self::new(error.to_string()).kind(Kind::Unavailable);
        match error {
            Error::Unreachable { source, .. } => failure
                .because(source)
                .todo("start it, or name another with --url, STRONGROOM_URL or --profile"),
            Error::Untrusted { source, .. } => failure
                .because(source)
                .todo("name the authority that signed the server's certificate with --ca-cert FILE"),
            Error::NotLetIn { source, .. } => failure
                .because(source)
                .todo("name one that its authorities issued with --client-cert FILE and --client-key FILE"),
            Error::TimedOut { .. } => failure.todo(LOOK_FIRST),
            Error::Lost { source, .. } => failure.because(source).todo(LOOK_FIRST),
            Error::Refused(refusal) => of_refusal(&refusal),
            Error::Protocol(_) => {
                failure.kind(Kind::Other).todo("check the URL: is it a Strongroom server, of this version?")
            }
            Error::Setting(_) => failure.kind(Kind::Invalid),
        }
    }
}

const LOOK_FIRST: &str = "try again; if it was a change, look first whether it was made";

fn of_refusal(refusal: &Refusal) -> Failure {
    let failure = Failure::new(refusal.to_string()).kind(kind(refusal));
    let advice = match (refusal.error_code.as_str(), code(refusal)) {
        (_, Some(200..=208)) => Some("strongroom login stores another key"),
        ("ERR_STRONGROOM_1090", _) => Some("strongroom unseal unseals it"),
        ("ERR_STRONGROOM_1002", _) => Some(
            "strongroom explain VAULT:NAME says what decides; an admin makes a key that may with strongroom api-key create \
             --grant 'resolve VAULT:NAME'",
        ),
        _ => None,
    };
    let operation = refusal.operation_id.as_ref().map(|id| format!("operation id: {id}"));
    let todo: Vec<String> = operation.into_iter().chain(advice.map(str::to_owned)).collect();
    if todo.is_empty() { failure } else { failure.todo(todo.join("\n  ")) }
}

/// The number of one of ngrok's codes.
fn code(refusal: &Refusal) -> Option<u32> {
    refusal.error_code.strip_prefix("ERR_NGROK_")?.parse().ok()
}

fn kind(refusal: &Refusal) -> Kind {
    match (refusal.status, code(refusal)) {
        // ngrok answers 400 where others answer 409: a vault that is not empty, a name that is taken.
        (400, Some(23003 | 23004 | 24005 | 4112)) | (409 | 412, _) => Kind::Conflict,
        (400 | 405 | 413 | 414 | 415 | 422 | 431, _) => Kind::Invalid,
        (401 | 403, _) => Kind::Denied,
        (404 | 410, _) => Kind::Missing,
        (429 | 500.., _) => Kind::Unavailable,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, error_code: &str) -> Refusal {
        let (error_code, msg) = (error_code.to_owned(), "No.".to_owned());
        Refusal {
            status,
            error_code,
            msg,
            operation_id: Some("op_1".to_owned()),
            details: Default::default(),
        }
    }

    #[test]
    fn the_kind_of_a_refusal_follows_its_status_and_code() {
        for (status, code, expected) in [
            (400, "ERR_NGROK_24003", Kind::Invalid),
            (400, "ERR_NGROK_24005", Kind::Conflict),
            (400, "ERR_NGROK_23003", Kind::Conflict),
            (400, "ERR_STRONGROOM_24005", Kind::Invalid),
            (401, "", Kind::Denied),
            (403, "ERR_NGROK_206", Kind::Denied),
            (404, "", Kind::Missing),
            (412, "", Kind::Conflict),
            (413, "ERR_NGROK_213", Kind::Invalid),
            (429, "ERR_NGROK_226", Kind::Unavailable),
            (503, "ERR_NGROK_1501", Kind::Unavailable),
            (418, "", Kind::Other),
        ] {
            assert_eq!(kind(&refusal(status, code)), expected, "{status} {code}");
        }
    }

    #[test]
    fn a_refusal_is_told_with_its_operation() {
        let failure = Failure::from(Error::Refused(refusal(404, "ERR_NGROK_24006")));
        assert_eq!(failure.to_string(), "HTTP 404: No. [ERR_NGROK_24006]\n  operation id: op_1");
    }
}
