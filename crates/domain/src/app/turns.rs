//! Changes that met another one, tried again in turn.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::App;
use crate::caller::Caller;
use crate::error::{Error, Result};

/// How often a change that met another one is tried again before it is given up. Each try lost means that another change
/// of the same thing won, so this bounds the wait and nothing else.
const TRIES: usize = 64;

/// The longest that somebody stands in a row and tries again, as long as the longest wait for one commit.
const PATIENCE: Duration = Duration::from_secs(30);

/// Rows to stand in. Two things may share one, at the cost of a wait.
const ROWS: usize = 64;

/// Where those stand whose change met another one.
pub(super) struct Turns([Mutex<()>; ROWS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Turns {
    fn row(&self, thing: impl Hash) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        thing.hash(&mut hasher);
        &self.0[hasher.finish() as usize % ROWS]
    }
}

/// The wait took too long.
#[derive(Debug, thiserror::Error)]
#[error("too many others change the same thing, or a change takes too long")]
struct Late;

/// The key may do other things now than when the request was let in.
#[derive(Debug, thiserror::Error)]
#[error("the API key was changed while its request waited")]
struct OtherRights;

impl App {
    /// Tries a change of a thing again for as long as another one came first. Those who try again do so one after another,
    /// first come, first served: all at once, each would win by chance, and some never. A caller whose rights changed while
    /// it waited changes nothing.
    ///
    /// What others changed before is seen from the first attempt on: a change that would be none, by what is in memory, may well
    /// be one.
    pub(super) async fn retry_stale<T, F: Future<Output = Result<T>>>(
        &self,
        caller: &Caller,
        thing: impl Hash,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T> {
        self.store.catch_up().await?;
        match attempt().await {
            Err(Error::Stale) => {}
            done => return done,
        }
        let in_turn = async {
            let _turn = self.turns.row(thing).lock().await;
            if !self.refreshed(caller).await?.may_the_same(caller) {
                return Err(Error::Unavailable(Box::new(OtherRights)));
            }
            self.follow().await?;
            self.try_again(attempt).await
        };
        // One whose attempt is cut off here is told the same as one whose commit takes too long.
        match timeout(PATIENCE, in_turn).await {
            Ok(done) => done,
            Err(_) => Err(Error::Unavailable(Box::new(Late))),
        }
    }

    /// Tries something again for as long as a change came between.
    pub(super) async fn try_again<T, F: Future<Output = Result<T>>>(
        &self,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T> {
        for _ in 1..TRIES {
            match attempt().await {
                Err(Error::Stale) => self.follow().await?,
                done => return done,
            }
        }
        attempt().await
    }

    /// Sees to it that the next attempt knows of what came between. That may have been another process's change, which is not
    /// in memory yet, or the rotation of the root key, which goes on after its commit.
    async fn follow(&self) -> Result<()> {
        self.store.catch_up().await?;
        self.root_key_follow().await
    }
}
