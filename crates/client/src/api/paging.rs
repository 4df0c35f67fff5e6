use serde::de::DeserializeOwned;
use strongroom_wire as wire;

use super::{Client, Error, Method};

/// One page of a list.
pub trait Page: DeserializeOwned {
    /// What is listed.
    type Item;

    /// What is on the page, and whether another follows.
    fn open(self) -> (Vec<Self::Item>, bool);

    /// The id of one of them, which the next page may begin after.
    fn id(item: &Self::Item) -> &str;
}

macro_rules! pages {
    ($($List:ty, $items:ident: $Item:ty, $($id:ident).+;)*) => {$(
        impl Page for $List {
            type Item = $Item;

            fn open(self) -> (Vec<$Item>, bool) {
                (self.$items, self.next_page_uri.is_some())
            }

            fn id(item: &$Item) -> &str {
                &item.$($id).+
            }
        }
    )*};
}

pages! {
    wire::VaultList, vaults: wire::Vault, id;
    wire::SecretList, secrets: wire::Secret, id;
    wire::SecretDetailList, secrets: wire::SecretDetail, secret.id;
    wire::ApiKeyList, keys: wire::ApiKey, id;
    wire::ServiceUserList, service_users: wire::ServiceUser, id;
    wire::WebhookList, webhooks: wire::Webhook, id;
    wire::VaultKeyList, keys: wire::VaultKey, vault.id;
}

/// A page of the list of deleted things, which is of two kinds in one order.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub(super) struct DeletedPage(wire::DeletedList);

/// One of them.
pub(super) enum Deleted {
    Secret(Box<wire::DeletedSecret>),
    Vault(Box<wire::DeletedVault>),
}

impl Deleted {
    fn id(&self) -> &str {
        match self {
            Self::Secret(secret) => &secret.secret.id,
            Self::Vault(vault) => &vault.vault.id,
        }
    }
}

impl Page for DeletedPage {
    type Item = Deleted;

    fn open(self) -> (Vec<Deleted>, bool) {
        let secrets = self.0.secrets.into_iter().map(|secret| Deleted::Secret(Box::new(secret)));
        let vaults = self.0.vaults.into_iter().map(|vault| Deleted::Vault(Box::new(vault)));
        let mut items: Vec<_> = secrets.chain(vaults).collect();
        // What follows an id's prefix sorts by time, whatever it is of.
        let number = |item: &Deleted| item.id().rsplit('_').next().unwrap_or_default().to_owned();
        items.sort_by_cached_key(|item| std::cmp::Reverse(number(item)));
        (items, self.0.next_page_uri.is_some())
    }

    fn id(item: &Deleted) -> &str {
        item.id()
    }
}

impl Client {
    /// Every item of a list, newest first, page after page. A page link is never followed, since it could lead the
    /// token elsewhere: the next page is asked for by the last item's id.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn list<P: Page>(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<P::Item>, Error> {
        let mut all: Vec<P::Item> = Vec::new();
        loop {
            let before = all.last().map(P::id).map(str::to_owned);
            let mut query = query.to_vec();
            query.push(("limit", "100"));
            query.extend(before.as_deref().map(|id| ("before_id", id)));
            let page: P = self.send::<()>(Method::Get, path, &query, None)?.json()?;
            let (items, more) = page.open();
            let last = items.last().map(P::id).map(str::to_owned);
            all.extend(items);
            if !more || last.is_none() {
                return Ok(all);
            }
            if last == before {
                return Err(Error::Protocol("it gives the same page again and again".to_owned()));
            }
        }
    }
}
