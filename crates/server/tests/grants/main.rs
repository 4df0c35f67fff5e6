//! Random keys with random grants send random requests, and every answer is the one that the reference tells beforehand:
//! 102,000 pairs of a key and a request, all of them through the whole server, 34,000 for each role.
//!
//! `STRONGROOM_SEED` runs other ones.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod changes;
mod dice;
#[path = "../harness/mod.rs"]
mod harness;
mod house;
mod reference;
mod requests;

use std::collections::BTreeMap;

use dice::Dice;
use harness::World;
use house::House;
use reference::{Expected, Grant, Key};
use requests::Request;
use strongroom_domain::caller::Role;
use strongroom_domain::limits::Limits;
use strongroom_server::Settings;

const KEYS: usize = 680;
const REQUESTS_OF_A_KEY: usize = 50;

const VAULT_PATTERNS: [&str; 12] =
    ["*", "**", "prod", "Prod", "dev", "p*d", "prod*", "prod/*", "*/eu", "*o*", "p*", "none"];
const SECRET_PATTERNS: [&str; 12] =
    ["*", "*", "**", "tls-*", "tls-key", "tls_key", "*-*", "*.password", "db*d", "a", "A", "t*s*y"];

#[expect(clippy::disallowed_methods, reason = "a setting of this test, not of the server")]
fn seed() -> u64 {
    std::env::var("STRONGROOM_SEED").map_or(20_260_101, |text| text.parse().expect("a number"))
}

fn draw_grant(dice: &mut Dice) -> Grant {
    let action =
        dice.pick(&["read", "read", "manage", "manage", "manage", "resolve", "resolve", "audit", "admin"]);
    let target = (dice.pick(&VAULT_PATTERNS), dice.pick(&SECRET_PATTERNS));
    Grant { action, target: (!matches!(action, "audit" | "admin")).then_some(target) }
}

fn draw_key(role: &'static str, dice: &mut Dice) -> Key {
    // One key in ten has none.
    let grants = (dice.below(10) > 0).then(|| (0..=dice.below(4)).map(|_| draw_grant(dice)).collect());
    Key { role, grants }
}

/// The grants as people write them, one a line.
fn written(grants: &[Grant]) -> String {
    let line = |grant: &Grant| match grant.target {
        Some((vault, secret)) => format!("{} {vault}:{secret}", grant.action),
        None => grant.action.to_owned(),
    };
    grants.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What the server answers to a key made for this, and what it should.
async fn answer_to(house: &mut House, key: &Key, request: &Request) -> (Expected, Expected) {
    let grants = key.grants.as_deref().map(written);
    let (own, token) = house.world.add_key_with(house.world.first_user, grants.as_deref()).await;
    let expected = key.expected(house, request);
    (house.ask(request, own, &token).await, expected)
}

fn agree(answered: &Expected, expected: &Expected) -> bool {
    answered.0 == expected.0 && (expected.1.is_none() || answered.1 == expected.1)
}

/// Fails with as few grants as it takes.
async fn fail(house: &mut House, mut key: Key, request: &Request, pair: String) {
    let mut at = 0;
    while let Some(grants) = key.grants.as_ref().filter(|grants| grants.len() > 1 && at < grants.len()) {
        let mut fewer = grants.clone();
        fewer.remove(at);
        let smaller = Key { grants: Some(fewer), ..key.clone() };
        let (answered, expected) = answer_to(house, &smaller, request).await;
        if agree(&answered, &expected) { at += 1 } else { key = smaller }
    }
    let (answered, expected) = answer_to(house, &key, request).await;
    let grants = key.grants.as_deref().map_or("no grants".to_owned(), written);
    panic!(
        "{pair}, a {}'s key with\n{grants}\nsends {request:?}: {answered:?}, but by the reference {expected:?}",
        key.role
    );
}

async fn keys_of(role: Role, name: &'static str) {
    let seed = seed();
    let world = World::with(role, Limits::default(), Settings::default()).await;
    let mut house = House::build(world, name).await;
    let mut dice = Dice::new(seed ^ name.len() as u64);
    let mut statuses: BTreeMap<(String, u16), usize> = BTreeMap::new();
    for number in 0..KEYS {
        let key = draw_key(name, &mut dice);
        let grants = key.grants.as_deref().map(written);
        let (own, token) = house.world.add_key_with(house.world.first_user, grants.as_deref()).await;
        let mut sent = 0;
        while sent < REQUESTS_OF_A_KEY {
            let request = house.draw(&mut dice);
            let expected = key.expected(&house, &request);
            // What goes through costs a write and another one to undo it: one in eight is enough.
            if expected.0 < 300 && changes(&request) && dice.below(8) > 0 {
                continue;
            }
            sent += 1;
            let answered = house.ask(&request, own, &token).await;
            let kind = format!("{request:?}");
            let kind = kind.split('(').next().unwrap().to_owned();
            *statuses.entry((kind, answered.0)).or_default() += 1;
            if !agree(&answered, &expected) {
                let pair = format!("STRONGROOM_SEED={seed}, key {number}, request {sent}");
                fail(&mut house, key.clone(), &request, pair).await;
                panic!(
                    "{answered:?}, but by the reference {expected:?}: a new key with these grants is answered rightly"
                );
            }
        }
    }
    assert_varied(&statuses, name);
}

fn changes(request: &Request) -> bool {
    let read = matches!(
        request,
        Request::Root
            | Request::Own
            | Request::Metrics
            | Request::Checkpoint
            | Request::Explain(..)
            | Request::Values(_, true)
    );
    let kind = format!("{request:?}");
    !read && !["Get", "List"].iter().any(|word| kind.split('(').next().unwrap().ends_with(word))
}

/// Each kind of request was let through and was refused, or else little is shown.
fn assert_varied(statuses: &BTreeMap<(String, u16), usize>, role: &str) {
    let of = |kind: &str, status: u16| statuses.get(&(kind.to_owned(), status)).copied().unwrap_or_default();
    for kind in ["Resolve", "Values", "VaultGet", "SecretGet", "DetailGet"] {
        for status in [200, 404, 403] {
            assert!(of(kind, status) >= 3, "{role}: {kind} got {status} {} times", of(kind, status));
        }
    }
    if role != "viewer" {
        for (kind, done) in [
            ("VaultMake", 201),
            ("VaultChange", 200),
            ("SecretMake", 201),
            ("SecretChange", 200),
            ("SecretRemove", 204),
            ("Move", 200),
            ("KeyMake", 201),
        ] {
            assert!(of(kind, done) > 0, "{role}: {kind} got {done} {} times", of(kind, done));
            assert!(of(kind, 403) >= 20, "{role}: {kind} got 403 {} times", of(kind, 403));
        }
    }
}

#[tokio::test]
async fn keys_of_an_admin() {
    keys_of(Role::Admin, "admin").await;
}

#[tokio::test]
async fn keys_of_a_developer() {
    keys_of(Role::Developer, "developer").await;
}

#[tokio::test]
async fn keys_of_a_viewer() {
    keys_of(Role::Viewer, "viewer").await;
}
