//! The certificate of a server, and the authority that it is of.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::write_private;
use crate::programs;

const ALL: [&str; 3] = [AUTHORITY, CERTIFICATE, KEY];
pub(super) const AUTHORITY: &str = "ca.pem";
pub(super) const CERTIFICATE: &str = "tls-cert.pem";
pub(super) const KEY: &str = "tls-key.pem";

/// Makes them in a folder.
pub(super) fn make(folder: &Path) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    // Of the same name as what it signs, that would count as signed by itself.
    authority.distinguished_name.push(DnType::CommonName, "Strongroom's tests");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let own = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);

    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    for (name, text) in [(AUTHORITY, own.pem()), (CERTIFICATE, certificate.pem()), (KEY, key.serialize_pem())]
    {
        write_private(&folder.join(name), &text);
        programs::give(&folder.join(name));
    }
}

/// Copies them, so that a client that trusts the one server trusts the other.
pub(super) fn copy(from: &Path, to: &Path) {
    for name in ALL {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
        programs::give(&to.join(name));
    }
}
