//! Where the database is, and how it is spoken to.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{ConfigConnectImpl, Connect};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

/// How TLS with the database is made.
pub(super) type Tls = MakeRustlsConnect;

/// What a connection is made to give: what asks on it, and the task that serves it.
type Connecting<'a> =
    Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send + 'a>>;

/// What is asked for the password, for each connection anew. `None` where it cannot be told, and the one before is shown.
type PasswordSource = dyn Fn() -> Option<Zeroizing<Vec<u8>>> + Send + Sync;

/// Makes connections on the runtime that the store was opened on, whoever needs one: they outlive those.
pub(super) struct Connector {
    connect: ConfigConnectImpl<Tls>,
    password: Option<Arc<PasswordSource>>,
    runtime: Handle,
}

impl Connector {
    pub(super) fn new(options: &Options, tls: Tls) -> Self {
        let password = options.password_source.clone();
        Self { connect: ConfigConnectImpl { tls }, password, runtime: Handle::current() }
    }
}

impl Connect for Connector {
    fn connect(&self, config: &Config) -> Connecting<'_> {
        let password = self.password.as_ref().and_then(|password| password());
        let mut connecting = match password {
            Some(password) => self.connect.connect(config.clone().password(&*password)),
            None => self.connect.connect(config),
        };
        Box::pin(poll_fn(move |context| {
            let _entered = self.runtime.enter();
            connecting.as_mut().poll(context)
        }))
    }
}

/// How long a connection may take to be made, each host of several by itself.
const CONNECT: Duration = Duration::from_secs(3);
/// How long sent bytes may stay unacknowledged before a connection counts as dead.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);

/// Why a database cannot be used as it is named.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// The URL cannot be read. It is not told, since it may hold a password.
    #[error("the database's URL cannot be read: {0}")]
    Url(&'static str),
    /// It names no host.
    #[error("the database's URL names no host")]
    NoHost,
    /// The certificates of authorities cannot be read.
    #[error("the certificates in {path} cannot be read")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// None of them is one.
    #[error("{0} holds no certificate of an authority")]
    NoAuthority(PathBuf),
    /// The library of TLS refuses.
    #[error("TLS with the database cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Where the database is, and how it is spoken to.
#[derive(Clone)]
pub struct Options {
    pub(super) config: Config,
    pub(super) connections: usize,
    pub(super) prepare: bool,
    password_source: Option<Arc<PasswordSource>>,
    authorities: Option<PathBuf>,
}

impl Options {
    /// Connections that a node keeps at most, where nothing is said.
    pub const CONNECTIONS: usize = 16;

    /// Reads a URL, `postgres://user@host:port/name?sslmode=…`, or a string of keys and values as libpq has them. Where it does
    /// not say how TLS is used, TLS is required of every host but this machine; the server's certificate is always checked.
    ///
    /// # Errors
    /// [`OptionsError::Url`], [`OptionsError::NoHost`].
    pub fn parse(url: &str) -> Result<Self, OptionsError> {
        // libpq's names for a checked certificate, which here is always checked.
        let understood = ["verify-full", "verify-ca"]
            .iter()
            .fold(url.to_owned(), |url, mode| url.replace(&format!("sslmode={mode}"), "sslmode=require"));
        let mut config: Config =
            understood.parse().map_err(|_| OptionsError::Url("it is postgres://user@host:port/name"))?;
        if config.get_hosts().is_empty() {
            return Err(OptionsError::NoHost);
        }
        if !url.contains("sslmode") {
            config.ssl_mode(if config.get_hosts().iter().all(is_here) {
                SslMode::Disable
            } else {
                SslMode::Require
            });
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_application_name().is_none() {
            config.application_name("strongroom");
        }
        config.tcp_user_timeout(UNACKNOWLEDGED);
        // Of several hosts, a standby is of no use.
        config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
        let connections = Self::CONNECTIONS;
        Ok(Self { config, connections, prepare: true, password_source: None, authorities: None })
    }

    /// Whether the URL holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// Sets the password, which is then not in the URL.
    #[must_use]
    pub fn password(mut self, password: &[u8]) -> Self {
        self.config.password(password);
        self
    }

    /// Sets what is asked for the password before each connection, so that another one counts without a start. Where it tells none, the
    /// one that was set is shown.
    #[must_use]
    pub fn password_source(
        mut self,
        source: impl Fn() -> Option<Zeroizing<Vec<u8>>> + Send + Sync + 'static,
    ) -> Self {
        self.password_source = Some(Arc::new(source));
        self
    }

    /// Sets how many connections a node keeps at most, 3 at least: one looks at what others do, one writes, and one reads.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(3);
        self
    }

    /// Sets whether connections keep prepared statements. A pooler that hands out connections by transaction may not allow it;
    /// without, each statement is sent whole, in as many round trips.
    #[must_use]
    pub fn prepare(mut self, prepare: bool) -> Self {
        self.prepare = prepare;
        self
    }

    /// Sets a file of certificates in PEM; the database's must be of one of these authorities. Without it they are the system's.
    #[must_use]
    pub fn authorities(mut self, path: &Path) -> Self {
        self.authorities = Some(path.to_owned());
        self
    }

    /// Sets a parameter of the database's for each session, such as `search_path`.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        let before = self.config.get_options().map(|options| format!("{options} ")).unwrap_or_default();
        self.config.options(format!("{before}-c {name}={value}"));
        self
    }

    /// How the database is called to people: hosts and name, without who asks.
    #[must_use]
    pub fn place(&self) -> String {
        let host = |(index, host): (usize, &Host)| {
            let ports = self.config.get_ports();
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(path) => path.display().to_string(),
            }
        };
        let hosts: Vec<String> = self.config.get_hosts().iter().enumerate().map(host).collect();
        format!("{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }

    /// Whether every connection is encrypted, and the database's certificate checked.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        matches!(self.config.get_ssl_mode(), SslMode::Require)
    }

    /// Whether the database is on this machine, by its names.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.config.get_hosts().iter().all(is_here)
    }

    pub(super) fn tls(&self) -> Result<Tls, OptionsError> {
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            Some(path) => {
                let unread = |source| OptionsError::Authorities { path: path.clone(), source };
                for certificate in CertificateDer::pem_file_iter(path).map_err(unread)? {
                    roots.add(certificate.map_err(unread)?)?;
                }
                if roots.is_empty() {
                    return Err(OptionsError::NoAuthority(path.clone()));
                }
            }
            // What a system has that is no certificate is no reason to do without the others.
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }
}

/// Whether a host is this machine.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}
