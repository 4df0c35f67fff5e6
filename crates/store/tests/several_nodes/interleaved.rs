//! Many interleavings of readers, of changes here and of changes elsewhere, checked against what was acknowledged when.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use strongroom_domain::Error;
use strongroom_domain::ids::{ApiKeyId, Ksuid, SecretId};
use strongroom_domain::secret::Secret;
use strongroom_domain::store::Store;
use strongroom_domain::vault::Vault;
use tokio::time::{Instant, sleep};

use super::conformance::house::{House, page};
use super::view::Database;
use super::{BELIEVED, Node};

const ROUNDS: u64 = 6;
const SECRETS: usize = 4;
/// By one writer in a round, which takes several times as long by that as anything is believed.
const CHANGES: u64 = 120;

/// What was acknowledged, to whomever: of each thing its revisions, and when.
#[derive(Default)]
struct Acknowledged(Mutex<BTreeMap<Ksuid, Vec<(Instant, u64)>>>);

impl Acknowledged {
    fn tell(&self, id: Ksuid, revision: u64) {
        self.0.lock().unwrap().entry(id).or_default().push((Instant::now(), revision));
    }

    /// The revision that a thing had by a moment, at least. What is deleted has the highest.
    fn least(&self, id: Ksuid, by: Instant) -> u64 {
        let all = self.0.lock().unwrap();
        let of = all.get(&id).into_iter().flatten();
        of.filter(|(at, _)| *at <= by).map(|(_, revision)| *revision).max().unwrap_or(0)
    }
}

/// What a round works on: secrets, all of whose changes count up their revision, and keys that end.
struct Things {
    vault: Vault,
    secrets: Vec<SecretId>,
    keys: Vec<ApiKeyId>,
    told: Acknowledged,
    ended: AtomicBool,
}

struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Changes one thing after the other, through one of the nodes.
async fn write(house: &House<'_>, things: &Things, mut dice: Dice) {
    for _ in 0..CHANGES {
        let id = things.secrets[dice.throw(SECRETS as u64) as usize];
        match dice.throw(8) {
            0 => end_a_key(house, things, &mut dice).await,
            1 => touch_the_vault(house, things).await,
            _ => touch_a_secret(house, things, id).await,
        }
        sleep(Duration::from_micros(dice.throw(3000))).await;
    }
}

async fn touch_a_secret(house: &House<'_>, things: &Things, id: SecretId) {
    // Another node's change may come between: then this one is none.
    let old = house.store.secret_find(house.account, id).await.unwrap().unwrap();
    let next =
        Secret { revision: old.revision + 1, description: (old.revision + 1).to_string(), ..(*old).clone() };
    match house.secret_update(&next, None).await {
        Ok(()) => things.told.tell(id.ksuid(), next.revision),
        Err(Error::Stale) => house.store.catch_up().await.unwrap(),
        Err(error) => panic!("{error:?}"),
    }
}

async fn touch_the_vault(house: &House<'_>, things: &Things) {
    let old = house.store.vault_find(house.account, things.vault.id).await.unwrap().unwrap();
    let next =
        Vault { revision: old.revision + 1, description: (old.revision + 1).to_string(), ..(*old).clone() };
    match house.vault_update(&next).await {
        Ok(()) => things.told.tell(old.id.ksuid(), next.revision),
        Err(Error::Stale) => house.store.catch_up().await.unwrap(),
        Err(error) => panic!("{error:?}"),
    }
}

async fn end_a_key(house: &House<'_>, things: &Things, dice: &mut Dice) {
    let id = things.keys[dice.throw(things.keys.len() as u64) as usize];
    let Some(key) = house.store.api_key_find(house.account, id).await.unwrap() else { return };
    match house.api_key_delete(&key).await {
        Ok(()) => things.told.tell(id.ksuid(), u64::MAX),
        Err(Error::Stale) => {}
        Err(error) => panic!("{error:?}"),
    }
}

/// Looks of readers, and how many of them had something acknowledged to compare with.
#[derive(Clone, Copy, Default)]
struct Looks {
    all: u64,
    compared: u64,
}

impl std::ops::Add for Looks {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { all: self.all + other.all, compared: self.compared + other.compared }
    }
}

/// Reads until the writers are done: never anything older than is allowed, and nothing mixed. Says how much it saw of what was
/// acknowledged for so long that it counts without catching up.
async fn read(house: &House<'_>, things: &Things, mut dice: Dice) -> Looks {
    let mut seen = Looks::default();
    while !things.ended.load(Ordering::SeqCst) {
        let caught_up = dice.throw(3) == 0;
        if caught_up {
            // All that was acknowledged before is seen; without it, all that was so long ago.
            let start = Instant::now();
            house.store.catch_up().await.unwrap();
            look(house, things, &mut dice, start).await;
        } else if let Some(by) = Instant::now().checked_sub(BELIEVED) {
            seen.all += 1;
            seen.compared += u64::from(look(house, things, &mut dice, by).await);
        }
        sleep(Duration::from_micros(dice.throw(500))).await;
    }
    seen
}

/// One look at one thing; says whether anything of it was acknowledged by then.
async fn look(house: &House<'_>, things: &Things, dice: &mut Dice, by: Instant) -> bool {
    let (store, account) = (house.store, house.account);
    let id = things.secrets[dice.throw(SECRETS as u64) as usize];
    match dice.throw(4) {
        0 => {
            let found = store.vault_find(account, things.vault.id).await.unwrap().unwrap();
            let least = things.told.least(found.id.ksuid(), by);
            assert!(found.revision >= least, "vault {} after {least}", found.revision);
            least > 0
        }
        1 => {
            let id = things.keys[dice.throw(things.keys.len() as u64) as usize];
            let least = things.told.least(id.ksuid(), by);
            let found = store.credential_find(id).await.unwrap();
            assert!(found.is_none() || least == 0, "a key opens that was revoked");
            least > 0
        }
        2 => {
            let least: Vec<_> = things.secrets.iter().map(|id| things.told.least(id.ksuid(), by)).collect();
            let listed = store.secret_list(account, None, page(None, 100)).await.unwrap();
            for (id, least) in things.secrets.iter().zip(&least) {
                let found = listed.items.iter().find(|secret| secret.id == *id).unwrap();
                assert!(found.revision >= *least, "listed {} after {least}", found.revision);
            }
            least.iter().any(|least| *least > 0)
        }
        _ => {
            let least = things.told.least(id.ksuid(), by);
            let found = store.secret_find(account, id).await.unwrap().unwrap();
            assert!(found.revision >= least, "secret {} after {least}", found.revision);
            assert_eq!(found.description.parse().unwrap_or(1), found.revision, "a mixture");
            least > 0
        }
    }
}

/// What is in the nodes' memories when all is quiet is what is in the database.
async fn agree(nodes: &[&Node], house: &House<'_>, things: &Things, database: &Node) {
    for node in nodes {
        node.store.catch_up().await.unwrap();
        for id in &things.secrets {
            let kept = node.store.secret_find(house.account, *id).await.unwrap();
            assert_eq!(kept, database.view.secret_find(house.account, *id).await.unwrap());
        }
        let kept = node.store.vault_find(house.account, things.vault.id).await.unwrap();
        assert_eq!(kept, database.view.vault_find(house.account, things.vault.id).await.unwrap());
        for id in &things.keys {
            let kept = node.store.credential_find(*id).await.unwrap().is_some();
            assert_eq!(kept, database.view.credential_find(*id).await.unwrap().is_some());
        }
        let kept = node.store.secret_list(house.account, None, page(None, 100)).await.unwrap();
        assert_eq!(*kept, *database.view.secret_list(house.account, None, page(None, 100)).await.unwrap());
    }
}

async fn round(seed: u64) -> Looks {
    let database = Database::new();
    let [a, b, fresh] = [
        Node::new(&database, false).await,
        Node::new(&database, false).await,
        Node::new(&database, false).await,
    ];
    let at_a = House::build(&a.store).await;
    let at_b = at_a.over(&b.store);
    let vault = at_a.add_vault("vault").await;
    let (mut secrets, mut keys) = (Vec::new(), Vec::new());
    for number in 0..SECRETS {
        secrets.push(at_a.add_secret(&vault, &number.to_string()).await.id);
    }
    for number in 0..40 {
        keys.push(at_a.add_api_key(at_a.user, &number.to_string()).await.id);
    }
    let things =
        Things { vault, secrets, keys, told: Acknowledged::default(), ended: AtomicBool::new(false) };
    // What is read comes late, so that others change it on the way.
    for node in [&a, &b] {
        node.view.link.late.store(4000, Ordering::Relaxed);
    }
    let dice = |number: u64| Dice(seed * 100 + number);
    let writers = async {
        tokio::join!(
            write(&at_a, &things, dice(1)),
            write(&at_b, &things, dice(2)),
            write(&at_b, &things, dice(3))
        );
        things.ended.store(true, Ordering::SeqCst);
    };
    let (_, at_one, at_other, more) = tokio::join!(
        writers,
        read(&at_a, &things, dice(4)),
        read(&at_b, &things, dice(5)),
        read(&at_b, &things, dice(6))
    );
    agree(&[&a, &b], &at_a, &things, &fresh).await;
    at_one + at_other + more
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_goes_back_whoever_changes_what() {
    let mut seen = Looks::default();
    for seed in 0..ROUNDS {
        seen = seen + round(seed).await;
    }
    let Looks { all, compared } = seen;
    println!("{all} looks in {ROUNDS} rounds, {compared} at what was acknowledged half a second before");
    assert!(all > ROUNDS * 100 && compared > all / 3, "the readers saw next to nothing: {all}, {compared}");
}
