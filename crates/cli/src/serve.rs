//! `strongroom serve`.

mod signals;
mod waiting;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use strongroom_domain::clock::{Clock, SystemClock};
use strongroom_domain::token::Token;
use strongroom_server::listen::{self, Answers, Certificate, Tls};
use strongroom_server::{
    Condition, Front, Opener, Shared, delivery, leases, root_key, rotator, services, sweeper,
};
use tokio::net::TcpListener;

use crate::failure::Failure;
use crate::folder::Folder;
use crate::second_place::SecondPlace;
use crate::settings::Settings;
use crate::{folder, house, hygiene, logging, self_signed};
use signals::{Stamps, follow};

pub(crate) fn run(mut settings: Settings) -> Result<ExitCode, Failure> {
    let _log = logging::start(settings.log_format, &settings.log_level)?;
    hygiene::harden();
    settings.connections.connections = hygiene::connections(settings.connections.connections);
    // Those who wait for changes leave at least as many connections to the others.
    settings.server.watchers = (settings.connections.connections / 2).max(1);
    refuse_clear_text(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("the runtime cannot be started").because(error))?;
    let folder = Folder::take(&settings.data_dir)?;
    let served = runtime.block_on(serve(settings));
    // Ends what is still under way, and with it the store, which writes what waits; only then is the folder given up.
    drop(runtime);
    drop(folder);
    served
}

/// Tokens and values would cross the network for everyone to read.
fn refuse_clear_text(settings: &Settings) -> Result<(), Failure> {
    if settings.listen.ip().is_loopback() || settings.tls.is_some() || settings.plain_http {
        return Ok(());
    }
    Err(Failure::new(format!("{} is not a loopback address, and TLS is off", settings.listen))
        .todo("give --tls-cert and --tls-key, or --tls self-signed, or --plain-http if a proxy in front of this server ends TLS"))
}

async fn serve(settings: Settings) -> Result<ExitCode, Failure> {
    let settings = Arc::new(settings);
    let (tls, stamps) = load(&settings)?;
    let listener = bind(settings.listen).await?;
    let metrics_listener = match settings.metrics_listen {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let second_place = settings.second_place.as_ref().map(SecondPlace::new).transpose()?.map(Arc::new);
    let stop = follow(tls.clone(), settings.clone(), stamps)?;
    let listeners = [Some((&listener, tls.clone())), metrics_listener.as_ref().map(|other| (other, None))];
    let listeners: Vec<_> = listeners.into_iter().flatten().collect();
    let Some(house) = waiting::open(&settings, &listeners, &stop).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let has_keys = house.app.audit_key().is_ok();
    if let Some(place) = second_place.as_ref().filter(|_| has_keys) {
        place.open(&house.app, settings.allow_rolled_back_log).await?;
    }
    if has_keys {
        house.app.serve();
    } else {
        tracing::warn!(
            "THE SERVER IS SEALED: no key slot opens by itself; strongroom unseal gives it what one is opened by"
        );
    }
    let address =
        listener.local_addr().map_err(|error| Failure::new("the address is unknown").because(error))?;
    let external = settings.server.external_url.as_ref().map(ToString::to_string);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = external.unwrap_or_else(|| format!("{scheme}://{address}"));
    let metrics_url = metrics_listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let metrics_url = metrics_url.map(|address| format!("http://{address}/metrics"));
    let shared = Shared::new(house.app, settings.server.clone());
    shared.let_in_if(condition(second_place.clone(), settings.allow_rolled_back_log));
    shared.open_again_by(opener(settings.clone()));
    let front = Arc::new(Front::new(shared.clone()));

    let certificate = tls.as_ref().map(Tls::certificate);
    let api =
        listen::serve(listener, tls, Answers::Api(front.clone()), settings.connections, stop.clone().due());
    let metrics = async {
        if let Some(listener) = metrics_listener {
            let answers = Answers::Metrics(front.clone());
            listen::serve(listener, None, answers, settings.connections, stop.clone().due()).await;
        }
    };
    let checkpoints = async {
        if let Some(place) = &second_place {
            place.keep(front.shared().app(), stop.clone().due()).await;
        }
    };
    crate::out(&greeting(&settings, &url, metrics_url, house.first_token, certificate.as_ref(), !has_keys))?;
    tracing::info!(%address, "serving");
    let place = second_place.clone();
    let prunable = move || place.as_ref().map_or(u64::MAX, |place| place.prunable());
    let sweeper = tokio::spawn(sweeper::run(shared.clone(), prunable));
    let rotations = tokio::spawn(rotator::run(shared.clone()));
    // What is under way and not settled is sent again after the next start, or by another server.
    let deliveries = tokio::spawn(delivery::run(shared.clone()));
    let root_key = tokio::spawn(root_key::follow(shared.clone()));
    let unsealing = tokio::spawn(services::run(shared.clone(), house.unanswered));
    let leaving = async {
        stop.asked().await;
        front.shared().leave();
    };
    tokio::join!(api, metrics, checkpoints, leaving);
    for task in [sweeper, rotations, deliveries, root_key, unsealing] {
        task.abort();
        // It may hold a lease until it has ended, and to have been aborted is no failure.
        let _ = task.await;
    }
    leases::give_back_all(&shared).await;
    if let Some(place) = &second_place {
        place.write_last(front.shared().app()).await;
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// What must hold before a server that is unsealed lets anybody in: what must hold before one with keys starts.
fn condition(place: Option<Arc<SecondPlace>>, rolled_back_allowed: bool) -> Condition {
    Box::new(move |shared| {
        let place = place.clone();
        Box::pin(async move {
            house::warn_of_lost_log_key(shared.app()).await?;
            if let Some(place) = place {
                place.open(shared.app(), rolled_back_allowed).await.map_err(|failure| failure.to_string())?;
            }
            Ok(())
        })
    })
}

/// What opens the root key that another server put in the place of the one in memory.
fn opener(settings: Arc<Settings>) -> Opener {
    Box::new(move |shared| {
        let settings = settings.clone();
        Box::pin(async move {
            let opened = house::open_again(&settings, shared.app()).await;
            opened.unwrap_or_else(|failure| {
                tracing::warn!(%failure, "the root key that another server made cannot be opened");
                None
            })
        })
    })
}

fn load(settings: &Settings) -> Result<(Option<Tls>, Stamps), Failure> {
    prepare(settings)?;
    let stamps = Stamps::of(settings);
    let loaded = settings.tls.as_ref().map(|tls| Tls::load(&tls.files)).transpose();
    Ok((loaded.map_err(|error| Failure::new("TLS").because(error))?, stamps))
}

/// Makes the certificate, where the server is to have one of its own.
fn prepare(settings: &Settings) -> Result<(), Failure> {
    let Some(tls) = settings.tls.as_ref().filter(|tls| tls.self_signed) else { return Ok(()) };
    let names = self_signed::names(settings.listen, settings.server.external_url.as_ref());
    self_signed::prepare(&tls.files, &names, SystemClock.now())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let busy = error.kind() == std::io::ErrorKind::AddrInUse;
        let failure = Failure::new(format!("{address} cannot be served")).because(error);
        if busy { failure.todo("stop what uses it, or name another address with --listen") } else { failure }
    })
}

fn greeting(
    settings: &Settings,
    url: &str,
    metrics_url: Option<String>,
    first_token: Option<Token>,
    certificate: Option<&Certificate>,
    sealed: bool,
) -> String {
    let data = absolute(&settings.data_dir);
    let mut text =
        format!("Strongroom {}\n\n  URL        {url}\n  Data       {data}\n", env!("CARGO_PKG_VERSION"));
    if let Some(url) = metrics_url {
        text += &format!("  Metrics    {url}\n");
    }
    if sealed {
        text += "  SEALED     strongroom unseal gives it what a key slot is opened by\n";
    }
    if let Some(certificate) = certificate {
        text += &format!("  TLS        SHA-256 {:#}\n", certificate.fingerprint());
    }
    let key_file = absolute(&folder::first_key_path(&settings.data_dir));
    if let Some(token) = first_token {
        let root_key = absolute(&settings.root_key_file);
        text += &format!(
            "  Root key   {root_key} (keep a copy in another place: without it no value can be read)\n"
        );
        // The first start shows the one token that nobody could ask for.
        text += &format!("  API key    {} (shown this once; also in {key_file})\n", token.expose_secret());
    }
    let own = settings.tls.as_ref().filter(|tls| tls.self_signed);
    let own = own.map(|tls| quoted(&absolute(&tls.files.certificate)));
    if Path::new(&key_file).exists() {
        let file = quoted(&key_file);
        let trust = own.as_ref().map_or_else(String::new, |own| format!("--cacert {own} "));
        text += &format!(
            "\nTry it:\n  curl {trust}-H \"Authorization: Bearer $(cat {file})\" -H 'Ngrok-Version: 2' {url}/vaults\n"
        );
    }
    if let Some(own) = own {
        text += &format!(
            "\nClients trust its certificate by its file:\n  strongroom login --url {url} --ca-cert {own}\n"
        );
    }
    text + "\n"
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// A path as one word of a shell command inside double quotes.
fn quoted(path: &str) -> String {
    let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    if plain { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}
