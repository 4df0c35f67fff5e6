//! Kept versions: which stay, what is told of them, and those that time takes.

use jiff::{SignedDuration, Timestamp};
use strongroom_domain::keep::{Keep, VaultKeep};
use strongroom_domain::secret::{Kept, Secret, Version};
use strongroom_domain::store::Store;
use strongroom_domain::vault::Vault;

use super::house::House;
use super::{Case, cases, deleted};

pub(crate) const CASES: &[Case] = cases![
    the_last_values_stay,
    fewer_stay_once_fewer_are_kept,
    a_vault_says_at_the_last_moment_how_many_stay,
    what_is_told_of_a_version,
    versions_past_their_time_are_due,
    a_vault_says_for_itself_what_is_due,
    nothing_of_a_deleted_secret_is_due,
    the_walk_goes_on_where_it_was,
    the_current_one_is_never_pruned,
    a_pruned_version_is_not_answered_from_memory,
];

/// A secret of so many versions, an hour from each to the next; `keep` of them stay.
pub(crate) async fn written(
    house: &House<'_>,
    vault: &Vault,
    name: &str,
    versions: u32,
    keep: u32,
) -> Secret {
    let mut secret = house.add_secret(vault, name).await;
    for number in 2..=versions {
        (secret.revision, secret.version) = (u64::from(number), number);
        secret.updated_at += SignedDuration::from_hours(1);
        house.secret_update_keeping(&secret, Some(house.version(&secret)), keep).await.unwrap();
    }
    secret
}

async fn numbers(house: &House<'_>, secret: &Secret) -> Vec<u32> {
    let kept = house.store.version_kept(house.account, secret.id).await.unwrap();
    kept.iter().map(|kept| kept.number).collect()
}

async fn due(house: &House<'_>, keep: Keep, now: Timestamp) -> Vec<u32> {
    let due = house.store.version_due(house.account, keep, now, None, 1000).await.unwrap();
    assert_eq!(due.next, None);
    due.versions.iter().map(|(_, number)| *number).collect()
}

const ALL: Keep = Keep { versions: 100, versions_for: None };

async fn the_last_values_stay(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = written(&house, &vault, "secret", 12, 10).await;
    assert_eq!(numbers(&house, &secret).await, (3..=12).rev().collect::<Vec<_>>());
    for number in 3..=12 {
        let found = store.version_find(house.account, secret.id, number).await.unwrap().unwrap();
        let then = Secret { version: number, ..secret.clone() };
        assert_eq!(found.sealed, house.version(&then).sealed, "version {number}");
    }
    for number in [1, 2, 13] {
        assert_eq!(store.version_find(house.account, secret.id, number).await.unwrap(), None, "{number}");
    }
}

async fn fewer_stay_once_fewer_are_kept(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let mut secret = written(&house, &vault, "secret", 6, 10).await;
    (secret.revision, secret.version) = (7, 7);
    house.secret_update_keeping(&secret, Some(house.version(&secret)), 2).await.unwrap();
    assert_eq!(numbers(&house, &secret).await, [7, 6]);
    (secret.revision, secret.version) = (8, 8);
    house.secret_update_keeping(&secret, Some(house.version(&secret)), 1).await.unwrap();
    assert_eq!(numbers(&house, &secret).await, [8]);
}

/// Whoever plans a change knows what the vault said before.
async fn a_vault_says_at_the_last_moment_how_many_stay(store: &dyn Store) {
    let house = House::build(store).await;
    let mut vault = house.add_vault("vault").await;
    let mut secret = written(&house, &vault, "secret", 4, 10).await;
    for (revision, says, stay) in
        [(2, Some(4), [5, 4, 3, 2].as_slice()), (3, Some(1), &[6]), (4, None, &[7, 6])]
    {
        (vault.revision, vault.keep.versions) = (revision, says);
        house.vault_update(&vault).await.unwrap();
        (secret.revision, secret.version) = (secret.revision + 1, secret.version + 1);
        house.secret_update_keeping(&secret, Some(house.version(&secret)), 2).await.unwrap();
        assert_eq!(numbers(&house, &secret).await, stay);
    }
}

async fn what_is_told_of_a_version(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let mut secret = house.add_secret(&vault, "secret").await;
    let made = secret.created_at;
    secret.updated_at += SignedDuration::from_hours(1);
    (secret.revision, secret.version) = (2, 2);
    let second = Version { created_by: None, ..house.version(&secret) };
    house.secret_update(&secret, Some(second)).await.unwrap();
    let kept =
        |number, created_at, created_by, replaced_at| Kept { number, created_at, created_by, replaced_at };
    let later = made + SignedDuration::from_hours(1);
    assert_eq!(
        store.version_kept(house.account, secret.id).await.unwrap(),
        [kept(2, later, None, None), kept(1, made, Some(house.user), Some(later))]
    );
    // A change of anything else replaces no value.
    (secret.revision, secret.description) = (3, "another".to_owned());
    house.secret_update(&secret, None).await.unwrap();
    assert_eq!(store.version_kept(house.account, secret.id).await.unwrap()[0], kept(2, later, None, None));
    let other = house.secret(&vault, "other");
    assert_eq!(store.version_kept(house.account, other.id).await.unwrap(), []);
}

async fn versions_past_their_time_are_due(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    // Version 1 was replaced after an hour, 2 after two; 4 is current.
    let secret = written(&house, &vault, "secret", 4, 10).await;
    let at = |hours| secret.created_at + SignedDuration::from_hours(hours);
    let for_hours = |hours: u32| Keep { versions_for: Some(hours * 3600), ..ALL };
    assert_eq!(due(&house, ALL, at(1000)).await, [] as [u32; 0]);
    assert_eq!(due(&house, for_hours(10), at(11) - SignedDuration::from_secs(1)).await, [] as [u32; 0]);
    assert_eq!(due(&house, for_hours(10), at(11)).await, [1]);
    assert_eq!(due(&house, for_hours(10), at(12)).await, [1, 2]);
    assert_eq!(due(&house, for_hours(10), at(1000)).await, [1, 2, 3], "the current one always stays");
    assert_eq!(due(&house, Keep { versions: 3, ..ALL }, at(0)).await, [1]);
    assert_eq!(due(&house, Keep { versions: 1, ..ALL }, at(0)).await, [1, 2, 3]);
    assert_eq!(due(&house, Keep { versions: 3, ..for_hours(10) }, at(12)).await, [1, 2]);
}

async fn a_vault_says_for_itself_what_is_due(store: &dyn Store) {
    let house = House::build(store).await;
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    written(&house, &one, "secret", 3, 10).await;
    // What is there when a vault is told to keep fewer stays until a sweep.
    let other = written(&house, &two, "secret", 4, 10).await;
    let keep = VaultKeep { versions: Some(2), versions_for: Some(3600 * 24 * 365) };
    let two = Vault { keep, revision: 2, ..two };
    house.vault_update(&two).await.unwrap();
    assert_eq!(store.vault_find(house.account, two.id).await.unwrap().as_deref(), Some(&two));
    let at = other.created_at + SignedDuration::from_hours(100);
    let found = async |keep| store.version_due(house.account, keep, at, None, 100).await.unwrap().versions;
    assert_eq!(found(ALL).await, [(other.id, 1), (other.id, 2)]);
    let short = Keep { versions_for: Some(3600), ..ALL };
    let of_other: Vec<_> = found(short).await.into_iter().filter(|(id, _)| *id == other.id).collect();
    assert_eq!(of_other, [(other.id, 1), (other.id, 2)], "the vault keeps them for longer");
    assert_eq!(found(short).await.len(), 4);
}

/// It goes as a whole, with the time for which deleted things are kept; its vault may have set a longer one than the server.
async fn nothing_of_a_deleted_secret_is_due(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = written(&house, &vault, "secret", 4, 10).await;
    let short = Keep { versions: 1, versions_for: Some(0) };
    assert_eq!(due(&house, short, Timestamp::MAX).await, [1, 2, 3]);
    deleted::delete_secret(&house, &secret, deleted::deletion(&house, 10)).await;
    assert_eq!(due(&house, short, Timestamp::MAX).await, [0; 0]);
}

async fn the_walk_goes_on_where_it_was(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let mut expected = Vec::new();
    for name in ["a", "b", "c"] {
        let secret = written(&house, &vault, name, 3, 10).await;
        expected.extend([(secret.id, 1), (secret.id, 2)]);
    }
    for limit in [1, 2, 4, 6] {
        let keep = Keep { versions: 1, ..ALL };
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let due = store.version_due(house.account, keep, Timestamp::MAX, after, limit).await.unwrap();
            assert!(due.versions.len() <= limit);
            found.extend(due.versions);
            match due.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        found.sort_unstable();
        assert_eq!(found, expected, "limit {limit}");
    }
}

async fn the_current_one_is_never_pruned(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = written(&house, &vault, "secret", 3, 10).await;
    let which = (0..5).map(|number| (secret.id, number)).collect();
    store.version_prune(house.account, which).await.unwrap();
    assert_eq!(numbers(&house, &secret).await, [3]);
    assert_eq!(store.secret_find(house.account, secret.id).await.unwrap().as_deref(), Some(&secret));
    // What is gone may be asked for again: two sweeps may meet.
    store.version_prune(house.account, vec![(secret.id, 1)]).await.unwrap();
}

async fn a_pruned_version_is_not_answered_from_memory(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = written(&house, &vault, "secret", 2, 10).await;
    let ask = async || store.version_list(house.account, vec![(secret.id, 1)]).await.unwrap();
    assert!(ask().await[0].is_some() && ask().await[0].is_some());
    store.version_prune(house.account, vec![(secret.id, 1)]).await.unwrap();
    assert_eq!(ask().await, [None]);
}
