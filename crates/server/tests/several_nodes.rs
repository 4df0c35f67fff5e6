//! Several servers over one database: what one of them does at a time, what one does that does not hear of the others, and the root
//! key that another one rotated.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../store/tests/several_nodes/view.rs"]
mod view;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use strongroom_crypto::{KeyId, RootKey, SlotKey, SystemRng};
use strongroom_domain::app::{
    ApiKeyDraft, App, Owner, SecretChange, SecretDraft, VaultDraft, VaultRef, WebhookDraft,
};
use strongroom_domain::caller::Caller;
use strongroom_domain::clock::SystemClock;
use strongroom_domain::error::Noun;
use strongroom_domain::expected::Expected;
use strongroom_domain::ids::{ApiKeyId, SecretId, VaultId};
use strongroom_domain::limits::Limits;
use strongroom_domain::secret::Secret;
use strongroom_domain::store::Store;
use strongroom_domain::text::{Description, Metadata, Name};
use strongroom_domain::webhook::{EventTypes, WebhookUrl};
use strongroom_domain::{Error, SecretValue};
use strongroom_server::front::Peer;
use strongroom_server::{Front, Settings, Shared, delivery, leases, root_key, rotator, sweeper};
use strongroom_store::cache::CachedStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use view::{Database, View};

/// A lease that nobody renews ends after six seconds, and others look every two.
const TAKEN_OVER: Duration = Duration::from_secs(12);
/// For longer than anything is believed without having heard of the others.
const UNBELIEVED: Duration = Duration::from_millis(600);

/// Where requests come from.
const PEER: Peer = Peer {
    scheme: "http",
    address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000),
    certificate: None,
};

/// A server, without its listener.
struct Server {
    shared: Arc<Shared>,
    view: Arc<View>,
    caller: Caller,
}

/// The keys that are brought to each server.
struct Keys {
    root: RootKey,
    slot: Arc<SlotKey>,
}

/// A database with an account in it.
async fn installed() -> (Arc<Database>, Keys) {
    let (clock, rng) = (Arc::new(SystemClock), Arc::new(SystemRng));
    let (root, slot) = (RootKey::make(&SystemRng).unwrap(), SlotKey::make(&SystemRng).unwrap());
    let database = Database::new();
    let installed = App::install(&root, clock.clone(), rng.clone()).unwrap();
    let installed = installed.with_key_file(&root, &slot, clock, rng).unwrap();
    installed.commit(&*database.view()).await.unwrap();
    (database, Keys { root, slot: Arc::new(slot) })
}

impl Server {
    async fn start(database: &Arc<Database>, keys: &Keys) -> Self {
        Self::start_with(database, keys, false).await
    }

    async fn start_with(database: &Arc<Database>, keys: &Keys, stale_ok: bool) -> Self {
        let view = database.view();
        let store: Arc<dyn Store> = Arc::new(CachedStore::shared(view.clone(), stale_ok));
        let (clock, rng) = (Arc::new(SystemClock), Arc::new(SystemRng));
        let app = App::open(store, keys.root.same(), Limits::default(), clock, rng).await.unwrap();
        let caller = app.operator().await.unwrap();
        let webhooks = delivery::Settings { allow_private: true, ..delivery::Settings::default() };
        let shared = Shared::new(app, Settings { webhooks, ..Settings::default() });
        Self { shared, view, caller }
    }

    fn app(&self) -> &App {
        self.shared.app()
    }

    /// Has it open, by the slot of a key, what another one puts in the place of the root key.
    fn opens_by(&self, key: &Arc<SlotKey>) {
        let key = key.clone();
        self.shared.open_again_by(Box::new(move |shared| {
            let key = key.clone();
            Box::pin(async move {
                let slots = shared.app().slots().await.ok()?;
                let slot = slots.iter().find(|slot| slot.key_id() == key.id())?;
                shared.app().open_slot(slot, &key).await.ok()
            })
        }));
    }

    async fn add_vault(&self, name: &str) -> VaultId {
        let name = Name::parse(Noun::Vault, name.to_owned(), &Limits::default()).unwrap();
        let (description, metadata) = (Description::default(), Metadata::default());
        let draft = VaultDraft { id: None, name, description, metadata };
        self.app().vault_create(&self.caller, draft, None).await.unwrap().it.id
    }

    async fn add_secret(&self, vault: VaultId, name: &str) -> Secret {
        let draft = SecretDraft {
            id: None,
            vault: VaultRef::Id(vault),
            name: Name::parse(Noun::Secret, name.to_owned(), &Limits::default()).unwrap(),
            value: value("a value"),
            description: Description::default(),
            metadata: Metadata::default(),
            expires_at: None,
        };
        self.app().secret_create(&self.caller, draft, None).await.unwrap().it
    }

    /// Sets a value, which opens the one that is stored to see whether it differs.
    async fn set(&self, secret: SecretId, text: &str) -> strongroom_domain::Result<Arc<Secret>> {
        let change = SecretChange { value: Some(value(text)), ..SecretChange::default() };
        self.app().secret_change(&self.caller, secret, change, &Expected::Any).await
    }

    async fn add_webhook(&self, url: &str) {
        let draft = WebhookDraft {
            url: WebhookUrl::read(url).unwrap(),
            event_types: EventTypes::from_text("*"),
            description: Description::default(),
            metadata: Metadata::default(),
            active: true,
            secret: None,
        };
        self.app().webhook_create(&self.caller, draft).await.unwrap();
    }

    /// A key with grants, or one that may do all; and its token.
    async fn add_key(&self, grants: Option<&str>) -> (ApiKeyId, String) {
        let draft = ApiKeyDraft {
            owner: Owner::Caller,
            description: Description::default(),
            metadata: Metadata::default(),
            grants: grants.map(|grants| grants.parse().unwrap()),
            expires_at: None,
            client_certificate: None,
        };
        let (key, token) = self.app().api_key_create(&self.caller, draft, None).await.unwrap().it;
        // To be sent, as its owner does.
        (key.id, token.expose_secret().to_owned())
    }

    /// What is answered to a request: its status, and its body.
    async fn answer(&self, token: &str, method: &str, target: &str, body: Option<Value>) -> (u16, String) {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "strongroom.example")
            .header("ngrok-version", "2")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"));
        let request =
            request.body(body.map_or_else(Body::empty, |body| Body::from(body.to_string()))).unwrap();
        let answer = Front::new(self.shared.clone()).handle(request, PEER).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The same, asked again until the database is not told to be away.
    async fn answer_in_the_end(
        &self,
        token: &str,
        method: &str,
        target: &str,
        body: Option<Value>,
    ) -> (u16, String) {
        let start = Instant::now();
        loop {
            let answer = self.answer(token, method, target, body.clone()).await;
            if answer.0 != 503 {
                return answer;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "it is never answered: {}", answer.1);
        }
    }

    /// Has it hear nothing of what others change, and all else.
    fn deafen(&self, deaf: bool) {
        self.view.link.deaf.store(deaf, Ordering::SeqCst);
    }

    async fn rotate_root_key(&self) -> KeyId {
        self.app().root_key_rotate(&self.caller).await.unwrap().key
    }
}

fn value(text: &str) -> SecretValue {
    SecretValue::new(text.as_bytes().to_vec())
}

async fn until(what: &str, within: Duration, holds: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < within, "it never comes: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// What a target was told of an event.
#[derive(Default)]
struct Told {
    /// How often.
    messages: u32,
    /// Messages that are not answered yet, and whose sender waits; and the most that were at a time.
    under_way: u32,
    at_once: u32,
}

/// A target that takes everything, at once or when it is told to.
#[derive(Default)]
struct Target {
    told: Mutex<BTreeMap<String, Told>>,
    /// Answers are held back.
    held: AtomicBool,
}

impl Target {
    async fn listen() -> (Arc<Self>, String) {
        let target = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let told = target.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let told = told.clone();
                tokio::spawn(async move { told.take(stream).await });
            }
        });
        (target, url)
    }

    async fn take(&self, mut stream: TcpStream) {
        let mut request = Vec::new();
        while !is_whole(&request) {
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let text = String::from_utf8(request).unwrap();
        let id = text.lines().find_map(|line| line.strip_prefix("webhook-id: ")).unwrap();
        self.note(id, |told| {
            told.messages += 1;
            told.under_way += 1;
            told.at_once = told.at_once.max(told.under_way);
        });
        let held = async {
            while self.held.load(Ordering::SeqCst) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let mut rest = [0];
        tokio::select! {
            () = held => {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
            }
            // Its sender is gone.
            _ = stream.read(&mut rest) => {}
        }
        self.note(id, |told| told.under_way -= 1);
    }

    fn note(&self, id: &str, what: impl FnOnce(&mut Told)) {
        what(self.told.lock().unwrap().entry(id.to_owned()).or_default());
    }

    fn events(&self) -> usize {
        self.told.lock().unwrap().len()
    }

    fn messages(&self) -> u32 {
        self.told.lock().unwrap().values().map(|told| told.messages).sum()
    }

    /// The most senders of one event that waited at a time.
    fn at_once(&self) -> u32 {
        self.told.lock().unwrap().values().map(|told| told.at_once).max().unwrap_or(0)
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}

#[tokio::test]
async fn one_server_sweeps_and_another_goes_on_when_it_dies() {
    let (database, keys) = installed().await;
    let [a, b, c] = [
        Server::start(&database, &keys).await,
        Server::start(&database, &keys).await,
        Server::start(&database, &keys).await,
    ];
    let swept = |server: &Server| server.view.link.asked("version_due");
    let at_a = tokio::spawn(sweeper::run(a.shared.clone(), || u64::MAX));
    until("a sweeps", TAKEN_OVER, async || swept(&a) == 1).await;
    let at_b = tokio::spawn(sweeper::run(b.shared.clone(), || u64::MAX));
    // Longer than a lease lasts: it is renewed.
    sleep(Duration::from_secs(8)).await;
    assert_eq!((swept(&a), swept(&b)), (1, 0));
    // It dies, and gives nothing back.
    at_a.abort();
    let died = Instant::now();
    until("b goes on", TAKEN_OVER, async || swept(&b) == 1).await;
    println!("the sweeps were taken over after {:?}", died.elapsed());
    // It stops as it should, and the next one need not wait for the end of the lease.
    let at_c = tokio::spawn(sweeper::run(c.shared.clone(), || u64::MAX));
    sleep(Duration::from_millis(100)).await;
    assert_eq!(swept(&c), 0);
    at_b.abort();
    assert!(at_b.await.unwrap_err().is_cancelled());
    leases::give_back_all(&b.shared).await;
    until("c goes on", Duration::from_secs(4), async || swept(&c) == 1).await;
    at_c.abort();
}

/// A target that is slow has the server at work when its lease ends: it answers long after.
#[tokio::test]
async fn a_server_that_is_cut_off_stops_before_another_one_begins() {
    let (database, keys) = installed().await;
    let (a, b) = (Server::start(&database, &keys).await, Server::start(&database, &keys).await);
    let (target, url) = Target::listen().await;
    a.add_webhook(&url).await;
    let at_a = tokio::spawn(delivery::run(a.shared.clone()));
    a.add_vault("first").await;
    until("a tells", TAKEN_OVER, async || target.events() == 1).await;
    target.held.store(true, Ordering::SeqCst);
    a.add_vault("second").await;
    until("a tells what is not answered", TAKEN_OVER, async || target.events() == 2).await;
    a.view.link.cut.store(true, Ordering::SeqCst);
    let at_b = tokio::spawn(delivery::run(b.shared.clone()));
    until("b tells the same", TAKEN_OVER, async || target.messages() == 3).await;
    assert_eq!(target.at_once(), 1, "a was still at it");
    target.held.store(false, Ordering::SeqCst);
    a.view.link.cut.store(false, Ordering::SeqCst);
    for number in 0..10 {
        b.add_vault(&number.to_string()).await;
    }
    until("all are told", TAKEN_OVER, async || target.events() == 12).await;
    assert_eq!(target.messages(), 12 + 1, "the one whose answer a did not hear, once more");
    at_a.abort();
    at_b.abort();
}

#[tokio::test]
async fn a_webhook_is_told_by_one_server_whoever_made_the_change() {
    let (database, keys) = installed().await;
    let (a, b) = (Server::start(&database, &keys).await, Server::start(&database, &keys).await);
    let (target, url) = Target::listen().await;
    a.add_webhook(&url).await;
    let at_a = tokio::spawn(delivery::run(a.shared.clone()));
    let at_b = tokio::spawn(delivery::run(b.shared.clone()));
    for number in 0..10 {
        a.add_vault(&format!("a-{number}")).await;
        b.add_vault(&format!("b-{number}")).await;
    }
    until("all are told", TAKEN_OVER, async || target.events() == 20).await;
    assert_eq!(target.messages(), 20, "each once");
    // Whichever it was that told them: the other goes on.
    at_a.abort();
    b.add_vault("after-a").await;
    until("b tells", TAKEN_OVER, async || target.events() == 21).await;
    let at_a = tokio::spawn(delivery::run(a.shared.clone()));
    at_b.abort();
    a.add_vault("after-b").await;
    until("a tells", TAKEN_OVER, async || target.events() == 22).await;
    assert!(
        target.messages() <= 22 + 2,
        "one that died repeats what it had not noted: {}",
        target.messages()
    );
    at_a.abort();
}

/// A server that may answer with what is old, hears nothing of the others, and reaches the database: what it takes a revoked key for
/// tells metadata, and neither opens nor changes anything.
#[tokio::test]
async fn a_key_that_is_not_known_to_be_revoked_reads_metadata_and_does_no_more() {
    let (database, keys) = installed().await;
    let (a, b) = (Server::start(&database, &keys).await, Server::start_with(&database, &keys, true).await);
    let vault = a.add_vault("vault").await;
    let secret = a.add_secret(vault, "secret").await;
    let ((reader, reading), (admin, all)) = (a.add_key(Some("resolve vault:*")).await, a.add_key(None).await);
    let known = format!("/vault_secrets/{}", secret.id);
    let valued = "/strongroom/values?vault=vault&name=secret";
    let resolving = || Some(json!({"secrets": [{"vault": "vault", "name": "secret"}]}));
    let making = || Some(json!({"name": "made"}));
    assert_eq!(b.answer(&all, "GET", &known, None).await.0, 200);
    assert_eq!(b.answer(&reading, "POST", "/strongroom/resolve", resolving()).await.0, 200);

    b.deafen(true);
    a.app().api_key_remove(&a.caller, reader).await.unwrap();
    a.app().api_key_remove(&a.caller, admin).await.unwrap();
    sleep(UNBELIEVED).await;
    assert_eq!(b.answer(&all, "GET", &known, None).await.0, 200, "which is what it is set to do");
    let events = a.app().counts().await.unwrap().events;
    let answers = tokio::join!(
        b.answer(&reading, "POST", "/strongroom/resolve", resolving()),
        b.answer(&reading, "GET", valued, None),
        b.answer(&reading, "HEAD", valued, None),
        b.answer(&all, "POST", "/vaults", making()),
        b.answer(&all, "DELETE", &known, None),
    );
    let statuses = [answers.0.0, answers.1.0, answers.2.0, answers.3.0, answers.4.0];
    assert_eq!(statuses, [503; 5]);
    assert_eq!(a.app().counts().await.unwrap().events, events, "and nothing is done");

    b.deafen(false);
    for (token, method, target) in [(&reading, "GET", valued), (&all, "DELETE", &*known)] {
        let (status, refused) = b.answer_in_the_end(token, method, target, None).await;
        assert!(status == 403 && refused.contains("ERR_NGROK_203"), "not for its key: {status} {refused}");
    }
}

#[tokio::test]
async fn a_value_that_was_replaced_elsewhere_is_not_given_as_the_current_one() {
    let (database, keys) = installed().await;
    let (a, b) = (Server::start(&database, &keys).await, Server::start_with(&database, &keys, true).await);
    let vault = a.add_vault("vault").await;
    let secret = a.add_secret(vault, "secret").await;
    let (_, token) = a.add_key(Some("resolve vault:*")).await;
    let valued = "/strongroom/values?vault=vault&name=secret";
    let (status, before) = b.answer(&token, "GET", valued, None).await;
    assert!(status == 200 && before.contains("a value"), "{status} {before}");
    b.deafen(true);
    a.set(secret.id, "another one").await.unwrap();
    sleep(UNBELIEVED).await;
    // The earlier version is still in the database, and could be opened.
    assert_eq!(b.answer(&token, "GET", valued, None).await.0, 503);
    b.deafen(false);
    let (status, after) = b.answer_in_the_end(&token, "GET", valued, None).await;
    assert!(status == 200 && after.contains("another one"), "{status} {after}");
}

#[tokio::test]
async fn a_rotation_that_one_server_began_another_goes_on_with() {
    let (database, keys) = installed().await;
    let (a, b) = (Server::start(&database, &keys).await, Server::start(&database, &keys).await);
    let vault = a.add_vault("vault").await;
    let secret = a.add_secret(vault, "secret").await;
    b.set(secret.id, "a value").await.unwrap();
    let before = a.app().key_get(&a.caller, vault).await.unwrap().key;
    let begun = a.app().rotation_start(&a.caller, vault, strongroom_domain::rotation::Kind::VaultKey).await;
    assert_ne!(begun.unwrap().key, before);
    // A value that is sealed under a key which the other one does not know of yet.
    a.set(secret.id, "another value").await.unwrap();
    assert_eq!(
        b.set(secret.id, "another value").await.unwrap().version,
        2,
        "it is no change, and was opened"
    );
    rotator::go_on(&b.shared).await;
    assert!(a.app().rotations().await.unwrap().is_empty());
    assert_eq!(a.set(secret.id, "another value").await.unwrap().version, 2);
}

#[tokio::test]
async fn a_root_key_that_one_server_rotated_the_others_open() {
    let (database, keys) = installed().await;
    let (a, b) = (Server::start(&database, &keys).await, Server::start(&database, &keys).await);
    b.opens_by(&keys.slot);
    let following = tokio::spawn(root_key::follow(b.shared.clone()));
    let vault = a.add_vault("vault").await;
    let secret = a.add_secret(vault, "secret").await;
    for round in 0..3 {
        assert_eq!(b.set(secret.id, "a value").await.unwrap().version, 1);
        let key = a.rotate_root_key().await;
        // At once: what needs the new key waits for it, whether it opens or makes something.
        let start = Instant::now();
        b.add_vault(&format!("vault-{round}")).await;
        println!("a vault was made {:?} after the root key was rotated elsewhere", start.elapsed());
        assert_eq!(b.set(secret.id, "a value").await.unwrap().version, 1);
        assert_eq!(b.app().root_key(&b.caller).await.unwrap().0, key);
        assert!(b.app().root_key_is_known().await.unwrap());
    }
    following.abort();
}

#[tokio::test]
async fn a_server_that_cannot_open_the_new_root_key_seals_itself() {
    let (database, keys) = installed().await;
    let (a, b) = (Server::start(&database, &keys).await, Server::start(&database, &keys).await);
    let following = tokio::spawn(root_key::follow(b.shared.clone()));
    a.rotate_root_key().await;
    let refused = b.app().vault_create(
        &b.caller,
        VaultDraft {
            id: None,
            name: Name::parse(Noun::Vault, "vault".to_owned(), &Limits::default()).unwrap(),
            description: Description::default(),
            metadata: Metadata::default(),
        },
        None,
    );
    let refused = refused.await;
    assert!(
        matches!(refused, Err(Error::Sealed | Error::Unavailable(_))),
        "nothing is made under the old key"
    );
    until("it seals itself", Duration::from_secs(30), async || b.app().is_sealed()).await;
    // Unsealed by somebody, it serves again.
    let slot = b.app().slots().await.unwrap().remove(0);
    let key = b.app().open_slot(&slot, &keys.slot).await.unwrap();
    b.app().unseal_house(key).await.unwrap();
    b.app().serve();
    b.add_vault("vault").await;
    following.abort();
}

#[tokio::test]
async fn servers_that_start_at_once_have_one_key_for_the_log() {
    for _ in 0..5 {
        let (database, keys) = installed().await;
        let (a, b) = tokio::join!(Server::start(&database, &keys), Server::start(&database, &keys));
        let (of_a, of_b) = (a.app().audit_key().unwrap(), b.app().audit_key().unwrap());
        assert_eq!(of_a.to_string(), of_b.to_string());
        assert!(!a.app().audit_key_was_lost().await.unwrap());
    }
}
