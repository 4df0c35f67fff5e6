//! Sealed values and keys.

use rusqlite::Connection;
use strongroom_crypto::CryptoError;
use strongroom_domain::Error;
use strongroom_domain::app::{ApiKeyDraft, Owner, keys};
use strongroom_domain::error::BadCredential;
use strongroom_domain::secret::Secret;
use strongroom_domain::store::Store;
use strongroom_domain::text::{Description, Metadata};
use strongroom_store::sqlite::SqliteStore;

use super::House;

/// Where a key is shown from.
const HERE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Three secrets in one vault and one in another. The first has its second value, and what its first one looked like in the
/// file is kept aside; the others have their first, so that they differ in place alone.
struct Furnished {
    house: House,
    secrets: [(Secret, &'static str); 4],
    first_value: Sealed,
}

/// The bytes of a version as they are in the file.
type Sealed = (Vec<u8>, Vec<u8>);

async fn furnished() -> Furnished {
    let house = House::build().await;
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    let a = house.add_secret(one, "a", "value of a, the first").await;
    let b = house.add_secret(one, "b", "value of b").await;
    let c = house.add_secret(two, "c", "value of c").await;
    let d = house.add_secret(one, "d", "value of d").await;
    let first_value = sealed(&house.backdoor(), &a);
    let a = (*house.set(a.id, "value of a").await.unwrap()).clone();
    let secrets = [(a, "value of a"), (b, "value of b"), (c, "value of c"), (d, "value of d")];
    Furnished { house, secrets, first_value }
}

fn sealed(connection: &Connection, secret: &Secret) -> Sealed {
    let sql = "SELECT wrapped_key, ciphertext FROM version WHERE secret = ?1 AND number = ?2";
    let id = secret.id.ksuid();
    connection.query_row(sql, (id.as_bytes(), secret.version), |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

fn put(connection: &Connection, secret: &Secret, (wrapped_key, ciphertext): &Sealed) {
    let sql = "UPDATE version SET wrapped_key = ?2, ciphertext = ?3 WHERE secret = ?1 AND number = ?4";
    let id = secret.id.ksuid();
    let changed = connection.execute(sql, (id.as_bytes(), wrapped_key, ciphertext, secret.version)).unwrap();
    assert_eq!(changed, 1);
}

fn assert_refused(result: strongroom_domain::Result<std::sync::Arc<Secret>>, what: &str) {
    match result {
        Err(Error::Internal(cause)) => {
            assert_eq!(cause.downcast_ref(), Some(&CryptoError::Refused), "{what}: {cause}");
        }
        Err(other) => panic!("{what}: {other:?}"),
        Ok(secret) => panic!("{what}: opened, and the secret is at revision {}", secret.revision),
    }
}

impl Furnished {
    /// Fails unless just these secrets no longer open, and the others open to the value that they had.
    async fn assert_refuses(&self, victims: &[&str], what: &str) {
        for (secret, text) in &self.secrets {
            let result = self.house.set(secret.id, text).await;
            let what = format!("{what}: secret {}", secret.name);
            if victims.contains(&secret.name.as_str()) {
                assert_refused(result, &what);
            } else {
                let same = result.unwrap_or_else(|error| panic!("{what}: {error:?}"));
                assert_eq!(same.revision, secret.revision, "{what}: the value is another one");
            }
        }
    }
}

#[tokio::test]
async fn what_nobody_touched_opens() {
    furnished().await.assert_refuses(&[], "untouched").await;
}

#[tokio::test]
async fn a_value_opens_in_its_own_place_only() {
    type Tamper = fn(&Connection, &Furnished);
    let cases: [(&str, &[&str], Tamper); 8] = [
        ("ciphertexts of one vault swapped", &["b", "d"], |connection, it| {
            let (b, d) = (sealed(connection, &it.secrets[1].0), sealed(connection, &it.secrets[3].0));
            put(connection, &it.secrets[1].0, &(b.0, d.1));
            put(connection, &it.secrets[3].0, &(d.0, b.1));
        }),
        ("data keys of one vault swapped", &["b", "d"], |connection, it| {
            let (b, d) = (sealed(connection, &it.secrets[1].0), sealed(connection, &it.secrets[3].0));
            put(connection, &it.secrets[1].0, &(d.0, b.1));
            put(connection, &it.secrets[3].0, &(b.0, d.1));
        }),
        ("whole versions of one vault swapped", &["b", "d"], |connection, it| {
            let (b, d) = (sealed(connection, &it.secrets[1].0), sealed(connection, &it.secrets[3].0));
            put(connection, &it.secrets[1].0, &d);
            put(connection, &it.secrets[3].0, &b);
        }),
        ("whole versions of two vaults swapped", &["b", "c"], |connection, it| {
            let (b, c) = (sealed(connection, &it.secrets[1].0), sealed(connection, &it.secrets[2].0));
            put(connection, &it.secrets[1].0, &c);
            put(connection, &it.secrets[2].0, &b);
        }),
        ("the value before put back", &["a"], |connection, it| {
            put(connection, &it.secrets[0].0, &it.first_value);
        }),
        ("a version given another number", &["a"], |connection, it| {
            let id = it.secrets[0].0.id.ksuid();
            let renumber = [
                "DELETE FROM version WHERE secret = ?1 AND number = 1",
                "UPDATE secret SET version = 1 WHERE id = ?1",
                "UPDATE version SET number = 1 WHERE secret = ?1",
            ];
            for sql in renumber {
                assert_eq!(connection.execute(sql, [id.as_bytes()]).unwrap(), 1);
            }
        }),
        ("a secret moved to another vault", &["a"], |connection, it| {
            let (id, vault) = (it.secrets[0].0.id.ksuid(), it.secrets[2].0.vault_id.ksuid());
            let sql = "UPDATE secret SET vault = ?2 WHERE id = ?1";
            assert_eq!(connection.execute(sql, (id.as_bytes(), vault.as_bytes())).unwrap(), 1);
        }),
        ("vault keys swapped", &["a", "b", "c", "d"], |connection, _| swap_vault_keys(connection)),
    ];
    for (what, victims, tamper) in cases {
        let furnished = furnished().await;
        tamper(&furnished.house.backdoor(), &furnished);
        furnished.assert_refuses(victims, what).await;
    }
}

/// Going back to a version opens what is in its place: that must be that very value.
#[tokio::test]
async fn an_earlier_value_opens_under_its_own_number_only() {
    let it = furnished().await;
    let (house, a) = (&it.house, &it.secrets[0].0);
    let third = (*house.set(a.id, "value of a, the third").await.unwrap()).clone();
    let rollback = async |to| house.app.version_rollback(&house.caller, a.id, to).await;
    let connection = house.backdoor();
    let second = sealed(&connection, a);
    put(&connection, a, &it.first_value);
    assert_refused(rollback(2).await, "the first in the place of the second");
    put(&connection, a, &sealed(&connection, &it.secrets[1].0));
    assert_refused(rollback(2).await, "another secret's value");
    put(&connection, a, &second);
    let back = rollback(2).await.unwrap();
    assert_eq!(back.version, third.version + 1);
    let same = house.set(a.id, "value of a").await.unwrap();
    assert_eq!(same.revision, back.revision, "it has the second value again");
}

/// Swaps the keys of the two vaults.
fn swap_vault_keys(connection: &Connection) {
    let mut select = connection.prepare("SELECT id, wrapped_key FROM vault").unwrap();
    let found = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let vaults: Vec<(Vec<u8>, Vec<u8>)> = found.map(Result::unwrap).collect();
    let [(one, key_of_one), (two, key_of_two)] = &vaults[..] else { panic!("two vaults") };
    for (id, key) in [(one, key_of_two), (two, key_of_one)] {
        let sql = "UPDATE vault SET wrapped_key = ?2 WHERE id = ?1";
        assert_eq!(connection.execute(sql, (id, key)).unwrap(), 1);
    }
}

/// While a vault is empty there is no value that would not open: its key alone has to tell.
#[tokio::test]
async fn nothing_is_sealed_under_another_vaults_key() {
    let house = House::build().await;
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    swap_vault_keys(&house.backdoor());
    for vault in [one, two] {
        let refused = house.create_secret(vault, "secret", "value").await;
        assert_refused(refused.map(std::sync::Arc::new), "a new secret");
    }
    swap_vault_keys(&house.backdoor());
    house.create_secret(one, "secret", "value").await.expect("swapped back");
}

/// Every bit of a value, of its data key and of its vault's key; and bytes cut off or added.
#[tokio::test]
async fn no_flipped_bit_opens() {
    let it = furnished().await;
    let connection = it.house.backdoor();
    let (secret, text) = &it.secrets[1];
    let id = secret.id.ksuid();
    let columns = [
        ("version", "ciphertext", "secret", id),
        ("version", "wrapped_key", "secret", id),
        ("vault", "wrapped_key", "id", secret.vault_id.ksuid()),
    ];
    for (table, column, key, id) in columns {
        let write = |bytes: &[u8]| {
            let sql = format!("UPDATE {table} SET {column} = ?2 WHERE {key} = ?1");
            assert_eq!(connection.execute(&sql, (id.as_bytes(), bytes)).unwrap(), 1);
        };
        let sql = format!("SELECT {column} FROM {table} WHERE {key} = ?1");
        let whole: Vec<u8> = connection.query_row(&sql, [id.as_bytes()], |row| row.get(0)).unwrap();
        let flipped = (0..whole.len() * 8).map(|bit| {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            (format!("bit {bit}"), bytes)
        });
        let cut = (0..whole.len()).map(|length| (format!("cut to {length}"), whole[..length].to_vec()));
        let longer = [0, 1, 255].map(|byte| (format!("with {byte}"), [&whole[..], &[byte]].concat()));
        for (what, bytes) in flipped.chain(cut).chain(longer) {
            write(&bytes);
            assert_refused(it.house.set(secret.id, text).await, &format!("{table}.{column}, {what}"));
        }
        write(&whole);
        let same = it.house.set(secret.id, text).await.unwrap();
        assert_eq!(same.revision, secret.revision, "{table}.{column} put back");
    }
}

/// What does not open is not overwritten either: whoever tampers is not to get a new value in on top of it.
#[tokio::test]
async fn a_tampered_value_is_not_replaced_but_can_be_deleted() {
    let it = furnished().await;
    let (secret, _) = &it.secrets[1];
    put(&it.house.backdoor(), secret, &(vec![1; 60], vec![2; 40]));
    let before = it.house.app.counts().await.unwrap().events;
    assert_refused(it.house.set(secret.id, "another value").await, "another value");
    assert_eq!(it.house.app.counts().await.unwrap().events, before, "a refused change left an event");
    it.house
        .app
        .secret_remove(&it.house.caller, secret.id, &strongroom_domain::expected::Expected::Any)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_key_of_the_tokens_opens_for_its_account_only() {
    let house = House::build().await;
    house.reopened().await.expect("untouched");
    let whole: Vec<u8> =
        house.backdoor().query_row("SELECT wrapped_token_key FROM account", [], |row| row.get(0)).unwrap();
    let mut flipped = whole.clone();
    flipped[20] ^= 1;
    let connection = house.backdoor();
    for (what, bytes) in [("flipped", flipped), ("cut", whole[..30].to_vec()), ("empty", Vec::new())] {
        connection.execute("UPDATE account SET wrapped_token_key = ?1", [bytes]).unwrap();
        assert!(house.reopened().await.is_err(), "{what}");
    }
    connection.execute("UPDATE account SET wrapped_token_key = ?1", [whole]).unwrap();
    house.reopened().await.expect("put back");
    connection.execute("UPDATE account SET id = ?1", [&[7; 20]]).unwrap();
    assert!(house.reopened().await.is_err(), "the account has another id");
}

fn any_key() -> ApiKeyDraft {
    ApiKeyDraft {
        owner: Owner::Caller,
        description: Description::default(),
        metadata: Metadata::default(),
        grants: None,
        expires_at: None,
        client_certificate: None,
    }
}

/// A token that is kept to be shown once more is sealed for the request that it answers.
#[tokio::test]
async fn a_kept_token_opens_for_its_own_request_only() {
    let house = House::build().await;
    let (_, token) = house.app.api_key_create(&house.caller, any_key(), None).await.unwrap().it;
    let caller = house.app.authenticate(token.expose_secret(), HERE, None).await.unwrap();
    let ask = async |key: &str| {
        let to = house.app.repeatable(&caller, "/api_keys", key, b"{}").unwrap();
        house.app.api_key_create(&caller, any_key(), to.as_ref()).await
    };
    let mut made = Vec::new();
    for key in ["one", "two"] {
        let first = ask(key).await.unwrap();
        let again = ask(key).await.unwrap();
        assert!(again.again && again.it.1.expose_secret() == first.it.1.expose_secret(), "untouched");
        made.push(house.app.repeatable(&caller, "/api_keys", key, b"{}").unwrap().unwrap().mark);
    }
    let connection = house.backdoor();
    let read = |mark: &[u8; 32]| -> (Vec<u8>, Vec<u8>) {
        let sql = "SELECT wrapped_key, token FROM answer WHERE mark = ?1";
        connection.query_row(sql, [mark], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let (one, two) = (read(&made[0]), read(&made[1]));
    let flipped = |bytes: &[u8]| {
        let mut flipped = bytes.to_vec();
        flipped[20] ^= 1;
        flipped
    };
    for (what, wrapped_key, token) in [
        ("another's", two.0.clone(), two.1.clone()),
        ("another's data key", two.0.clone(), one.1.clone()),
        ("a flipped data key", flipped(&one.0), one.1.clone()),
        ("a flipped token", one.0.clone(), flipped(&one.1)),
        ("a cut token", one.0.clone(), one.1[..10].to_vec()),
    ] {
        let sql = "UPDATE answer SET wrapped_key = ?2, token = ?3 WHERE mark = ?1";
        assert_eq!(connection.execute(sql, (made[0], wrapped_key, token)).unwrap(), 1);
        assert!(matches!(ask("one").await, Err(Error::Internal(_))), "{what}");
    }
    connection.execute("UPDATE answer SET token = NULL WHERE mark = ?1", [made[0]]).unwrap();
    assert!(matches!(ask("one").await, Err(Error::Internal(_))), "no token");
    ask("two").await.unwrap();
}

/// The hash is over the whole token, which holds the key's id.
#[tokio::test]
async fn a_token_hash_opens_for_its_own_key_only() {
    let house = House::build().await;
    let mut keys = Vec::new();
    for _ in 0..2 {
        keys.push(house.app.api_key_create(&house.caller, any_key(), None).await.unwrap().it);
    }
    let connection = house.backdoor();
    let write = |place: usize, hash: &[u8]| {
        let id = keys[place].0.id.ksuid();
        let sql = "UPDATE api_key SET hash = ?2 WHERE id = ?1";
        assert_eq!(connection.execute(sql, (id.as_bytes(), hash)).unwrap(), 1);
    };
    for (_, token) in &keys {
        house.app.authenticate(token.expose_secret(), HERE, None).await.expect("untouched");
    }
    write(0, keys[1].0.hash.as_bytes());
    write(1, keys[0].0.hash.as_bytes());
    for (_, token) in &keys {
        let refused = house.app.authenticate(token.expose_secret(), HERE, None).await;
        assert!(matches!(refused, Err(Error::Unauthenticated(BadCredential::Unknown))));
    }
}

#[tokio::test]
async fn a_key_that_does_not_open_is_named() {
    let Furnished { house, secrets, .. } = furnished().await;
    let store = SqliteStore::open_to_read(&house.path()).unwrap();
    let check = async || {
        let account = store.account_find().await.unwrap().unwrap();
        keys::check(&store, &account, &house.root_key).await.unwrap()
    };
    assert_eq!(check().await, Ok(2));
    let vault = secrets[2].0.vault_id;
    let sql = "UPDATE vault SET wrapped_key = zeroblob(length(wrapped_key)) WHERE id = ?1";
    house.backdoor().execute(sql, [vault.ksuid().as_bytes()]).unwrap();
    assert_eq!(check().await, Err(keys::Broken::VaultKey(vault)));
    house.backdoor().execute("UPDATE account SET wrapped_token_key = zeroblob(69)", []).unwrap();
    assert_eq!(check().await, Err(keys::Broken::TokenKey));
}
