//! A store of one size with its server, and the bare server that gives the same answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use super::cases::{CASES, Case, Draw, Request, find};
use super::load::Target;
use super::results::{Rival, Size};
use super::seed;
use crate::Result;
use crate::build::Servers;
use crate::http::{Answer, Api};
use crate::server::{Certificate, Server};

/// A kind of store that Strongroom can keep secrets in.
pub(super) struct Store {
    pub(super) name: &'static str,
    /// The file that grows.
    file: &'static str,
    /// What `serve` is told to use it.
    args: &'static [&'static str],
}

/// All there are.
pub(super) const STORES: [Store; 1] = [Store { name: "sqlite", file: "strongroom.db", args: &[] }];

/// A seeded data folder that no server has open.
pub(super) struct Seeded<'a> {
    pub(super) programs: &'a Servers,
    pub(super) store: &'static Store,
    pub(super) secrets: u64,
    folder: PathBuf,
}

impl<'a> Seeded<'a> {
    pub(super) fn make(
        programs: &'a Servers,
        store: &'static Store,
        folder: &Path,
        secrets: u64,
    ) -> Result<Self> {
        let folder = folder.join(format!("{}-{secrets}", store.name));
        fs::create_dir(&folder)?;
        let seeded = Self { programs, store, secrets, folder };
        if secrets > 0 {
            let started = Instant::now();
            seed::fill(&programs.strongroom, &seeded.data(), secrets)?;
            println!("{}: seeded {secrets} secrets in {:.1} s", store.name, started.elapsed().as_secs_f64());
        }
        Ok(seeded)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The store's file.
    pub(super) fn file(&self) -> PathBuf {
        self.data().join(self.store.file)
    }

    /// How long it is, the log having been moved into it.
    pub(super) fn bytes(&self) -> Result<u64> {
        Ok(fs::metadata(self.file())?.len())
    }

    pub(super) fn add_doomed(&self, count: u64) -> Result {
        seed::add_doomed(&self.programs.strongroom, &self.data(), count)
    }

    pub(super) fn serve(&self, tls: Option<&Certificate>) -> Result<Server> {
        let Servers { strongroom, .. } = self.programs;
        let log = self.folder.join("strongroom.log");
        Server::strongroom(strongroom, &self.data(), &log, self.store.args, tls)
    }

    /// How long each start takes, from the new process to its first answer, in milliseconds.
    pub(super) fn start_times(&self, count: u32) -> Result<Vec<f64>> {
        let mut times = Vec::new();
        for _ in 0..count {
            let started = Instant::now();
            let server = self.serve(None)?;
            expect(&server.api.get("/vault_secrets?limit=1")?, 200)?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
            server.stop()?;
        }
        Ok(times)
    }

    /// Starts the server in clear, and the bare one with Strongroom's own answers of a moment ago.
    pub(super) fn stand(&self) -> Result<Stand> {
        let strongroom = self.serve(None)?;
        expect(&strongroom.api.get("/vault_secrets?limit=1")?, 200)?;
        let at_start_kb = strongroom.memory_kb("VmRSS")?;
        let resolver = resolver(&strongroom.api)?;
        fs::write(self.folder.join("resolver"), &resolver.token)?;
        fs::create_dir_all(self.answers())?;
        record(&strongroom.api, &resolver, self.secrets, &self.answers())?;
        let bare = self.bare(None)?;
        let stand = Stand { secrets: self.secrets, strongroom, resolver, bare, at_start_kb };
        stand.check()?;
        Ok(stand)
    }

    /// The same over TLS, with the key and the answers that were there in clear.
    pub(super) fn stand_tls(&self, certificate: &Certificate) -> Result<Stand> {
        let strongroom = self.serve(Some(certificate))?;
        let token = fs::read_to_string(self.folder.join("resolver"))?;
        let resolver = Api { token, ..strongroom.api.clone() };
        let bare = self.bare(Some(certificate))?;
        Ok(Stand { secrets: self.secrets, strongroom, resolver, bare, at_start_kb: 0 })
    }

    fn bare(&self, tls: Option<&Certificate>) -> Result<Server> {
        Server::floor(&self.programs.floor, &self.answers(), &self.folder.join("bare.log"), tls)
    }

    fn answers(&self) -> PathBuf {
        self.folder.join("answers")
    }
}

/// Both servers, running.
pub(super) struct Stand {
    pub(super) secrets: u64,
    pub(super) strongroom: Server,
    resolver: Api,
    pub(super) bare: Server,
    at_start_kb: u64,
}

impl Stand {
    pub(super) fn strongroom(&self, case: &Case) -> Target<'_> {
        Target {
            rival: Rival::Strongroom,
            server: &self.strongroom,
            api: if case.resolves { self.resolver.clone() } else { self.strongroom.api.clone() },
            requests: (case.requests)(self.secrets),
            draw: case.draw,
        }
    }

    pub(super) fn bare(&self, case: &Case) -> Target<'_> {
        let draw = if case.draw == Draw::Each { Draw::Any } else { case.draw };
        let requests = (case.requests)(self.secrets);
        Target { rival: Rival::Bare, server: &self.bare, api: self.bare.api.clone(), requests, draw }
    }

    /// The comparison is fair only while both return the same. Asked is what changes nothing.
    fn check(&self) -> Result {
        for case in CASES.iter().filter(|case| !CHANGES.contains(&case.name)) {
            let (ours, theirs) = (self.strongroom(case), self.bare(case));
            let request = ours.requests.first().ok_or("a case without requests")?;
            let (ours, theirs) = (ask(&ours.api, case, request)?, ask(&theirs.api, case, request)?);
            if ours != theirs {
                let what = format!("{}: the bare server does not return what Strongroom returns", case.name);
                return Err(format!("{what}:\n{theirs:?}\n{ours:?}").into());
            }
        }
        Ok(())
    }

    /// What the servers need by now, and what is known of the store.
    pub(super) fn size(&self, seeded: &Seeded<'_>, start_ms: Vec<f64>, disk_per_secret: f64) -> Result<Size> {
        Ok(Size {
            store: seeded.store.name,
            secrets: self.secrets,
            start_ms,
            at_start_kb: self.at_start_kb,
            at_end_kb: self.strongroom.memory_kb("VmRSS")?,
            peak_kb: self.strongroom.memory_kb("VmHWM")?,
            bare_peak_kb: self.bare.memory_kb("VmHWM")?,
            disk_per_secret,
        })
    }

    pub(super) fn stop(self) -> Result {
        self.bare.stop()?;
        self.strongroom.stop()
    }
}

/// The same server with the token of a key that may resolve.
pub(super) fn resolver(api: &Api) -> Result<Api> {
    let answer = api.post("/api_keys", r#"{"grants":[{"action":"resolve","vault":"bench"}]}"#)?;
    expect(&answer, 201)?;
    let made: Value = serde_json::from_str(&answer.body)?;
    Ok(Api { token: made["token"].as_str().ok_or("the answer holds no token")?.to_owned(), ..api.clone() })
}

fn ask(api: &Api, case: &Case, request: &Request) -> Result<Answer> {
    api.send(request.method, &request.path, &request.body, &format!("Bench-Case: {}\r\n", case.name))
}

/// The cases that change the store; recording them leaves it as it was.
const CHANGES: [&str; 3] = ["create", "update", "delete"];

/// Keeps Strongroom's own answer to the first request of each kind as the bytes that the bare server returns.
fn record(api: &Api, resolver: &Api, secrets: u64, answers: &Path) -> Result {
    // What updates of a run before this one changed is put back, so that what follows changes nothing.
    let sync = find("sync").ok_or("an unknown case")?;
    for request in (sync.requests)(secrets).iter().take(2) {
        expect(&ask(api, sync, request)?, 200)?;
    }
    for case in CASES.iter().filter(|case| !CHANGES.contains(&case.name)) {
        let mut methods = Vec::new();
        for request in (case.requests)(secrets) {
            if !methods.contains(&request.method) {
                methods.push(request.method);
                record_one(if case.resolves { resolver } else { api }, case, &request, answers)?;
            }
        }
    }
    let mut id = String::new();
    for name in CHANGES {
        let case = find(name).ok_or("an unknown case")?;
        let request = (case.requests)(secrets).into_iter().next().ok_or("a case without requests")?;
        let mut request = request.with("recorded-1-1");
        if name != "create" {
            request.path = format!("/vault_secrets/{id}");
        }
        let body = record_one(api, case, &request, answers)?;
        if name == "create" {
            let made: Value = serde_json::from_str(&body)?;
            made["id"].as_str().ok_or("the answer holds no id")?.clone_into(&mut id);
        }
    }
    Ok(())
}

fn record_one(api: &Api, case: &Case, request: &Request, answers: &Path) -> Result<String> {
    let answer = ask(api, case, request)?;
    expect(&answer, status(request))?;
    let file = format!("{}-{}.json", request.method.to_lowercase(), case.name);
    fs::write(answers.join(file), &answer.body)?;
    Ok(answer.body)
}

/// The status that Strongroom answers a request with, and the bare server too.
fn status(request: &Request) -> u16 {
    match (request.method, request.path.as_str()) {
        ("POST", "/vault_secrets") => 201,
        ("DELETE", _) => 204,
        _ => 200,
    }
}

pub(super) fn expect(answer: &Answer, status: u16) -> Result {
    if answer.status == status {
        Ok(())
    } else {
        Err(format!("expected the status {status}, found {}: {}", answer.status, answer.body).into())
    }
}
