//! The house that is asked about, the requests that are made, and how each that did something is undone.

use serde_json::{Value, json};
use strongroom_domain::ids::{ApiKeyId, PrincipalId};

use crate::dice::Dice;
use crate::harness::{Call, World, id, made};
use crate::reference::{Expected, Key};

pub(crate) struct Vault {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) secrets: Vec<Secret>,
}

pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) id: String,
}

/// What is there. Every request that changes it is undone, so it is always the same but for a few ids.
pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) role: &'static str,
    pub(crate) vaults: Vec<Vault>,
    /// A key without grants of a service user: it makes things and undoes what was done.
    maker: String,
    maker_user: PrincipalId,
    sibling: ApiKeyId,
    foreign: ApiKeyId,
    user: String,
    /// Names that were never used.
    fresh: usize,
}

/// A vault by its place, and a secret in it by its own.
type Of = (usize, usize);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose {
    Own,
    /// Of the same owner, without grants.
    Sibling,
    Foreign,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Gift {
    Nothing,
    Read,
    Resolve,
    Audit,
    Admin,
    ToAnother,
}

#[derive(Debug, Clone)]
pub(crate) enum Ref {
    Id(Of),
    Name(&'static str, &'static str),
    Vault(&'static str),
}

#[derive(Debug, Clone)]
pub(crate) enum Request {
    Root,
    Own,
    Metrics,
    VaultList,
    VaultGet(usize),
    VaultMake(&'static str),
    VaultChange(usize, Option<&'static str>),
    VaultRemove(usize),
    /// Those of one name, or all.
    SecretList(Option<&'static str>),
    SecretListOfVault(usize),
    SecretGet(Of),
    SecretMake(usize, &'static str),
    SecretChange(Of, Option<&'static str>),
    SecretRemove(Of),
    DetailList(Option<&'static str>),
    DetailGet(Of),
    Move(Of, usize, Option<&'static str>),
    Resolve(Vec<Ref>),
    /// With an `If-None-Match` that matches whatever there is, or without.
    Values(Ref, bool),
    Explain(Whose, &'static str, &'static str),
    KeyList,
    KeyGet(Whose),
    KeyMake(Gift),
    KeyChange(Whose),
    KeyRemove(Whose),
    UserList(&'static str),
    UserGet(&'static str),
    UserMake(&'static str),
    UserChange(&'static str),
    UserRemove(&'static str),
}

/// Names that differ by case, by a slash, by what `_` and `.` stand for in other languages of patterns.
pub(crate) const VAULTS: [(&str, &[&str]); 5] = [
    ("prod", &["tls-key", "tls-cert", "tls_key", "db.password", "a"]),
    ("prod/eu", &["tls-key", "db.password", "A"]),
    ("dev", &["tls-key", "dbxpassword", "a"]),
    ("Prod", &["tls-key", "a"]),
    ("prodd", &[]),
];
const VAULT_NAMES: [&str; 8] = ["prod", "prod/eu", "dev", "Prod", "prodd", "p/d", "pd", "staging"];
const SECRET_NAMES: [&str; 9] =
    ["tls-key", "tls-cert", "tls_key", "db.password", "dbxpassword", "a", "A", "tls-", "new"];
const COLLECTIONS: [&str; 2] = ["bot_users", "service_users"];

fn value_of(vault: &str, name: &str) -> String {
    format!("the value of {vault}:{name}")
}

impl House {
    pub(crate) async fn build(world: World, role: &'static str) -> Self {
        let maker_user = PrincipalId::ServiceUser(world.add_service_user("maker", true).await);
        let (foreign, maker) = world.add_key(maker_user).await;
        let (sibling, _) = world.add_key(world.first_user).await;
        let user = world.add_service_user("robot", true).await.ksuid().to_string();
        let vaults = Vec::new();
        let mut house = Self { world, role, vaults, maker, maker_user, sibling, foreign, user, fresh: 0 };
        for (name, secrets) in VAULTS {
            let vault = house.make("/vaults", json!({"name": name})).await;
            house.vaults.push(Vault { name: name.to_owned(), id: vault, secrets: Vec::new() });
            for secret in secrets {
                let at = house.vaults.len() - 1;
                let id = house.make_secret(at, secret).await;
                house.vaults[at].secrets.push(Secret { name: (*secret).to_owned(), id });
            }
        }
        // The maker's key is the one that is not to be deleted: another stands for it.
        house.foreign = house.world.add_key(house.maker_user).await.0;
        house
    }

    async fn maker_does(&self, method: &str, path: &str, body: Option<&Value>) -> http::Response<Vec<u8>> {
        self.world.answer(&Call::new(method, path, body).bearer(&self.maker)).await
    }

    async fn make(&self, path: &str, body: Value) -> String {
        id(&made(&self.maker_does("POST", path, Some(&body)).await)).to_owned()
    }

    async fn make_secret(&self, vault: usize, name: &str) -> String {
        let Vault { name: vault, id, .. } = &self.vaults[vault];
        self.make("/vault_secrets", json!({"name": name, "value": value_of(vault, name), "vault_id": id}))
            .await
    }

    async fn undo(&self, method: &str, path: &str, body: Option<Value>) {
        let answer = self.maker_does(method, path, body.as_ref()).await;
        assert!(answer.status().is_success(), "{method} {path}: {}", String::from_utf8_lossy(answer.body()));
    }

    pub(crate) fn secret(&self, (vault, secret): Of) -> &Secret {
        &self.vaults[vault].secrets[secret]
    }

    pub(crate) fn names(&self, of: Of) -> (&str, &str) {
        (&self.vaults[of.0].name, &self.secret(of).name)
    }

    pub(crate) fn has_vault(&self, name: &str) -> bool {
        self.vaults.iter().any(|vault| vault.name == name)
    }

    pub(crate) fn has(&self, vault: &str, name: &str) -> bool {
        let vault = self.vaults.iter().find(|known| known.name == vault);
        vault.is_some_and(|vault| vault.secrets.iter().any(|secret| secret.name == name))
    }

    pub(crate) fn vault_names(&self, listed: impl Fn(&str) -> bool) -> Vec<String> {
        let mut names: Vec<_> = self.vaults.iter().map(|vault| vault.name.clone()).collect();
        names.retain(|name| listed(name));
        names.sort();
        names
    }

    pub(crate) fn secret_names(&self, listed: impl Fn(&str, &str) -> bool) -> Vec<String> {
        let mut names = Vec::new();
        for vault in &self.vaults {
            let secrets = vault.secrets.iter().filter(|secret| listed(&vault.name, &secret.name));
            names.extend(secrets.map(|secret| format!("{}:{}", vault.name, secret.name)));
        }
        names.sort();
        names
    }

    /// What a key is, as seen by the one that asks.
    pub(crate) fn key(&self, whose: Whose, own: &Key) -> Key {
        match whose {
            Whose::Own => own.clone(),
            Whose::Sibling => Key { role: self.role, grants: None },
            Whose::Foreign => Key { role: "developer", grants: None },
        }
    }

    fn key_id(&self, whose: Whose, own: ApiKeyId) -> ApiKeyId {
        match whose {
            Whose::Own => own,
            Whose::Sibling => self.sibling,
            Whose::Foreign => self.foreign,
        }
    }

    fn draw_secret(&self, dice: &mut Dice) -> Of {
        let vault = dice.below(self.vaults.len() - 1);
        (vault, dice.below(self.vaults[vault].secrets.len()))
    }

    fn draw_reference(&self, dice: &mut Dice) -> Ref {
        match dice.below(4) {
            0 => Ref::Id(self.draw_secret(dice)),
            1 => Ref::Vault(dice.pick(&VAULT_NAMES)),
            _ => Ref::Name(dice.pick(&VAULT_NAMES[..5]), dice.pick(&SECRET_NAMES)),
        }
    }

    pub(crate) fn draw(&self, dice: &mut Dice) -> Request {
        let (secret, vault) = (self.draw_secret(dice), dice.below(self.vaults.len()));
        let (vault_name, name) = (dice.pick(&VAULT_NAMES), dice.pick(&SECRET_NAMES));
        let (some_vault_name, some_name) = (dice.some(vault_name), dice.some(name));
        let whose = dice.pick(&[Whose::Own, Whose::Sibling, Whose::Foreign]);
        let users = dice.pick(&COLLECTIONS);
        match dice.below(46) {
            0 => Request::Root,
            1 => Request::Own,
            2 => Request::Metrics,
            3 | 4 => Request::VaultList,
            5 | 6 => Request::VaultGet(vault),
            7 | 8 => Request::VaultMake(vault_name),
            9..12 => Request::VaultChange(vault, some_vault_name),
            12 => Request::VaultRemove(vault),
            13 | 14 => Request::SecretList(some_name),
            15 | 16 => Request::SecretListOfVault(vault),
            17..20 => Request::SecretGet(secret),
            20 | 21 => Request::SecretMake(vault, name),
            22..25 => Request::SecretChange(secret, some_name),
            25 => Request::SecretRemove(secret),
            26 => Request::DetailList(some_vault_name),
            27 => Request::DetailGet(secret),
            28..31 => Request::Move(secret, vault, some_name),
            31..35 => Request::Resolve((0..=dice.below(3)).map(|_| self.draw_reference(dice)).collect()),
            35 | 36 => {
                // A query names no id.
                let by_name = Ref::Name(vault_name, name);
                let reference = if dice.below(2) == 0 { Ref::Vault(vault_name) } else { by_name };
                Request::Values(reference, dice.below(2) == 0)
            }
            37 => Request::Explain(whose, vault_name, name),
            38 => Request::KeyList,
            39 => Request::KeyGet(whose),
            40 => Request::KeyMake(dice.pick(&[
                Gift::Nothing,
                Gift::Read,
                Gift::Resolve,
                Gift::Audit,
                Gift::Admin,
                Gift::ToAnother,
            ])),
            41 => Request::KeyChange(whose),
            // The key that asks is not to delete itself.
            42 => Request::KeyRemove(dice.pick(&[Whose::Sibling, Whose::Foreign])),
            43 => dice.pick_owned([Request::UserList(users), Request::UserGet(users)]),
            44 => Request::UserMake(users),
            _ => dice.pick_owned([Request::UserChange(users), Request::UserRemove(users)]),
        }
    }

    /// The request on the wire.
    pub(crate) fn call(&mut self, request: &Request, own: ApiKeyId) -> Call {
        let vault = |at: &usize| format!("/vaults/{}", self.vaults[*at].id);
        let secret = |of: &Of| format!("/vault_secrets/{}", self.secret(*of).id);
        let detail = |of: &Of| format!("/strongroom/secrets/{}", self.secret(*of).id);
        let key = |whose: &Whose| format!("/api_keys/{}", self.key_id(*whose, own));
        let user = |users: &str| format!("/{users}/{}_{}", users.trim_end_matches("_users"), self.user);
        let get = |path: String| ("GET", path, None);
        let named = |name: &Option<&str>| Some(name.map_or(json!({}), |name| json!({"name": name})));
        let (method, path, body) = match request {
            Request::Root => get("/".to_owned()),
            Request::Own => get("/self".to_owned()),
            Request::Metrics => get("/metrics".to_owned()),
            Request::VaultList => get("/vaults?limit=4".to_owned()),
            Request::VaultGet(of) => get(vault(of)),
            Request::VaultMake(name) => ("POST", "/vaults".to_owned(), named(&Some(name))),
            Request::VaultChange(of, name) => ("PATCH", vault(of), named(name)),
            Request::VaultRemove(of) => ("DELETE", vault(of), None),
            Request::SecretList(None) => get("/vault_secrets?limit=8".to_owned()),
            Request::SecretList(Some(name)) => {
                get(format!("/vault_secrets?limit=2&filter=obj.name%20==%20%22{name}%22"))
            }
            Request::SecretListOfVault(of) => get(vault(of) + "/secrets"),
            Request::SecretGet(of) => get(secret(of)),
            Request::SecretMake(of, name) => {
                let body = json!({"name": name, "value": "v", "vault_name": self.vaults[*of].name});
                ("POST", "/vault_secrets".to_owned(), Some(body))
            }
            Request::SecretChange(of, name) => ("PATCH", secret(of), named(name)),
            Request::SecretRemove(of) => ("DELETE", secret(of), None),
            Request::DetailList(None) => get("/strongroom/secrets?limit=8".to_owned()),
            Request::DetailList(Some(name)) => get(format!("/strongroom/secrets?vault={name}")),
            Request::DetailGet(of) => get(detail(of)),
            Request::Move(of, to, name) => {
                let body = json!({"vault_id": self.vaults[*to].id, "name": name});
                ("POST", detail(of) + "/move", Some(body))
            }
            Request::Resolve(references) => {
                let references: Vec<_> = references.iter().map(|reference| self.body_of(reference)).collect();
                ("POST", "/strongroom/resolve".to_owned(), Some(json!({"secrets": references})))
            }
            Request::Values(Ref::Name(vault, name), _) => {
                get(format!("/strongroom/values?vault={vault}&name={name}"))
            }
            Request::Values(Ref::Vault(vault), _) => get(format!("/strongroom/values?vault={vault}")),
            Request::Values(Ref::Id(_), _) => unreachable!("a query names no id"),
            Request::Explain(whose, vault, name) => {
                let body = json!({"api_key": self.key_id(*whose, own), "vault": vault, "name": name});
                ("POST", "/strongroom/explain".to_owned(), Some(body))
            }
            Request::KeyList => get("/api_keys".to_owned()),
            Request::KeyGet(whose) => get(key(whose)),
            Request::KeyMake(gift) => {
                let body = match gift {
                    Gift::Nothing => json!({}),
                    Gift::Read => json!({"grants": [{"action": "read", "vault": "*"}]}),
                    Gift::Resolve => json!({"grants": [{"action": "resolve", "vault": "prod"}]}),
                    Gift::Audit => json!({"grants": [{"action": "audit"}]}),
                    Gift::Admin => json!({"grants": [{"action": "admin"}]}),
                    Gift::ToAnother => json!({"owner_id": self.maker_user}),
                };
                ("POST", "/api_keys".to_owned(), Some(body))
            }
            Request::KeyChange(whose) => ("PATCH", key(whose), Some(json!({"description": null}))),
            Request::KeyRemove(whose) => ("DELETE", key(whose), None),
            Request::UserList(users) => get(format!("/{users}")),
            Request::UserGet(users) => get(user(users)),
            Request::UserMake(users) => {
                let body = json!({"name": format!("user {}", self.fresh)});
                ("POST", format!("/{users}"), Some(body))
            }
            Request::UserChange(users) => ("PATCH", user(users), Some(json!({"active": true}))),
            Request::UserRemove(users) => ("DELETE", user(users), None),
        };
        self.fresh += 1;
        let call = Call::new(method, &path, body.as_ref());
        if matches!(request, Request::Values(_, true)) { call.header("if-none-match", "*") } else { call }
    }

    fn body_of(&self, reference: &Ref) -> Value {
        match reference {
            Ref::Id(of) => json!({"id": self.secret(*of).id}),
            Ref::Name(vault, name) => json!({"vault": vault, "name": name}),
            Ref::Vault(vault) => json!({"vault": vault}),
        }
    }

    /// The status that came, and what the answer names, as far as the reference knows what that should be.
    pub(crate) async fn ask(&mut self, request: &Request, own: ApiKeyId, token: &str) -> Expected {
        let mut call = self.call(request, own).bearer(token);
        let answer = self.world.answer(&call).await;
        let status = answer.status().as_u16();
        if status >= 300 {
            let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
            let named = body["details"]["missing"].as_str().or(body["details"]["denied"].as_str());
            let named = named.map(|named| named.split(", ").map(str::to_owned).collect());
            return Expected(status, named);
        }
        let body = serde_json::from_slice::<Value>(answer.body()).unwrap_or_default();
        let lists = matches!(
            request,
            Request::VaultList | Request::SecretList | Request::SecretListOfVault(_) | Request::DetailList(_)
        );
        if lists {
            let mut names = listed(&body);
            let mut next = body["next_page_uri"].as_str().map(str::to_owned);
            while let Some(uri) = next {
                call.target = uri.trim_start_matches("http://strongroom.example").to_owned();
                let answer = self.world.answer(&call).await;
                let body: Value = serde_json::from_slice(answer.body()).unwrap();
                names.extend(listed(&body));
                next = body["next_page_uri"].as_str().map(str::to_owned);
            }
            names.sort();
            return Expected(status, Some(names));
        }
        match request {
            Request::Resolve(_) | Request::Values(..) => Expected(status, Some(values(&body))),
            Request::Explain(..) => Expected(status, Some(explained(&body))),
            _ => {
                self.undo_request(request, &body, status).await;
                Expected(status, None)
            }
        }
    }

    async fn undo_request(&mut self, request: &Request, answer: &Value, status: u16) {
        let made = || id(answer).to_owned();
        match (request, status) {
            (Request::VaultMake(_), 201) => self.undo("DELETE", &format!("/vaults/{}", made()), None).await,
            (Request::VaultChange(of, Some(_)), 200) => {
                let Vault { name, id, .. } = &self.vaults[*of];
                self.undo("PATCH", &format!("/vaults/{id}"), Some(json!({"name": name}))).await;
            }
            (Request::VaultRemove(of), 204) => {
                let id = self.make("/vaults", json!({"name": self.vaults[*of].name})).await;
                self.vaults[*of].id = id;
            }
            (Request::SecretMake(..), 201) => {
                self.undo("DELETE", &format!("/vault_secrets/{}", made()), None).await;
            }
            (Request::SecretChange(of, Some(_)), 200) => {
                let Secret { name, id } = self.secret(*of);
                self.undo("PATCH", &format!("/vault_secrets/{id}"), Some(json!({"name": name}))).await;
            }
            (Request::SecretRemove(of), 204) => {
                let name = self.secret(*of).name.clone();
                let id = self.make_secret(of.0, &name).await;
                self.vaults[of.0].secrets[of.1].id = id;
            }
            (Request::Move(of, ..), 200) => {
                let Secret { name, id } = self.secret(*of);
                let back = json!({"vault_id": self.vaults[of.0].id, "name": name});
                self.undo("POST", &format!("/strongroom/secrets/{id}/move"), Some(back)).await;
            }
            (Request::KeyMake(_), 201) => self.world.delete_key(made().parse().unwrap()).await,
            (Request::KeyRemove(Whose::Sibling), 204) => {
                self.sibling = self.world.add_key(self.world.first_user).await.0;
            }
            (Request::KeyRemove(_), 204) => self.foreign = self.world.add_key(self.maker_user).await.0,
            (Request::UserRemove(_), 204) => {
                self.user = self.world.add_service_user("robot", true).await.ksuid().to_string();
            }
            _ => {}
        }
    }
}

/// The names in a page of a list.
fn listed(body: &Value) -> Vec<String> {
    let items = body["vaults"].as_array().or(body["secrets"].as_array()).unwrap();
    let name = |item: &Value| match item["vault_name"].as_str() {
        Some(vault) => format!("{vault}:{}", item["name"].as_str().unwrap()),
        None => item["name"].as_str().unwrap().to_owned(),
    };
    items.iter().map(name).collect()
}

/// The names of what was resolved, whose values must be their own.
fn values(body: &Value) -> Vec<String> {
    let name = |item: &Value| {
        let (vault, name) = (item["vault"].as_str().unwrap(), item["name"].as_str().unwrap());
        assert_eq!(item["value"].as_str(), Some(value_of(vault, name).as_str()), "another's value");
        format!("{vault}:{name}")
    };
    body["secrets"].as_array().unwrap().iter().map(name).collect()
}

/// What is allowed, and whether the secret is seen.
fn explained(body: &Value) -> Vec<String> {
    let allowed = body["actions"].as_array().unwrap().iter().filter(|action| action["allowed"] == true);
    let allowed = allowed.map(|action| action["action"].as_str().unwrap().to_owned());
    allowed.chain((body["visible"] == true).then(|| "seen".to_owned())).collect()
}
