//! What requests are made of, one piece at a time: sealing and opening a value, reading a filter, writing a page.
//!
//! `cargo bench --package bench-micro` times each piece with Criterion. Where the machine is too noisy for time,
//! `cargo xtask bench-micro` counts its instructions.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;

use jiff::Timestamp;
use strongroom_crypto::context::ValuePlace;
use strongroom_crypto::{SecretValue, SystemRng, VaultKey};
use strongroom_domain::filter::Filter;
use strongroom_domain::ids::{Ksuid, PrincipalId, SecretId, UserId, VaultId};
use strongroom_domain::page::{Listing, PageLimit};
use strongroom_domain::secret::Secret;
use strongroom_server::origin::Origin;
use strongroom_server::view::{self, Next};

/// What goes wrong in a piece; none is known to.
pub type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// A piece, ready to be run again and again.
pub type Piece = Box<dyn FnMut() -> Result>;

/// A piece by name, and what makes it ready.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// Makes it ready.
    pub set_up: fn() -> Result<Piece>,
}

/// All of them.
pub const CASES: &[Case] = &[
    Case { name: "seal_100_bytes", set_up: || seal(100) },
    Case { name: "seal_4_kib", set_up: || seal(4 << 10) },
    Case { name: "open_100_bytes", set_up: || open(100) },
    Case { name: "open_4_kib", set_up: || open(4 << 10) },
    Case { name: "filter_by_name", set_up: || filter(r#"obj.name == "app-0000001/database-url""#) },
    Case { name: "filter_of_many_terms", set_up: || filter(MANY_TERMS) },
    Case { name: "view_secret", set_up: || page(1) },
    Case { name: "view_page_of_100", set_up: || page(100) },
];

const MANY_TERMS: &str = r#"(obj.name.startsWith("app-") || obj.metadata.contains("\"team\":\"payments\"")) && obj.created_at > timestamp("2025-01-01T00:00:00Z") && obj.vault_name in ["prod", "staging", "test"] && !(obj.description == "")"#;

/// A piece under its name in [`CASES`].
///
/// # Errors
/// When there is none of that name, or it cannot be made ready.
pub fn piece(name: &str) -> Result<Piece> {
    let case = CASES.iter().find(|case| case.name == name);
    (case.ok_or_else(|| format!("there is no case `{name}`"))?.set_up)()
}

const PLACE: ValuePlace = ValuePlace { account: [1; 20], vault: [2; 20], secret: [3; 20], version: 1 };

fn seal(length: usize) -> Result<Piece> {
    let (key, value) = (VaultKey::make(&SystemRng)?, SecretValue::new(vec![b'x'; length]));
    Ok(Box::new(move || {
        black_box(key.seal(black_box(&value), &PLACE, &SystemRng)?);
        Ok(())
    }))
}

fn open(length: usize) -> Result<Piece> {
    let key = VaultKey::make(&SystemRng)?;
    let sealed = key.seal(&SecretValue::new(vec![b'x'; length]), &PLACE, &SystemRng)?;
    Ok(Box::new(move || {
        black_box(key.open(black_box(&sealed), &PLACE)?);
        Ok(())
    }))
}

fn filter(text: &'static str) -> Result<Piece> {
    let now = Timestamp::from_second(1_700_000_000)?;
    Ok(Box::new(move || {
        black_box(Filter::parse(black_box(text), Secret::FIELDS, now)?);
        Ok(())
    }))
}

fn page(length: u32) -> Result<Piece> {
    let items = (0..length).map(|number| secret(number).map(Arc::new)).collect::<Result<Vec<_>>>()?;
    let page = Listing { items, more: true };
    let origin: Origin = "https://secrets.example.com".parse()?;
    let next = Next { limit: PageLimit::MAX, repeated: Vec::new() };
    Ok(Box::new(move || {
        black_box(serde_json::to_vec(&view::secrets(black_box(&page), None, &next, &origin))?);
        Ok(())
    }))
}

fn secret(number: u32) -> Result<Secret> {
    let at = Timestamp::from_second(1_700_000_000 + i64::from(number))?;
    let ksuid = |kind: u128| Ksuid::from_parts(at, kind << 64 | u128::from(number));
    let user = PrincipalId::User(UserId::new(ksuid(1)));
    Ok(Secret {
        id: SecretId::new(ksuid(2)),
        vault_id: VaultId::new(ksuid(3)),
        vault_name: "production".to_owned(),
        name: format!("app-{number:07}/database-url"),
        description: format!("Connection string of application {number}"),
        metadata: format!(r#"{{"environment":"bench","number":{number}}}"#),
        created_at: at,
        created_by: user,
        updated_at: at,
        last_updated_by: user,
        revision: 1,
        version: 1,
        expires_at: None,
    })
}
