//! What every request gets, whatever it asks: an operation id, one path for `/x` and `//x`, CORS, an error body, a line in
//! the log, a place in the metrics.

use std::convert::Infallible;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body::Body as _;
use strongroom_domain::fingerprint::Fingerprint;
use strongroom_domain::ids::{ApiKeyId, IpRestrictionId, Ksuid, OperationId};
use tower_service::Service;

use crate::error::{self, Problem, Protocol};
use crate::metrics::Labels;
use crate::routes::{self, ROUTES};
use crate::{Shared, client_address};

const OPERATION_HEADER: HeaderName = HeaderName::from_static("ngrok-operation-id");
/// What a page of another origin may read of an answer's headers, beside the few that it always may.
const EXPOSED: &str = "ngrok-operation-id, etag, idempotent-replayed";

/// What is known of a request beside what it says.
#[derive(Clone)]
pub(crate) struct Context(Arc<Noted>);

struct Noted {
    peer: Peer,
    /// Where it comes from, as far as that can be told.
    client: Result<IpAddr, Protocol>,
    route: OnceLock<&'static str>,
    key: OnceLock<ApiKeyId>,
    /// A restriction that does not allow the client, and is not enforced.
    warned: OnceLock<IpRestrictionId>,
}

impl Default for Context {
    fn default() -> Self {
        let address = SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 0));
        Self::new(Peer { scheme: "http", address, certificate: None }, Ok(address.ip()))
    }
}

impl Context {
    fn new(peer: Peer, client: Result<IpAddr, Protocol>) -> Self {
        let (route, key, warned) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self(Arc::new(Noted { peer, client, route, key, warned }))
    }

    /// Where the request comes from.
    ///
    /// # Errors
    /// [`Protocol::ForwardedFor`].
    pub(crate) fn client(&self) -> Result<IpAddr, Protocol> {
        self.0.client.clone()
    }

    pub(crate) fn set_warned(&self, restriction: IpRestrictionId) {
        self.0.warned.get_or_init(|| restriction);
    }

    pub(crate) fn peer(&self) -> Peer {
        self.0.peer
    }

    /// Notes the pattern of the route, for log and metrics: a path itself may hold what a client put there by mistake.
    pub(crate) fn set_route(&self, route: Option<&'static str>) {
        self.0.route.get_or_init(|| route.unwrap_or(UNROUTED));
    }

    pub(crate) fn set_key(&self, key: ApiKeyId) {
        self.0.key.get_or_init(|| key);
    }
}

/// The route of a request that no route took.
const UNROUTED: &str = "none";

/// The front of the house.
pub struct Front {
    shared: Arc<Shared>,
    router: Router,
    operations: Operations,
}

impl Front {
    /// A front before the API's routes.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        let router = routes::router(shared.clone());
        Self { shared, router, operations: Operations::default() }
    }

    /// The server's shared parts.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Answers a request. It never fails: what goes wrong is in the answer.
    pub async fn handle(&self, mut request: Request<Body>, peer: Peer) -> Response {
        let start = Instant::now();
        let operation = self.operations.next(self.shared.app.clock().now());
        normalise(&mut request);
        let method = method_name(request.method());
        let cors = Cors::of(request.headers());
        // Shared with the request, not copied.
        let uri = request.uri().clone();
        let path = uri.path();

        let trusted = &self.shared.settings.trusted_proxies;
        let context =
            Context::new(peer, client_address::client(peer.address.ip(), request.headers(), trusted));
        let preflight = cors.as_ref().filter(|_| request.method() == Method::OPTIONS);
        let mut response = match preflight.and_then(|cors| cors.preflight(path)) {
            Some(response) => response,
            None => {
                request.extensions_mut().insert(context.clone());
                let answering = self.router.clone().call(request);
                caught(answering).await.unwrap_or_else(IntoResponse::into_response)
            }
        };
        if let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() {
            error::log(&problem, operation);
            response = error::view(&problem, operation, path);
        }
        if method == "HEAD" {
            response = without_body(response);
        }
        dress(&mut response, operation, cors.as_ref());

        let took = start.elapsed();
        let status = response.status().as_u16();
        let route = context.0.route.get().copied().unwrap_or_else(|| plain_route(path));
        self.shared.metrics.observe(&Labels { method, route, status }, took);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let key = context.0.key.get().map(tracing::field::display);
        let peer = peer.address;
        // Only what the peer does not tell: whom a trusted proxy asks for.
        let client = context.0.client.as_ref().ok().filter(|client| **client != peer.ip().to_canonical());
        let client = client.map(tracing::field::display);
        if let Some(restriction) = context.0.warned.get() {
            tracing::warn!(%operation, %restriction, key, client, %peer, "an IP restriction that is not enforced does not allow this address");
        }
        // What was read without trouble is the bulk of the requests, and the least of the news. Who read a value stands in the
        // audit log.
        let reads = matches!(method, "GET" | "HEAD" | "OPTIONS") || routes::READING.contains(&route);
        if status < 400 && reads {
            tracing::debug!(%operation, method, route, status, micros, key, client, %peer, "request");
        } else {
            tracing::info!(%operation, method, route, status, micros, key, client, %peer, "request");
        }
        response
    }
}

/// Where a request came from, and how.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The other end of the connection.
    pub address: SocketAddr,
    /// What the certificate is known by that it showed and TLS checked.
    pub certificate: Option<Fingerprint>,
}

/// A handler panicked.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked; the lines before this one tell where")]
struct Panicked;

/// Makes an answer of a panic: one request's defect is not to end the connection of others.
async fn caught(answering: impl Future<Output = Result<Response, Infallible>>) -> Result<Response, Problem> {
    let mut answering = pin!(answering);
    poll_fn(|context| {
        // Nothing of a request that panicked is looked at again.
        let polled = catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context)));
        match polled {
            Ok(poll) => poll.map(|Ok(response)| Ok(response)),
            Err(_) => {
                Poll::Ready(Err(Problem::Domain(strongroom_domain::Error::Internal(Box::new(Panicked)))))
            }
        }
    })
    .await
}

/// The answer to HEAD: all of the one to GET but its body, which over HTTP/2 would break the stream.
fn without_body(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact()
        && length > 0
    {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(head, Body::empty())
}

/// Numbers requests: a random half, so that two servers differ, and a count.
struct Operations {
    random: u64,
    count: AtomicU64,
}

impl Default for Operations {
    fn default() -> Self {
        // The hasher's keys come from the system's randomness; nothing secret hangs on them.
        Self { random: RandomState::new().hash_one(0), count: AtomicU64::new(0) }
    }
}

impl Operations {
    fn next(&self, now: jiff::Timestamp) -> OperationId {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        OperationId::new(Ksuid::from_parts(now, u128::from(self.random) << 64 | u128::from(count)))
    }
}

/// Makes one of what clients write in two ways: `//vaults` of those that add a path to a base with a slash at its end, and
/// the lower-case methods of older .NET.
fn normalise(request: &mut Request<Body>) {
    if request.uri().path().starts_with("//") {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        if let Ok(uri) = format!("/{}", path.trim_start_matches('/')).parse::<Uri>() {
            let mut parts = request.uri().clone().into_parts();
            parts.path_and_query = uri.into_parts().path_and_query;
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
    }
    if request.method().as_str().bytes().any(|byte| byte.is_ascii_lowercase())
        && let Ok(method) = request.method().as_str().to_ascii_uppercase().parse()
    {
        *request.method_mut() = method;
    }
}

fn method_name(method: &Method) -> &'static str {
    const KNOWN: [&str; 6] = ["GET", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// The route of a path that asks for no session.
fn plain_route(path: &str) -> &'static str {
    routes::PLAIN.iter().map(|known| known.path).find(|known| *known == path).unwrap_or(UNROUTED)
}

fn dress(response: &mut Response, operation: OperationId, cors: Option<&Cors>) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(operation.to_string()) {
        headers.insert(OPERATION_HEADER, value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Some(cors) = cors {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, cors.origin.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
    }
}

/// A request from a page of another origin.
struct Cors {
    origin: HeaderValue,
    /// A preflight: the headers that the page wants to send.
    asked: Option<Option<HeaderValue>>,
}

impl Cors {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let origin = headers.get(header::ORIGIN)?.clone();
        let preflight = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let asked = preflight.then(|| headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned());
        Some(Self { origin, asked })
    }

    /// Answers a preflight, which browsers send without a key and without a version.
    fn preflight(&self, path: &str) -> Option<Response> {
        let asked = self.asked.as_ref()?;
        let methods = ROUTES.iter().find(|route| route.matches(path))?.methods.join(", ");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::try_from(methods).ok()?);
        if let Some(asked) = asked {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Some(response)
    }
}
