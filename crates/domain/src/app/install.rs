//! The first start.

use std::sync::Arc;

use strongroom_crypto::{Rng, RootKey, SlotKey, SlotKind, TokenKey};

use super::App;
use crate::api_key::ApiKey;
use crate::audit::{Action, Actor, Event};
use crate::caller::Role;
use crate::clock::Clock;
use crate::error::Result;
use crate::ids::{AccountId, ApiKeyId, KeySlotId, PrincipalId, UserId};
use crate::key_slot::{self, KeySlot};
use crate::principal::{Account, User};
use crate::stamp::Stamper;
use crate::store::Store;
use crate::token::Token;

/// What the first user is called.
pub(super) const FIRST_ADMIN: &str = "admin@localhost";

/// What the first start makes, before it is stored: the token must be safe first, as it cannot be had again.
pub struct Installed {
    account: Account,
    user: User,
    key: ApiKey,
    token: Token,
    slots: Vec<KeySlot>,
    events: Vec<Event>,
}

impl Installed {
    /// Has the root key, which the account is made under, opened by a key in a file.
    ///
    /// # Errors
    /// `Internal` when there is no randomness.
    pub fn with_key_file(
        mut self,
        root_key: &RootKey,
        slot_key: &SlotKey,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self> {
        let stamper = Stamper::new(clock, rng.clone());
        let slot = file_slot((self.account.id, self.key.owner), root_key, slot_key, &stamper, &*rng)?;
        // It is a part of the account, whose making is told by its first key's.
        self.slots.push(slot);
        Ok(self)
    }

    /// The token of the first API key.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Stores it, and gives the token to be shown.
    ///
    /// # Errors
    /// [`Error::Stale`](crate::Error::Stale) when somebody else was first.
    pub async fn commit(self, store: &dyn Store) -> Result<Token> {
        store.account_insert(self.account, self.user, self.key, self.slots, self.events).await?;
        Ok(self.token)
    }
}

impl App {
    /// Makes an account, an admin and a first API key; nothing is stored yet.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) when there is no randomness.
    pub fn install(root_key: &RootKey, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Result<Installed> {
        let stamper = Stamper::new(clock, rng.clone());
        let at = stamper.stamp()?;
        let id = AccountId::new(at.ksuid);
        let token_key = TokenKey::make(&*rng)?;
        let account = Account {
            id,
            name: "strongroom".to_owned(),
            created_at: at.at,
            root_key: root_key.id(),
            wrapped_token_key: root_key.wrap_token_key(&token_key, id.ksuid().as_bytes(), &*rng)?,
        };
        let user_id = UserId::new(stamper.stamp()?.ksuid);
        let user = User { id: user_id, email: FIRST_ADMIN.to_owned(), role: Role::Admin, created_at: at.at };
        let key_stamp = stamper.stamp()?;
        let key_id = ApiKeyId::new(key_stamp.ksuid);
        let token = Token::make(key_id, &*rng)?;
        let key = ApiKey {
            id: key_id,
            description: "made at the first start".to_owned(),
            metadata: String::new(),
            created_at: key_stamp.at,
            owner: PrincipalId::User(user_id),
            grants: None,
            expires_at: None,
            client_certificate: None,
            revision: 1,
            // Hashed to be stored in place of the token.
            hash: token_key.hash(token.expose_secret()),
        };
        let actor = Actor::on_machine(key.owner, user.email.clone());
        let events = vec![Event::new(stamper.stamp()?, id, actor, &key, Action::Created)];
        Ok(Installed { account, user, key, token, slots: Vec::new(), events })
    }
}

/// The slot of the key in a file.
pub(super) fn file_slot(
    (account, by): (AccountId, PrincipalId),
    root_key: &RootKey,
    slot_key: &SlotKey,
    stamper: &Stamper,
    rng: &dyn Rng,
) -> Result<KeySlot> {
    let (stamp, kind) = (stamper.stamp()?, SlotKind::File);
    let id = KeySlotId::new(stamp.ksuid);
    Ok(KeySlot {
        id,
        name: kind.as_str().to_owned(),
        kind,
        opener: "{}".to_owned(),
        sealed: root_key.seal_to(&slot_key.enrolment(), &key_slot::place(account, id, kind), rng)?,
        created_at: stamp.at,
        created_by: by,
    })
}
