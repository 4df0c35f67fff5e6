//! A bare axum server that answers with given bytes.
//!
//! It has Strongroom's paths, statuses and content type, and looks at nothing: no key, no version, no parameters. The
//! header `bench-case` says which of the answers in the folder to give, `get-list.json` for a GET of the case `list`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::{Listener, ListenerExt};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::{Result, say};

/// The answers of each method, by case.
struct Answers {
    get: HashMap<String, Bytes>,
    post: HashMap<String, Bytes>,
    patch: HashMap<String, Bytes>,
}

impl Answers {
    fn read(folder: &Path) -> Result<Self> {
        let of = |method: &str| -> Result<HashMap<String, Bytes>> {
            let mut answers = HashMap::new();
            for file in std::fs::read_dir(folder)? {
                let file = file?;
                let name = file.file_name().to_string_lossy().into_owned();
                if let Some(case) = name.strip_prefix(method).and_then(|rest| rest.strip_suffix(".json")) {
                    answers.insert(case.to_owned(), std::fs::read(file.path())?.into());
                }
            }
            Ok(answers)
        };
        Ok(Self { get: of("get-")?, post: of("post-")?, patch: of("patch-")? })
    }
}

/// The answer of the case that a request names.
fn answer(status: StatusCode, answers: &HashMap<String, Bytes>, headers: &HeaderMap) -> Response {
    let case = headers.get("bench-case").and_then(|case| case.to_str().ok());
    match case.and_then(|case| answers.get(case)) {
        Some(bytes) => {
            (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes.clone())
                .into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Serves until SIGTERM; with a certificate and its key, over TLS.
#[tokio::main]
pub(crate) async fn run(folder: &Path, tls: Option<(&Path, &Path)>) -> Result {
    let routes = routes(Answers::read(folder)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    match tls {
        None => {
            say(&format!("URL http://{address}"));
            let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
            axum::serve(listener, routes).with_graceful_shutdown(asked_to_stop()).await?;
        }
        Some((certificate, key)) => {
            let listener = Tls::over(listener, acceptor(certificate, key)?)?;
            say(&format!("URL https://{address}"));
            axum::serve(listener, routes).with_graceful_shutdown(asked_to_stop()).await?;
        }
    }
    Ok(())
}

type Shared = State<Arc<Answers>>;

fn routes(answers: Answers) -> Router {
    let get_any =
        |State(all): Shared, headers: HeaderMap| async move { answer(StatusCode::OK, &all.get, &headers) };
    // A request's body is read, as whoever answers it must, and thrown away.
    let create = |State(all): Shared, headers: HeaderMap, _: Bytes| async move {
        answer(StatusCode::CREATED, &all.post, &headers)
    };
    let resolve = |State(all): Shared, headers: HeaderMap, _: Bytes| async move {
        answer(StatusCode::OK, &all.post, &headers)
    };
    let update = |State(all): Shared, headers: HeaderMap, _: Bytes| async move {
        answer(StatusCode::OK, &all.patch, &headers)
    };
    Router::new()
        .route("/strongroom/resolve", post(resolve))
        .route("/vault_secrets", get(get_any).post(create))
        .route("/vault_secrets/{id}", get(get_any).patch(update).delete(async || StatusCode::NO_CONTENT))
        .with_state(Arc::new(answers))
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<std::result::Result<_, _>>()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Connections whose handshakes are done, all of them at once as in Strongroom.
struct Tls {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl Tls {
    fn over(listener: TcpListener, acceptor: TlsAcceptor) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok((stream, address)) = listener.accept().await {
                // Without it an answer waits for more to send; that costs speed and is no failure.
                let _ = stream.set_nodelay(true);
                let (sender, acceptor) = (sender.clone(), acceptor.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        // Nobody listens only when the server is stopping.
                        let _ = sender.send((stream, address)).await;
                    }
                });
            }
        });
        Ok(Self { ready, address })
    }
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // No more come; the server stops when it is told to.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}

/// Ends at SIGTERM; without a handler for it, at once, which stops the server at its start.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    if let Ok(mut terminate) = signal(SignalKind::terminate()) {
        terminate.recv().await;
    }
}
