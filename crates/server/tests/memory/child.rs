//! The server that the test looks into: it listens as the real one does, and answers questions about its own memory.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use strongroom_crypto::{MemoryLock, RootKey, parse_key_file};
use strongroom_domain::app::App;
use strongroom_domain::clock::SystemClock;
use strongroom_domain::limits::Limits;
use strongroom_domain::store::Store;
use strongroom_server::listen::{self, Answers};
use strongroom_server::{Front, Settings, Shared};
use strongroom_store::cache::CachedStore;
use strongroom_store::sqlite::SqliteStore;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use crate::draws::Draws;
use crate::search;

/// What the lines start with that are for the test.
pub(crate) const ANSWER: &str = "memory: ";

#[test]
#[ignore = "the server that the test starts, which asks it on standard input"]
fn served() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let draws = Arc::new(Draws::default());
    let mut line = String::new();
    while std::io::stdin().lock().read_line(&mut line).unwrap() > 0 {
        let (question, about) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        let answer = match question {
            "serve" => runtime.block_on(serve(Path::new(about), draws.clone())),
            "drawn" => draws.lengths().iter().map(usize::to_string).collect::<Vec<_>>().join(" "),
            "find" => search::find(about).join(" "),
            other => panic!("{other} is no question"),
        };
        println!("{ANSWER}{answer}");
        std::io::stdout().flush().unwrap();
        line.clear();
    }
}

/// Makes the house and serves it, on a port of its own; gives address and token.
async fn serve(folder: &Path, draws: Arc<Draws>) -> String {
    let store = SqliteStore::open(&folder.join("store.db")).unwrap();
    let store: Arc<dyn Store> = Arc::new(CachedStore::new(Arc::new(store)));
    let text = Zeroizing::new(std::fs::read_to_string(folder.join("root.key")).unwrap());
    let slot_key = parse_key_file(&text).ok().unwrap().slot_key;
    drop(text);
    let (root_key, clock) = (RootKey::make(&*draws).unwrap(), Arc::new(SystemClock));
    let installed = App::install(&root_key, clock.clone(), draws.clone())
        .and_then(|installed| installed.with_key_file(&root_key, &slot_key, clock, draws.clone()))
        .unwrap();
    drop(slot_key);
    let token = installed.token().expose_secret().to_owned();
    installed.commit(&*store).await.unwrap();
    assert_eq!(root_key.lock_memory(), MemoryLock::Locked);
    let app = App::open(store, root_key, Limits::default(), Arc::new(SystemClock), draws).await.unwrap();
    let front = Arc::new(Front::new(Shared::new(app, Settings::default())));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = listen::Limits::default();
    tokio::spawn(listen::serve(listener, None, Answers::Api(front), limits, std::future::pending()));
    format!("{address} {token}")
}
