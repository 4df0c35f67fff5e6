//! What a key may do with a secret, and what decides it.

use super::App;
use crate::access::Ruling;
use crate::caller::Caller;
use crate::error::{BadCredential, Error, Missing, Noun, Result};
use crate::grant::Action;
use crate::ids::ApiKeyId;

/// What a key may do with a secret.
pub struct Explanation {
    /// The caller that the key makes.
    pub of: Caller,
    /// Why the key opens nothing at all now, if so.
    pub refused: Option<BadCredential>,
    /// The secret's vault.
    pub vault: String,
    /// The secret's name.
    pub name: String,
}

impl Explanation {
    /// Whether the key gets to know that there is such a secret.
    #[must_use]
    pub fn visible(&self) -> bool {
        self.of.sees_secret(&self.vault, &self.name)
    }

    /// What decides about each action that is done to a secret.
    pub fn rulings(&self) -> impl Iterator<Item = (Action, Ruling<'_>)> {
        let actions = Action::ALL.into_iter().filter(|action| action.takes_target());
        actions.map(|action| (action, self.of.ruling_on(action, &self.vault, &self.name)))
    }
}

impl App {
    /// Explains what a key, or the one that asks, may do with a secret of that name. It tells of names alone, and not
    /// whether there is such a secret.
    ///
    /// # Errors
    /// `NotFound` for a key that the caller may not see.
    pub async fn explain(
        &self,
        caller: &Caller,
        key: Option<ApiKeyId>,
        vault: String,
        name: String,
    ) -> Result<Explanation> {
        let (of, refused) = match key {
            None => (caller.clone(), None),
            Some(id) => {
                let found = self.store.credential_find(id).await?;
                let seen = found.filter(|credential| {
                    credential.account == caller.account && caller.sees_key(&credential.key)
                });
                let credential = seen.ok_or(Error::NotFound(Missing::Resource(Noun::ApiKey)))?;
                // What it opens on the connection that it is for.
                let shown = credential.key.client_certificate;
                let refused = match credential.must_count(shown, || self.clock.now()) {
                    Err(Error::Unauthenticated(bad)) => Some(bad),
                    counts => counts.map(|()| None)?,
                };
                (Caller::from_credential(&credential, shown), refused)
            }
        };
        Ok(Explanation { of, refused, vault, name })
    }
}
