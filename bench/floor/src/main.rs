//! A bare axum server that answers with given bytes: the least that an HTTP server of this kind costs.
//!
//! `bench-floor FOLDER` serves the files `get.json`, `list.json`, `created.json`, `value.json` and `values.json` of a
//! folder under the paths of Strongroom's secrets and values, with the same statuses and content type. It looks at nothing: no key, no version, no
//! parameters. `cargo xtask bench` fills the folder with Strongroom's own answers.

use std::error::Error;
use std::path::PathBuf;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::routing::{get, post};
use tokio::net::TcpListener;

const JSON: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "application/json")];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: bench-floor FOLDER")?);
    let body = |name| std::fs::read(folder.join(name)).map(Bytes::from);
    let (one, page, created) = (body("get.json")?, body("list.json")?, body("created.json")?);
    let (value, values) = (body("value.json")?, body("values.json")?);

    let secrets = get(async move || (JSON, page.clone()))
        // A request's body is read, as whoever answers it must, and thrown away.
        .post(async move |_: Bytes| (StatusCode::CREATED, JSON, created.clone()));
    // A request for one value is short, one for fifty is not.
    let resolve =
        post(async move |body: Bytes| (JSON, if body.len() < 1000 { value.clone() } else { values.clone() }));
    let routes = Router::new()
        .route("/strongroom/resolve", resolve)
        .route("/vault_secrets", secrets)
        .route("/vault_secrets/{id}", get(async move || (JSON, one.clone())));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(&listener)?;
    axum::serve(listener, routes).with_graceful_shutdown(asked_to_stop()).await?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the line that whoever started this waits for")]
fn announce(listener: &TcpListener) -> Result<(), Box<dyn Error>> {
    println!("URL http://{}", listener.local_addr()?);
    Ok(())
}

/// Ends at SIGTERM; without a handler for it, at once, which stops the server at its start.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    if let Ok(mut terminate) = signal(SignalKind::terminate()) {
        terminate.recv().await;
    }
}
