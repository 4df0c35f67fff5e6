//! Finding out who is asking.

use super::App;
use crate::caller::Caller;
use crate::error::{BadCredential, Error, Result};
use crate::token::Token;

impl App {
    /// The caller behind a token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`]. An unknown key and a wrong token are one answer, found at the same cost.
    pub async fn authenticate(&self, token: &str) -> Result<Caller> {
        let id = Token::parse_key_id(token).map_err(Error::Unauthenticated)?;
        let found = self.store.credential_find(id).await?;
        let hash = self.token_key.hash(token);
        match found {
            Some(credential) if credential.key.hash.same_as(&hash) => Caller::from_credential(&credential),
            _ => Err(Error::Unauthenticated(BadCredential::Unknown)),
        }
    }
}
