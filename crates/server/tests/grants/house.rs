//! The house that is asked about, and how each request that did something to it is undone.

use serde_json::{Value, json};
use strongroom_domain::ids::{ApiKeyId, PrincipalId};

use crate::harness::{Call, World, id, made};
use crate::reference::{Expected, Key};
use crate::requests::{Of, Request, VAULTS, Whose};

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
    pub(crate) maker: String,
    pub(crate) maker_user: PrincipalId,
    pub(crate) sibling: ApiKeyId,
    pub(crate) foreign: ApiKeyId,
    pub(crate) user: String,
    /// Names that were never used.
    pub(crate) fresh: usize,
}

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

    /// The status that came, and what the answer names, as far as the reference knows what that should be.
    pub(crate) async fn ask(&mut self, request: &Request, own: ApiKeyId, token: &str) -> Expected {
        let mut call = self.call(request, own).bearer(token);
        if let Request::UndeleteDeleted(of, _) | Request::PurgeDeleted(of) = request {
            let path = format!("/vault_secrets/{}", self.secret(*of).id);
            self.undo("DELETE", &path, None).await;
        }
        let answer = self.world.answer(&call).await;
        let status = answer.status().as_u16();
        self.make_whole(request, status).await;
        if status >= 300 {
            let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
            let named = body["details"]["missing"].as_str().or(body["details"]["denied"].as_str());
            let named = named.map(|named| named.split(", ").map(str::to_owned).collect());
            return Expected(status, named);
        }
        let body = serde_json::from_slice::<Value>(answer.body()).unwrap_or_default();
        let lists = matches!(
            request,
            Request::VaultList
                | Request::SecretList(_)
                | Request::SecretListOfVault(_)
                | Request::DetailList(_)
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

    /// Puts a secret back that was deleted for the request.
    async fn make_whole(&mut self, request: &Request, status: u16) {
        match (request, status) {
            (Request::UndeleteDeleted(of, Some(_)), 200) => {
                let Secret { name, id } = self.secret(*of);
                self.undo("PATCH", &format!("/vault_secrets/{id}"), Some(json!({"name": name}))).await;
            }
            (Request::UndeleteDeleted(..), 200) => {}
            (Request::UndeleteDeleted(of, _) | Request::PurgeDeleted(of), 300..) => {
                let path = format!("/strongroom/secrets/{}/undelete", self.secret(*of).id);
                self.undo("POST", &path, Some(json!({}))).await;
            }
            (Request::PurgeDeleted(of), _) => {
                let name = self.secret(*of).name.clone();
                let id = self.make_secret(of.0, &name).await;
                self.vaults[of.0].secrets[of.1].id = id;
            }
            _ => {}
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
            (Request::IpMake, 201) => self.world.clear_ip().await,
            // To its end: another one may then begin.
            (Request::VaultKeyRotate(_), 202) => {
                strongroom_server::rotator::go_on(self.world.front.shared()).await;
            }
            (Request::WebhookMake, 201) => self.world.delete_webhook(made().parse().unwrap()).await,
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
