//! The ends of secrets: what is told of them ahead, and once they are past.

use jiff::Timestamp;

use super::App;
use crate::audit::{Action, Actor, Event};
use crate::error::{Error, Result, Rule};
use crate::secret::{Expiring, Told};

/// How often a sweep begins anew because a secret was changed meanwhile.
const STALE: usize = 8;
/// Secrets that are told of in one change.
const STEP: usize = 100;

impl App {
    /// Tells of the secrets whose end is 30, 7 or 1 days ahead, or past, each once; says of how many. Of one that was passed
    /// over for a while, only what holds now is told.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn expiry_sweep(&self) -> Result<usize> {
        let account = self.account.id;
        let (mut told, mut stale) = (0, 0);
        loop {
            let now = self.clock.now();
            let due = self.store.expiring_list(account, now, STEP).await?;
            if due.is_empty() {
                return Ok(told);
            }
            let actor = Actor::server(self.operator().await?.principal);
            let events =
                due.iter().map(|due| self.expiry_event(due, &actor, now)).collect::<Result<Vec<_>>>()?;
            let notes: Vec<_> = due.into_iter().map(|due| Told::of(due, now)).collect();
            let count = notes.len();
            match self.store.expiring_told(account, notes, events).await {
                Ok(()) => told += count,
                // Somebody changed one meanwhile: what is due is another list now. Who changes one all the time does not hold
                // up what else there is to sweep: the next sweep goes on.
                Err(Error::Stale) if stale < STALE => stale += 1,
                Err(Error::Stale) => return Ok(told),
                Err(error) => return Err(error),
            }
        }
    }

    fn expiry_event(&self, due: &Expiring, actor: &Actor, now: Timestamp) -> Result<Event> {
        let action = if due.secret.has_expired(now) { Action::Expired } else { Action::Expiring };
        Ok(Event::new(self.stamper.stamp()?, self.account.id, actor.clone(), &due.secret, action))
    }

    /// Refuses an end that does not lie ahead.
    pub(super) fn check_expiry(&self, expires_at: Option<Timestamp>) -> Result<()> {
        match expires_at {
            Some(at) if at <= self.clock.now() => Err(Rule::ExpiryPast.into()),
            _ => Ok(()),
        }
    }
}
