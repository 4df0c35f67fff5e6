//! `tls = "self-signed"`: a certificate of the server's own making, for local use, which clients trust by its file.

use std::net::SocketAddr;

use jiff::{SignedDuration, Timestamp, ToSpan, Zoned, tz::TimeZone};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use strongroom_server::listen::{Certificate, Files, Tls};
use strongroom_server::origin::Origin;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::folder;

/// No browser takes one that counts for more than 398 days.
const DAYS: i64 = 365;
/// One with less time than this is made anew at a start, or when certificates are read again.
const SPARE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What a server on that address is called: by this machine, and by the URL that it is said to have.
pub(crate) fn names(listen: SocketAddr, external: Option<&Origin>) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    // 0.0.0.0 is every address, and none that anybody connects to.
    let address = Some(listen.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
    for name in address.into_iter().chain(external.map(|origin| origin.host().to_owned())) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Makes the files, unless those that are there go together, are for all of the names, and will be for a while.
pub(crate) fn prepare(files: &Files, names: &[String], now: Timestamp) -> Result<(), Failure> {
    if is_good(files, names, now) {
        return Ok(());
    }
    let failed = || Failure::new("the self-signed certificate cannot be made");
    let (certificate, key) = make(names, now).map_err(|error| failed().because(error))?;
    // The key first: should the certificate not follow, what is there does not go together, and both are made anew.
    folder::write_private(&files.key, &key)
        .and_then(|()| folder::write_private(&files.certificate, &certificate))
        .map_err(|error| failed().because(error))
}

fn is_good(files: &Files, names: &[String], now: Timestamp) -> bool {
    let own = Files { clients: None, ..files.clone() };
    let Ok(certificate) = Tls::load(&own).map(|tls| tls.certificate()) else { return false };
    names.iter().all(|name| certificate.is_for(name)) && !ends_soon(&certificate, now)
}

/// Whether a certificate counts for less than thirty days more.
pub(crate) fn ends_soon(certificate: &Certificate, now: Timestamp) -> bool {
    certificate.ends_at().is_none_or(|end| end.duration_since(now) < SPARE)
}

/// A certificate and its key, PEM.
fn make(names: &[String], now: Timestamp) -> Result<(String, Zeroizing<String>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Strongroom, self-signed");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let today = now.to_zoned(TimeZone::UTC);
    let midnight = |day: &Zoned| {
        rcgen::date_time_ymd(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs())
    };
    // From the day before: a client's clock may be behind.
    params.not_before = midnight(&today.saturating_sub(1.day()));
    params.not_after = midnight(&today.saturating_add(DAYS.days()));
    let made = params.self_signed(&key)?;
    Ok((made.pem(), Zeroizing::new(key.serialize_pem())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_are_those_that_clients_use() {
        let local = ["localhost", "127.0.0.1", "::1"];
        assert_eq!(names("127.0.0.1:7070".parse().unwrap(), None), local);
        assert_eq!(names("0.0.0.0:7070".parse().unwrap(), None), local);
        assert_eq!(names("[::]:7070".parse().unwrap(), None), local);
        let external = "https://secrets.example.com:7070".parse().unwrap();
        let all = names("192.0.2.1:7070".parse().unwrap(), Some(&external));
        assert_eq!(all[3..], ["192.0.2.1", "secrets.example.com"]);
        let external = "https://[2001:db8::1]:7070".parse().unwrap();
        assert_eq!(names("127.0.0.1:7070".parse().unwrap(), Some(&external))[3..], ["2001:db8::1"]);
    }

    #[test]
    fn it_is_made_anew_when_it_must_be_and_not_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files {
            certificate: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
            clients: None,
        };
        let prepared = |names: &[&str], now: &str| {
            prepare(&files, &texts(names), at(now)).unwrap();
            Certificate::read(&files.certificate).unwrap()
        };
        let local = ["localhost", "127.0.0.1", "::1"];
        let first = prepared(&local, "2027-01-01T12:00:00Z");
        assert_eq!(first.ends_at(), Some(at("2028-01-01T00:00:00Z")));
        assert!(local.iter().all(|name| first.is_for(name)) && !first.is_for("example.com"));
        for file in [&files.certificate, &files.key] {
            assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // Another day, and fewer names: the same.
        let same = prepared(&local[..1], "2027-12-01T23:00:00Z");
        assert_eq!(same.fingerprint(), first.fingerprint());
        let renewed = prepared(&local, "2027-12-02T01:00:00Z");
        assert_ne!(renewed.fingerprint(), first.fingerprint(), "less than thirty days are left");
        let named = prepared(&["localhost", "192.0.2.1"], "2027-12-02T01:00:00Z");
        assert_ne!(named.fingerprint(), renewed.fingerprint(), "it has another name");
        // A key that does not go with it, as after a crash between the two files.
        std::fs::write(&files.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let mended = prepared(&["localhost"], "2027-12-02T01:00:00Z");
        assert_ne!(mended.fingerprint(), named.fingerprint());
        Tls::load(&files).unwrap();
    }
}
