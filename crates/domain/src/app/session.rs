//! Finding out who is asking.

use std::net::IpAddr;

use super::App;
use super::install::FIRST_ADMIN;
use crate::caller::{Caller, Credential};
use crate::error::{BadCredential, Denial, Error, Result};
use crate::fingerprint::Fingerprint;
use crate::gate::Verdict;
use crate::ids::PrincipalId;
use crate::token::Token;

impl App {
    /// The caller behind a token that is shown from an address, over a connection which showed that certificate, checked by TLS.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if a restriction keeps the address out. [`Error::Unauthenticated`], also for a key whose time is over
    /// or that is bound to another certificate. An unknown key and a wrong token are one answer. They differ by a lookup in
    /// the store, a few microseconds: a key's id is no secret, its token's other half is, and that is compared in constant time.
    pub async fn authenticate(
        &self,
        token: &str,
        from: IpAddr,
        shown: Option<Fingerprint>,
    ) -> Result<Caller> {
        let id = Token::parse_key_id(token).map_err(Error::Unauthenticated)?;
        // Before anything is looked up: without keys nobody is told anything.
        let hash = self.keyring.keys_for_callers()?.token.hash(token);
        let found = self.store.credential_find(id).await?;
        match found {
            Some(credential) if credential.key.hash.same_as(&hash) => {
                credential.must_count(shown, || self.clock.now())?;
                self.admit(&credential, from, shown).await
            }
            _ => Err(Error::Unauthenticated(BadCredential::Unknown)),
        }
    }

    /// The caller as it is by now: its key may have been changed, ended or deleted since it was shown. Asked again after
    /// every wait that somebody else may draw out, such as that for a body.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the key opens nothing any more, [`Error::Forbidden`] when a restriction keeps the address
    /// out by now.
    pub async fn refreshed(&self, caller: &Caller) -> Result<Caller> {
        // What is open when the house is sealed ends.
        self.keyring.keys_for_callers()?;
        let (Some(id), Some(from)) = (caller.key, caller.address) else { return Ok(caller.clone()) };
        let found = self.store.credential_find(id).await?;
        let credential = found.ok_or(Error::Unauthenticated(BadCredential::Unknown))?;
        credential.must_count(caller.certificate, || self.clock.now())?;
        self.admit(&credential, from, caller.certificate).await
    }

    /// The caller as it is by now, for somebody who is to do more than read metadata: what was known of the key before is not enough
    /// where that may be old.
    ///
    /// # Errors
    /// As [`App::refreshed`]; `Unavailable` if it cannot be found out whether the key still counts.
    pub async fn confirmed(&self, caller: Caller) -> Result<Caller> {
        if self.store.catch_up_if_behind().await? { self.refreshed(&caller).await } else { Ok(caller) }
    }

    /// Whether an address may ask for anything, of who has shown no key.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if a restriction keeps it out.
    pub async fn admits(&self, from: IpAddr) -> Result<()> {
        match self.store.ip_gate(self.account.id).await?.judge(from) {
            Verdict::In | Verdict::Warned(_) => Ok(()),
            Verdict::Out(by) => Err(Error::Forbidden(Denial::Address { address: from, by })),
        }
    }

    /// Lets in who shows a key that counts, unless a restriction keeps the address out.
    async fn admit(
        &self,
        credential: &Credential,
        from: IpAddr,
        shown: Option<Fingerprint>,
    ) -> Result<Caller> {
        let gate = self.store.ip_gate(credential.account).await?;
        let warned = match gate.judge(from) {
            Verdict::In => None,
            Verdict::Warned(by) => Some(by),
            Verdict::Out(by) => return Err(Error::Forbidden(Denial::Address { address: from, by })),
        };
        Ok(Caller { address: Some(from), warned, ..Caller::from_credential(credential, shown) })
    }

    /// The caller for somebody who works on the machine itself and has the root key: the first admin.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when there is no such user any more.
    pub async fn operator(&self) -> Result<Caller> {
        let user = self.store.user_find(self.account.id, FIRST_ADMIN).await?;
        let user = user.ok_or(Error::Unauthenticated(BadCredential::Unknown))?;
        Ok(Caller {
            account: self.account.id,
            principal: PrincipalId::User(user.id),
            subject: user.email,
            role: user.role,
            key: None,
            grants: None,
            address: None,
            warned: None,
            certificate: None,
        })
    }
}
