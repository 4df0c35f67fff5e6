//! Accepting connections: HTTP/1.1 and HTTP/2, with TLS or in clear, within limits of time, size and number.

mod certificate;
mod tls;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::front::{Front, Peer};

pub use certificate::Certificate;
pub use tls::{Clients, Files, Tls, TlsError};

/// The limits of connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections; those who come after wait.
    pub connections: usize,
    /// Time that a connection may be without a request under way: for a request's head to come whole, for the answer before
    /// it to be read, for idling.
    pub head: Duration,
    /// Time for the TLS handshake, and for the first bytes.
    pub handshake: Duration,
    /// Time that running requests have to finish when the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            head: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            drain: Duration::from_secs(30),
        }
    }
}

/// Bytes of a request's head, and of what is read ahead of a body.
const BUFFER: usize = 64 << 10;
/// Requests that one HTTP/2 connection may have under way.
const STREAMS: u32 = 256;
/// An HTTP/2 connection that says nothing is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);
/// The rest after the system could not give a connection, for lack of file descriptors say.
const PAUSE: Duration = Duration::from_millis(100);
/// What an idle connection gets when the server stops, for its last answer to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What an HTTP/2 connection in clear starts with, as far as no HTTP/1.1 request does.
const HTTP2_START: &[u8] = b"PRI ";

/// How requests are answered: the front, or the counters alone.
#[derive(Clone)]
pub enum Answers {
    /// The API.
    Api(Arc<Front>),
    /// `/metrics`, without a key, for a listener of its own.
    Metrics(Arc<Front>),
    /// That the process lives and is not ready: for as long as it waits for its store.
    Waiting,
}

impl Answers {
    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        match self {
            Self::Api(front) => front.handle(request.map(Body::new), peer).await,
            Self::Metrics(front) => metrics(front, &request).await,
            Self::Waiting => waiting(&request),
        }
    }

    fn front(&self) -> Option<&Front> {
        match self {
            Self::Api(front) | Self::Metrics(front) => Some(front),
            Self::Waiting => None,
        }
    }
}

async fn metrics(front: &Front, request: &Request<Incoming>) -> Response<Body> {
    let found = request.uri().path() == "/metrics";
    let answered = if found { crate::routes::metrics(front.shared()).await.ok() } else { None };
    answered.unwrap_or_else(|| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() =
            if found { http::StatusCode::SERVICE_UNAVAILABLE } else { http::StatusCode::NOT_FOUND };
        response
    })
}

fn waiting(request: &Request<Incoming>) -> Response<Body> {
    let lives = request.uri().path() == "/healthz";
    let text = if lives { "ok\n" } else { "the server waits for its database\n" };
    let mut response = Response::new(Body::from(text));
    if !lives {
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    }
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}

/// Goes with an answer that is made while it is sent: its request is under way until whoever makes it drops this too.
#[derive(Clone, Default)]
pub(crate) struct Streamed(Arc<OnceLock<UnderWay>>);

/// Serves until `stop` is done; then refuses new connections, lets running requests finish within [`Limits::drain`], and
/// returns.
///
/// # Errors
/// None: what goes wrong with a connection ends that connection.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    answers: Answers,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (stopping, stopped) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, address, slot)) = accepted else { continue };
        let connection = Connection {
            answers: answers.clone(),
            limits,
            watcher: graceful.watcher(),
            stopped: stopped.clone(),
            address,
        };
        let tls = tls.clone();
        tokio::spawn(async move {
            let _slot = slot;
            connection.serve(stream, tls).await;
        });
    }
    drop(listener);
    if let Some(front) = answers.front() {
        front.shared().stop_waiting();
    }
    // Fails only when no connection is left to hear it.
    let _ = stopping.send(true);
    drop(stopped);
    if timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in {} seconds and are cut off", limits.drain.as_secs());
    }
}

type Slot = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, Slot)> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, slot)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// One more open connection, until it is dropped.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

struct Connection {
    answers: Answers,
    limits: Limits,
    watcher: Watcher,
    stopped: watch::Receiver<bool>,
    address: SocketAddr,
}

impl Connection {
    async fn serve(self, stream: TcpStream, tls: Option<Tls>) {
        let _counted = self.answers.front().map(|front| Counted::new(&front.shared().metrics.connections));
        let peer = self.address;
        let ended = self.serve_stream(stream, tls).await;
        if let Err(error) = ended {
            // The client's doing, as a rule: of interest only to those who look for it.
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }

    async fn serve_stream(mut self, stream: TcpStream, tls: Option<Tls>) -> Ended {
        stream.set_nodelay(true)?;
        let limit = self.limits.handshake;
        match tls {
            None => {
                let Some(http2) = self.unless_stopped(timeout(limit, starts_http2(&stream))).await else {
                    return Ok(());
                };
                let peer = Peer { scheme: "http", address: self.address, certificate: None };
                self.run(stream, peer, http2??).await
            }
            Some(tls) => {
                let Some(stream) = self.unless_stopped(timeout(limit, tls.accept(stream))).await else {
                    return Ok(());
                };
                let stream = stream??;
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let certificate = tls::shown_by(&stream);
                let peer = Peer { scheme: "https", address: self.address, certificate };
                self.run(stream, peer, http2).await
            }
        }
    }

    /// What comes before the first request is given up when the server stops.
    async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            _ = self.stopped.wait_for(|stopped| *stopped) => None,
        }
    }

    async fn run<S>(self, stream: S, peer: Peer, http2: bool) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { answers, limits, watcher, stopped, .. } = self;
        let activity = Arc::new(Activity::default());
        let under_way = activity.clone();
        let service = service_fn(move |request| {
            let answers = answers.clone();
            let request_under_way = under_way.begin();
            async move {
                let mut response = answers.answer(request, peer).await;
                match response.extensions_mut().remove::<Streamed>() {
                    Some(Streamed(kept)) => drop(kept.set(request_under_way)),
                    None => drop(request_under_way),
                }
                Ok::<_, Infallible>(response)
            }
        });
        let stream = TokioIo::new(stream);
        let idle = activity.idle(limits.head, stopped);
        if http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS)
                .max_header_list_size(BUFFER as u32)
                .keep_alive_interval(PING)
                .keep_alive_timeout(limits.handshake);
            unless_idle(watcher.watch(builder.serve_connection(stream, service)), idle).await
        } else {
            let mut builder = http1::Builder::new();
            // The time for a head is that for a connection without a request under way, below.
            builder.header_read_timeout(None).max_buf_size(BUFFER);
            unless_idle(watcher.watch(builder.serve_connection(stream, service)), idle).await
        }
    }
}

/// Serves a connection until it ends or is idle for too long. It is served in a task of its own: that one wakes for each
/// request, and the clock is only to be looked at when it has run out.
async fn unless_idle(
    served: impl Future<Output = hyper::Result<()>> + Send + 'static,
    idle: impl Future<Output = ()>,
) -> Ended {
    let mut task = JoinSet::new();
    task.spawn(served);
    tokio::select! {
        Some(ended) = task.join_next() => Ok(ended??),
        // Dropped with the set, the connection is closed.
        () = idle => Ok(()),
    }
}

/// Whether a connection has requests under way, and since when it has none.
struct Activity {
    start: Instant,
    open: AtomicUsize,
    /// When the last request ended, in milliseconds from the start.
    ended: AtomicU64,
}

impl Default for Activity {
    fn default() -> Self {
        Self { start: Instant::now(), open: AtomicUsize::new(0), ended: AtomicU64::new(0) }
    }
}

/// A request that is under way until it is dropped.
struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let since_start = u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.ended.store(since_start, Ordering::Relaxed);
        self.0.open.fetch_sub(1, Ordering::Release);
    }
}

impl Activity {
    fn begin(self: &Arc<Self>) -> UnderWay {
        self.open.fetch_add(1, Ordering::Relaxed);
        UnderWay(self.clone())
    }

    /// Waits until no request was under way for `limit`, whatever else comes in or goes out: a head that trickles, a
    /// preface that never ends, pings, an answer that nobody reads. Once the server stops, the limit is a second.
    async fn idle(self: Arc<Self>, limit: Duration, mut stopped: watch::Receiver<bool>) {
        let mut limit = limit;
        loop {
            let busy = self.open.load(Ordering::Acquire) > 0;
            let idle_since = self.start + Duration::from_millis(self.ended.load(Ordering::Relaxed));
            let deadline = if busy { Instant::now() + limit } else { idle_since + limit };
            if !busy && deadline <= Instant::now() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => {}
                _ = stopped.wait_for(|stopped| *stopped), if limit > LAST_WORDS => limit = LAST_WORDS,
            }
        }
    }
}

/// Looks at the first bytes of a connection in clear without taking them.
async fn starts_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut pause = Duration::from_millis(1);
    let mut start = [0; HTTP2_START.len()];
    loop {
        let seen = stream.peek(&mut start).await?;
        if seen == 0 || start[..seen] != HTTP2_START[..seen] {
            return Ok(false);
        }
        if seen == HTTP2_START.len() {
            return Ok(true);
        }
        // The bytes seen so far stay readable, so readiness says nothing about the next ones. Each look comes later than
        // the one before, so that holding them back costs the server little.
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}
