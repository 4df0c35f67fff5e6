//! Key slots that somebody wrote to: none opens another root key than the store's, and no rotation seals a root key to one.

use strongroom_crypto::{RootKey, SlotEnrolment, SlotKey, SlotKind, SystemRng};
use strongroom_domain::Error;
use strongroom_domain::key_slot::{KeySlotDraft, parse_name, place};
use strongroom_domain::limits::Limits;

use super::House;

/// Every column that a slot is opened by, or that another root key is sealed by.
const COLUMNS: [&str; 5] = ["public_key", "psk", "message", "kind", "id"];

async fn add(house: &House, name: &str) -> (SlotKey, [u8; 20]) {
    let key = SlotKey::make(&SystemRng).unwrap();
    let id = house.app.key_slot_id().unwrap();
    let name = parse_name(name.to_owned(), &Limits::default()).unwrap();
    let kind = if name.as_str() == "one" { SlotKind::Recovery } else { SlotKind::File };
    let draft = KeySlotDraft { id, name, kind, opener: "{}".to_owned(), enrolment: key.enrolment() };
    house.app.key_slot_create(&house.caller, draft).await.unwrap();
    (key, *id.ksuid().as_bytes())
}

/// What each slot opens with its own key: whether it is the root key that the store is under.
async fn opens(house: &House, keys: &[&SlotKey]) -> Vec<bool> {
    let slots = house.app.key_slot_list(&house.caller).await.unwrap();
    let mut opened = Vec::new();
    for key in keys {
        let mut any = false;
        for slot in &slots {
            if let Ok(root) = house.app.open_slot(slot, key).await {
                assert_eq!(root.id(), house.root_key.id(), "a slot opened another key");
                any = true;
            }
        }
        opened.push(any);
    }
    opened
}

#[tokio::test]
async fn swapped_slots_are_refused() {
    for column in COLUMNS {
        let house = House::build().await;
        let ((one, first), (two, second)) = (add(&house, "one").await, add(&house, "two").await);
        assert_eq!(opens(&house, &[&one, &two]).await, [true, true]);
        let door = house.backdoor();
        let value = |id: &[u8; 20]| -> rusqlite::types::Value {
            let sql = format!("SELECT {column} FROM key_slot WHERE id = ?1");
            door.query_row(&sql, [id], |row| row.get(0)).unwrap()
        };
        let (of_first, of_second) = (value(&first), value(&second));
        let set = |id: &[u8; 20], value: &rusqlite::types::Value| {
            door.execute(&format!("UPDATE key_slot SET {column} = ?2 WHERE id = ?1"), (id, value)).unwrap();
        };
        if column == "id" {
            set(&first, &rusqlite::types::Value::Blob(vec![0; 20]));
            set(&second, &of_first);
            set(&[0; 20], &of_second);
        } else {
            set(&first, &of_second);
            set(&second, &of_first);
        }
        // The pre-shared key is what another root key is sealed by, and opens nothing itself.
        let still = column == "psk";
        assert_eq!(opens(&house, &[&one, &two]).await, [still, still], "{column}");
        let refused = house.app.root_key_rotate(&house.caller).await;
        let hurt = ["public_key", "psk", "kind", "id"].contains(&column);
        assert_eq!(matches!(refused, Err(Error::Internal(_))), hurt, "{column}");
        let under = house.app.root_key(&house.caller).await.unwrap().0;
        assert_eq!(under == house.root_key.id(), hurt, "{column}: refused, nothing was changed");
    }
}

#[tokio::test]
async fn any_flipped_bit_of_a_slot_is_refused() {
    let house = House::build().await;
    let (key, id) = add(&house, "one").await;
    let door = house.backdoor();
    for column in ["public_key", "message"] {
        let sql = format!("SELECT {column} FROM key_slot WHERE id = ?1");
        let was: Vec<u8> = door.query_row(&sql, [id], |row| row.get(0)).unwrap();
        let set = format!("UPDATE key_slot SET {column} = ?2 WHERE id = ?1");
        for at in 0..was.len() {
            let mut altered = was.clone();
            altered[at] ^= 1 << (at % 8);
            door.execute(&set, (id, &altered)).unwrap();
            assert_eq!(opens(&house, &[&key]).await, [false], "{column} {at}");
        }
        door.execute(&set, (id, &was)).unwrap();
    }
    assert_eq!(opens(&house, &[&key]).await, [true]);
}

/// Somebody who can write to the store, knows its public keys, and has a root key of his own.
#[tokio::test]
async fn a_root_key_of_somebody_else_does_not_get_in() {
    let house = House::build().await;
    let (key, id) = add(&house, "one").await;
    let theirs = RootKey::make(&SystemRng).unwrap();
    let guessed = SlotEnrolment::from_slice(&[&key.public()[..], &[7; 32]].concat()).unwrap();
    let slot = house.app.key_slot_list(&house.caller).await.unwrap().remove(0);
    let sealed =
        theirs.seal_to(&guessed, &place(house.app.account().id, slot.id, slot.kind), &SystemRng).unwrap();
    let door = house.backdoor();
    let sql = "UPDATE key_slot SET psk = ?2, message = ?3 WHERE id = ?1";
    door.execute(sql, (id, sealed.psk.as_bytes(), &sealed.message)).unwrap();
    door.execute("UPDATE account SET root_key = ?1", [theirs.id().as_bytes()]).unwrap();
    let slot = house.app.key_slot_list(&house.caller).await.unwrap().remove(0);
    assert!(house.app.open_slot(&slot, &key).await.is_err());
}
