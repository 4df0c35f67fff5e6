//! Creates that are asked for again: finding the first answer, keeping it, and forgetting it after a day.

use strongroom_crypto::SealedValue;

use super::App;
use crate::answer::{Answer, Repeatable};
use crate::caller::Caller;
use crate::error::{Result, Rule};
use crate::token::Token;

/// Answers that are forgotten in one change.
const STEP: usize = 500;

impl App {
    /// Knows a request again, by the key that its sender gave it: who asks, where, and what. None for somebody who works on the
    /// machine itself, and is asked by nobody again.
    ///
    /// # Errors
    /// `Sealed`.
    pub fn repeatable(
        &self,
        caller: &Caller,
        route: &str,
        key: &str,
        body: &[u8],
    ) -> Result<Option<Repeatable>> {
        let Some(of) = caller.key else { return Ok(None) };
        let of = of.ksuid();
        let (of, route) = (of.as_bytes(), route.as_bytes());
        let keys = self.keyring.keys()?;
        let mark = keys.token.mark(b"idempotency key", &[of, route, key.as_bytes()]);
        let request = keys.token.mark(b"repeatable request", &[of, route, key.as_bytes(), body]);
        Ok(Some(Repeatable { mark, request }))
    }

    /// The first answer, if the request was made before and not too long ago.
    ///
    /// # Errors
    /// [`Rule::OtherRequest`] if something else was asked for then.
    pub(super) async fn answered(&self, caller: &Caller, to: Option<&Repeatable>) -> Result<Option<Answer>> {
        let Some(to) = to else { return Ok(None) };
        let over_by = Answer::over_by(self.clock.now());
        let found = self.store.answer_find(caller.account, to.mark).await?;
        let found = found.filter(|answer| answer.at > over_by);
        match found {
            Some(answer) if answer.to.request != to.request => Err(Rule::OtherRequest.into()),
            found => Ok(found),
        }
    }

    /// Seals a new key's token, if its answer is to be kept.
    pub(super) fn token_kept(
        &self,
        caller: &Caller,
        token: &Token,
        to: Option<&Repeatable>,
    ) -> Result<Option<SealedValue>> {
        let Some(to) = to else { return Ok(None) };
        // For the one who made the key, should the first answer be lost.
        let token = token.expose_secret();
        Ok(Some(self.keyring.keys()?.root.current().seal_token(
            token,
            &to.token_place(caller.account),
            &*self.rng,
        )?))
    }

    /// Forgets the answers that do not count any more, a few at a time; says how many.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn answers_sweep(&self) -> Result<usize> {
        let by = Answer::over_by(self.clock.now());
        let mut swept = 0;
        loop {
            let gone = self.store.answers_prune(self.account.id, by, STEP).await?;
            swept += gone;
            if gone < STEP {
                return Ok(swept);
            }
        }
    }
}
