//! A key slot whose key AWS KMS keeps: against moto's server, which `STRONGROOM_TEST_MOTO` names.

#![cfg(feature = "aws-kms")]
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![expect(clippy::disallowed_methods, reason = "settings of this test, not of the server")]

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_config::BehaviorVersion;
use strongroom_crypto::{SlotKey, SystemRng};
use strongroom_slots::Error;
use strongroom_slots::aws_kms::{Config, open, seal};

/// Ended when it is dropped.
struct Moto {
    process: Child,
    url: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Moto {
    fn start() -> Self {
        let program = std::env::var("STRONGROOM_TEST_MOTO").expect(
            "STRONGROOM_TEST_MOTO names moto's server; cargo xtask test --only unit installs and names it",
        );
        // Free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { process, url: format!("http://127.0.0.1:{port}") };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "moto does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        moto
    }

    fn make_key(&self) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let loader = aws_config::defaults(BehaviorVersion::latest()).endpoint_url(&self.url);
            let client = aws_sdk_kms::Client::new(&loader.load().await);
            let made = client.create_key().send().await.unwrap();
            made.key_metadata.unwrap().key_id
        })
    }

    fn config(&self, key: &str) -> Config {
        Config { key: key.to_owned(), region: Some("eu-west-1".into()), endpoint: Some(self.url.clone()) }
    }
}

/// One test: credentials are found in the environment, which is one for a process. The test starts itself with them.
#[test]
fn kms_opens_what_it_sealed_and_nothing_else() {
    let run = |with_credentials: bool| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "in_a_process_of_its_own", "--include-ignored", "--nocapture"]);
        child.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_REGION", "eu-west-1").env("HOME", "/nowhere");
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            child.env_remove(name);
            if with_credentials {
                child.env(name, "canary-credential");
            }
        }
        let child = child.output().unwrap();
        let told =
            String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success() && told.contains("1 passed"), "{told}");
        assert!(!told.contains("canary-credential"), "{told}");
    };
    run(true);
    run(false);
}

#[test]
#[ignore = "a part of the test above, which starts it as a process"]
fn in_a_process_of_its_own() {
    let one = SlotKey::make(&SystemRng).unwrap();
    if std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
        let config =
            Config { key: "alias/x".into(), region: None, endpoint: Some("http://127.0.0.1:9".into()) };
        let told = seal(&config, &one).unwrap_err().to_string();
        assert!(told.contains("no credentials"), "{told}");
        return;
    }
    let moto = Moto::start();
    let (key, other) = (moto.make_key(), moto.make_key());
    let config = moto.config(&key);
    let two = SlotKey::make(&SystemRng).unwrap();
    let (first, second) = (seal(&config, &one).unwrap(), seal(&config, &two).unwrap());
    assert_eq!(open(&config, &first, one.public()).unwrap().id(), one.id());
    assert_eq!(open(&config, &second, two.public()).unwrap().id(), two.id());
    // Of another slot, altered, of another key.
    assert!(matches!(open(&config, &second, one.public()), Err(Error::Refused)));
    let altered = first.replacen("\"ciphertext\":\"", "\"ciphertext\":\"AAAA", 1);
    assert!(open(&config, &altered, one.public()).is_err());
    assert!(matches!(open(&config, "{\"x\":1}", one.public()), Err(Error::Opener)));
    let told = open(&moto.config(&other), &first, one.public()).err();
    assert!(matches!(told, Some(Error::Refused | Error::ServiceRefused { .. })), "{told:?}");
    let told = seal(&moto.config("alias/none"), &one).unwrap_err().to_string();
    assert!(told.contains("not there"), "{told}");
    drop(moto);
    let told = open(&config, &first, one.public()).err().unwrap();
    assert!(matches!(told, Error::Unreachable { .. }), "{told}");
}
