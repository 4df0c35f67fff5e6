//! First answers: that each is kept with what it tells of, once, and forgotten when its time is over.

use jiff::{SignedDuration, Timestamp};
use strongroom_crypto::SealedValue;
use strongroom_domain::answer::{Answer, Creation, Repeatable};
use strongroom_domain::audit::{Action, Object};
use strongroom_domain::error::Noun;
use strongroom_domain::store::Store;
use strongroom_domain::{Error, Result};

use super::concurrency::at_once;
use super::house::{House, stale, under_root};
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    kept_with_what_it_tells_of,
    kept_once,
    what_is_refused_is_not_kept,
    one_that_does_not_count_any_more_gives_way,
    of_many_at_once_one_makes_something,
    forgotten_oldest_first,
];

fn repeatable(mark: u8) -> Repeatable {
    Repeatable { mark: [mark; 32], request: [mark + 100; 32] }
}

/// A create that may come again; its answer was given so many hours on.
pub(crate) fn creation(house: &House<'_>, object: impl Into<Object>, mark: u8, hours: i64) -> Creation {
    let to = repeatable(mark);
    let mut creation = Creation::new(house.event(object, Action::Created), Some(&to), None);
    let answer = creation.answer.as_mut().unwrap();
    answer.at += SignedDuration::from_hours(hours);
    creation
}

fn hours_on(house: &House<'_>, hours: i64) -> Timestamp {
    house.stamp().at + SignedDuration::from_hours(hours)
}

async fn make_vault(house: &House<'_>, name: &str, mark: u8, hours: i64) -> Result<()> {
    let vault = house.vault(name);
    let creation = creation(house, &vault, mark, hours);
    house.store.vault_insert(house.account, vault, None, creation).await
}

async fn kept(house: &House<'_>, mark: u8) -> Option<Answer> {
    house.store.answer_find(house.account, [mark; 32]).await.unwrap()
}

/// What the answer tells is called so.
async fn told(house: &House<'_>, mark: u8) -> Option<String> {
    kept(house, mark).await.map(|answer| match answer.object {
        Object::Vault { name, .. } => name,
        other => panic!("{other:?}"),
    })
}

async fn kept_with_what_it_tells_of(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.vault("vault");
    let of_vault = creation(&house, &vault, 1, 0);
    let mut expected = vec![of_vault.answer.clone()];
    store.vault_insert(house.account, vault.clone(), None, of_vault).await.unwrap();
    let secret = house.secret(&vault, "secret");
    let of_secret = creation(&house, &secret, 2, 0);
    expected.push(of_secret.answer.clone());
    let (home, version) = (std::sync::Arc::new(vault), house.version(&secret));
    store.secret_insert(house.account, home, secret, version, None, of_secret).await.unwrap();
    let key = house.api_key(house.user, "key");
    let mut of_key = creation(&house, &key, 3, 0);
    let (wrapped_key, ciphertext) = (under_root(b"key"), b"token".to_vec());
    of_key.answer.as_mut().unwrap().token = Some(SealedValue { wrapped_key, ciphertext });
    expected.push(of_key.answer.clone());
    store.api_key_insert(house.account, key, of_key).await.unwrap();
    let user = house.service_user("robot");
    let of_user = creation(&house, &user, 4, 0);
    expected.push(of_user.answer.clone());
    store.service_user_insert(house.account, user, of_user).await.unwrap();
    for (mark, expected) in (1..).zip(expected) {
        assert_eq!(kept(&house, mark).await, expected, "{mark}");
    }
    assert_eq!(kept(&house, 5).await, None);
    house.add_vault("without").await;
    assert_eq!(store.answers_prune(house.account, hours_on(&house, 100), 100).await.unwrap(), 4);
}

async fn kept_once(store: &dyn Store) {
    let house = House::build(store).await;
    make_vault(&house, "vault", 1, 0).await.unwrap();
    for hours in [0, 1, 23] {
        house.refuses("answered already", stale, make_vault(&house, "other", 1, hours)).await;
        // The name is taken as well; that it was answered comes first, as the sender is to get that answer.
        house.refuses("the very same", stale, make_vault(&house, "vault", 1, hours)).await;
    }
    assert_eq!(told(&house, 1).await.as_deref(), Some("vault"));
    make_vault(&house, "other", 2, 0).await.unwrap();
    assert_eq!(told(&house, 2).await.as_deref(), Some("other"));
}

async fn what_is_refused_is_not_kept(store: &dyn Store) {
    let house = House::build(store).await;
    house.add_vault("taken").await;
    let taken = |error: &Error| matches!(error, Error::NotUnique(Noun::Vault));
    house.refuses("taken", taken, make_vault(&house, "taken", 1, 0)).await;
    assert_eq!(kept(&house, 1).await, None);
    make_vault(&house, "free", 1, 0).await.unwrap();
    assert_eq!(told(&house, 1).await.as_deref(), Some("free"));
}

async fn one_that_does_not_count_any_more_gives_way(store: &dyn Store) {
    let house = House::build(store).await;
    make_vault(&house, "first", 1, 0).await.unwrap();
    let taken = |error: &Error| matches!(error, Error::NotUnique(Noun::Vault));
    house.refuses("taken", taken, make_vault(&house, "first", 1, 24)).await;
    assert_eq!(told(&house, 1).await.as_deref(), Some("first"), "the old one stays with what is refused");
    make_vault(&house, "second", 1, 24).await.unwrap();
    assert_eq!(told(&house, 1).await.as_deref(), Some("second"));
    house.refuses("the new one counts", stale, make_vault(&house, "third", 1, 47)).await;
}

async fn of_many_at_once_one_makes_something(store: &dyn Store) {
    const ASKED: usize = 20;
    let house = House::build(store).await;
    let before = store.counts().await.unwrap();
    let results = at_once(ASKED, async |number| {
        // All ask under one key: half of them for one name, the others each for another.
        let name = if number % 2 == 0 { "same".to_owned() } else { format!("other-{number}") };
        make_vault(&house, &name, 1, 0).await
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().filter_map(|result| result.as_ref().err()).all(stale), "{results:?}");
    let after = store.counts().await.unwrap();
    assert_eq!((after.vaults, after.events), (before.vaults + 1, before.events + 1));
    assert!(kept(&house, 1).await.is_some());
}

async fn forgotten_oldest_first(store: &dyn Store) {
    let house = House::build(store).await;
    for (mark, hours) in [(1, 5), (2, 1), (3, 3), (4, 30)] {
        make_vault(&house, &format!("vault-{mark}"), mark, hours).await.unwrap();
    }
    let prune = async |hours, limit| {
        let by = hours_on(&house, hours);
        let gone = store.answers_prune(house.account, by, limit).await.unwrap();
        let mut left = Vec::new();
        for mark in 1..=4 {
            left.extend(kept(&house, mark).await.map(|_| mark));
        }
        (gone, left)
    };
    let counts = store.counts().await.unwrap();
    assert_eq!(prune(0, 10).await, (0, vec![1, 2, 3, 4]));
    assert_eq!(prune(5, 1).await, (1, vec![1, 3, 4]));
    assert_eq!(prune(5, 10).await, (2, vec![4]));
    assert_eq!(prune(5, 10).await, (0, vec![4]));
    let after = store.counts().await.unwrap();
    assert_eq!((after.vaults, after.events), (counts.vaults, counts.events), "what they tell of stays");
}
