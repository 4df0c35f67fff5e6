//! Where the database is, and how it is spoken to.

use std::future::pending;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::{ConfigConnectImpl, Connect};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::lookup_host;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{CancelToken, Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

/// How TLS with the database is made.
type Tls = MakeRustlsConnect;

/// A connection, or why there is none: what asks on it, and the task that serves it.
type Connected = Result<(Client, JoinHandle<()>), tokio_postgres::Error>;

/// How long it may take until a host takes a connection, each address of several by itself.
const TAKEN: Duration = Duration::from_secs(1);
/// The same until it has answered as one that can be written to. A host that is frozen takes connections and says nothing.
const ANSWERED: Duration = Duration::from_secs(2);
/// How long sent bytes may stay unacknowledged before a connection counts as dead.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);

/// One address of one of the hosts that the database may be on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    host: usize,
    /// Where the driver is not to find it by itself.
    address: Option<IpAddr>,
}

/// What is asked for the password, for each connection anew. `None` where it cannot be told, and the one before is shown.
type PasswordSource = dyn Fn() -> Option<Zeroizing<Vec<u8>>> + Send + Sync;

/// Makes connections, and ends what is done on them, on the runtime that the store was opened on, whoever needs one: they outlive
/// those. Of several hosts, the one that was good last is asked first.
#[derive(Clone)]
pub(super) struct Connector {
    connect: Arc<ConfigConnectImpl<Tls>>,
    password: Option<Arc<PasswordSource>>,
    runtime: Handle,
    /// How long each address has.
    answered: Duration,
    good: Arc<Mutex<Option<Place>>>,
}

impl Connector {
    pub(super) fn new(options: &Options) -> Result<Self, OptionsError> {
        Ok(Self {
            connect: Arc::new(ConfigConnectImpl { tls: options.tls()? }),
            password: options.password_source.clone(),
            runtime: Handle::current(),
            answered: options.answered,
            good: Arc::default(),
        })
    }

    /// Has the server stop what it does on a connection that nobody waits for any more. It looks for a client that is gone only when it
    /// has something to tell it.
    pub(super) fn cancel(&self, token: CancelToken) {
        let connector = self.clone();
        self.runtime.spawn(async move {
            let cancelled = timeout(connector.answered, token.cancel_query(connector.connect.tls.clone()));
            match cancelled.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a statement that is late could not be cancelled"),
                Err(_) => tracing::debug!("a statement that is late could not be cancelled in time"),
            }
        });
    }

    fn good(&self) -> MutexGuard<'_, Option<Place>> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks one host after the other. `None` if all that can be told is that none answered in time.
    async fn connect_to_any(&self, config: &Config) -> Option<Connected> {
        let good = *self.good();
        let mut hosts: Vec<usize> = (0..config.get_hosts().len()).collect();
        hosts.sort_by_key(|host| good.is_none_or(|good| good.host != *host));
        let mut failed = None;
        for host in hosts {
            let mut places = self.places(config, host).await;
            places.sort_by_key(|place| good != Some(*place));
            for place in places {
                let alone = alone(config, place);
                match timeout(self.answered, self.connect.connect(&alone)).await {
                    Ok(Ok(connection)) => {
                        *self.good() = Some(place);
                        return Some(Ok(connection));
                    }
                    Ok(Err(error)) => failed = Some(Err(error)),
                    Err(_) => {}
                }
            }
        }
        failed
    }

    /// The addresses of a host. The driver would ask all of them within the time that each has.
    async fn places(&self, config: &Config, host: usize) -> Vec<Place> {
        let by_itself = vec![Place { host, address: None }];
        let Some(Host::Tcp(name)) = config.get_hosts().get(host) else { return by_itself };
        if config.get_hostaddrs().len() > host || name.parse::<IpAddr>().is_ok() {
            return by_itself;
        }
        match timeout(self.answered, lookup_host((name.as_str(), port(config, host)))).await {
            Ok(Ok(found)) => found.map(|found| Place { host, address: Some(found.ip()) }).collect(),
            // The driver finds none either, and tells why.
            Ok(Err(_)) => by_itself,
            Err(_) => Vec::new(),
        }
    }
}

impl Connect for Connector {
    /// Goes on when it is given up: whoever asks next then begins with the host that was found.
    fn connect(&self, config: &Config) -> Pin<Box<dyn Future<Output = Connected> + Send + '_>> {
        let (connector, mut config) = (self.clone(), config.clone());
        if let Some(password) = self.password.as_ref().and_then(|password| password()) {
            config.password(&*password);
        }
        let connecting = self.runtime.spawn(async move { connector.connect_to_any(&config).await });
        Box::pin(async move {
            match connecting.await {
                Ok(Some(connected)) => connected,
                // The driver has no error for it; the limit of the pool tells it, which ends about now.
                Ok(None) | Err(_) => pending().await,
            }
        })
    }
}

/// What is said of one of the hosts, and nothing of the others.
fn alone(config: &Config, place: Place) -> Config {
    let mut alone = Config::new();
    match config.get_hosts().get(place.host) {
        Some(Host::Tcp(name)) => {
            alone.host(name);
        }
        Some(Host::Unix(path)) => {
            alone.host_path(path);
        }
        None => {}
    }
    if let Some(address) = place.address.or_else(|| config.get_hostaddrs().get(place.host).copied()) {
        alone.hostaddr(address);
    }
    alone.port(port(config, place.host));
    if let Some(user) = config.get_user() {
        alone.user(user);
    }
    if let Some(name) = config.get_dbname() {
        alone.dbname(name);
    }
    if let Some(options) = config.get_options() {
        alone.options(options);
    }
    if let Some(name) = config.get_application_name() {
        alone.application_name(name);
    }
    if let Some(password) = config.get_password() {
        alone.password(password);
    }
    if let Some(limit) = config.get_connect_timeout() {
        alone.connect_timeout(*limit);
    }
    if let Some(limit) = config.get_tcp_user_timeout() {
        alone.tcp_user_timeout(*limit);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        alone.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        alone.keepalives_retries(retries);
    }
    alone
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(config.get_target_session_attrs())
        .load_balance_hosts(config.get_load_balance_hosts());
    alone
}

/// The port of one of the hosts: its own, the one of all, or PostgreSQL's.
fn port(config: &Config, host: usize) -> u16 {
    let ports = config.get_ports();
    ports.get(host).or(ports.first()).copied().unwrap_or(5432)
}

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
    /// How long each address of a host has to answer a new connection.
    answered: Duration,
    password_source: Option<Arc<PasswordSource>>,
    authorities: Option<PathBuf>,
}

impl Options {
    /// Connections that a node keeps at most, where nothing is said.
    pub const CONNECTIONS: usize = 16;

    /// Reads a URL, `postgres://user@host:port/name?sslmode=…`, or a string of keys and values as libpq has them. Where it does
    /// not say how TLS is used, or prefers it, TLS is required of every host but this machine; the server's certificate is always
    /// checked.
    ///
    /// # Errors
    /// [`OptionsError::Url`], [`OptionsError::NoHost`].
    pub fn parse(url: &str) -> Result<Self, OptionsError> {
        let mut config: Config =
            understood(url).parse().map_err(|_| OptionsError::Url("it is postgres://user@host:port/name"))?;
        let hosts = config.get_hosts().len();
        if hosts == 0 {
            return Err(OptionsError::NoHost);
        }
        if config.get_ports().len() > 1 && config.get_ports().len() != hosts {
            return Err(OptionsError::Url("it has one port for all hosts, or one for each"));
        }
        if !config.get_hostaddrs().is_empty() && config.get_hostaddrs().len() != hosts {
            return Err(OptionsError::Url("it has an address for each host, or none"));
        }
        // What the driver takes where nothing is said, too. Whoever stands in between could have it go without.
        if config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(if config.get_hosts().iter().all(is_here) {
                SslMode::Disable
            } else {
                SslMode::Require
            });
        }
        let answered = config.get_connect_timeout().copied().unwrap_or(ANSWERED);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(TAKEN);
        }
        if config.get_application_name().is_none() {
            config.application_name("strongroom");
        }
        config.tcp_user_timeout(UNACKNOWLEDGED);
        // Of several hosts, a standby is of no use.
        config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
        let connections = Self::CONNECTIONS;
        Ok(Self { config, connections, prepare: true, answered, password_source: None, authorities: None })
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
        let host = |(index, host): (usize, &Host)| match host {
            Host::Tcp(name) => format!("{name}:{}", port(&self.config, index)),
            Host::Unix(path) => path.display().to_string(),
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

    /// How long it takes at most to make a connection, whichever host is good, if each has one address.
    pub(super) fn connecting(&self) -> Duration {
        self.answered * u32::try_from(self.config.get_hosts().len()).unwrap_or(u32::MAX)
    }

    fn tls(&self) -> Result<Tls, OptionsError> {
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

/// The same in the driver's words: libpq's names for a checked certificate, which here is always checked, are unknown to it.
fn understood(url: &str) -> String {
    let required = |parameter: &str| match parameter {
        "sslmode=verify-full" | "sslmode=verify-ca" => "sslmode=require".to_owned(),
        other => other.to_owned(),
    };
    let each =
        |parameters: &str, between| parameters.split(between).map(required).collect::<Vec<_>>().join(between);
    match url.split_once('?') {
        Some((place, parameters)) if place.contains("://") => format!("{place}?{}", each(parameters, "&")),
        _ => each(url, " "),
    }
}

/// Whether a host is this machine.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> Options {
        Options::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn mode(url: &str) -> SslMode {
        options(url).config.get_ssl_mode()
    }

    #[test]
    fn another_machine_is_spoken_to_without_tls_only_where_that_is_said() {
        for url in [
            "postgres://user@db/name",
            "postgres://user@db/name?sslmode=prefer",
            "postgres://user@db/name?sslmode=require",
            "postgres://user@db/name?sslmode=verify-ca",
            "postgres://user@db/name?connect_timeout=9&sslmode=verify-full",
            "postgres://user@localhost,db/name",
            "postgres://user@db/sslmode",
            "postgres://sslmode@db/name",
            "postgres://user@db/name?application_name=sslmode",
            "postgres://user@db/sslmode=disable",
            "host=db user=sslmode",
            "host=db user=user sslmode=verify-full",
            "host=db user=user sslmode=prefer",
        ] {
            assert_eq!(mode(url), SslMode::Require, "{url}");
            assert!(options(url).is_encrypted(), "{url}");
        }
        assert_eq!(mode("postgres://user@db/name?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("host=db user=user sslmode=disable"), SslMode::Disable);
    }

    #[test]
    fn this_machine_is_spoken_to_with_tls_where_that_is_said() {
        for url in
            ["postgres://user@localhost/name", "postgres://user@127.0.0.1/sslmode", "host=/run user=me"]
        {
            assert_eq!(mode(url), SslMode::Disable, "{url}");
        }
        assert_eq!(mode("postgres://user@localhost/name?sslmode=verify-full"), SslMode::Require);
    }

    #[test]
    fn ports_and_addresses_are_one_for_each_host() {
        for url in ["host=a,b,c port=1,2 user=me", "host=a,b hostaddr=127.0.0.1 user=me"] {
            assert!(matches!(Options::parse(url), Err(OptionsError::Url(_))), "{url}");
        }
    }

    /// Nothing that is said of the database is lost where one host is asked by itself.
    #[test]
    fn a_host_by_itself_is_spoken_to_as_all_of_them_are() {
        let said = "user=me password=word dbname=name options=-cx=y application_name=app sslmode=require \
                    connect_timeout=7 tcp_user_timeout=6 keepalives=0 keepalives_idle=5 keepalives_interval=4 \
                    keepalives_retries=3 target_session_attrs=read-write channel_binding=disable \
                    load_balance_hosts=random";
        let parsed = |url: &str| url.parse::<Config>().unwrap_or_else(|error| panic!("{url}: {error}"));
        for (hosts, each) in [
            ("host=a,/run,c port=1,2,3", ["host=a port=1", "host=/run port=2", "host=c port=3"]),
            ("host=a,b,c port=9", ["host=a port=9", "host=b port=9", "host=c port=9"]),
            ("host=a,b,c", ["host=a port=5432", "host=b port=5432", "host=c port=5432"]),
            (
                "host=a,b,c hostaddr=10.0.0.1,10.0.0.2,10.0.0.3",
                [
                    "host=a hostaddr=10.0.0.1 port=5432",
                    "host=b hostaddr=10.0.0.2 port=5432",
                    "host=c hostaddr=10.0.0.3 port=5432",
                ],
            ),
        ] {
            let config = parsed(&format!("{hosts} {said}"));
            for (host, expected) in each.into_iter().enumerate() {
                let expected = parsed(&format!("{expected} {said}"));
                assert_eq!(alone(&config, Place { host, address: None }), expected);
            }
        }
        let found = Place { host: 1, address: Some([10, 0, 0, 9].into()) };
        let expected = parsed(&format!("host=b hostaddr=10.0.0.9 port=2 {said}"));
        assert_eq!(alone(&parsed(&format!("host=a,b port=1,2 {said}")), found), expected);
    }
}
