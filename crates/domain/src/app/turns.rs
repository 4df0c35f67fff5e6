//! Changes that met another one, tried again in turn.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::Mutex;

use super::App;
use crate::error::{Error, Result};

/// How often a change that met another one is tried again before it is given up. Each try lost means that another change
/// of the same thing won, so this bounds the wait and nothing else.
const TRIES: usize = 64;

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

impl App {
    /// Tries a change of a thing again for as long as another one came first. Those who try again do so one after another,
    /// first come, first served: all at once, each would win by chance, and some never.
    pub(super) async fn retry_stale<T, F: Future<Output = Result<T>>>(
        &self,
        thing: impl Hash,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T> {
        match attempt().await {
            Err(Error::Stale) => {}
            done => return done,
        }
        let _turn = self.turns.row(thing).lock().await;
        for _ in 2..TRIES {
            match attempt().await {
                Err(Error::Stale) => {}
                done => return done,
            }
        }
        attempt().await
    }
}
