//! Two nodes over one PostgreSQL; the second one reaches it through a proxy.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::Signal;
use strongroom_testbed::{Options, Postgres, Proxy};
use tempfile::TempDir;

use crate::harness::{Client, Process, Server, files, first_key, private_folder, text};

pub(crate) const DATABASE: &str = "store";

/// How the nodes are to be.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// Where both find the database; else the second one goes by the proxy.
    pub(crate) url: Option<String>,
    /// More arguments of both.
    pub(crate) args: &'a [&'a str],
    /// Variables of the second one's environment.
    pub(crate) env: &'a [(&'a str, &'a str)],
}

pub(crate) struct World {
    pub(crate) nodes: [Node; 2],
    /// Between the second node and the database.
    pub(crate) proxy: Proxy,
    pub(crate) postgres: Postgres,
    /// The first key, of an admin.
    pub(crate) token: String,
    _turn: MutexGuard<'static, ()>,
}

/// One world at a time: two machines' load on one is no bad day but a slow one.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn start() -> Self {
        Self::start_with(&Setup::default())
    }

    pub(crate) fn start_with(setup: &Setup<'_>) -> Self {
        let turn = turn();
        let postgres = Postgres::start(Options::default().careless());
        postgres.create_database(DATABASE);
        Self::over(turn, postgres, setup)
    }

    /// Starts both nodes at one moment, with one root key, over a database in which there is nothing.
    pub(crate) fn at_once(turn: MutexGuard<'static, ()>, postgres: Postgres) -> Self {
        let (proxy, file) = (Proxy::to(postgres.address()), postgres.password_file());
        // A server of its own makes the key.
        let key = private_folder();
        Server::start(key.path()).stop();
        let key = files::root_key(key.path()).path;
        let urls = [postgres.url(DATABASE), postgres.url_at(proxy.address(), DATABASE)];
        let mut nodes =
            urls.map(|url| Node::new(private_folder(), (&url, &file), &["--root-key-file", text(&key)], &[]));
        let processes = nodes.each_ref().map(Node::spawn);
        for (node, process) in nodes.iter_mut().zip(processes) {
            node.is_ready(process);
        }
        let keys: Vec<String> = nodes
            .iter()
            .map(|node| node.data.path())
            .filter(|data| data.join("first-api-key").exists())
            .map(first_key)
            .collect();
        let [token] = &keys[..] else { panic!("{} nodes made the first key", keys.len()) };
        Self { token: token.clone(), nodes, proxy, postgres, _turn: turn }
    }

    /// Starts the nodes over a database that is there.
    pub(crate) fn over(turn: MutexGuard<'static, ()>, postgres: Postgres, setup: &Setup<'_>) -> Self {
        let proxy = Proxy::to(postgres.address());
        let direct = setup.url.clone().unwrap_or_else(|| postgres.url(DATABASE));
        let proxied = setup.url.clone().unwrap_or_else(|| postgres.url_at(proxy.address(), DATABASE));
        let file = postgres.password_file();
        let first = Node::start(private_folder(), (&direct, &file), setup.args, &[]);
        let token = first_key(first.data.path());
        // Each node is given the key that the first one made.
        let data = private_folder();
        let key = files::root_key(first.data.path()).path;
        std::fs::copy(&key, data.path().join(key.file_name().unwrap())).unwrap();
        let second = Node::start(data, (&proxied, &file), setup.args, setup.env);
        Self { nodes: [first, second], proxy, postgres, token, _turn: turn }
    }

    pub(crate) fn client(&self, node: usize) -> Client {
        self.client_with(node, &self.token)
    }

    pub(crate) fn client_with(&self, node: usize, token: &str) -> Client {
        Client::new(&self.nodes[node].address.get(), token)
    }
}

/// Where a node listens; another place after each start.
#[derive(Clone, Default)]
pub(crate) struct Address(Arc<Mutex<String>>);

impl Address {
    pub(crate) fn get(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

pub(crate) struct Node {
    data: TempDir,
    args: Vec<String>,
    env: Vec<(String, String)>,
    /// None while it is down.
    server: Option<Server>,
    pub(crate) address: Address,
}

impl Node {
    fn start(data: TempDir, database: (&str, &Path), more: &[&str], env: &[(&str, &str)]) -> Self {
        let mut node = Self::new(data, database, more, env);
        node.start_again();
        node
    }

    /// One that does not run yet.
    fn new(data: TempDir, (url, password): (&str, &Path), more: &[&str], env: &[(&str, &str)]) -> Self {
        let args = ["--database", url, "--database-password-file", text(password)];
        let args = args.iter().chain(more).map(|arg| (*arg).to_owned()).collect();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { data, args, env, server: None, address: Address::default() }
    }

    pub(crate) fn start_again(&mut self) {
        let process = self.spawn();
        self.is_ready(process);
    }

    fn spawn(&self) -> Process {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let env: Vec<(&str, &str)> =
            self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Server::spawn_in(self.data.path(), &args, &env)
    }

    fn is_ready(&mut self, process: Process) {
        let server = Server::wait_until_ready(self.data.path(), process);
        server.address().clone_into(&mut self.address.0.lock().unwrap());
        self.server = Some(server);
    }

    pub(crate) fn kill(&mut self) {
        self.server.take().expect("it runs").process.kill();
    }

    /// Ends it politely.
    pub(crate) fn stop(&mut self) {
        self.server.take().expect("it runs").stop();
    }

    pub(crate) fn tell(&self, signal: Signal) {
        self.server().process.signal(signal);
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }
}
