//! The whole server in this process, with a clock that stands still and randomness that counts: the same requests give the
//! same answers, ids and times included.

#![allow(dead_code, reason = "each test binary uses the part it needs")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod place;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use strongroom_crypto::{
    CryptoError, LogKey, Rng, RootKey, SigningSecret, SlotKey, SlotKind, TokenKey, WrappedKey,
};
use strongroom_domain::api_key::ApiKey;
use strongroom_domain::app::App;
use strongroom_domain::audit::{Action, Actor, Event};
use strongroom_domain::caller::Role;
use strongroom_domain::clock::Clock;
use strongroom_domain::ids::{
    AccountId, ApiKeyId, EventId, IpPolicyId, IpPolicyRuleId, IpRestrictionId, KeySlotId, PrincipalId,
    ServiceUserId, UserId, WebhookId,
};
use strongroom_domain::ip_policy::{IpPolicy, IpPolicyRule, IpRestriction, RestrictionType, RuleAction};
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::limits::Limits;
use strongroom_domain::page::{Page, PageLimit, Query};
use strongroom_domain::principal::{Account, ServiceUser, User};
use strongroom_domain::stamp::Stamper;
use strongroom_domain::store::Store;
use strongroom_domain::token::Token;
use strongroom_domain::webhook::{Delivery, DeliveryState, EventTypes, Settled, Webhook, WebhookUrl};
use strongroom_server::front::Peer;
use strongroom_server::{Front, Settings, Shared};
use tempfile::TempDir;

use place::Placed;

/// Where every request comes from.
const PEER: Peer = Peer {
    scheme: "http",
    address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000),
    certificate: None,
};

/// 2026-01-01T00:00:00Z, and later by what a test lets pass.
#[derive(Default)]
struct Still(AtomicI64);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + self.0.load(Ordering::Relaxed)).unwrap()
    }
}

#[derive(Default)]
struct Counting(AtomicU8);

impl Rng for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        bytes.fill_with(|| self.0.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

/// A server with an account whose first user has a role of the test's choice, and everything it takes to make keys for
/// anyone.
pub(crate) struct World {
    pub(crate) front: Front,
    pub(crate) store: Arc<dyn Store>,
    /// The token of the first user.
    pub(crate) first: String,
    pub(crate) first_user: PrincipalId,
    account: AccountId,
    token_key: TokenKey,
    root_key: RootKey,
    stamper: Stamper,
    clock: Arc<Still>,
    rng: Arc<Counting>,
    _folder: Option<TempDir>,
}

impl World {
    /// The newest event of the audit log, as JSON.
    pub(crate) async fn last_event(&self) -> String {
        let record = self.store.audit_list(0, 1000).await.unwrap().pop().unwrap();
        serde_json::to_string(&Event::from_canonical(&record.canonical).unwrap()).unwrap()
    }

    pub(crate) async fn new() -> Self {
        Self::with(Role::Admin, Limits::default(), Settings::default()).await
    }

    pub(crate) async fn with(role: Role, limits: Limits, settings: Settings) -> Self {
        Self::over(place::new_store().await, role, limits, settings).await
    }

    /// One whose store is a file whatever the others' are: where a test lets time pass by itself, it passes while a database is
    /// waited for.
    pub(crate) async fn in_file() -> Self {
        Self::over(place::in_file(), Role::Admin, Limits::default(), Settings::default()).await
    }

    async fn over((store, folder): Placed, role: Role, limits: Limits, settings: Settings) -> Self {
        let (clock, rng) = (Arc::new(Still::default()), Arc::new(Counting::default()));
        let stamper = Stamper::new(clock.clone(), rng.clone());
        let (root_key, token_key) = (RootKey::make(&*rng).unwrap(), TokenKey::make(&*rng).unwrap());
        let stamp = stamper.stamp().unwrap();
        let id = AccountId::new(stamp.ksuid);
        let account = Account {
            id,
            name: "strongroom".to_owned(),
            created_at: stamp.at,
            root_key: root_key.id(),
            wrapped_token_key: root_key.wrap_token_key(&token_key, id.ksuid().as_bytes(), &*rng).unwrap(),
        };
        let user = UserId::new(stamper.stamp().unwrap().ksuid);
        let email = "admin@localhost".to_owned();
        let (key, token) = new_key(&stamper, &*rng, &token_key, PrincipalId::User(user));
        let first = User { id: user, email, role, created_at: stamp.at };
        store.account_insert(account, first, key, Vec::new(), Vec::new()).await.unwrap();
        // With randomness of its own, so that what else is drawn does not hang on it.
        let (log_key, apart) = (LogKey::make(&Counting::default()).unwrap(), Counting::default());
        let wrapped = root_key.wrap_log_key(&log_key, id.ksuid().as_bytes(), &apart).unwrap();
        store.log_key_insert(id, wrapped).await.unwrap();
        let same_root_key = RootKey::make(&Counting::default()).unwrap();
        assert_eq!(same_root_key.id(), root_key.id());
        let app = App::open(store.clone(), root_key, limits, clock.clone(), rng.clone()).await.unwrap();
        let shared = Shared::new(app, settings);
        let front = Front::new(shared);
        let first_user = PrincipalId::User(user);
        Self {
            front,
            store,
            first: token,
            first_user,
            account: id,
            token_key,
            root_key: same_root_key,
            stamper,
            clock,
            rng,
            _folder: folder,
        }
    }

    /// Lets time pass, so that what is made or changed next differs from what was before.
    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Gives the server its keys, if it has none.
    pub(crate) async fn unseal(&self) {
        let app = self.front.shared().app();
        if app.is_sealed() {
            app.unseal_house(self.root_key.same()).await.unwrap();
            app.serve();
        }
    }

    /// A key slot that 24 words open, beside another one.
    pub(crate) async fn add_key_slot(&self) -> KeySlotId {
        self.clear_key_slots().await;
        let mut last = None;
        for (name, bytes) in [("first", [7; 32]), ("words", [0; 32])] {
            let stamp = self.stamper.stamp().unwrap();
            let (id, key, kind) =
                (KeySlotId::new(stamp.ksuid), SlotKey::from_slice(&bytes).unwrap(), SlotKind::Recovery);
            let place = strongroom_domain::key_slot::place(self.account, id, kind);
            let slot = KeySlot {
                id,
                name: format!("{name}-{id}"),
                kind,
                opener: "{}".to_owned(),
                sealed: self.root_key.seal_to(&key.enrolment(), &place, &Counting::default()).unwrap(),
                created_at: stamp.at,
                created_by: self.first_user,
            };
            let event = self.event(&slot);
            self.store.key_slot_insert(self.account, slot, event).await.unwrap();
            last = Some(id);
        }
        last.unwrap()
    }

    /// Leaves one key slot, if there are any.
    pub(crate) async fn clear_key_slots(&self) {
        for slot in self.store.key_slot_list(self.account).await.unwrap().iter().skip(1) {
            let event = self.event(slot);
            self.store.key_slot_delete(self.account, slot.id, event).await.unwrap();
        }
    }

    /// How many first answers the store has; none from then on.
    pub(crate) async fn answers_left(&self) -> usize {
        self.store.answers_prune(self.account, Timestamp::MAX, 1000).await.unwrap()
    }

    /// What the clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A service user, made past the API.
    pub(crate) async fn add_service_user(&self, name: &str, active: bool) -> ServiceUserId {
        let stamp = self.stamper.stamp().unwrap();
        let id = ServiceUserId::new(stamp.ksuid);
        let user = ServiceUser { id, name: name.to_owned(), active, created_at: stamp.at, revision: 1 };
        let event = self.event(&user);
        self.store.service_user_insert(self.account, user, event.into()).await.unwrap();
        id
    }

    /// A key and its token, made past the API.
    pub(crate) async fn add_key(&self, owner: PrincipalId) -> (ApiKeyId, String) {
        self.add_key_with(owner, None).await
    }

    /// The same with grants, one a line.
    pub(crate) async fn add_key_with(&self, owner: PrincipalId, grants: Option<&str>) -> (ApiKeyId, String) {
        let (mut key, token) = new_key(&self.stamper, &*self.rng, &self.token_key, owner);
        key.grants = grants.map(|grants| grants.parse().unwrap());
        let (id, event) = (key.id, self.event(&key));
        self.store.api_key_insert(self.account, key, event.into()).await.unwrap();
        (id, token)
    }

    /// A webhook, made past the API. Its target is on no network: a message to it fails at once.
    pub(crate) async fn add_webhook(&self) -> WebhookId {
        let stamp = self.stamper.stamp().unwrap();
        let id = WebhookId::new(stamp.ksuid);
        // With randomness of its own, so that what else is drawn does not hang on it.
        let (secret, apart) = (SigningSecret::make(&Counting::default()).unwrap(), Counting::default());
        let (account, place) = (*self.account.ksuid().as_bytes(), *id.ksuid().as_bytes());
        let webhook = Webhook {
            id,
            url: WebhookUrl::read("https://127.0.0.1/hook?token=x").unwrap(),
            event_types: EventTypes::from_text("secret_updated.v0 vault_deleted.v0"),
            description: String::new(),
            metadata: String::new(),
            active: true,
            created_at: stamp.at,
            updated_at: stamp.at,
            revision: 1,
            secret: self.root_key.wrap_signing_secret(&secret, &account, &place, &apart).unwrap(),
            old_secret: None,
            position: 0,
        };
        let event = self.event(&webhook);
        self.store.webhook_insert(self.account, webhook, Webhook::MAX, event).await.unwrap();
        id
    }

    /// Gives a webhook a signing secret that does not open, though it says that the root key wraps it.
    pub(crate) async fn damage_webhook(&self, id: WebhookId) {
        let mut webhook = self.store.webhook_find(self.account, id).await.unwrap().unwrap();
        let mut secret = webhook.secret.as_bytes().to_vec();
        secret[8..].fill(7);
        webhook.secret = WrappedKey::from_bytes(secret);
        webhook.revision += 1;
        let event = self.event(&webhook);
        self.store.webhook_update(self.account, webhook, event).await.unwrap();
    }

    pub(crate) async fn delete_webhook(&self, id: WebhookId) {
        let webhook = self.store.webhook_find(self.account, id).await.unwrap().unwrap();
        let event = self.event(&webhook);
        self.store.webhook_delete(self.account, id, webhook.revision, event).await.unwrap();
    }

    /// Deliveries that failed, of records with these numbers, made past the API.
    pub(crate) async fn add_deliveries(
        &self,
        webhook: WebhookId,
        records: std::ops::Range<u64>,
        state: DeliveryState,
    ) {
        let delivery = |sequence| {
            let stamp = self.stamper.stamp().unwrap();
            Settled::Failed(Delivery {
                sequence,
                event: EventId::new(stamp.ksuid),
                kind: "secret_updated.v0".to_owned(),
                body: "{}".to_owned(),
                state,
                attempts: 2,
                due: stamp.at,
                error: "the target answered 500".to_owned(),
            })
        };
        let settled = records.map(delivery).collect();
        self.store.delivery_settle(self.account, webhook, 0, settled).await.unwrap();
    }

    pub(crate) fn account(&self) -> AccountId {
        self.account
    }

    pub(crate) async fn delete_key(&self, id: ApiKeyId) {
        let key = self.store.api_key_find(self.account, id).await.unwrap().unwrap();
        let event = self.event(&key);
        self.store.api_key_delete(self.account, id, key.revision, event).await.unwrap();
    }

    /// An IP policy, made past the API.
    pub(crate) async fn add_ip_policy(&self) -> IpPolicyId {
        let stamp = self.stamper.stamp().unwrap();
        let (description, metadata) = (String::new(), String::new());
        let id = IpPolicyId::new(stamp.ksuid);
        let policy = IpPolicy { id, description, metadata, created_at: stamp.at, revision: 1 };
        let event = self.event(&policy);
        self.store.ip_policy_insert(self.account, policy, event.into()).await.unwrap();
        id
    }

    /// A rule that allows addresses of nobody, of a policy of its own, made past the API.
    pub(crate) async fn add_ip_rule(&self) -> IpPolicyRuleId {
        let policy = self.add_ip_policy().await;
        let stamp = self.stamper.stamp().unwrap();
        let rule = IpPolicyRule {
            id: IpPolicyRuleId::new(stamp.ksuid),
            policy,
            cidr: "192.0.2.0/24".parse().unwrap(),
            action: RuleAction::Allow,
            description: String::new(),
            metadata: String::new(),
            created_at: stamp.at,
            revision: 1,
        };
        let (id, event) = (rule.id, self.event(&rule));
        self.store.ip_rule_insert(self.account, rule, None, event.into()).await.unwrap();
        id
    }

    /// A restriction that only warns, of a policy of its own, made past the API.
    pub(crate) async fn add_ip_restriction(&self) -> IpRestrictionId {
        let policies = vec![self.add_ip_policy().await];
        let stamp = self.stamper.stamp().unwrap();
        let restriction = IpRestriction {
            id: IpRestrictionId::new(stamp.ksuid),
            kind: RestrictionType::Api,
            enforced: false,
            policies,
            description: String::new(),
            metadata: String::new(),
            created_at: stamp.at,
            revision: 1,
        };
        let (id, event) = (restriction.id, self.event(&restriction));
        self.store.ip_restriction_insert(self.account, restriction, None, event.into()).await.unwrap();
        id
    }

    /// Removes all that is about addresses, of which there may not be many.
    pub(crate) async fn clear_ip(&self) {
        let all = Query { page: Page { before: None, limit: PageLimit::MAX }, filter: None, scope: None };
        for it in self.store.ip_restriction_list(self.account, all.clone()).await.unwrap().items {
            let event = self.event(&it);
            self.store.ip_restriction_delete(self.account, it.id, it.revision, None, event).await.unwrap();
        }
        for it in self.store.ip_policy_list(self.account, all).await.unwrap().items {
            let rules = self.store.ip_rules_of(self.account, it.id).await.unwrap();
            let (rules, events) = (rules.iter().map(|rule| rule.id).collect(), vec![self.event(&it)]);
            self.store.ip_policy_delete(self.account, it.id, it.revision, rules, events).await.unwrap();
        }
    }

    fn event(&self, object: impl Into<strongroom_domain::audit::Object>) -> Event {
        let actor = Actor::on_machine(self.first_user, "test".to_owned());
        Event::new(self.stamper.stamp().unwrap(), self.account, actor, object, Action::Created)
    }

    /// A call with the first user's token.
    pub(crate) fn call(&self, method: &str, target: &str, body: Option<&Value>) -> Call {
        Call::new(method, target, body).bearer(&self.first)
    }

    /// The head of an answer, and its body as it comes.
    pub(crate) async fn open(&self, call: &Call) -> Response<Body> {
        self.front.handle(call.request(), PEER).await
    }

    pub(crate) async fn answer(&self, call: &Call) -> Response<Vec<u8>> {
        let (head, body) = self.open(call).await.into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes().to_vec())
    }

    /// Makes something with the first user's token, and gives what the answer shows of it.
    pub(crate) async fn make(&self, target: &str, body: Value) -> Value {
        made(&self.answer(&self.call("POST", target, Some(&body))).await)
    }

    pub(crate) async fn add_vault(&self, name: &str) -> Value {
        self.make("/vaults", json!({"name": name})).await
    }

    pub(crate) async fn add_secret(&self, vault: &Value, name: &str) -> Value {
        self.make("/vault_secrets", json!({"name": name, "value": "v", "vault_id": vault["id"]})).await
    }
}

fn new_key(stamper: &Stamper, rng: &dyn Rng, token_key: &TokenKey, owner: PrincipalId) -> (ApiKey, String) {
    let stamp = stamper.stamp().unwrap();
    let id = ApiKeyId::new(stamp.ksuid);
    let token = Token::make(id, rng).unwrap();
    let key = ApiKey {
        id,
        description: String::new(),
        metadata: String::new(),
        created_at: stamp.at,
        owner,
        grants: None,
        expires_at: None,
        client_certificate: None,
        revision: 1,
        // Hashed to be stored in place of the token.
        hash: token_key.hash(token.expose_secret()),
    };
    (key, token.expose_secret().to_owned())
}

/// What was made, out of the answer to its making.
pub(crate) fn made(answer: &Response<Vec<u8>>) -> Value {
    assert_eq!(answer.status(), 201, "{}", String::from_utf8_lossy(answer.body()));
    serde_json::from_slice(answer.body()).unwrap()
}

pub(crate) fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

/// A request that can be sent more than once.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<String>,
}

impl Call {
    /// A call with the headers that every client sends, and no credential.
    pub(crate) fn new(method: &str, target: &str, body: Option<&Value>) -> Self {
        let mut headers = vec![("host", "strongroom.example".to_owned()), ("ngrok-version", "2".to_owned())];
        if body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let body = body.map(Value::to_string);
        Self { method: method.to_owned(), target: target.to_owned(), headers, body }
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self = self.without(name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(present, _)| *present != name);
        self
    }

    fn request(&self) -> Request<Body> {
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.target);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(self.body.clone().map_or_else(Body::empty, Body::from)).unwrap()
    }
}
