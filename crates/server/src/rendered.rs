//! Answers that were written before: a secret that is asked for again and again is made into JSON once.
//!
//! An entry holds the very record that it was made of. The store gives out another record as soon as anything in it
//! changes, so an entry that is out of date is never the one that is asked for.

use std::sync::Arc;

use bytes::Bytes;
use quick_cache::sync::Cache;
use strongroom_domain::ids::SecretId;
use strongroom_domain::secret::Secret;

use crate::origin::Origin;
use crate::view;

/// Bytes of memory for bodies, about.
const WEIGHT: u64 = 12 << 20;
/// What an entry weighs beside its body: the record that it keeps alive, and the map's own notes.
const ENTRY_WEIGHT: usize = 600;

struct Entry {
    of: Arc<Secret>,
    origin: Origin,
    body: Bytes,
}

#[derive(Clone)]
struct Weighter;

impl quick_cache::Weighter<SecretId, Arc<Entry>> for Weighter {
    fn weight(&self, _: &SecretId, entry: &Arc<Entry>) -> u64 {
        (ENTRY_WEIGHT + entry.body.len()) as u64
    }
}

/// The bodies of secrets that were asked for lately.
pub(crate) struct Rendered(Cache<SecretId, Arc<Entry>, Weighter>);

impl Default for Rendered {
    fn default() -> Self {
        Self(Cache::with_weighter(WEIGHT as usize / ENTRY_WEIGHT, WEIGHT, Weighter))
    }
}

impl Rendered {
    /// The body of a secret's metadata.
    pub(crate) fn secret(&self, secret: &Arc<Secret>, origin: &Origin) -> serde_json::Result<Bytes> {
        if let Some(known) = self.0.get(&secret.id)
            && Arc::ptr_eq(&known.of, secret)
            && known.origin == *origin
        {
            return Ok(known.body.clone());
        }
        let body = Bytes::from(serde_json::to_vec(&view::secret(secret, origin))?);
        let entry = Entry { of: secret.clone(), origin: origin.clone(), body: body.clone() };
        self.0.insert(secret.id, Arc::new(entry));
        Ok(body)
    }
}
