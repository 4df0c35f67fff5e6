//! Key slots: what is kept, what is refused, and what a rotation of the root key does to them.

use strongroom_crypto::{KeyId, SealedRootKey, SlotKind, WrappedKey};
use strongroom_domain::audit::Action;
use strongroom_domain::error::{Conflict, Noun};
use strongroom_domain::ids::{AccountId, KeySlotId};
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::store::Store;
use strongroom_domain::{Error, Result};

use super::house::{House, ROOT, stale};
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    slots_are_kept_as_they_were_given,
    a_name_is_given_once,
    a_slot_under_another_root_key_is_refused,
    the_last_slot_stays,
    a_slot_is_removed_once,
    no_more_slots_than_allowed,
    slots_of_another_account_are_not_there,
];

fn slot(house: &House<'_>, name: &str, kind: SlotKind) -> KeySlot {
    let stamp = house.stamp();
    KeySlot {
        id: KeySlotId::new(stamp.ksuid),
        name: name.to_owned(),
        kind,
        opener: r#"{"salt":"ü"}"#.to_owned(),
        sealed: SealedRootKey {
            public: [3; 32],
            psk: WrappedKey::from_bytes([&ROOT[..], b"psk"].concat()),
            message: b"message".to_vec(),
        },
        created_at: stamp.at,
        created_by: house.user,
    }
}

async fn add(house: &House<'_>, slot: &KeySlot) -> Result<()> {
    let event = house.event(slot, Action::Created);
    house.store.key_slot_insert(house.account, slot.clone(), event).await
}

async fn remove(house: &House<'_>, slot: &KeySlot) -> Result<()> {
    house.store.key_slot_delete(house.account, slot.id, house.event(slot, Action::Deleted)).await
}

async fn listed(house: &House<'_>) -> Vec<KeySlot> {
    house.store.key_slot_list(house.account).await.unwrap()
}

async fn slots_are_kept_as_they_were_given(store: &dyn Store) {
    let house = House::build(store).await;
    assert_eq!(listed(&house).await, []);
    let slots: Vec<KeySlot> = SlotKind::ALL.iter().map(|kind| slot(&house, kind.as_str(), *kind)).collect();
    for slot in &slots {
        add(&house, slot).await.unwrap();
    }
    assert_eq!(listed(&house).await, slots);
}

async fn a_name_is_given_once(store: &dyn Store) {
    let house = House::build(store).await;
    add(&house, &slot(&house, "one", SlotKind::File)).await.unwrap();
    let again = slot(&house, "one", SlotKind::Transit);
    let taken = |error: &Error| matches!(error, Error::NotUnique(Noun::KeySlot));
    house.refuses("a name that is taken", taken, add(&house, &again)).await;
}

async fn a_slot_under_another_root_key_is_refused(store: &dyn Store) {
    let house = House::build(store).await;
    let mut late = slot(&house, "late", SlotKind::File);
    late.sealed.psk = WrappedKey::from_bytes([&[9; KeyId::LENGTH][..], b"psk"].concat());
    house.refuses("a slot of a root key before", stale, add(&house, &late)).await;
    late.sealed.psk = WrappedKey::from_bytes(b"short".to_vec());
    house.refuses("a slot of no root key", stale, add(&house, &late)).await;
}

async fn the_last_slot_stays(store: &dyn Store) {
    let house = House::build(store).await;
    let (one, two) = (slot(&house, "one", SlotKind::File), slot(&house, "two", SlotKind::Recovery));
    add(&house, &one).await.unwrap();
    let last = |error: &Error| matches!(error, Error::Conflict(Conflict::LastKeySlot));
    house.refuses("the only slot", last, remove(&house, &one)).await;
    add(&house, &two).await.unwrap();
    // Two at once, each of which would leave the other: one of them is refused.
    let (first, second) = tokio::join!(remove(&house, &one), remove(&house, &two));
    assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1, "{first:?} {second:?}");
    assert_eq!(listed(&house).await.len(), 1);
}

async fn a_slot_is_removed_once(store: &dyn Store) {
    let house = House::build(store).await;
    let (one, two) = (slot(&house, "one", SlotKind::File), slot(&house, "two", SlotKind::File));
    add(&house, &one).await.unwrap();
    add(&house, &two).await.unwrap();
    remove(&house, &one).await.unwrap();
    house.refuses("one that is gone", stale, remove(&house, &one)).await;
    assert_eq!(listed(&house).await, [two]);
    // Its name is free.
    add(&house, &slot(&house, "one", SlotKind::File)).await.unwrap();
}

async fn no_more_slots_than_allowed(store: &dyn Store) {
    let house = House::build(store).await;
    for number in 0..KeySlot::MAX {
        add(&house, &slot(&house, &number.to_string(), SlotKind::File)).await.unwrap();
    }
    let full = |error: &Error| matches!(error, Error::LimitReached { noun: Noun::KeySlot, .. });
    house.refuses("one too many", full, add(&house, &slot(&house, "more", SlotKind::File))).await;
}

async fn slots_of_another_account_are_not_there(store: &dyn Store) {
    let house = House::build(store).await;
    add(&house, &slot(&house, "one", SlotKind::File)).await.unwrap();
    let other = AccountId::new(house.stamp().ksuid);
    assert!(store.key_slot_list(other).await.map_or(true, |slots| slots.is_empty()));
    let id = listed(&house).await[0].id;
    let event = house.event(&slot(&house, "two", SlotKind::File), Action::Deleted);
    assert!(store.key_slot_delete(other, id, event).await.is_err());
    assert_eq!(listed(&house).await.len(), 1);
}
