//! Values from the server, or from the offline cache when it cannot be reached.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use strongroom_client::api::{Client, Error, Refusal};
use strongroom_client::cache::{Cached, Entry};
use strongroom_crypto::SystemRng;
use strongroom_domain::clock::{Clock, SystemClock};
use strongroom_wire as wire;

use super::Remote;
use crate::failure::{Failure, Kind, note};
use crate::units::Age;

/// Whether values may come from the cache.
#[derive(Args, Clone)]
pub(crate) struct CacheOptions {
    /// Keep the values in a sealed cache, and use it when the server does not answer within a second
    ///
    /// The cache is $XDG_CACHE_HOME/strongroom or ~/.cache/strongroom. It opens with the API key that the values were
    /// given to and no other. A server that answers is always believed: when it refuses the key, or a secret is gone, what the
    /// cache has for this question is removed. Without --offline the cache is neither read nor written.
    #[arg(long, help_heading = "Offline")]
    offline: bool,
    /// How old cached values may be: 90d, 24h, 15m
    #[arg(long, value_name = "TIME", default_value = "24h", requires = "offline", help_heading = "Offline")]
    max_age: Age,
}

/// Values, in the order asked for.
pub(crate) struct Fetched {
    pub(crate) secrets: Vec<wire::ResolvedSecret>,
    /// Whether they are from the cache: the server may have others by now.
    pub(crate) is_cached: bool,
}

/// How long a server may take before the cache is used, to connect and to answer.
const QUICK: Duration = Duration::from_secs(1);

/// How long it may take when there is nothing in the cache: to connect, and to answer.
const PATIENT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

/// A clock that is set back by less than this is not worth telling.
const TOLERATED_STEP_BACK: i64 = 60;

/// Reads values, in the order asked for, all or none.
pub(crate) fn fetch(
    remote: &Remote,
    cache: &CacheOptions,
    references: &[wire::Reference],
) -> Result<Vec<wire::ResolvedSecret>, Failure> {
    Ok(fetch_from(remote.connect()?, cache, references)?.secrets)
}

/// The same from a server that is known already.
pub(crate) fn fetch_from(
    client: Client,
    cache: &CacheOptions,
    references: &[wire::Reference],
) -> Result<Fetched, Failure> {
    match Offline::of(cache, references)? {
        None => Ok(Fetched { secrets: client.resolve(references)?, is_cached: false }),
        Some(offline) => offline.fetch(client),
    }
}

/// The place in the feed of changes from which on values are followed; none where the cache may have to do for the server.
pub(crate) fn place(
    client: &Client,
    cache: &CacheOptions,
    references: &[wire::Reference],
) -> Result<Option<String>, Failure> {
    let Some(offline) = Offline::of(cache, references)? else {
        return Ok(Some(client.changes(None, Duration::ZERO)?.cursor));
    };
    match client.another().with_timeouts(QUICK, QUICK).changes(None, Duration::ZERO) {
        Ok(page) => Ok(Some(page.cursor)),
        Err(error) if is_unreachable(&error) => Ok(None),
        Err(error) => Err(offline.refused(client, error)),
    }
}

/// Keeps values that were read anew for when the server cannot be reached, where that is wanted.
pub(crate) fn keep(
    client: &Client,
    cache: &CacheOptions,
    references: &[wire::Reference],
    secrets: &[wire::ResolvedSecret],
) {
    match Offline::of(cache, references) {
        Ok(offline) => offline.iter().for_each(|offline| offline.keep(client, secrets)),
        Err(failure) => note(&failure.to_string()),
    }
}

/// Removes what is kept if a server says no to it.
pub(crate) fn forget_if_refused(
    client: &Client,
    cache: &CacheOptions,
    references: &[wire::Reference],
    error: &Error,
) {
    if is_refusal(error) {
        forget(client, cache, references);
    }
}

/// Removes what is kept, as the server does not give all of it any longer.
pub(crate) fn forget(client: &Client, cache: &CacheOptions, references: &[wire::Reference]) {
    match Offline::of(cache, references) {
        Ok(offline) => offline.iter().for_each(|offline| offline.forget(client)),
        Err(failure) => note(&failure.to_string()),
    }
}

/// The folder of caches (XDG Base Directory Specification).
#[expect(clippy::disallowed_methods, reason = "the folder is not a setting of this program's")]
fn cache_folder() -> Option<PathBuf> {
    let set = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let home = || std::env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".cache"));
    set.or_else(home).map(|folder| folder.join("strongroom"))
}

struct Offline<'a> {
    folder: PathBuf,
    max_age: Duration,
    references: &'a [wire::Reference],
    /// Seconds since the Unix epoch.
    now: i64,
}

impl<'a> Offline<'a> {
    /// The cache, where it is wanted.
    fn of(cache: &CacheOptions, references: &'a [wire::Reference]) -> Result<Option<Self>, Failure> {
        if !cache.offline {
            return Ok(None);
        }
        let folder = cache_folder().ok_or_else(|| {
            Failure::new("it is not known where the cache is, as neither XDG_CACHE_HOME nor HOME is set")
                .todo("set one of them, or leave --offline away")
        })?;
        let now = SystemClock.now().as_second();
        Ok(Some(Self { folder, max_age: cache.max_age.0, references, now }))
    }

    fn fetch(&self, client: Client) -> Result<Fetched, Failure> {
        let fresh = |secrets| Fetched { secrets, is_cached: false };
        let client = client.with_timeouts(QUICK, QUICK);
        let error = match client.resolve(self.references) {
            Ok(secrets) => {
                self.keep(&client, &secrets);
                return Ok(fresh(secrets));
            }
            Err(error) if is_unreachable(&error) => error,
            Err(error) => return Err(self.refused(&client, error)),
        };
        match self.usable(&client) {
            Ok(Some(cached)) => {
                let age = age(self.now - cached.fetched_at);
                note(&format!("server not reachable; using values cached {age} ago"));
                Ok(Fetched { secrets: cached.secrets, is_cached: true })
            }
            // It is there and slow, and there is nothing better to use.
            _ if matches!(error, Error::TimedOut { .. }) => {
                let client = client.with_timeouts(PATIENT.0, PATIENT.1);
                let secrets =
                    client.resolve(self.references).map_err(|error| self.refused(&client, error))?;
                self.keep(&client, &secrets);
                Ok(fresh(secrets))
            }
            Ok(None) => Err(Failure::new(
                "the server cannot be reached, and nothing is cached for what was asked",
            )
            .because(error)
            .todo("the cache is filled by the same command with --offline while the server can be reached")
            .kind(Kind::Unavailable)),
            Err(too_old) => Err(too_old.because(error)),
        }
    }

    fn entry<'c>(&self, client: &'c Client) -> Result<Entry<'c>, strongroom_client::cache::Error> {
        Entry::new(&self.folder, client.url(), client.token(), self.references)
    }

    /// What is cached and young enough. A cache that cannot be used is as none, and told.
    fn usable(&self, client: &Client) -> Result<Option<Cached>, Failure> {
        let cached = match self.entry(client).and_then(|entry| entry.read()) {
            Ok(Some(cached)) => cached,
            Ok(None) => return Ok(None),
            Err(error) => {
                note(&Failure::new("the cache is not used").because(error).to_string());
                return Ok(None);
            }
        };
        let seconds = self.now - cached.fetched_at;
        let limit = i64::try_from(self.max_age.as_secs()).unwrap_or(i64::MAX);
        if seconds < -TOLERATED_STEP_BACK {
            let what = "the server cannot be reached, and the cached values are from the future";
            return Err(Failure::new(what).todo("set this machine's clock").kind(Kind::Unavailable));
        }
        if seconds > limit {
            let what = format!(
                "the server cannot be reached, and the cached values are {} old: --max-age allows {}",
                age(seconds),
                age(limit)
            );
            return Err(Failure::new(what).kind(Kind::Unavailable));
        }
        if let Some(expired) = cached.secrets.iter().find(|secret| self.has_expired(secret)) {
            let wire::ResolvedSecret { vault, name, expires_at, .. } = expired;
            let what = format!(
                "the server cannot be reached, and the cached value of {vault}:{name} expired at {expires_at}"
            );
            return Err(Failure::new(what).kind(Kind::Unavailable));
        }
        Ok(Some(cached))
    }

    /// Whether a cached value is past its end. An end that is no time is none that can be waited for.
    fn has_expired(&self, secret: &wire::ResolvedSecret) -> bool {
        let end = &secret.expires_at;
        !end.is_empty() && !end.parse::<Timestamp>().is_ok_and(|end| end.as_second() > self.now)
    }

    /// Fills the cache. The values are there, so a cache that cannot be written stops nobody.
    fn keep(&self, client: &Client, secrets: &[wire::ResolvedSecret]) {
        let kept = self.entry(client).and_then(|entry| entry.write(secrets, self.now, &SystemRng));
        if let Err(error) = kept {
            note(&Failure::new("the values are not cached").because(error).to_string());
        }
    }

    /// A server that says no: what it no longer gives is not kept either.
    fn refused(&self, client: &Client, error: Error) -> Failure {
        if is_refusal(&error) {
            self.forget(client);
        }
        error.into()
    }

    fn forget(&self, client: &Client) {
        if let Err(error) = self.entry(client).and_then(|entry| entry.remove()) {
            note(&Failure::new("the cached values cannot be removed").because(error).to_string());
        }
    }
}

/// Whether a server says no to the key, or to what was asked for. One of our codes says that it is a server of ours: what
/// stands in front of one answers 404 too.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Refused(Refusal { status: 401 | 403 | 404 | 410, error_code, .. }) if !error_code.is_empty())
}

/// Whether no server answered. One that is busy or broken has answered; a proxy that has no server behind it has not.
fn is_unreachable(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } | Error::TimedOut { .. } | Error::Lost { .. } => true,
        Error::Refused(refusal) => refusal.error_code.is_empty() && matches!(refusal.status, 404 | 502..=504),
        Error::Untrusted { .. } | Error::NotLetIn { .. } | Error::Protocol(_) | Error::Setting(_) => false,
    }
}

/// A span of time in its two largest units: `3h 12m`.
pub(super) fn age(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let parts =
        [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let told = parts[first..].iter().take(2).filter(|(count, _)| *count > 0 || seconds == 0);
    told.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use strongroom_client::api::{Connection, Token};

    /// A client of a port that nobody listens on.
    fn client() -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Client::new(Connection { url, token: Token::parse("key_1").unwrap(), ca: None, identity: None })
            .unwrap()
    }

    fn secrets() -> Vec<wire::ResolvedSecret> {
        let text = r#"[{"id":"secret_1","vault":"prod","name":"a","version":1,"value":"v","updated_at":""}]"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_cached_is_used_up_to_its_age_and_not_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let at = |now| Offline {
            folder: folder.path().to_owned(),
            max_age: Duration::from_secs(100),
            references: &[],
            now,
        };
        at(1000).keep(&client(), &secrets());
        // Another port is another server.
        assert!(at(1000).usable(&client()).unwrap().is_none());

        let client = client();
        at(1000).keep(&client, &secrets());
        for now in [1000, 1100, 950] {
            assert!(at(now).usable(&client).unwrap().unwrap().secrets == secrets(), "{now}");
        }
        for (expires_at, usable) in
            [("1970-01-01T00:16:41Z", true), ("1970-01-01T00:16:40Z", false), ("soon", false)]
        {
            let mut ending = secrets();
            ending[0].expires_at = expires_at.to_owned();
            at(1000).keep(&client, &ending);
            let told = at(1000).usable(&client).map(|cached| cached.is_some());
            assert_eq!(told.is_ok_and(|cached| cached), usable, "{expires_at}");
        }
        at(1000).keep(&client, &secrets());
        let old = at(1101).usable(&client).err().unwrap().to_string();
        assert!(old.contains("1m 41s") && old.contains("1m 40s"), "{old}");
        assert!(at(900).usable(&client).is_err());
    }

    #[test]
    fn a_refusal_is_no_outage_and_takes_the_cache_along() {
        let folder = tempfile::tempdir().unwrap();
        let offline = Offline {
            folder: folder.path().to_owned(),
            max_age: Duration::from_secs(100),
            references: &[],
            now: 1000,
        };
        let refusal = |status, error_code: &str| {
            Error::Refused(Refusal {
                status,
                error_code: error_code.to_owned(),
                msg: String::new(),
                operation_id: None,
                details: Default::default(),
            })
        };
        let client = client();
        for (status, code, kept) in [
            (403, "ERR_NGROK_206", false),
            (404, "ERR_STRONGROOM_1003", false),
            (503, "ERR_NGROK_1501", true),
        ] {
            let error = refusal(status, code);
            assert!(!is_unreachable(&error));
            offline.keep(&client, &secrets());
            offline.refused(&client, error);
            assert_eq!(offline.usable(&client).unwrap().is_some(), kept, "{status}");
        }
        // What stands in front of a server, and has none behind it.
        for status in [404, 502] {
            let error = refusal(status, "");
            assert!(is_unreachable(&error));
            offline.keep(&client, &secrets());
            offline.refused(&client, error);
            assert!(offline.usable(&client).unwrap().is_some(), "{status}");
        }
    }

    #[test]
    fn a_slow_server_is_waited_for_when_there_is_nothing_in_the_cache() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            // The first is left waiting, and the second is answered.
            let (_waiting, _) = listener.accept().unwrap();
            let (mut second, _) = listener.accept().unwrap();
            let body = format!(r#"{{"secrets":{}}}"#, serde_json::to_string(&secrets()).unwrap());
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            // A client that has not been read to the end may not read an answer.
            let mut request = [0; 4096];
            while !String::from_utf8_lossy(&request).contains(r#"{"secrets""#) {
                let count = second.read(&mut request).unwrap();
                assert!(count > 0);
            }
            second.write_all(format!("{head}{body}").as_bytes()).unwrap();
        });
        let folder = tempfile::tempdir().unwrap();
        let client = || {
            let token = Token::parse("key_1").unwrap();
            Client::new(Connection { url: url.clone(), token, ca: None, identity: None }).unwrap()
        };
        let asked = [wire::Reference { vault: Some("prod".to_owned()), ..Default::default() }];
        let offline = Offline {
            folder: folder.path().to_owned(),
            max_age: Duration::from_secs(100),
            references: &asked,
            now: 1000,
        };
        let fetched = offline.fetch(client()).unwrap();
        assert!(fetched.secrets == secrets() && !fetched.is_cached);
        server.join().unwrap();
        // By now nobody listens, and it is in the cache.
        let fetched = offline.fetch(client()).unwrap();
        assert!(fetched.secrets == secrets() && fetched.is_cached);
    }

    #[test]
    fn ages_are_told_in_two_units() {
        for (seconds, told) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (11_530, "3h 12m"),
            (3600, "1h"),
            (86_400, "1d"),
            (90_061, "1d 1h"),
            (-5, "0s"),
        ] {
            assert_eq!(age(seconds), told);
        }
    }
}
