//! What the tables of bad requests are made of.

use serde_json::{Value, json};

use crate::harness::{Client, Request, field};

/// Well formed, and given to nothing.
pub(crate) const UNKNOWN: &str = "32ELIL9nzEhwlvjSpNSI6xXGNcE";

/// One bad request and what it must get. Several codes where the evidence does not decide; `""` for none.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) request: Request,
    pub(crate) status: u16,
    pub(crate) codes: &'static [&'static str],
}

/// What exists before the bad requests come.
pub(crate) struct World {
    pub(crate) admin: String,
    pub(crate) service_user: String,
    pub(crate) vault: String,
    pub(crate) other_vault: String,
    pub(crate) secret: String,
    pub(crate) other_secret: String,
    pub(crate) bot: String,
    /// The id of a key.
    pub(crate) key: String,
    /// The token of a key that resolves everything.
    pub(crate) resolver: String,
}

impl World {
    pub(crate) fn make(client: &mut Client) -> Self {
        let mut made = |target: &str, body: Value| client.post(target, &body).expect_status(201).json();
        let id = |value: &Value| field(value, "id").to_owned();
        let vault = id(&made("/vaults", json!({"name": "taken"})));
        let other_vault = id(&made("/vaults", json!({"name": "other"})));
        let secret = id(&made("/vault_secrets", json!({"name": "held", "value": "v", "vault_id": vault})));
        let other_secret =
            id(&made("/vault_secrets", json!({"name": "second", "value": "v", "vault_id": vault})));
        let bot = id(&made("/bot_users", json!({"name": "robot"})));
        made("/bot_users", json!({"name": "second robot"}));
        let admin = made("/api_keys", json!({}));
        let (key, admin) = (id(&admin), field(&admin, "token").to_owned());
        let resolve = json!({"grants": [{"action": "resolve", "vault": "*"}]});
        let resolver = field(&made("/api_keys", resolve), "token").to_owned();
        let service_user = field(&made("/api_keys", json!({"owner_id": bot})), "token").to_owned();
        Self { admin, service_user, vault, other_vault, secret, other_secret, bot, key, resolver }
    }

    pub(crate) fn get(&self, target: &str) -> Request {
        Request::new("GET", target).token(&self.admin)
    }

    pub(crate) fn send(&self, method: &str, target: &str, body: &Value) -> Request {
        Request::new(method, target).token(&self.admin).json(body)
    }

    pub(crate) fn post(&self, target: &str, body: &Value) -> Request {
        self.send("POST", target, body)
    }
}

pub(crate) fn case(name: &str, request: Request, status: u16, codes: &'static [&'static str]) -> Case {
    Case { name: name.to_owned(), request, status, codes }
}
