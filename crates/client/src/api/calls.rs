//! One method for each thing to ask for.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use strongroom_wire as wire;

use super::paging::{Deleted, DeletedPage};
use super::{Client, Error, Method, segment};

/// References in one request to resolve; the server takes no more.
const REFERENCES: usize = 100;

/// Vaults and secrets.
impl Client {
    /// Every vault that the key can see.
    ///
    /// # Errors
    /// Those of [`Client::call`], as for every method here.
    pub fn vaults(&self) -> Result<Vec<wire::Vault>, Error> {
        self.list::<wire::VaultList>("/vaults", &[])
    }

    /// The vault of that name, if the key can see one.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn vault_find(&self, name: &str) -> Result<Option<wire::Vault>, Error> {
        let filter = name_filter(&[("obj.name", name)]);
        let found = self.list::<wire::VaultList>("/vaults", &[("filter", &filter)])?;
        Ok(found.into_iter().find(|vault| vault.name == name))
    }

    /// Makes a vault.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn vault_create(&self, vault: &wire::VaultCreate) -> Result<wire::Vault, Error> {
        self.answer(Method::Post, "/vaults", Some(vault))
    }

    /// Changes a vault.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn vault_update(&self, id: &str, change: &wire::VaultUpdate) -> Result<wire::Vault, Error> {
        self.answer(Method::Patch, &format!("/vaults/{}", segment(id)), Some(change))
    }

    /// Removes a vault, which has to be empty.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn vault_delete(&self, id: &str) -> Result<(), Error> {
        self.delete(&format!("/vaults/{}", segment(id)))
    }

    /// Every secret of a vault that the key can see; nothing where there is no such vault.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn secrets_of(&self, vault: &str) -> Result<Vec<wire::Secret>, Error> {
        let filter = name_filter(&[("obj.vault_name", vault)]);
        self.list::<wire::SecretList>("/vault_secrets", &[("filter", &filter)])
    }

    /// The secret of that name in that vault, if the key can see one.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn secret_find(&self, vault: &str, name: &str) -> Result<Option<wire::Secret>, Error> {
        let filter = name_filter(&[("obj.name", name), ("obj.vault_name", vault)]);
        let found = self.list::<wire::SecretList>("/vault_secrets", &[("filter", &filter)])?;
        Ok(found.into_iter().find(|secret| secret.name == name && secret.vault_name == vault))
    }

    /// Makes a secret.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn secret_create(&self, secret: &wire::SecretCreate) -> Result<wire::Secret, Error> {
        self.answer(Method::Post, "/vault_secrets", Some(secret))
    }

    /// Changes a secret.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn secret_update(&self, id: &str, change: &wire::SecretUpdate) -> Result<wire::Secret, Error> {
        self.answer(Method::Patch, &format!("/vault_secrets/{}", segment(id)), Some(change))
    }

    /// Moves a secret to another vault, or renames it in its own.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn secret_move(&self, id: &str, target: &wire::SecretMove) -> Result<wire::Secret, Error> {
        self.answer(Method::Post, &format!("/strongroom/secrets/{}/move", segment(id)), Some(target))
    }

    /// Removes a secret.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn secret_delete(&self, id: &str) -> Result<(), Error> {
        self.delete(&format!("/vault_secrets/{}", segment(id)))
    }

    /// Secrets in detail: of one vault, and only those neither made nor resolved since a time (RFC 3339), where these
    /// are given.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn details(
        &self,
        vault: Option<&str>,
        unused_since: Option<&str>,
    ) -> Result<Vec<wire::SecretDetail>, Error> {
        let mut query = Vec::new();
        query.extend(vault.map(|vault| ("vault", vault)));
        query.extend(unused_since.map(|time| ("unused_since", time)));
        self.list::<wire::SecretDetailList>("/strongroom/secrets", &query)
    }

    /// A page of audit events; the query is the route's own.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn audit_events(&self, query: &[(&str, &str)]) -> Result<wire::AuditEventList, Error> {
        self.send::<()>(Method::Get, "/strongroom/audit_events", query, None)?.json()
    }

    /// The changes of vaults and secrets after a place that an answer before told, or `start`; without one, the place from
    /// which on what is to come is told. Where there is no change yet, the server waits for one for as long as is said.
    ///
    /// # Errors
    /// Those of [`Client::call`]. A refusal with status 410 says that the feed cannot be read on from there.
    pub fn changes(&self, after: Option<&str>, wait: Duration) -> Result<wire::ChangeList, Error> {
        let text = format!("{}ms", wait.as_millis());
        let mut query = Vec::new();
        query.extend(after.map(|after| ("after", after)));
        if !wait.is_zero() {
            query.push(("wait", &text));
        }
        self.get_waiting("/strongroom/changes", &query, wait)?.json()
    }

    /// One secret in detail.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn detail(&self, id: &str) -> Result<wire::SecretDetail, Error> {
        self.answer::<(), _>(Method::Get, &format!("/strongroom/secrets/{}", segment(id)), None)
    }

    /// What is kept of a secret's values, newest first.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn versions(&self, id: &str) -> Result<wire::SecretVersionList, Error> {
        let path = format!("/strongroom/secrets/{}/versions", segment(id));
        self.answer::<(), _>(Method::Get, &path, None)
    }

    /// Makes an earlier value the current one again.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn rollback(&self, id: &str, to: &wire::SecretRollback) -> Result<wire::SecretDetail, Error> {
        self.answer(Method::Post, &format!("/strongroom/secrets/{}/rollback", segment(id)), Some(to))
    }

    /// All that was deleted and can be brought back, newest first.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn deleted(&self) -> Result<wire::DeletedList, Error> {
        let items = self.list::<DeletedPage>("/strongroom/deleted", &[])?;
        let uri = format!("{}/strongroom/deleted", self.url());
        let mut all = wire::DeletedList { secrets: Vec::new(), vaults: Vec::new(), uri, next_page_uri: None };
        for item in items {
            match item {
                Deleted::Secret(secret) => all.secrets.push(*secret),
                Deleted::Vault(vault) => all.vaults.push(*vault),
            }
        }
        Ok(all)
    }

    /// Brings a deleted secret back.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn secret_undelete(&self, id: &str, under: &wire::Undelete) -> Result<wire::SecretDetail, Error> {
        self.answer(Method::Post, &format!("/strongroom/secrets/{}/undelete", segment(id)), Some(under))
    }

    /// Destroys a deleted secret for good.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn secret_purge(&self, id: &str) -> Result<(), Error> {
        self.purge(&format!("/strongroom/secrets/{}/purge", segment(id)))
    }

    /// Brings a deleted vault back.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn vault_undelete(&self, id: &str, under: &wire::Undelete) -> Result<wire::VaultDetail, Error> {
        self.answer(Method::Post, &format!("/strongroom/vaults/{}/undelete", segment(id)), Some(under))
    }

    /// Destroys a deleted vault for good.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn vault_purge(&self, id: &str) -> Result<(), Error> {
        self.purge(&format!("/strongroom/vaults/{}/purge", segment(id)))
    }

    /// One vault in detail.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn vault_detail(&self, id: &str) -> Result<wire::VaultDetail, Error> {
        self.answer::<(), _>(Method::Get, &format!("/strongroom/vaults/{}", segment(id)), None)
    }

    /// Changes how many values a vault keeps, and how long.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn vault_keep(&self, id: &str, keep: &wire::VaultKeep) -> Result<wire::VaultDetail, Error> {
        self.answer(Method::Patch, &format!("/strongroom/vaults/{}", segment(id)), Some(keep))
    }

    /// Values, in the order asked for. More than 100 references are asked for in several requests, each answered in
    /// full or refused.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn resolve(&self, references: &[wire::Reference]) -> Result<Vec<wire::ResolvedSecret>, Error> {
        let mut all = Vec::new();
        for references in references.chunks(REFERENCES) {
            let body = wire::Resolve { secrets: references.to_vec() };
            let answer: wire::ResolvedSecrets =
                self.answer(Method::Post, "/strongroom/resolve", Some(&body))?;
            all.extend(answer.secrets);
        }
        Ok(all)
    }
}

/// Keys, and who holds them.
impl Client {
    /// Who the key is.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn self_info(&self) -> Result<wire::SelfInfo, Error> {
        self.answer::<(), _>(Method::Get, "/self", None)
    }

    /// What a key may do with a secret, and why.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn explain(&self, question: &wire::Explain) -> Result<wire::Explanation, Error> {
        self.answer(Method::Post, "/strongroom/explain", Some(question))
    }

    /// Every API key that the key can see.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn api_keys(&self) -> Result<Vec<wire::ApiKey>, Error> {
        self.list::<wire::ApiKeyList>("/api_keys", &[])
    }

    /// One API key.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn api_key(&self, id: &str) -> Result<wire::ApiKey, Error> {
        self.answer::<(), _>(Method::Get, &format!("/api_keys/{}", segment(id)), None)
    }

    /// Makes an API key; the answer holds its token, this once.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn api_key_create(&self, key: &wire::ApiKeyCreate) -> Result<wire::ApiKey, Error> {
        self.answer(Method::Post, "/api_keys", Some(key))
    }

    /// Removes an API key: it opens nothing from then on.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn api_key_delete(&self, id: &str) -> Result<(), Error> {
        self.delete(&format!("/api_keys/{}", segment(id)))
    }

    fn answer<B: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, Error> {
        self.send(method, path, &[], body)?.json()
    }

    fn purge(&self, path: &str) -> Result<(), Error> {
        self.send::<()>(Method::Post, path, &[], None).map(drop)
    }

    fn delete(&self, path: &str) -> Result<(), Error> {
        self.send::<()>(Method::Delete, path, &[], None).map(drop)
    }
}

/// A filter that finds what has all of these texts: `obj.name == "x" && obj.vault_name == "y"`.
#[must_use]
pub fn name_filter(fields: &[(&str, &str)]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let terms = fields.iter().map(|(field, text)| format!("{field} == {}", quoted(text)));
    terms.collect::<Vec<_>>().join(" && ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_quotes_what_it_looks_for() {
        assert_eq!(
            name_filter(&[("obj.name", "x"), ("obj.vault_name", "y")]),
            r#"obj.name == "x" && obj.vault_name == "y""#
        );
        assert_eq!(name_filter(&[("obj.name", r#"a"b\"#)]), r#"obj.name == "a\"b\\""#);
    }
}
