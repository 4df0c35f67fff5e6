//! How far the lanes are, for those who look at the server.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use strongroom_domain::ids::WebhookId;

/// How far one lane is.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    /// The last record that was looked at: all up to it is settled, and on disk but for records that are not told.
    pub(super) seen: u64,
    /// Whether so much waits that nothing new is taken.
    pub(super) held: bool,
}

/// How far each lane is.
#[derive(Default)]
pub(super) struct Standings(Mutex<HashMap<WebhookId, Standing>>);

impl Standings {
    pub(super) fn set(&self, id: WebhookId, standing: Standing) {
        self.all().insert(id, standing);
    }

    pub(super) fn remove(&self, id: WebhookId) {
        self.all().remove(&id);
    }

    pub(super) fn seen(&self, id: WebhookId) -> Option<u64> {
        self.all().get(&id).map(|standing| standing.seen)
    }

    /// How many lanes are held.
    pub(super) fn held(&self) -> u64 {
        self.all().values().filter(|standing| standing.held).count() as u64
    }

    /// How many records the slowest lane is behind one.
    pub(super) fn behind(&self, record: u64) -> u64 {
        let behind = |standing: &Standing| record.saturating_sub(standing.seen);
        self.all().values().map(behind).max().unwrap_or(0)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<WebhookId, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
