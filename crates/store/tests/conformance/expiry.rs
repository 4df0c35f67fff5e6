//! Ends of secrets: that they are kept, and that what is to be told of them is told once.

use jiff::{SignedDuration, Timestamp};
use strongroom_domain::Result;
use strongroom_domain::audit::Action;
use strongroom_domain::secret::{Expiring, Secret, Told};
use strongroom_domain::store::Store;
use strongroom_domain::vault::Vault;

use super::deleted::{bring_back, delete_secret, deletion};
use super::house::{House, filtered, page, stale};
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    an_end_is_kept_with_its_secret,
    filtered_by_their_end,
    each_is_told_of_when_it_is_due_and_not_again,
    another_end_starts_anew,
    a_deleted_secret_is_not_told_of_and_goes_on_once_it_is_back,
    what_changed_meanwhile_is_not_told,
    those_that_are_due_first_come_first,
];

fn days_on(house: &House<'_>, days: i64) -> Timestamp {
    house.stamp().at + SignedDuration::from_hours(24 * days)
}

/// A secret that ends in so many days.
async fn ending(house: &House<'_>, vault: &Vault, name: &str, days: i64) -> Secret {
    let secret = Secret { expires_at: Some(days_on(house, days)), ..house.secret(vault, name) };
    house.secret_insert(vault, &secret).await.unwrap();
    secret
}

/// Those that are due in so many days.
async fn due(house: &House<'_>, days: i64) -> Vec<Expiring> {
    house.store.expiring_list(house.account, days_on(house, days), 100).await.unwrap()
}

async fn tell(house: &House<'_>, due: Vec<Expiring>, days: i64) -> Result<()> {
    let events = due.iter().map(|due| house.event(&due.secret, Action::Expiring)).collect();
    let told = due.into_iter().map(|due| Told::of(due, days_on(house, days))).collect();
    house.store.expiring_told(house.account, told, events).await
}

async fn an_end_is_kept_with_its_secret(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = ending(&house, &vault, "secret", 90).await;
    let found = async || store.secret_find(house.account, secret.id).await.unwrap().map(|s| (*s).clone());
    assert_eq!(found().await, Some(secret.clone()));
    let listed = store.secret_list(house.account, None, page(None, 10)).await.unwrap();
    assert_eq!(listed.items[0].expires_at, secret.expires_at);
    let listed = store.detail_list(house.account, None, None, page(None, 10)).await.unwrap();
    assert_eq!(listed.items[0].secret.expires_at, secret.expires_at);
    let named = store.secret_find_by_name(house.account, vault.id, "secret").await.unwrap().unwrap();
    assert_eq!(*named, secret);
    for (revision, name, days) in [(2, "secret", Some(60)), (3, "renamed", None), (4, "renamed", Some(30))] {
        let expires_at = days.map(|days| days_on(&house, days));
        let next = Secret { expires_at, revision, name: name.to_owned(), ..secret.clone() };
        house.secret_update(&next, None).await.unwrap();
        assert_eq!(found().await, Some(next));
    }
    let last = found().await.unwrap();
    delete_secret(&house, &last, deletion(&house, 0)).await;
    let deleted = store.deleted_secret_find(house.account, secret.id).await.unwrap().unwrap();
    assert_eq!(deleted.was, last);
    let back = Secret { revision: 5, ..last };
    bring_back(&house, &vault, &back, None).await.unwrap();
    assert_eq!(found().await, Some(back));
}

async fn filtered_by_their_end(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    for (name, days) in [("soon", 1), ("later", 100)] {
        ending(&house, &vault, name, days).await;
    }
    house.add_secret(&vault, "never").await;
    let soon = "obj.expires_at <= timestamp(time.now).add('7d')";
    for (text, expected) in [
        (soon.to_owned(), vec!["soon"]),
        (format!("!({soon})"), vec!["never", "later"]),
        ("obj.expires_at == null".to_owned(), vec!["never"]),
        ("obj.expires_at != null".to_owned(), vec!["later", "soon"]),
        (format!("obj.name == 'never' && !({soon})"), vec!["never"]),
    ] {
        let query = filtered(Secret::FIELDS, &text);
        let found = store.detail_list(house.account, None, None, query.clone()).await.unwrap();
        let names: Vec<_> = found.items.iter().map(|detail| detail.secret.name.as_str()).collect();
        assert_eq!(names, expected, "{text}");
        let found = store.secret_list(house.account, Some(vault.id), query).await.unwrap();
        assert_eq!(found.items.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), expected, "{text}");
    }
}

async fn each_is_told_of_when_it_is_due_and_not_again(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    house.add_secret(&vault, "endless").await;
    let secret = ending(&house, &vault, "secret", 40).await;
    let shown = async || house.secrets(None, page(None, 10)).await.unwrap().items;
    let (before, events) = (shown().await, store.counts().await.unwrap().events);
    for (not_yet, day) in [(9, 10), (32, 33), (38, 39), (39, 40)] {
        assert_eq!(due(&house, not_yet).await, [], "day {not_yet}");
        let found = due(&house, day).await;
        assert_eq!(found, [Expiring { secret: secret.clone(), due: days_on(&house, day) }], "day {day}");
        tell(&house, found, day).await.unwrap();
        assert_eq!(due(&house, day).await, [], "day {day}, told");
    }
    assert_eq!(due(&house, 1000).await, [], "its end was told");
    assert_eq!(shown().await, before, "telling changes no secret");
    assert_eq!(store.counts().await.unwrap().events, events + 4);
}

async fn another_end_starts_anew(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = ending(&house, &vault, "secret", 40).await;
    tell(&house, due(&house, 20).await, 20).await.unwrap();
    // The same end, with another description and another name: what was told stays told.
    let same = Secret { description: "other".to_owned(), revision: 2, ..secret.clone() };
    house.secret_update(&same, None).await.unwrap();
    let same = Secret { name: "other".to_owned(), revision: 3, ..same };
    house.secret_update(&same, Some(house.version(&Secret { version: 2, ..same.clone() }))).await.unwrap();
    assert_eq!(due(&house, 32).await, []);
    let other = Secret { expires_at: Some(days_on(&house, 41)), revision: 4, ..same };
    house.secret_update(&other, None).await.unwrap();
    assert_eq!(due(&house, 10).await, []);
    assert_eq!(due(&house, 11).await, [Expiring { secret: other.clone(), due: days_on(&house, 11) }]);
    let none = Secret { expires_at: None, revision: 5, ..other };
    house.secret_update(&none, None).await.unwrap();
    assert_eq!(due(&house, 1000).await, []);
}

async fn a_deleted_secret_is_not_told_of_and_goes_on_once_it_is_back(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = ending(&house, &vault, "secret", 40).await;
    tell(&house, due(&house, 10).await, 10).await.unwrap();
    delete_secret(&house, &secret, deletion(&house, 0)).await;
    assert_eq!(due(&house, 1000).await, []);
    let back = Secret { revision: 2, ..secret };
    bring_back(&house, &vault, &back, None).await.unwrap();
    assert_eq!(due(&house, 32).await, [], "the first was told before");
    assert_eq!(due(&house, 33).await, [Expiring { secret: back, due: days_on(&house, 33) }]);
}

async fn what_changed_meanwhile_is_not_told(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let (one, two) = (ending(&house, &vault, "one", 40).await, ending(&house, &vault, "two", 40).await);
    let found = due(&house, 10).await;
    assert_eq!(found.len(), 2);
    let changed = Secret { description: "changed".to_owned(), revision: 2, ..two.clone() };
    house.secret_update(&changed, None).await.unwrap();
    house.refuses("one changed", stale, tell(&house, found, 10)).await;
    assert_eq!(due(&house, 10).await.len(), 2, "all or none");
    let found = due(&house, 10).await;
    tell(&house, found.clone(), 10).await.unwrap();
    house.refuses("told already", stale, tell(&house, found, 10)).await;
    let found = due(&house, 33).await;
    let renamed = Vault { name: "renamed".to_owned(), revision: 2, ..vault };
    house.vault_update(&renamed).await.unwrap();
    house.refuses("another name of the vault", stale, tell(&house, found, 33)).await;
    let found = due(&house, 33).await;
    delete_secret(&house, &Secret { vault_name: "renamed".to_owned(), ..one }, deletion(&house, 0)).await;
    house.refuses("one deleted", stale, tell(&house, found, 33)).await;
}

async fn those_that_are_due_first_come_first(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    for (name, days) in [("c", 50), ("a", 31), ("b", 40), ("z", 90)] {
        ending(&house, &vault, name, days).await;
    }
    let list = async |days, limit| {
        let found = store.expiring_list(house.account, days_on(&house, days), limit).await.unwrap();
        found.into_iter().map(|due| due.secret.name).collect::<String>()
    };
    for (days, limit, expected) in
        [(0, 10, ""), (1, 10, "a"), (20, 10, "abc"), (20, 2, "ab"), (1000, 10, "abcz")]
    {
        assert_eq!(list(days, limit).await, expected, "{days} {limit}");
    }
}
