//! Accepting connections: HTTP/1.1 and HTTP/2, with TLS or in clear, within limits of time, size and number.

mod tls;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::front::Front;

pub use tls::{Tls, TlsError};

/// The limits of connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections; those who come after wait.
    pub connections: usize,
    /// Time for a request's head, from the end of the answer before it: also how long a connection may idle.
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
/// What an HTTP/2 connection in clear starts with, as far as no HTTP/1.1 request does.
const HTTP2_START: &[u8] = b"PRI ";

/// How requests are answered: the front, or the counters alone.
#[derive(Clone)]
pub enum Answers {
    /// The API.
    Api(Arc<Front>),
    /// `/metrics`, without a key, for a listener of its own.
    Metrics(Arc<Front>),
}

impl Answers {
    async fn answer(&self, request: Request<Incoming>, scheme: &'static str) -> Response<Body> {
        match self {
            Self::Api(front) => front.handle(request.map(Body::new), scheme).await,
            Self::Metrics(front) => metrics(front, &request).await,
        }
    }

    fn front(&self) -> &Front {
        match self {
            Self::Api(front) | Self::Metrics(front) => front,
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
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let connection = Connection { answers: answers.clone(), limits, watcher: graceful.watcher(), peer };
        let tls = tls.clone();
        tokio::spawn(async move {
            let _slot = slot;
            connection.serve(stream, tls).await;
        });
    }
    drop(listener);
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

struct Connection {
    answers: Answers,
    limits: Limits,
    watcher: Watcher,
    peer: SocketAddr,
}

impl Connection {
    async fn serve(self, stream: TcpStream, tls: Option<Tls>) {
        let connections = self.answers.front().shared().metrics.connections.clone();
        connections.inc();
        let peer = self.peer;
        let served = async {
            stream.set_nodelay(true)?;
            match tls {
                None => {
                    let http2 = timeout(self.limits.handshake, starts_http2(&stream)).await??;
                    self.run(stream, "http", http2).await
                }
                Some(tls) => {
                    let stream = timeout(self.limits.handshake, tls.accept(stream)).await??;
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    self.run(stream, "https", http2).await
                }
            }
        };
        let ended: Result<(), Box<dyn std::error::Error + Send + Sync>> = served.await;
        if let Err(error) = ended {
            // The client's doing, as a rule: of interest only to those who look for it.
            tracing::debug!(%peer, %error, "a connection ended early");
        }
        connections.dec();
    }

    async fn run<S>(
        self,
        stream: S,
        scheme: &'static str,
        http2: bool,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { answers, limits, watcher, .. } = self;
        let service = service_fn(move |request| {
            let answers = answers.clone();
            async move { Ok::<_, Infallible>(answers.answer(request, scheme).await) }
        });
        let stream = TokioIo::new(stream);
        if http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS)
                .max_header_list_size(BUFFER as u32)
                .keep_alive_interval(PING)
                .keep_alive_timeout(limits.handshake);
            watcher.watch(builder.serve_connection(stream, service)).await?;
        } else {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(BUFFER);
            watcher.watch(builder.serve_connection(stream, service)).await?;
        }
        Ok(())
    }
}

/// Looks at the first bytes of a connection in clear without taking them.
async fn starts_http2(stream: &TcpStream) -> io::Result<bool> {
    const RETRY: Duration = Duration::from_millis(5);
    let mut start = [0; HTTP2_START.len()];
    loop {
        let seen = stream.peek(&mut start).await?;
        if seen == 0 || start[..seen] != HTTP2_START[..seen] {
            return Ok(false);
        }
        if seen == HTTP2_START.len() {
            return Ok(true);
        }
        // The bytes seen so far stay readable, so readiness says nothing about the next ones.
        tokio::time::sleep(RETRY).await;
    }
}
