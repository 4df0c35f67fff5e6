//! The settings: flags, then environment, then the config file, then defaults.

mod database;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};
use serde::Deserialize;
use strongroom_domain::deleted::Retention;
use strongroom_domain::keep::Keep;
use strongroom_domain::limits::Limits;
use strongroom_server::origin::Origin;
use strongroom_server::{delivery, listen};

use crate::failure::Failure;
use crate::units::{self, Age, Bytes, Ranges, Span, Time, Times};
use crate::{folder, second_place};

pub(crate) use database::{Database, connect, unusable};

const DATA_DIR: &str = "strongroom-data";
const ROOT_KEY: &str = "root.key";

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where a certificate comes from that nobody gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TlsKind {
    /// The server makes one, for local use.
    SelfSigned,
}

/// Whether clients have to show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientAuth {
    /// They may.
    Optional,
    /// They must, or are turned away.
    Required,
}

/// TLS, as it is set.
pub(crate) struct TlsSetting {
    pub(crate) files: listen::Files,
    /// Whether the server makes certificate and key itself.
    pub(crate) self_signed: bool,
}

/// Each setting as it may be given. A field that is added here is a flag, a variable and a key of the config file at once.
#[derive(Args, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// A file of settings, TOML; its keys are these flags with _ for -
    #[arg(long, env = "STRONGROOM_CONFIG", value_name = "FILE", hide_env_values = true)]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
    /// The folder that everything is kept in [default: strongroom-data]
    #[arg(long, env = "STRONGROOM_DATA_DIR", value_name = "DIR", hide_env_values = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// The root key's file [default: the systemd credential root.key, or else root.key in the data folder]
    #[arg(long, env = "STRONGROOM_ROOT_KEY_FILE", value_name = "FILE", hide_env_values = true)]
    pub(crate) root_key_file: Option<PathBuf>,
    /// The PostgreSQL database that holds the store, such as postgres://strongroom@db.example.com/strongroom [default: a file in the data folder]
    #[arg(long, env = "STRONGROOM_DATABASE", value_name = "URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// A file with the password for it, which others may not read
    #[arg(long, env = "STRONGROOM_DATABASE_PASSWORD_FILE", value_name = "FILE", hide_env_values = true)]
    pub(crate) database_password_file: Option<PathBuf>,
    /// The authorities to trust for it, PEM [default: the system's]
    #[arg(long, env = "STRONGROOM_DATABASE_CA", value_name = "FILE", hide_env_values = true)]
    pub(crate) database_ca: Option<PathBuf>,
    /// Connections to it at most [default: 16]
    #[arg(long, env = "STRONGROOM_DATABASE_CONNECTIONS", value_name = "NUMBER", hide_env_values = true)]
    pub(crate) database_connections: Option<NonZeroU32>,
    /// Keep prepared statements; false is for poolers that cannot [default: true]
    #[arg(long, env = "STRONGROOM_DATABASE_PREPARE", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_env_values = true)]
    pub(crate) database_prepare: Option<bool>,
    /// Answer reads of metadata from memory while the database is away, however old they are
    #[arg(long, env = "STRONGROOM_DATABASE_STALE_OK", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_env_values = true)]
    pub(crate) database_stale_ok: Option<bool>,
    /// How long serve waits at its start for a database that cannot be reached, such as 5m; 0 is not at all [default: unlimited]
    #[arg(long, env = "STRONGROOM_DATABASE_WAIT", value_name = "TIME", hide_env_values = true)]
    pub(crate) database_wait: Option<Span>,
    /// The OpenBao or Vault server whose transit engine keeps keys of key slots
    #[arg(long, env = "STRONGROOM_TRANSIT_ADDRESS", value_name = "URL", hide_env_values = true)]
    pub(crate) transit_address: Option<String>,
    /// A file with the token for it, which others may not read
    #[arg(long, env = "STRONGROOM_TRANSIT_TOKEN_FILE", value_name = "FILE", hide_env_values = true)]
    pub(crate) transit_token_file: Option<PathBuf>,
    /// The authorities to trust for it, PEM [default: the system's]
    #[arg(long, env = "STRONGROOM_TRANSIT_CA", value_name = "FILE", hide_env_values = true)]
    pub(crate) transit_ca: Option<PathBuf>,
    /// Where its transit engine is mounted [default: transit]
    #[arg(long, env = "STRONGROOM_TRANSIT_MOUNT", value_name = "NAME", hide_env_values = true)]
    pub(crate) transit_mount: Option<String>,
    /// The transit key's name [default: strongroom]
    #[arg(long, env = "STRONGROOM_TRANSIT_KEY", value_name = "NAME", hide_env_values = true)]
    pub(crate) transit_key: Option<String>,
    /// Its namespace [default: none]
    #[arg(long, env = "STRONGROOM_TRANSIT_NAMESPACE", value_name = "NAME", hide_env_values = true)]
    pub(crate) transit_namespace: Option<String>,
    /// The module of a PKCS #11 token that keeps keys of key slots, a shared library
    #[arg(long, env = "STRONGROOM_PKCS11_MODULE", value_name = "FILE", hide_env_values = true)]
    pub(crate) pkcs11_module: Option<PathBuf>,
    /// The token's label [default: strongroom]
    #[arg(long, env = "STRONGROOM_PKCS11_TOKEN", value_name = "LABEL", hide_env_values = true)]
    pub(crate) pkcs11_token: Option<String>,
    /// The label of the AES key on it [default: strongroom]
    #[arg(long, env = "STRONGROOM_PKCS11_KEY", value_name = "LABEL", hide_env_values = true)]
    pub(crate) pkcs11_key: Option<String>,
    /// A file with its PIN, which others may not read
    #[arg(long, env = "STRONGROOM_PKCS11_PIN_FILE", value_name = "FILE", hide_env_values = true)]
    pub(crate) pkcs11_pin_file: Option<PathBuf>,
    /// The AWS KMS key that seals keys of key slots: its id, ARN or alias
    #[arg(long, env = "STRONGROOM_AWS_KMS_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) aws_kms_key: Option<String>,
    /// Its region [default: that of the environment or the profile]
    #[arg(long, env = "STRONGROOM_AWS_KMS_REGION", value_name = "REGION", hide_env_values = true)]
    pub(crate) aws_kms_region: Option<String>,
    /// Another address than the region's own
    #[arg(long, env = "STRONGROOM_AWS_KMS_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub(crate) aws_kms_endpoint: Option<String>,
    /// The address to serve [default: 127.0.0.1:7070]
    #[arg(long, env = "STRONGROOM_LISTEN", value_name = "ADDRESS", hide_env_values = true)]
    pub(crate) listen: Option<SocketAddr>,
    /// Where clients reach the server [default: the origin that each request came to]
    #[arg(long, env = "STRONGROOM_EXTERNAL_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) external_url: Option<String>,
    /// TLS with a certificate that the server makes itself, for local use
    #[arg(long, env = "STRONGROOM_TLS", value_name = "KIND", hide_env_values = true)]
    pub(crate) tls: Option<TlsKind>,
    /// The certificate chain, PEM; read again when it changes, and on SIGHUP
    #[arg(long, env = "STRONGROOM_TLS_CERT", value_name = "FILE", hide_env_values = true)]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM; read again when it changes, and on SIGHUP
    #[arg(long, env = "STRONGROOM_TLS_KEY", value_name = "FILE", hide_env_values = true)]
    pub(crate) tls_key: Option<PathBuf>,
    /// The authorities whose certificates clients may show, PEM; read again when it changes, and on SIGHUP
    #[arg(long, env = "STRONGROOM_TLS_CLIENT_CA", value_name = "FILE", hide_env_values = true)]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// Whether clients have to show one: optional, required [default: optional]
    #[arg(long, env = "STRONGROOM_TLS_CLIENT_AUTH", value_name = "WHETHER", hide_env_values = true)]
    pub(crate) tls_client_auth: Option<ClientAuth>,
    /// A proxy in front ends TLS: serve an address other than loopback without it
    #[arg(long, env = "STRONGROOM_PLAIN_HTTP", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_env_values = true)]
    pub(crate) plain_http: Option<bool>,
    /// An address for /metrics alone, without a key
    #[arg(long, env = "STRONGROOM_METRICS_LISTEN", value_name = "ADDRESS", hide_env_values = true)]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// How log lines are written [default: text]
    #[arg(long, env = "STRONGROOM_LOG_FORMAT", value_name = "FORMAT", hide_env_values = true)]
    pub(crate) log_format: Option<LogFormat>,
    /// How much is logged: error, warn, info, debug (every read too) [default: info]
    #[arg(long, env = "STRONGROOM_LOG_LEVEL", value_name = "LEVEL", hide_env_values = true)]
    pub(crate) log_level: Option<String>,
    /// Ignore unknown body fields and query parameters instead of refusing them
    #[arg(long, env = "STRONGROOM_LENIENT", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_env_values = true)]
    pub(crate) lenient: Option<bool>,
    /// Bytes of a name [default: 255]
    #[arg(long, env = "STRONGROOM_MAX_NAME", value_name = "SIZE", hide_env_values = true)]
    pub(crate) max_name: Option<Bytes>,
    /// Bytes of a description [default: 255]
    #[arg(long, env = "STRONGROOM_MAX_DESCRIPTION", value_name = "SIZE", hide_env_values = true)]
    pub(crate) max_description: Option<Bytes>,
    /// Bytes of metadata [default: 4096]
    #[arg(long, env = "STRONGROOM_MAX_METADATA", value_name = "SIZE", hide_env_values = true)]
    pub(crate) max_metadata: Option<Bytes>,
    /// Bytes of a value, at most 1MiB [default: 64KiB]
    #[arg(long, env = "STRONGROOM_MAX_VALUE", value_name = "SIZE", hide_env_values = true)]
    pub(crate) max_value: Option<Bytes>,
    /// Vaults of the account [default: unlimited]
    #[arg(long, env = "STRONGROOM_MAX_VAULTS", value_name = "NUMBER", hide_env_values = true)]
    pub(crate) max_vaults: Option<u64>,
    /// Secrets of the account [default: unlimited]
    #[arg(long, env = "STRONGROOM_MAX_SECRETS", value_name = "NUMBER", hide_env_values = true)]
    pub(crate) max_secrets: Option<u64>,
    /// Values of a secret that are kept, the current one included, 1 to 100 [default: 10]
    #[arg(long, env = "STRONGROOM_KEEP_VERSIONS", value_name = "NUMBER", hide_env_values = true)]
    pub(crate) keep_versions: Option<NonZeroU32>,
    /// How long a value is kept after it was replaced, such as 90d [default: unlimited]
    #[arg(long, env = "STRONGROOM_KEEP_VERSIONS_FOR", value_name = "TIME", hide_env_values = true)]
    pub(crate) keep_versions_for: Option<Age>,
    /// How long deleted vaults and secrets are kept, such as 30d; 0 is not at all [default: 7d]
    #[arg(long, env = "STRONGROOM_KEEP_DELETED_FOR", value_name = "TIME", hide_env_values = true)]
    pub(crate) keep_deleted_for: Option<Span>,
    /// How long audit events are kept, such as 365d [default: unlimited]
    #[arg(long, env = "STRONGROOM_KEEP_AUDIT_FOR", value_name = "TIME", hide_env_values = true)]
    pub(crate) keep_audit_for: Option<Age>,
    /// How old a vault's key gets before it is rotated, such as 90d [default: unlimited]
    #[arg(long, env = "STRONGROOM_ROTATE_VAULT_KEYS_AFTER", value_name = "TIME", hide_env_values = true)]
    pub(crate) rotate_vault_keys_after: Option<Age>,
    /// API requests a minute and account; ngrok's is 120 [default: unlimited]
    #[arg(long, env = "STRONGROOM_REQUESTS_PER_MINUTE", value_name = "NUMBER", hide_env_values = true)]
    pub(crate) requests_per_minute: Option<NonZeroU32>,
    /// Proxies that are believed about whom they ask for in X-Forwarded-For, such as 10.0.0.0/8,192.0.2.7/32 [default: none]
    #[arg(long, env = "STRONGROOM_TRUSTED_PROXIES", value_name = "CIDRS", hide_env_values = true)]
    pub(crate) trusted_proxies: Option<Ranges>,
    /// Deliver webhooks to private addresses too, and to these over http
    #[arg(long, env = "STRONGROOM_WEBHOOKS_ALLOW_PRIVATE", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide_env_values = true)]
    pub(crate) webhooks_allow_private: Option<bool>,
    /// Time for an attempt to deliver to a webhook [default: 15s]
    #[arg(long, env = "STRONGROOM_WEBHOOKS_TIMEOUT", value_name = "TIME", hide_env_values = true)]
    pub(crate) webhooks_timeout: Option<Time>,
    /// The wait after each attempt that failed; then a delivery is dead [default: 5s,5m,30m,2h,5h,10h,14h,20h,24h]
    #[arg(long, env = "STRONGROOM_WEBHOOKS_RETRY_AFTER", value_name = "TIMES", hide_env_values = true)]
    pub(crate) webhooks_retry_after: Option<Times>,
    /// Open connections [default: 10000]
    #[arg(long, env = "STRONGROOM_MAX_CONNECTIONS", value_name = "NUMBER", hide_env_values = true)]
    pub(crate) max_connections: Option<NonZeroU32>,
    /// Time for a request's head, and for a connection to idle [default: 30s]
    #[arg(long, env = "STRONGROOM_HEADER_TIMEOUT", value_name = "TIME", hide_env_values = true)]
    pub(crate) header_timeout: Option<Time>,
    /// Time for a request's body [default: 30s]
    #[arg(long, env = "STRONGROOM_BODY_TIMEOUT", value_name = "TIME", hide_env_values = true)]
    pub(crate) body_timeout: Option<Time>,
    /// Time for the TLS handshake [default: 10s]
    #[arg(long, env = "STRONGROOM_HANDSHAKE_TIMEOUT", value_name = "TIME", hide_env_values = true)]
    pub(crate) handshake_timeout: Option<Time>,
    /// A file or an https URL in another place than the store, for signed checkpoints of the audit log
    #[arg(long, env = "STRONGROOM_AUDIT_CHECKPOINT_TO", value_name = "PLACE", hide_env_values = true)]
    pub(crate) audit_checkpoint_to: Option<String>,
    /// Time between two of those checkpoints [default: 1m]
    #[arg(long, env = "STRONGROOM_AUDIT_CHECKPOINT_EVERY", value_name = "TIME", hide_env_values = true)]
    pub(crate) audit_checkpoint_every: Option<Time>,
    /// Serve a store whose audit log is not the one of the last checkpoint, this once
    #[arg(long)]
    #[serde(skip)]
    pub(crate) allow_rolled_back_log: bool,
    /// Time to go on serving after SIGTERM, not ready any more, so that balancers notice first [default: 0s]
    #[arg(long, env = "STRONGROOM_DRAIN_DELAY", value_name = "TIME", hide_env_values = true)]
    pub(crate) drain_delay: Option<Span>,
    /// Time that running requests have to finish on SIGTERM [default: 30s]
    #[arg(long, env = "STRONGROOM_DRAIN_TIMEOUT", value_name = "TIME", hide_env_values = true)]
    pub(crate) drain_timeout: Option<Time>,
}

impl Options {
    /// What the environment gives, for a command that takes few of these flags itself.
    pub(crate) fn of_environment() -> Result<Self, Failure> {
        let none = Self::augment_args(clap::Command::new("settings")).try_get_matches_from(["settings"]);
        let given = none.and_then(|matches| Self::from_arg_matches(&matches));
        given.map_err(|error| Failure::new("the settings in the environment cannot be used").because(error))
    }

    /// What was given, and below it what the config file says.
    fn over_file(self) -> Result<Self, Failure> {
        let Some(path) = self.config else { return Ok(self) };
        let unreadable = || Failure::new(format!("the config file {} cannot be read", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable().because(error))?;
        let file: Self = toml::from_str(&text).map_err(|error| {
            unreadable()
                .because(error)
                .todo("strongroom serve --help lists the settings; its keys have _ for -")
        })?;
        Ok(Self {
            data_dir: self.data_dir.or(file.data_dir),
            root_key_file: self.root_key_file.or(file.root_key_file),
            database: self.database.or(file.database),
            database_password_file: self.database_password_file.or(file.database_password_file),
            database_ca: self.database_ca.or(file.database_ca),
            database_connections: self.database_connections.or(file.database_connections),
            database_prepare: self.database_prepare.or(file.database_prepare),
            database_stale_ok: self.database_stale_ok.or(file.database_stale_ok),
            database_wait: self.database_wait.or(file.database_wait),
            transit_address: self.transit_address.or(file.transit_address),
            transit_token_file: self.transit_token_file.or(file.transit_token_file),
            transit_ca: self.transit_ca.or(file.transit_ca),
            transit_mount: self.transit_mount.or(file.transit_mount),
            transit_key: self.transit_key.or(file.transit_key),
            transit_namespace: self.transit_namespace.or(file.transit_namespace),
            pkcs11_module: self.pkcs11_module.or(file.pkcs11_module),
            pkcs11_token: self.pkcs11_token.or(file.pkcs11_token),
            pkcs11_key: self.pkcs11_key.or(file.pkcs11_key),
            pkcs11_pin_file: self.pkcs11_pin_file.or(file.pkcs11_pin_file),
            aws_kms_key: self.aws_kms_key.or(file.aws_kms_key),
            aws_kms_region: self.aws_kms_region.or(file.aws_kms_region),
            aws_kms_endpoint: self.aws_kms_endpoint.or(file.aws_kms_endpoint),
            listen: self.listen.or(file.listen),
            external_url: self.external_url.or(file.external_url),
            tls: self.tls.or(file.tls),
            tls_cert: self.tls_cert.or(file.tls_cert),
            tls_key: self.tls_key.or(file.tls_key),
            tls_client_ca: self.tls_client_ca.or(file.tls_client_ca),
            tls_client_auth: self.tls_client_auth.or(file.tls_client_auth),
            plain_http: self.plain_http.or(file.plain_http),
            metrics_listen: self.metrics_listen.or(file.metrics_listen),
            log_format: self.log_format.or(file.log_format),
            log_level: self.log_level.or(file.log_level),
            lenient: self.lenient.or(file.lenient),
            max_name: self.max_name.or(file.max_name),
            max_description: self.max_description.or(file.max_description),
            max_metadata: self.max_metadata.or(file.max_metadata),
            max_value: self.max_value.or(file.max_value),
            max_vaults: self.max_vaults.or(file.max_vaults),
            max_secrets: self.max_secrets.or(file.max_secrets),
            keep_versions: self.keep_versions.or(file.keep_versions),
            keep_versions_for: self.keep_versions_for.or(file.keep_versions_for),
            keep_deleted_for: self.keep_deleted_for.or(file.keep_deleted_for),
            keep_audit_for: self.keep_audit_for.or(file.keep_audit_for),
            rotate_vault_keys_after: self.rotate_vault_keys_after.or(file.rotate_vault_keys_after),
            requests_per_minute: self.requests_per_minute.or(file.requests_per_minute),
            trusted_proxies: self.trusted_proxies.or(file.trusted_proxies),
            webhooks_allow_private: self.webhooks_allow_private.or(file.webhooks_allow_private),
            webhooks_timeout: self.webhooks_timeout.or(file.webhooks_timeout),
            webhooks_retry_after: self.webhooks_retry_after.or(file.webhooks_retry_after),
            max_connections: self.max_connections.or(file.max_connections),
            header_timeout: self.header_timeout.or(file.header_timeout),
            body_timeout: self.body_timeout.or(file.body_timeout),
            handshake_timeout: self.handshake_timeout.or(file.handshake_timeout),
            drain_delay: self.drain_delay.or(file.drain_delay),
            drain_timeout: self.drain_timeout.or(file.drain_timeout),
            audit_checkpoint_to: self.audit_checkpoint_to.or(file.audit_checkpoint_to),
            audit_checkpoint_every: self.audit_checkpoint_every.or(file.audit_checkpoint_every),
            allow_rolled_back_log: self.allow_rolled_back_log,
            config: Some(path),
        })
    }
}

/// Where an installation is, for commands that need no more.
#[derive(Args)]
pub(crate) struct Place {
    /// A file of settings, TOML
    #[arg(long, env = "STRONGROOM_CONFIG", value_name = "FILE", hide_env_values = true)]
    config: Option<PathBuf>,
    /// The folder that everything is kept in [default: strongroom-data]
    #[arg(long, env = "STRONGROOM_DATA_DIR", value_name = "DIR", hide_env_values = true)]
    data_dir: Option<PathBuf>,
    /// The root key's file [default: root.key in the data folder]
    #[arg(long, env = "STRONGROOM_ROOT_KEY_FILE", value_name = "FILE", hide_env_values = true)]
    root_key_file: Option<PathBuf>,
    /// The PostgreSQL database that holds the store [default: a file in the data folder]
    #[arg(long, env = "STRONGROOM_DATABASE", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// A file with the password for it, which others may not read
    #[arg(long, env = "STRONGROOM_DATABASE_PASSWORD_FILE", value_name = "FILE", hide_env_values = true)]
    database_password_file: Option<PathBuf>,
    /// The authorities to trust for it, PEM [default: the system's]
    #[arg(long, env = "STRONGROOM_DATABASE_CA", value_name = "FILE", hide_env_values = true)]
    database_ca: Option<PathBuf>,
}

impl Place {
    pub(crate) fn resolve(self) -> Result<Settings, Failure> {
        let Self { config, data_dir, root_key_file, database, database_password_file, database_ca } = self;
        Settings::resolve(Options {
            config,
            data_dir,
            root_key_file,
            database,
            database_password_file,
            database_ca,
            ..Options::default()
        })
    }
}

/// The settings in force.
pub(crate) struct Settings {
    pub(crate) data_dir: PathBuf,
    pub(crate) root_key_file: PathBuf,
    /// The database that holds the store; `None` is a file in the data folder.
    pub(crate) database: Option<Database>,
    pub(crate) listen: SocketAddr,
    pub(crate) tls: Option<TlsSetting>,
    pub(crate) plain_http: bool,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: String,
    pub(crate) limits: Limits,
    pub(crate) server: strongroom_server::Settings,
    pub(crate) connections: listen::Limits,
    /// How long the server goes on, not ready, after it was told to stop.
    pub(crate) drain_delay: Duration,
    pub(crate) second_place: Option<second_place::Setting>,
    pub(crate) allow_rolled_back_log: bool,
}

impl Settings {
    pub(crate) fn resolve(options: Options) -> Result<Self, Failure> {
        let options = options.over_file()?;
        let data_dir = options.data_dir.clone().unwrap_or_else(|| DATA_DIR.into());
        Ok(Self {
            root_key_file: root_key_file(&options, &data_dir),
            database: database::of(&options)?,
            listen: options.listen.unwrap_or_else(default_listen),
            tls: tls(&options, &data_dir)?,
            plain_http: options.plain_http.unwrap_or(false),
            metrics_listen: options.metrics_listen,
            log_format: options.log_format.unwrap_or(LogFormat::Text),
            log_level: options.log_level.clone().unwrap_or_else(|| "info".to_owned()),
            limits: limits(&options)?,
            server: server(&options)?,
            connections: connections(&options),
            drain_delay: Duration::from_secs(options.drain_delay.map_or(0, |delay| delay.0.into())),
            second_place: second_place(&options),
            allow_rolled_back_log: options.allow_rolled_back_log,
            data_dir,
        })
    }
}

fn root_key_file(options: &Options, data_dir: &Path) -> PathBuf {
    let named = options.root_key_file.clone();
    named.or_else(|| credential(ROOT_KEY)).unwrap_or_else(|| data_dir.join(ROOT_KEY))
}

/// A credential that systemd lays out for the service.
#[expect(clippy::disallowed_methods, reason = "systemd sets the variable, and no flag takes its place")]
fn credential(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY")?).join(name);
    // One that cannot be looked at is not passed over in silence.
    path.try_exists().unwrap_or(true).then_some(path)
}

fn default_listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 7070))
}

fn tls(options: &Options, data_dir: &Path) -> Result<Option<TlsSetting>, Failure> {
    let clients = clients(options)?;
    let own = options.tls == Some(TlsKind::SelfSigned);
    let (certificate, key) = match (&options.tls_cert, &options.tls_key) {
        (Some(cert), Some(key)) if !own => (cert.clone(), key.clone()),
        (None, None) if own => folder::self_signed_paths(data_dir),
        (None, None) if clients.is_some() => {
            return Err(Failure::new("--tls-client-ca is for TLS, which is off")
                .todo("give --tls-cert and --tls-key, or --tls self-signed"));
        }
        (None, None) => return Ok(None),
        _ if own => {
            return Err(Failure::new(
                "--tls self-signed makes a certificate, and --tls-cert or --tls-key names one",
            )
            .todo("give either"));
        }
        _ => return Err(Failure::new("TLS needs both --tls-cert and --tls-key")),
    };
    Ok(Some(TlsSetting { files: listen::Files { certificate, key, clients }, self_signed: own }))
}

fn clients(options: &Options) -> Result<Option<listen::Clients>, Failure> {
    match (&options.tls_client_ca, options.tls_client_auth) {
        (Some(authorities), auth) => Ok(Some(listen::Clients {
            authorities: authorities.clone(),
            required: auth == Some(ClientAuth::Required),
        })),
        (None, Some(_)) => Err(Failure::new("--tls-client-auth needs the authorities of clients")
            .todo("name a file of them with --tls-client-ca")),
        (None, None) => Ok(None),
    }
}

fn limits(options: &Options) -> Result<Limits, Failure> {
    let default = Limits::default();
    let or = |given: Option<Bytes>, default| given.map_or(default, |bytes| bytes.0);
    let limits = Limits {
        name: or(options.max_name, default.name),
        description: or(options.max_description, default.description),
        metadata: or(options.max_metadata, default.metadata),
        value: or(options.max_value, default.value),
        vaults: options.max_vaults,
        secrets: options.max_secrets,
        keep: keep(options)?,
        deleted: options.keep_deleted_for.map_or(default.deleted, |span| Retention { seconds: span.0 }),
        audit: seconds("keep_audit_for", options.keep_audit_for)?.map(|seconds| Retention { seconds }),
        vault_keys: seconds("rotate_vault_keys_after", options.rotate_vault_keys_after)?
            .map(|seconds| Retention { seconds }),
    };
    let sizes = [
        ("max_name", limits.name),
        ("max_description", limits.description),
        ("max_metadata", limits.metadata),
        ("max_value", limits.value),
    ];
    if let Some((name, size)) = sizes.into_iter().find(|(_, size)| *size > Limits::SIZE_MAX) {
        return Err(Failure::new(format!("{name} is {size} bytes, and 1MiB is the most")));
    }
    Ok(limits)
}

fn keep(options: &Options) -> Result<Keep, Failure> {
    let default = Keep::default();
    let versions = options.keep_versions.map_or(default.versions, NonZeroU32::get);
    if versions > Keep::VERSIONS_MAX {
        let most = Keep::VERSIONS_MAX;
        return Err(Failure::new(format!("keep_versions is {versions}, and {most} is the most")));
    }
    Ok(Keep { versions, versions_for: seconds("keep_versions_for", options.keep_versions_for)? })
}

fn seconds(name: &str, age: Option<Age>) -> Result<Option<u32>, Failure> {
    age.map(Age::seconds).transpose().map_err(|error| Failure::new(name).because(error))
}

fn server(options: &Options) -> Result<strongroom_server::Settings, Failure> {
    let default = strongroom_server::Settings::default();
    let external_url = options.external_url.as_deref().map(str::parse::<Origin>).transpose();
    Ok(strongroom_server::Settings {
        external_url: external_url
            .map_err(|error| Failure::new("the external URL cannot be used").because(error))?,
        lenient: options.lenient.unwrap_or(default.lenient),
        ready_without_store: options.database_stale_ok.unwrap_or(false) && options.database.is_some(),
        body_timeout: options.body_timeout.map_or(default.body_timeout, |time| time.0),
        requests_per_minute: options.requests_per_minute,
        watchers: default.watchers,
        trusted_proxies: options.trusted_proxies.clone().map_or_else(Vec::new, |ranges| ranges.0),
        webhooks: webhooks(options, default.webhooks),
        slots: slots(options)?,
    })
}

fn webhooks(options: &Options, default: delivery::Settings) -> delivery::Settings {
    let retry_after = options.webhooks_retry_after.as_ref();
    delivery::Settings {
        allow_private: options.webhooks_allow_private.unwrap_or(default.allow_private),
        timeout: options.webhooks_timeout.map_or(default.timeout, |time| time.0),
        retry_after: retry_after.map_or(default.retry_after, |times| times.0.clone()),
    }
}

/// The services that keep keys of key slots.
fn slots(options: &Options) -> Result<strongroom_slots::Config, Failure> {
    let named = |given: &Option<String>, or: &str| given.clone().unwrap_or_else(|| or.to_owned());
    let transit = match (&options.transit_address, &options.transit_token_file) {
        (None, None) => None,
        (Some(address), Some(token_file)) => Some(strongroom_slots::transit::Config {
            address: address.clone(),
            token_file: token_file.clone(),
            ca: options.transit_ca.clone(),
            mount: named(&options.transit_mount, "transit"),
            key: named(&options.transit_key, "strongroom"),
            namespace: options.transit_namespace.clone(),
        }),
        _ => {
            return Err(Failure::new(
                "a transit engine needs both --transit-address and --transit-token-file",
            ));
        }
    };
    let pkcs11 = match (&options.pkcs11_module, &options.pkcs11_pin_file) {
        (None, None) => None,
        (Some(module), Some(pin_file)) => Some(strongroom_slots::TokenConfig {
            module: module.clone(),
            token: named(&options.pkcs11_token, "strongroom"),
            key: named(&options.pkcs11_key, "strongroom"),
            pin_file: pin_file.clone(),
        }),
        _ => return Err(Failure::new("a PKCS #11 token needs both --pkcs11-module and --pkcs11-pin-file")),
    };
    let aws_kms = options.aws_kms_key.clone().map(|key| strongroom_slots::KmsConfig {
        key,
        region: options.aws_kms_region.clone(),
        endpoint: options.aws_kms_endpoint.clone(),
    });
    Ok(strongroom_slots::Config { transit, pkcs11, aws_kms })
}

fn second_place(options: &Options) -> Option<second_place::Setting> {
    const EVERY: Duration = Duration::from_secs(60);
    let every = options.audit_checkpoint_every.map_or(EVERY, |time| time.0);
    options.audit_checkpoint_to.clone().map(|to| second_place::Setting { to, every })
}

fn connections(options: &Options) -> listen::Limits {
    let default = listen::Limits::default();
    let or = |given: Option<Time>, default| given.map_or(default, |time| time.0);
    listen::Limits {
        connections: options.max_connections.map_or(default.connections, |number| number.get() as usize),
        head: or(options.header_timeout, default.head),
        handshake: or(options.handshake_timeout, default.handshake),
        drain: or(options.drain_timeout, default.drain),
    }
}

/// The settings in force as a table: name, value, source. No setting holds a secret: keys are named by their files.
pub(crate) fn show(options: Options, given: Option<&ArgMatches>) -> Result<String, Failure> {
    let in_file = match &options.config {
        Some(path) => std::fs::read_to_string(path).ok().and_then(|text| text.parse::<toml::Table>().ok()),
        None => None,
    };
    let source = |name: &str| {
        let from = given.and_then(|given| {
            given.try_contains_id(name).ok().filter(|is| *is).and(given.value_source(name))
        });
        match from {
            Some(ValueSource::CommandLine) => "flag",
            Some(ValueSource::EnvVariable) => "environment",
            _ if in_file.as_ref().is_some_and(|file| file.contains_key(name)) => "file",
            _ if name == "root_key_file" && credential(ROOT_KEY).is_some() => "credential",
            _ => "default",
        }
    };
    let mut out = String::new();
    for (name, value) in rows(&Settings::resolve(options)?) {
        out += &format!("{name:<22} {value:<36} # {}\n", source(name));
    }
    Ok(out)
}

fn rows(settings: &Settings) -> Vec<(&'static str, String)> {
    let path = |path: &PathBuf| path.display().to_string();
    let number =
        |number: Option<u64>| number.map_or_else(|| "unlimited".to_owned(), |number| number.to_string());
    let Settings { limits, server, connections, .. } = settings;
    let url = server.external_url.as_ref().map_or_else(|| "each request's own".to_owned(), Origin::to_string);
    let none = || "none".to_owned();
    let own = settings.tls.as_ref().filter(|tls| tls.self_signed);
    let files = settings.tls.as_ref().map(|tls| &tls.files);
    let clients = files.and_then(|files| files.clients.as_ref());
    let auth = if clients.is_some_and(|clients| clients.required) { "required" } else { "optional" };
    let place = settings.second_place.as_ref();
    let slots = &server.slots;
    let (transit, pkcs11, kms) = (slots.transit.as_ref(), slots.pkcs11.as_ref(), slots.aws_kms.as_ref());
    let mut rows =
        vec![("data_dir", path(&settings.data_dir)), ("root_key_file", path(&settings.root_key_file))];
    rows.extend(database::rows(settings.database.as_ref()));
    rows.extend(vec![
        ("transit_address", transit.map_or_else(none, |transit| transit.address.clone())),
        ("transit_token_file", transit.map_or_else(none, |transit| path(&transit.token_file))),
        (
            "transit_ca",
            transit.and_then(|transit| transit.ca.as_ref()).map_or_else(|| "the system's".to_owned(), path),
        ),
        ("transit_mount", transit.map_or_else(none, |transit| transit.mount.clone())),
        ("transit_key", transit.map_or_else(none, |transit| transit.key.clone())),
        ("transit_namespace", transit.and_then(|transit| transit.namespace.clone()).unwrap_or_else(none)),
        ("pkcs11_module", pkcs11.map_or_else(none, |pkcs11| path(&pkcs11.module))),
        ("pkcs11_token", pkcs11.map_or_else(none, |pkcs11| pkcs11.token.clone())),
        ("pkcs11_key", pkcs11.map_or_else(none, |pkcs11| pkcs11.key.clone())),
        ("pkcs11_pin_file", pkcs11.map_or_else(none, |pkcs11| path(&pkcs11.pin_file))),
        ("aws_kms_key", kms.map_or_else(none, |kms| kms.key.clone())),
        ("aws_kms_region", kms.and_then(|kms| kms.region.clone()).unwrap_or_else(none)),
        ("aws_kms_endpoint", kms.and_then(|kms| kms.endpoint.clone()).unwrap_or_else(none)),
        ("listen", settings.listen.to_string()),
        ("external_url", url),
        ("tls", own.map_or_else(none, |_| "self-signed".to_owned())),
        ("tls_cert", files.map_or_else(none, |files| path(&files.certificate))),
        ("tls_key", files.map_or_else(none, |files| path(&files.key))),
        ("tls_client_ca", clients.map_or_else(none, |clients| path(&clients.authorities))),
        ("tls_client_auth", auth.to_owned()),
        ("plain_http", settings.plain_http.to_string()),
        ("metrics_listen", settings.metrics_listen.map_or_else(none, |address| address.to_string())),
        ("log_format", if settings.log_format == LogFormat::Json { "json" } else { "text" }.to_owned()),
        ("log_level", settings.log_level.clone()),
        ("lenient", server.lenient.to_string()),
        ("max_name", limits.name.to_string()),
        ("max_description", limits.description.to_string()),
        ("max_metadata", limits.metadata.to_string()),
        ("max_value", limits.value.to_string()),
        ("max_vaults", number(limits.vaults)),
        ("max_secrets", number(limits.secrets)),
        ("keep_versions", limits.keep.versions.to_string()),
        ("keep_versions_for", limits.keep.versions_for.map_or_else(|| number(None), units::span)),
        ("keep_deleted_for", units::span(limits.deleted.seconds)),
        ("keep_audit_for", limits.audit.map_or_else(|| number(None), |audit| units::span(audit.seconds))),
        (
            "rotate_vault_keys_after",
            limits.vault_keys.map_or_else(|| number(None), |age| units::span(age.seconds)),
        ),
        ("requests_per_minute", number(server.requests_per_minute.map(|number| number.get().into()))),
        (
            "trusted_proxies",
            match &server.trusted_proxies[..] {
                [] => none(),
                ranges => Ranges(ranges.to_vec()).to_string(),
            },
        ),
        ("webhooks_allow_private", server.webhooks.allow_private.to_string()),
        ("webhooks_timeout", format!("{:?}", server.webhooks.timeout)),
        ("webhooks_retry_after", Times(server.webhooks.retry_after.clone()).to_string()),
        ("max_connections", connections.connections.to_string()),
        ("header_timeout", format!("{:?}", connections.head)),
        ("body_timeout", format!("{:?}", server.body_timeout)),
        ("handshake_timeout", format!("{:?}", connections.handshake)),
        ("drain_delay", format!("{:?}", settings.drain_delay)),
        ("drain_timeout", format!("{:?}", connections.drain)),
        ("audit_checkpoint_to", place.map_or_else(none, second_place::Setting::shown)),
        ("audit_checkpoint_every", place.map_or_else(none, |place| format!("{:?}", place.every))),
    ]);
    rows
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::{Command, CommandFactory, FromArgMatches, Parser};

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn the_defaults_in_the_help_are_the_defaults() {
        let settings = Settings::resolve(Options::default()).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:7070");
        let help = Flags::command().render_long_help().to_string();
        for (name, value) in rows(&settings) {
            let flag = format!("--{}", name.replace('_', "-"));
            let at = help
                .find(&format!("{flag} "))
                .or_else(|| help.find(&format!("{flag}[")))
                .unwrap_or_else(|| panic!("{flag} is not in the help"));
            if let Some(told) = help[at..].split("[default: ").nth(1).and_then(|rest| rest.split(']').next())
                && let Ok(bytes) = told.parse::<Bytes>()
                && value.parse::<usize>().is_ok()
            {
                assert_eq!(bytes.to_string(), value, "{flag}");
            }
        }
    }

    #[test]
    fn every_flag_has_its_variable() {
        let command: Command = Flags::command();
        // What is for one start alone must not stay on in a variable.
        let once = ["help", "allow-rolled-back-log"];
        for arg in
            command.get_arguments().filter(|arg| arg.get_long().is_some_and(|long| !once.contains(&long)))
        {
            let expected = format!("STRONGROOM_{}", arg.get_id().as_str().to_uppercase());
            assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(expected.as_str()));
        }
    }

    #[test]
    fn flags_come_before_the_file_and_unknown_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, "max_value = \"1MiB\"\nmax_name = 100\nheader_timeout = \"5s\"\n").unwrap();
        let args = ["x", "--config", path.to_str().unwrap(), "--max-name", "50"];
        let matches = Flags::command().get_matches_from(args);
        let settings = Settings::resolve(Flags::from_arg_matches(&matches).unwrap().options).unwrap();
        assert_eq!((settings.limits.name, settings.limits.value), (50, 1 << 20));
        std::fs::write(&path, "max_nam = 1\n").unwrap();
        let options =
            Flags::from_arg_matches(&Flags::command().get_matches_from(&args[..3])).unwrap().options;
        let told = Settings::resolve(options).err().unwrap().to_string();
        assert!(told.contains("max_nam"), "{told}");
    }
}
