//! Random keys read one feed: each is told of what the reference says that it sees, under the names that it sees.

use serde_json::{Value, json};
use strongroom_domain::caller::Role;
use strongroom_domain::limits::Limits;
use strongroom_server::Settings;

use crate::dice::Dice;
use crate::harness::{Call, World};
use crate::house::House;
use crate::reference::Key;
use crate::{draw_key, seed, written};

const KEYS: usize = 1000;

/// What was done to a secret: where it was, where it is.
type Done = ((&'static str, &'static str), (&'static str, &'static str));

/// A secret by its place is given a name, or goes to a vault; its last place is where it began.
const DONE: &[Done] = &[
    (("prod", "tls-key"), ("prod", "tls-key")),
    (("prod", "tls-key"), ("prod", "new")),
    (("prod", "new"), ("dev", "new")),
    (("prod/eu", "db.password"), ("prod", "tls-")),
    (("dev", "dbxpassword"), ("Prod", "A")),
    (("prod", "a"), ("prodd", "a")),
    (("Prod", "a"), ("Prod", "db.password")),
];

async fn answer(world: &World, call: &Call) -> Value {
    let answer = world.answer(call).await;
    let text = String::from_utf8_lossy(answer.body());
    assert_eq!(answer.status(), 200, "{} {}: {text}", call.method, call.target);
    serde_json::from_slice(answer.body()).unwrap()
}

async fn live(house: &House) {
    let mut places: Vec<(String, String, String)> = Vec::new();
    for vault in &house.vaults {
        places.extend(vault.secrets.iter().map(|s| (vault.name.clone(), s.name.clone(), s.id.clone())));
    }
    for (from, to) in DONE {
        let place = places.iter_mut().find(|(vault, name, _)| (vault.as_str(), name.as_str()) == *from);
        let (vault, name, id) = place.expect("it is there");
        let call = if from.0 == to.0 {
            let body = json!({"name": to.1, "description": "changed"});
            Call::new("PATCH", &format!("/vault_secrets/{id}"), Some(&body))
        } else {
            let body = json!({"vault_name": to.0, "name": to.1});
            Call::new("POST", &format!("/strongroom/secrets/{id}/move"), Some(&body))
        };
        answer(&house.world, &call.bearer(&house.maker)).await;
        (*vault, *name) = (to.0.to_owned(), to.1.to_owned());
    }
}

/// What the key is told, as the documentation has it.
fn expected(key: &Key) -> Vec<String> {
    let told = |(from, to): &Done| {
        let name = |(vault, name): &(&str, &str)| format!("{vault}:{name}");
        match (key.sees(from.0, from.1), key.sees(to.0, to.1)) {
            (true, true) if from == to => Some(format!("secret_updated.v0 {}", name(to))),
            (true, true) => Some(format!("secret_updated.v0 {} was {}", name(to), name(from))),
            (false, true) => Some(format!("secret_created.v0 {}", name(to))),
            (true, false) => Some(format!("secret_deleted.v0 {}", name(from))),
            (false, false) => None,
        }
    };
    DONE.iter().filter_map(told).collect()
}

fn told(page: &Value) -> Vec<String> {
    let place =
        |of: &Value| format!("{}:{}", of["vault"]["name"].as_str().unwrap(), of["name"].as_str().unwrap());
    let line = |change: &Value| {
        let previous = change.get("previous").map(|was| format!(" was {}", place(was)));
        format!(
            "{} {}{}",
            change["type"].as_str().unwrap(),
            place(&change["secret"]),
            previous.unwrap_or_default()
        )
    };
    page["changes"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn keys_read_the_feed() {
    let world = World::with(Role::Admin, Limits::default(), Settings::default()).await;
    let house = House::build(world, "admin").await;
    let now = answer(&house.world, &house.world.call("GET", "/strongroom/changes", None)).await;
    let after = now["cursor"].as_str().unwrap().to_owned();
    live(&house).await;
    let (mut dice, mut whole, mut none) = (Dice::new(seed()), 0, 0);
    for number in 0..KEYS {
        let key = draw_key("admin", &mut dice);
        let grants = key.grants.as_deref().map(written);
        let (_, token) = house.world.add_key_with(house.world.first_user, grants.as_deref()).await;
        let expected = expected(&key);
        (whole, none) =
            (whole + usize::from(expected.len() == DONE.len()), none + usize::from(expected.is_empty()));
        // From the store, and from memory.
        for wait in ["", "&wait=1ms"] {
            let target = format!("/strongroom/changes?after={after}{wait}");
            let page = answer(&house.world, &Call::new("GET", &target, None).bearer(&token)).await;
            let told = told(&page);
            assert_eq!(told, expected, "key {number}{wait} with {grants:?}");
        }
    }
    assert!(whole > 50 && none > 50 && KEYS - whole - none > 200, "{whole} see all, {none} nothing");
}
