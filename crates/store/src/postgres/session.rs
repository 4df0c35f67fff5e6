//! Connections to the database: a bounded pool of them, each statement within a deadline.
//!
//! A connection goes back to the pool only if nothing is left on it: one whose transaction was not ended, or with a statement that
//! was not answered, be it that it is late or that nobody waits for it any more, is closed. A request that is cancelled at any
//! point therefore leaves nothing behind, and nobody comes upon what another one left. The database is told to stop as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::{
    Manager, ManagerConfig, Object, PoolError, RecyclingMethod, Runtime, TimeoutType, Timeouts,
};
use strongroom_domain::store::Connections;
use strongroom_domain::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::connect::{Connector, Options};
use super::error::{self, away, plain};
use super::pipeline::{Sent, pipeline};
use super::row::{self, Column};
use super::value::Value;

/// The longest that a statement may take, but for walks.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest that a list under a filter may take, as in the SQLite store.
pub(super) const WALK_DEADLINE: Duration = Duration::from_secs(20);
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
    connector: Connector,
    started: Instant,
    /// Until when the database counts as away, in milliseconds after `started`: a thousand requests do not each try to connect.
    away_until: AtomicU64,
    /// The turns of walks that requests ask for: half of the connections are left to changes, lookups and leases.
    walks: Arc<Semaphore>,
}

impl Pool {
    /// A pool of that many connections at most.
    pub(super) fn new(options: &Options, connector: Connector, connections: usize) -> Result<Self> {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(options.config.clone(), connector.clone(), config);
        let create = options.connecting().min(WAIT);
        let pool = deadpool_postgres::Pool::builder(manager)
            .max_size(connections)
            .timeouts(Timeouts { wait: Some(WAIT), create: Some(create), recycle: Some(WAIT) })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::Internal(Box::new(error)))?;
        let (started, away_until) = (Instant::now(), AtomicU64::default());
        let walks = Arc::new(Semaphore::new((connections / 2).max(1)));
        Ok(Self { pool, prepare: options.prepare, connector, started, away_until, walks })
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
        Ok(Session {
            object: Some(object),
            prepare: self.prepare,
            connector: self.connector.clone(),
            deadline: DEADLINE,
            unclean: AtomicBool::new(false),
            unanswered: AtomicUsize::new(0),
        })
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

    /// Reads rows by a statement that is made for this once and not kept, such as a short list's.
    pub(super) async fn query_once(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        self.session().await?.query_once(DEADLINE, sql, values).await
    }

    /// Waits for one's turn to walk, until then at most.
    pub(super) async fn turn(&self, late: Instant) -> Result<OwnedSemaphorePermit> {
        match tokio::time::timeout_at(late.into(), self.walks.clone().acquire_owned()).await {
            Ok(turn) => turn.map_err(|closed| Error::Internal(Box::new(closed))),
            Err(_) => Err(away("too many long lists were read at once")),
        }
    }

    /// Reads rows that a request asks for, for which all of a table may have to be read. The deadline counts the wait for its turn.
    pub(super) async fn walk(&self, sql: String, values: Vec<Value<'static>>) -> Result<Vec<Row>> {
        let late = Instant::now() + WALK_DEADLINE;
        let turn = self.turn(late).await?;
        self.read_through(sql, values, late, Some(turn)).await
    }

    /// The same for work that no request waits for, of which there is little at a time.
    pub(super) async fn work_through(&self, sql: String, values: Vec<Value<'static>>) -> Result<Vec<Row>> {
        self.read_through(sql, values, Instant::now() + WALK_DEADLINE, None).await
    }

    /// A request that is given up leaves its reading to end by itself, with its connection and its turn: the database goes on with
    /// it, whoever waits, and many that are given up would else be under way there at once.
    async fn read_through(
        &self,
        sql: String,
        values: Vec<Value<'static>>,
        late: Instant,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Result<Vec<Row>> {
        let session = self.session().await?;
        let mut reading = tokio::spawn(async move {
            let _turn = turn;
            session.walk_by(late, &sql, &values).await
        });
        let rows = match tokio::time::timeout(DEADLINE, &mut reading).await {
            Ok(rows) => rows,
            Err(_) => {
                // A long one is waited for, but not a database that answers nothing at all.
                if let Err(error) = self.query("SELECT 1", &[]).await {
                    reading.abort();
                    return Err(error);
                }
                reading.await
            }
        };
        rows.map_err(|error| Error::Internal(Box::new(error)))?
    }
}

impl Reader for Pool {
    /// What was read on a connection that turns out to be closed is read once more on another. That shows at once: who waited for a
    /// database that does not answer is not made to wait again.
    async fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        let begun = Instant::now();
        // A name of its own, so that the connection is given back before another one is asked for: it may be the only one.
        let rows = self.session().await?.query(sql, values).await;
        match rows {
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
    connector: Connector,
    /// The longest that a statement may take on it.
    deadline: Duration,
    /// Whether a transaction is left on it: it is closed then, and the database undoes what was not committed.
    unclean: AtomicBool,
    /// Statements without an answer yet. One that is given up stays among them.
    unanswered: AtomicUsize,
}

impl Session {
    fn object(&self) -> Result<&Object> {
        self.object.as_ref().ok_or_else(|| away("the connection was given back"))
    }

    /// Gives statements more time than requests have.
    pub(super) fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// Says whether a transaction is left on the connection.
    pub(super) fn set_unclean(&self, unclean: bool) {
        self.unclean.store(unclean, Ordering::Relaxed);
    }

    async fn within<T>(
        &self,
        deadline: Duration,
        running: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failed> {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        let answer = tokio::time::timeout(deadline, running).await.map_err(|_| Failed::Late)?;
        self.unanswered.fetch_sub(1, Ordering::Relaxed);
        answer.map_err(Failed::Database)
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

    /// Reads rows by a statement that is made for this once and not kept.
    async fn query_once(&self, deadline: Duration, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        let object = self.object()?;
        let running = async { object.query_typed(sql, &typed(values)).await };
        self.within(deadline, running).await.map_err(Failed::plain)
    }

    /// Runs such a statement until then at most, and has the database itself see to that: one that nobody waits for any more would
    /// else go on there. One round trip.
    async fn walk_by(&self, late: Instant, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        let left = late.saturating_duration_since(Instant::now());
        // Zero would be no limit.
        let begin = format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {}", left.as_millis().max(1));
        self.set_unclean(true);
        let sent: Vec<Sent<'_, Vec<Row>>> = vec![
            Box::pin(async { self.command_within(left, &begin).await.map(|()| Vec::new()) }),
            Box::pin(self.query_once(left, sql, values)),
            Box::pin(async { self.command_within(left, "COMMIT").await.map(|()| Vec::new()) }),
        ];
        let mut answers = pipeline(sent).await.into_iter();
        let (begun, rows, ended) = (answers.next(), answers.next(), answers.next());
        // After a statement that was refused it is a rollback, and the connection is as good as before.
        if matches!(ended, Some(Ok(_))) {
            self.set_unclean(false);
        }
        begun.and(rows).unwrap_or_else(|| Err(away("the database did not answer")))
    }

    /// The same for as long as a walk may take, in a transaction that is there.
    pub(super) async fn walk(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        self.query_once(WALK_DEADLINE, sql, values).await
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
        self.command_within(self.deadline, sql).await
    }

    async fn command_within(&self, deadline: Duration, sql: &str) -> Result<()> {
        let object = self.object()?;
        self.within(deadline, object.batch_execute(sql)).await.map_err(Failed::plain)
    }
}

impl Reader for Session {
    async fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        self.rows(sql, values).await.map_err(Failed::plain)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        let (unclean, unanswered) = (*self.unclean.get_mut(), *self.unanswered.get_mut() > 0);
        // A transaction has limits of its own in the database, which, unlike this, do not touch a commit: one that waits for a standby
        // would be done without it.
        if unanswered && !unclean {
            self.connector.cancel(object.cancel_token());
        }
        if unanswered || unclean {
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
