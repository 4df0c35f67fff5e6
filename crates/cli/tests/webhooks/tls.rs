//! Over TLS: to a target whose certificate is trusted, and to no other.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use crate::harness::{Process, Server, field, private_folder, text};
use crate::target::{self, Does, Shared, Target};
use crate::{PRIVATE, checked, make_webhook, path};

/// A target with a certificate for a name, and that certificate as PEM.
fn target_named(name: &str) -> (Target, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let serve = move |stream: TcpStream, shared: &Shared| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        target::answer(StreamOwned::new(connection, stream), shared);
    };
    (Target::with(Does::Answer(200), serve), made.cert.pem())
}

#[test]
fn a_target_is_trusted_by_its_certificate_alone() {
    let folder = private_folder();
    let (target, pem) = target_named("localhost");
    let authorities = folder.path().join("authorities.pem");
    std::fs::write(&authorities, pem).unwrap();
    let data = folder.path().join("data");
    let serve = ["serve", "--data-dir", text(&data), "--listen", "127.0.0.1:0", PRIVATE];
    let process = Process::spawn(&serve, &[("SSL_CERT_FILE", text(&authorities))]);
    let server = Server::wait_until_ready(&data, process);
    let mut client = server.client();
    let mut test = |url: &str| {
        let webhook = make_webhook(&mut client, url);
        let tested = client.post(&format!("{}/test", path(&webhook)), &json!({})).expect_status(200).json();
        (webhook, tested)
    };
    let (webhook, tested) = test(&format!("https://localhost:{}/", target.port()));
    assert_eq!(tested, json!({"delivered": true, "error": null}));
    checked(&target.taken()[0], field(&webhook, "secret"));
    let (_, tested) = test(&format!("https://127.0.0.1:{}/", target.port()));
    assert!(field(&tested, "error").starts_with("no TLS with the target"), "another name: {tested}");
    let (stranger, _) = target_named("localhost");
    let (_, tested) = test(&format!("https://localhost:{}/", stranger.port()));
    assert!(field(&tested, "error").starts_with("no TLS with the target"), "another authority: {tested}");
    assert_eq!((target.taken().len(), stranger.taken().len()), (1, 0));
}
