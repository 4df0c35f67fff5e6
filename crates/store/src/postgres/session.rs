//! Connections to the database: a bounded pool of them, each statement within a deadline.
//!
//! A connection goes back to the pool only if nothing is left on it: one whose transaction was not ended, or that did not answer
//! in time, is closed. A request that is cancelled at any point therefore leaves nothing behind.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::{
    Manager, ManagerConfig, Object, PoolError, RecyclingMethod, Runtime, TimeoutType, Timeouts,
};
use strongroom_domain::store::Connections;
use strongroom_domain::{Error, Result};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::connect::{Connector, Options, Tls};
use super::error::{self, away, plain};
use super::row::{self, Column};
use super::value::Value;

/// The longest that a statement may take, but for walks.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest that a list under a filter may take, as in the SQLite store.
const WALK_DEADLINE: Duration = Duration::from_secs(20);
/// How long a request waits for a connection, be it in a queue or for a new one.
const WAIT: Duration = Duration::from_secs(5);
/// Within this it shows that a connection was closed.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long nobody else tries to connect after one could not.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) struct Pool {
    pool: deadpool_postgres::Pool,
    /// Whether statements are prepared and kept by the connection; poolers in front of the database may not allow it.
    prepare: bool,
    started: Instant,
    /// Until when the database counts as away, in milliseconds after `started`: a thousand requests do not each try to connect.
    away_until: AtomicU64,
}

impl Pool {
    /// A pool of that many connections at most.
    pub(super) fn new(options: &Options, tls: Tls, connections: usize) -> Result<Self> {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(options.config.clone(), Connector::new(options, tls), config);
        let pool = deadpool_postgres::Pool::builder(manager)
            .max_size(connections)
            .timeouts(Timeouts { wait: Some(WAIT), create: Some(WAIT), recycle: Some(WAIT) })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::Internal(Box::new(error)))?;
        let (started, away_until) = (Instant::now(), AtomicU64::default());
        Ok(Self { pool, prepare: options.prepare, started, away_until })
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// A connection of one's own.
    pub(super) async fn session(&self) -> Result<Session> {
        if self.pool.status().available == 0 && self.now() < self.away_until.load(Ordering::Relaxed) {
            return Err(away("the database could not be reached a moment ago"));
        }
        // The pool's own limits are for each step by itself.
        let object = match tokio::time::timeout(WAIT, self.pool.get()).await {
            Ok(object) => object.map_err(|error| self.refused(error))?,
            Err(_) => return Err(away("no connection to the database could be had in time")),
        };
        let unclean = AtomicBool::new(false);
        Ok(Session { object: Some(object), prepare: self.prepare, deadline: DEADLINE, unclean })
    }

    fn refused(&self, refused: PoolError) -> Error {
        match refused {
            PoolError::Timeout(TimeoutType::Wait) => {
                away("no connection to the database became free in time")
            }
            PoolError::Timeout(TimeoutType::Create) => {
                self.unreached(away("no connection to the database could be made in time"))
            }
            PoolError::Timeout(TimeoutType::Recycle) => {
                away("a connection to the database did not answer in time")
            }
            PoolError::Backend(source) => self.unreached(plain(source)),
            other => Error::Internal(Box::new(other)),
        }
    }

    fn unreached(&self, error: Error) -> Error {
        self.away_until.store(self.now() + PAUSE.as_millis() as u64, Ordering::Relaxed);
        error
    }

    /// How it stands.
    pub(super) fn connections(&self) -> Connections {
        let status = self.pool.status();
        let (open, idle, waiting) = (status.size as u64, status.available as u64, status.waiting as u64);
        Connections { open, idle, waiting }
    }

    /// Reads the rows of a list, whose statement is made for it and not kept.
    pub(super) async fn walk(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        let session = self.session().await?;
        let mut walking = std::pin::pin!(session.walk(sql, values));
        if let Ok(rows) = tokio::time::timeout(DEADLINE, &mut walking).await {
            return rows;
        }
        // A long one is waited for, but not a database that answers nothing at all.
        if let Err(error) = self.query("SELECT 1", &[]).await {
            session.set_unclean(true);
            return Err(error);
        }
        walking.await
    }
}

impl Reader for Pool {
    /// What was read on a connection that turns out to be closed is read once more on another. That shows at once: who waited for a
    /// database that does not answer is not made to wait again.
    async fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        let begun = Instant::now();
        match self.session().await?.query(sql, values).await {
            Err(error) if error::is_passing_by(&error) && begun.elapsed() < AT_ONCE => {
                self.session().await?.query(sql, values).await
            }
            rows => rows,
        }
    }
}

/// What rows are read from: the database as it is, or a transaction, which sees what it changed itself.
pub(super) trait Reader: Sync {
    /// Reads rows.
    fn query(&self, sql: &str, values: &[Value<'_>]) -> impl Future<Output = Result<Vec<Row>>> + Send;

    /// Reads a row, if there is one.
    fn query_opt<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        view: impl FnOnce(&Row) -> Result<T> + Send,
    ) -> impl Future<Output = Result<Option<T>>> + Send {
        async move { self.query(sql, values).await?.first().map(view).transpose() }
    }

    /// Reads one column of the one row that there must be.
    fn query_one<T: Column>(
        &self,
        sql: &str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<T>> + Send {
        async move {
            let rows = self.query(sql, values).await?;
            row::get(rows.first().ok_or_else(|| row::corrupt("row"))?, 0)
        }
    }
}

/// A connection that is one task's until it is dropped.
pub(super) struct Session {
    object: Option<Object>,
    prepare: bool,
    /// The longest that a statement may take on it.
    deadline: Duration,
    /// Whether something is left on it: it is closed then, and the database undoes what was not committed.
    unclean: AtomicBool,
}

impl Session {
    fn object(&self) -> Result<&Object> {
        self.object.as_ref().ok_or_else(|| away("the connection was given back"))
    }

    /// Gives statements more time than requests have.
    pub(super) fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// Says whether something is left on the connection.
    pub(super) fn set_unclean(&self, unclean: bool) {
        self.unclean.store(unclean, Ordering::Relaxed);
    }

    async fn within<T>(
        &self,
        deadline: Duration,
        running: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failed> {
        match tokio::time::timeout(deadline, running).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(Failed::Database(error)),
            Err(_) => {
                self.set_unclean(true);
                Err(Failed::Late)
            }
        }
    }

    /// Has these statements known by the connection, so that each is sent the moment it is asked for.
    pub(super) async fn prepare(&self, sql: &str, values: &[Value<'_>]) -> Result<()> {
        if !self.prepare {
            return Ok(());
        }
        let (object, kinds) = (self.object()?, kinds(values));
        let prepared = async { object.prepare_typed_cached(sql, &kinds).await.map(drop) };
        self.within(self.deadline, prepared).await.map_err(Failed::plain)
    }

    async fn rows(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Failed> {
        let object = self.object().map_err(Failed::Other)?;
        let running = async {
            if !self.prepare {
                return object.query_typed(sql, &typed(values)).await;
            }
            let statement = object.prepare_typed_cached(sql, &kinds(values)).await?;
            let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
            object.query(&statement, &values).await
        };
        self.within(self.deadline, running).await
    }

    /// Runs a statement that was made for this once.
    pub(super) async fn walk(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        let object = self.object()?;
        let running = async { object.query_typed(sql, &typed(values)).await };
        self.within(WALK_DEADLINE, running).await.map_err(Failed::plain)
    }

    /// Changes rows; says how many. `NotUnique` and the like are told by what `meaning` makes of an error.
    pub(super) async fn execute(
        &self,
        sql: &str,
        values: &[Value<'_>],
        meaning: impl FnOnce(tokio_postgres::Error) -> Error,
    ) -> Result<u64> {
        let object = self.object()?;
        let running = async {
            if !self.prepare {
                return object.execute_typed(sql, &typed(values)).await;
            }
            let statement = object.prepare_typed_cached(sql, &kinds(values)).await?;
            let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
            object.execute(&statement, &values).await
        };
        self.within(self.deadline, running).await.map_err(|failed| failed.or(meaning))
    }

    /// Changes rows by a statement that is made for this once.
    pub(super) async fn execute_once(&self, sql: &str, typed: &[(&(dyn ToSql + Sync), Type)]) -> Result<u64> {
        let running = self.object()?.execute_typed(sql, typed);
        self.within(WALK_DEADLINE, running).await.map_err(Failed::plain)
    }

    /// Runs commands without values, such as `BEGIN`.
    pub(super) async fn command(&self, sql: &str) -> Result<()> {
        let object = self.object()?;
        self.within(self.deadline, object.batch_execute(sql)).await.map_err(Failed::plain)
    }
}

impl Reader for Session {
    async fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        self.rows(sql, values).await.map_err(Failed::plain)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(object) = self.object.take()
            && self.unclean.load(Ordering::Relaxed)
        {
            // Out of the pool; with its client the connection goes.
            drop(Object::take(object));
        }
    }
}

/// Why a statement gave nothing.
enum Failed {
    Database(tokio_postgres::Error),
    Late,
    Other(Error),
}

impl Failed {
    fn plain(self) -> Error {
        self.or(plain)
    }

    fn or(self, meaning: impl FnOnce(tokio_postgres::Error) -> Error) -> Error {
        match self {
            Self::Database(error) => meaning(error),
            Self::Late => away("the database did not answer in time"),
            Self::Other(error) => error,
        }
    }
}

fn kinds(values: &[Value<'_>]) -> Vec<Type> {
    values.iter().map(Value::kind).collect()
}

fn typed<'a>(values: &'a [Value<'_>]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (value as &(dyn ToSql + Sync), value.kind())).collect()
}
