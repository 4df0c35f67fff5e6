//! The requests: every route, on what is there and on what is not.

use serde_json::{Value, json};
use strongroom_domain::ids::ApiKeyId;

use crate::dice::Dice;
use crate::harness::Call;
use crate::house::House;

/// A vault by its place, and a secret in it by its own.
pub(crate) type Of = (usize, usize);

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
    Checkpoint,
    WebhookList,
    WebhookMake,
    /// Of policies, rules and restrictions.
    IpList(&'static str),
    IpMake,
    VaultKeyList,
    VaultKeyRotate(usize),
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
    VersionList(Of),
    /// To the version that it has.
    Rollback(Of),
    VaultDetail(usize),
    VaultKeep(usize),
    DeletedList,
    /// Of something that is not deleted.
    Undelete(Of),
    Purge(Of),
    VaultPurge(usize),
    /// Of what is deleted just before by the maker.
    UndeleteDeleted(Of, Option<&'static str>),
    PurgeDeleted(Of),
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
const IP_COLLECTIONS: [&str; 3] = ["ip_policies", "ip_policy_rules", "ip_restrictions"];

impl House {
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
        match dice.below(72) {
            0 => Request::Root,
            1 => Request::Own,
            // Who may see one may as a rule see the other: one draw does for both.
            2 if vault % 2 == 0 => Request::Metrics,
            2 => Request::Checkpoint,
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
            35 | 36 | 61..64 => {
                // A query names no id.
                let by_name = Ref::Name(vault_name, name);
                let reference = if dice.below(2) == 0 { Ref::Vault(vault_name) } else { by_name };
                Request::Values(reference, dice.below(2) == 0)
            }
            37 => Request::Explain(whose, vault_name, name),
            38 => Request::KeyList,
            39 => Request::KeyGet(whose),
            40 | 64 => Request::KeyMake(dice.pick(&[
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
            45 | 46 => Request::VersionList(secret),
            47 | 48 => Request::Rollback(secret),
            49 => Request::VaultDetail(vault),
            50 => Request::VaultKeep(vault),
            53 => Request::DeletedList,
            54 => Request::Undelete(secret),
            55 => Request::Purge(secret),
            56 => Request::VaultPurge(vault),
            57..60 => Request::UndeleteDeleted(secret, some_name),
            60 => Request::PurgeDeleted(secret),
            51 | 52 => Request::Resolve(vec![self.draw_reference(dice)]),
            66 => Request::WebhookList,
            67 => Request::WebhookMake,
            68 => Request::IpList(dice.pick(&IP_COLLECTIONS)),
            69 => Request::IpMake,
            70 => Request::VaultKeyList,
            71 => Request::VaultKeyRotate(vault),
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
            Request::Checkpoint => get("/strongroom/audit/checkpoint".to_owned()),
            Request::IpList(collection) => get(format!("/{collection}")),
            Request::IpMake => ("POST", "/ip_policies".to_owned(), Some(json!({}))),
            Request::WebhookList => get("/strongroom/webhooks".to_owned()),
            Request::WebhookMake => {
                let body =
                    json!({"url": "https://hooks.example.com/", "event_types": ["*"], "active": false});
                ("POST", "/strongroom/webhooks".to_owned(), Some(body))
            }
            Request::VaultKeyList => get("/strongroom/keys".to_owned()),
            Request::VaultKeyRotate(of) => {
                let id = &self.vaults[*of].id;
                ("POST", format!("/strongroom/keys/{id}/rotate"), Some(json!({"kind": "vault"})))
            }
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
            Request::VersionList(of) => get(detail(of) + "/versions"),
            Request::Rollback(of) => ("POST", detail(of) + "/rollback", Some(json!({"version": 1}))),
            Request::VaultDetail(of) => get(format!("/strongroom{}", vault(of))),
            Request::VaultKeep(of) => {
                ("PATCH", format!("/strongroom{}", vault(of)), Some(json!({"keep_versions": 7})))
            }
            Request::DeletedList => get("/strongroom/deleted".to_owned()),
            Request::Undelete(of) => ("POST", detail(of) + "/undelete", Some(json!({}))),
            Request::UndeleteDeleted(of, name) => ("POST", detail(of) + "/undelete", named(name)),
            Request::Purge(of) | Request::PurgeDeleted(of) => ("POST", detail(of) + "/purge", None),
            Request::VaultPurge(of) => ("POST", format!("/strongroom{}/purge", vault(of)), None),
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
}
