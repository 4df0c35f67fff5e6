//! The store on PostgreSQL: one for any number of nodes.
//!
//! It is tested on PostgreSQL, and written for what else speaks its protocol, by the documentation of CockroachDB and YugabyteDB. So
//! nothing here depends on what not all such databases have: no notifications, advisory locks, sequences or functions; any
//! isolation level will do. Each transaction is tried again when the database says that it may be.

mod accounts;
mod answers;
mod api_keys;
mod audit;
mod connect;
mod deleted;
mod deliveries;
mod error;
mod expiry;
mod ip_gate;
mod ip_policies;
mod ip_restrictions;
mod ip_rules;
mod key_slots;
mod leases;
mod list;
mod node;
mod pipeline;
mod resolved;
mod root_key;
mod rotations;
mod row;
mod schema;
mod secrets;
mod service_users;
mod session;
mod shared;
mod statistics;
mod store;
mod transaction;
mod value;
mod vaults;
mod versions;
mod webhooks;
mod whole;
mod writer;

use std::sync::{Arc, OnceLock};

use strongroom_domain::answer::Creation;
use strongroom_domain::audit::Event;
use strongroom_domain::ids::{AccountId, SecretId};
use strongroom_domain::{Error, Result};

pub use connect::{Options, OptionsError};
pub use schema::OpenError;
pub(crate) use whole::{Filled, Filling, Snapshot};

use node::{Node, entries, patiently};
use row::corrupt;
use session::{Pool, Reader};
use transaction::{Appended, Transaction};
use writer::{Change, Statement, Writer};

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    node: Arc<Node>,
    writer: Writer,
    /// The account and its number, once there is one: it never changes.
    account: OnceLock<(i64, AccountId)>,
    /// How the database is called to people.
    place: String,
    /// The version of its tables when it was connected to.
    version: u64,
}

impl PostgresStore {
    /// Opens a store for reading and writing, and makes its tables when there are none. Any number of processes may do so.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        let store = Self::connect(options).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens a store, whose tables may be missing or of an earlier version yet. It is not touched.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn connect(options: &Options) -> Result<Self, OpenError> {
        let store = Self::connect_as_it_is(options).await?;
        schema::check(&store.place, store.version)?;
        Ok(store)
    }

    /// The same, of whichever version its tables are.
    async fn connect_as_it_is(options: &Options) -> Result<Self, OpenError> {
        let place = options.place();
        let failed = |source| OpenError::Database { place: place.clone(), source };
        let connector = connect::Connector::new(options)?;
        let looks = Pool::new(options, connector.clone(), 1).map_err(failed)?;
        let pool = Pool::new(options, connector, options.connections - 1).map_err(failed)?;
        schema::check_encoding(&place, &pool).await?;
        let version = schema::version(&pool).await.map_err(failed)?;
        let last = if (1..=schema::KNOWN).contains(&version) {
            node::last_record(&pool).await.map_err(failed)?
        } else {
            0
        };
        let node = Arc::new(Node::new(pool, looks, last));
        Ok(Self { writer: Writer::start(node.clone()), node, account: OnceLock::new(), place, version })
    }

    /// Opens a store for reading, if it needs no migration: only then can all of it be read.
    ///
    /// # Errors
    /// [`OpenError`], of which [`OpenError::Older`] is the one for a store of an earlier version.
    pub async fn open_current_to_read(options: &Options) -> Result<Self, OpenError> {
        let store = Self::connect(options).await?;
        if store.version < schema::KNOWN {
            return Err(OpenError::Older { place: store.place, found: store.version, known: schema::KNOWN });
        }
        Ok(store)
    }

    /// Whether the database had no tables of a store when it was connected to.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.version == 0
    }

    /// How the database is called to people: hosts and name.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The version of the database's program.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Internal`].
    pub async fn program_version(&self) -> Result<String> {
        self.pool().query_one("SELECT current_setting('server_version')", &[]).await
    }

    /// Brings the tables up to date. Of several nodes that do so at once, one does it and the others wait.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn migrate(&self) -> Result<(), OpenError> {
        let found = schema::migrate(self.pool()).await;
        let found = found.map_err(|source| OpenError::Database { place: self.place.clone(), source })?;
        schema::check(&self.place, found)
    }

    fn pool(&self) -> &Pool {
        &self.node.pool
    }

    /// The number of an account. Another account's things are not found: they have another number.
    async fn number(&self, account: AccountId) -> Result<i64> {
        match self.known_account().await? {
            Some((number, id)) if id == account => Ok(number),
            _ => Err(corrupt("account")),
        }
    }

    async fn known_account(&self) -> Result<Option<(i64, AccountId)>> {
        if let Some(known) = self.account.get() {
            return Ok(Some(*known));
        }
        let found = accounts::find(self.pool()).await?.map(|(number, account)| (number, account.id));
        Ok(found.map(|found| *self.account.get_or_init(|| found)))
    }

    /// Does work in a transaction of its own, with the events that tell of it. What passes by is tried again from the start, so
    /// the work may run more than once; of all but the last run nothing is left.
    async fn transact<T, F: Future<Output = Result<T>>>(
        &self,
        account: AccountId,
        events: Vec<Event>,
        work: impl Fn(Arc<Transaction>) -> F,
    ) -> Result<T> {
        let number = self.number(account).await?;
        self.transact_at(number, events, work).await
    }

    async fn transact_at<T, F: Future<Output = Result<T>>>(
        &self,
        number: i64,
        events: Vec<Event>,
        work: impl Fn(Arc<Transaction>) -> F,
    ) -> Result<T> {
        let entries = entries(&events)?;
        let resolved = events.iter().filter_map(Event::as_resolved).collect();
        let appended = Appended { entries: entries.iter().collect(), resolved, untold: false };
        patiently(|| self.attempt(number, &appended, &work)).await
    }

    async fn attempt<T, F: Future<Output = Result<T>>>(
        &self,
        number: i64,
        appended: &Appended<'_>,
        work: impl Fn(Arc<Transaction>) -> F,
    ) -> Result<T> {
        let transaction = Arc::new(Transaction::begin(self.pool(), number).await?);
        match work(transaction.clone()).await {
            Ok(done) => {
                self.node.commit(&transaction, appended).await?;
                self.node.written.count(1);
                Ok(done)
            }
            Err(error) => {
                transaction.undo().await;
                Err(error)
            }
        }
    }

    /// Makes something, and keeps the answer with it if that is to be kept.
    async fn create<F: Future<Output = Result<()>>>(
        &self,
        account: AccountId,
        Creation { event, answer }: Creation,
        make: impl Fn(Arc<Transaction>) -> F,
    ) -> Result<()> {
        let (answer, make) = (answer.as_ref(), &make);
        self.transact(account, vec![event], move |transaction| async move {
            answers::check(&transaction, answer).await?;
            make(transaction.clone()).await?;
            answers::keep(&transaction, answer).await
        })
        .await
    }

    /// Makes a change together with others; `verdict` says what the word of its first statement means.
    async fn change(
        &self,
        account: AccountId,
        statements: Vec<Statement>,
        verdict: impl Fn(&str) -> Result<()> + Send + Sync + 'static,
        events: &[Event],
    ) -> Result<()> {
        let account = self.number(account).await?;
        let verdict = Box::new(verdict);
        let entries = entries(events)?;
        self.writer.change(Change { account, statements, verdict, entries, resolved: Vec::new() }).await
    }

    /// Appends events that tell of no change here, together with others.
    async fn append(&self, account: AccountId, events: &[Event]) -> Result<()> {
        let account = self.number(account).await?;
        let resolved: Vec<(SecretId, _)> = events.iter().filter_map(Event::as_resolved).collect();
        let entries = entries(events)?;
        let verdict = Box::new(|_: &str| Err(Error::Stale));
        self.writer.change(Change { account, statements: Vec::new(), verdict, entries, resolved }).await
    }
}
