//! A key slot whose key a token of PKCS #11 keeps: a real module, SoftHSM (Debian's softhsm2).

#![cfg(feature = "pkcs11")]
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![expect(clippy::disallowed_methods, reason = "settings of this test, not of the server")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use strongroom_crypto::{SlotKey, SystemRng};
use strongroom_slots::Error;
use strongroom_slots::pkcs11::{Config, open, seal};

const PIN: &str = "1234-canary";

fn module() -> PathBuf {
    let places = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so"];
    let found = places.into_iter().map(PathBuf::from).find(|place| place.exists());
    found.expect("SoftHSM: cargo xtask setup installs softhsm2")
}

fn private_file(path: &Path, text: &str) -> PathBuf {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    path.to_owned()
}

/// Makes a token with AES keys of these labels.
fn make_token(folder: &Path, keys: &[&str]) {
    std::fs::create_dir(folder.join("tokens")).unwrap();
    let settings = format!("directories.tokendir = {}\n", folder.join("tokens").display());
    std::fs::write(folder.join("softhsm2.conf"), settings).unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "strongroom", "--so-pin", "5678", "--pin", PIN])
        .env("SOFTHSM2_CONF", folder.join("softhsm2.conf"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let module = Pkcs11::new(module()).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slots = module.get_slots_with_token().unwrap();
    let is_ours =
        |slot: &&cryptoki::slot::Slot| module.get_token_info(**slot).unwrap().label() == "strongroom";
    let session = module.open_rw_session(*slots.iter().find(is_ours).unwrap()).unwrap();
    session.login(UserType::User, Some(&AuthPin::from(PIN))).unwrap();
    for key in keys {
        let template = [
            Attribute::Token(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::ValueLen(32.into()),
            Attribute::Label(key.as_bytes().to_vec()),
        ];
        session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
    }
    drop(session);
    module.finalize().unwrap();
}

/// One test: a module is started once in a process.
#[test]
fn a_token_opens_what_it_sealed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    // The module reads from there where its tokens are.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "in_a_process_of_its_own", "--include-ignored", "--nocapture"])
        .env("SOFTHSM2_CONF", folder.path().join("softhsm2.conf"))
        .env("STRONGROOM_TEST_FOLDER", folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && told.contains("1 passed"), "{told}");
    assert!(!told.contains(PIN), "{told}");
}

#[test]
#[ignore = "a part of the test above, which starts it as a process"]
fn in_a_process_of_its_own() {
    let folder = PathBuf::from(std::env::var_os("STRONGROOM_TEST_FOLDER").unwrap());
    make_token(&folder, &["strongroom", "other", "twice", "twice"]);
    let pin_file = private_file(&folder.join("pin"), &format!("{PIN}\n"));
    let config = Config { module: module(), token: "strongroom".into(), key: "strongroom".into(), pin_file };
    let (one, two) = (SlotKey::make(&SystemRng).unwrap(), SlotKey::make(&SystemRng).unwrap());
    let first = seal(&config, &one, &SystemRng).unwrap();
    let second = seal(&config, &two, &SystemRng).unwrap();
    assert_eq!(open(&config, &first, one.public()).unwrap().id(), one.id());
    assert_eq!(open(&config, &second, two.public()).unwrap().id(), two.id());
    // Of another slot, and altered.
    // SoftHSM says of it no more than that it failed.
    let refused = open(&config, &second, one.public());
    assert!(matches!(refused, Err(Error::Refused | Error::ServiceRefused { .. })));
    for (from, to) in [
        ("\"sealed\":\"", "\"sealed\":\"AAAA"),
        ("{\"key\"", "{\"x\":1,\"key\""),
        ("\"nonce\":\"", "\"nonce\":\"AAAA"),
    ] {
        let altered = first.replacen(from, to, 1);
        let refused = open(&config, &altered, one.public()).err().unwrap();
        assert!(
            matches!(refused, Error::Refused | Error::Opener | Error::ServiceRefused { .. }),
            "{to}: {refused}"
        );
    }
    // Another key, by its name and under the same one.
    let other = Config { key: "other".into(), ..config.clone() };
    assert!(matches!(open(&other, &first, one.public()), Err(Error::Configuration(_))));
    let renamed = first.replacen("\"key\":\"strongroom\"", "\"key\":\"other\"", 1);
    assert!(matches!(
        open(&other, &renamed, one.public()),
        Err(Error::Refused | Error::ServiceRefused { .. })
    ));
    // What cannot be used is told.
    let told = |config: &Config| seal(config, &one, &SystemRng).unwrap_err().to_string();
    for (config, part) in [
        (Config { key: "none".into(), ..config.clone() }, "no AES key called 'none'"),
        (Config { key: "twice".into(), ..config.clone() }, "several AES keys"),
        (Config { token: "none".into(), ..config.clone() }, "no token of that label"),
        (Config { module: "/nowhere.so".into(), ..config.clone() }, "/nowhere.so cannot be used"),
        (Config { pin_file: private_file(&folder.join("wrong"), "0000"), ..config.clone() }, "is wrong"),
    ] {
        let told = told(&config);
        assert!(told.contains(part) && !told.contains("0000") && !told.contains(PIN), "{told}");
    }
    assert_eq!(open(&config, &first, one.public()).unwrap().id(), one.id(), "it is not locked");
}
