//! Answers that were written before: a secret or a page that is asked for again and again is made into JSON once.
//!
//! An entry holds the very record that it was made of. The store gives out another record as soon as anything in it
//! changes, so an entry that is out of date is never the one that is asked for.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use quick_cache::sync::Cache;
use serde::Serialize;
use strongroom_domain::ids::{SecretId, VaultId};
use strongroom_domain::page::Listing;
use strongroom_domain::secret::Secret;

use crate::origin::Origin;
use crate::view::{self, Next};

/// Bytes of memory for bodies of secrets, about.
const SECRETS_WEIGHT: u64 = 12 << 20;
/// Bytes of memory for bodies of pages, about.
const PAGES_WEIGHT: u64 = 16 << 20;
/// What an entry weighs beside its texts: the record that it keeps alive, and the map's own notes.
const ENTRY_WEIGHT: usize = 600;

type Page = Listing<Arc<Secret>>;

struct Entry<T, B> {
    of: Arc<T>,
    origin: Origin,
    /// Of a secret the entity tag, of a page what the URL of the next one repeats.
    beside: B,
    body: Bytes,
    /// Bytes of its texts: of the body, of what stands beside it, and of the record.
    texts: usize,
}

#[derive(Clone)]
struct Weighter;

impl<K, T, B> quick_cache::Weighter<K, Arc<Entry<T, B>>> for Weighter {
    fn weight(&self, _: &K, entry: &Arc<Entry<T, B>>) -> u64 {
        (ENTRY_WEIGHT + entry.texts) as u64
    }
}

/// The bodies of secrets and of pages that were asked for lately.
pub(crate) struct Rendered {
    secrets: Cache<SecretId, Arc<Entry<Secret, HeaderValue>>, Weighter>,
    /// By the place in memory of what the page was made of, which is no other's while the entry holds it.
    pages: Cache<usize, Arc<Entry<Page, Next>>, Weighter>,
}

impl Default for Rendered {
    fn default() -> Self {
        let items = |weight: u64| weight as usize / ENTRY_WEIGHT;
        Self {
            secrets: Cache::with_weighter(items(SECRETS_WEIGHT), SECRETS_WEIGHT, Weighter),
            pages: Cache::with_weighter(items(PAGES_WEIGHT), PAGES_WEIGHT, Weighter),
        }
    }
}

impl Rendered {
    /// The body of a secret's metadata, and its entity tag.
    pub(crate) fn secret(
        &self,
        secret: &Arc<Secret>,
        origin: &Origin,
    ) -> serde_json::Result<(Bytes, HeaderValue)> {
        if let Some(known) = self.secrets.get(&secret.id)
            && Arc::ptr_eq(&known.of, secret)
            && known.origin == *origin
        {
            return Ok((known.body.clone(), known.beside.clone()));
        }
        let (body, etag) = (written(&view::secret(secret, origin))?, view::etag_header(&secret.tag()));
        let (of, origin, answer) = (secret.clone(), origin.clone(), (body.clone(), etag.clone()));
        let record = secret.name.len() + secret.description.len() + secret.metadata.len();
        let texts = body.len() + etag.len() + record;
        self.secrets.insert(secret.id, Arc::new(Entry { of, origin, beside: etag, body, texts }));
        Ok(answer)
    }

    /// The body of a page of secrets: of all, or of one vault.
    pub(crate) fn page(
        &self,
        page: &Arc<Page>,
        vault: Option<VaultId>,
        next: Next,
        origin: &Origin,
    ) -> serde_json::Result<Bytes> {
        let place = Arc::as_ptr(page).addr();
        if let Some(known) = self.pages.get(&place)
            && known.origin == *origin
            && known.beside == next
        {
            return Ok(known.body.clone());
        }
        let body = written(&view::secrets(page, vault, &next, origin))?;
        // One that the store did not keep is not the one that will be asked for again.
        if Arc::strong_count(page) > 1 {
            let (of, origin) = (page.clone(), origin.clone());
            let repeated: usize = next.repeated.iter().map(|(_, value)| value.len()).sum();
            // The secrets of the page are kept alive too, and take about as much as their JSON.
            let texts = 2 * body.len() + repeated;
            self.pages.insert(place, Arc::new(Entry { of, origin, beside: next, body: body.clone(), texts }));
        }
        Ok(body)
    }
}

fn written(body: &impl Serialize) -> serde_json::Result<Bytes> {
    serde_json::to_vec(body).map(Bytes::from)
}
