//! A value, a token and the root key are found nowhere but where they belong.
//!
//! One run writes canaries in every way the API takes them, rightly and wrongly, and collects every byte the server gives
//! away: answers, logs, files, the output of the other commands. A word that may be seen is written beside them and has
//! to be found, or else the search would prove nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod harness;
#[path = "canary/search.rs"]
mod search;
#[path = "canary/slots.rs"]
mod slots;
#[path = "canary/values.rs"]
mod values;

use std::path::{Path, PathBuf};

use harness::files::{contents, root_key};
use harness::rng::Rng;
use harness::{Process, Reply, Request, Server, database, field, first_key, http, private_folder, run, text};
use search::{Haystacks, Needle, base64, forms, hex, html_escaped, json_escaped, key_forms, percent};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The bodies of the answers that values are given in.
const GIVEN: &str = "body with values";

/// One server and everything seen of it.
struct Run {
    _folder: TempDir,
    data: PathBuf,
    server: Server,
    seen: Haystacks,
    /// Tokens that were given out, each by one answer that may hold it.
    tokens: Vec<String>,
    token: String,
}

impl Run {
    fn start(log_format: &str) -> Self {
        let folder = private_folder();
        let (data, temporary) = (folder.path().join("data"), folder.path().join("tmp"));
        std::fs::create_dir(&temporary).unwrap();
        let serve =
            ["serve", "--data-dir", text(&data), "--listen", "127.0.0.1:0", "--log-format", log_format];
        let env = [("STRONGROOM_LOG_LEVEL", "trace"), ("TMPDIR", text(&temporary))];
        let server = Server::wait_until_ready(&data, Process::spawn(&serve, &env));
        let token = first_key(&data);
        Self { _folder: folder, data, server, seen: Haystacks::default(), tokens: vec![token.clone()], token }
    }

    /// Sends a request as the admin, keeps the answer for the search and returns it.
    fn send(&mut self, method: &str, target: &str, body: Option<&Value>) -> Reply {
        let mut request = Request::new(method, target).token(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.exchange(&format!("{method} {}", target.split('?').next().unwrap()), &request)
    }

    fn exchange(&mut self, name: &str, request: &Request) -> Reply {
        let reply = http::exchange(self.server.address(), request);
        self.seen.add(format!("answer to {name}"), reply.wire.clone());
        reply
    }

    /// Sends a request whose answer holds values: its body is the one place where they may be, its head is not.
    fn resolve(&mut self, name: &str, request: &Request) {
        let reply = http::exchange(self.server.address(), request).expect_status(200);
        let head = reply.wire.len() - reply.body.len();
        self.seen.add(format!("head of {name}"), &reply.wire[..head]);
        self.seen.add(GIVEN, reply.body);
    }

    /// Makes an API key; its answer is the one place besides the first key's file where a token may be.
    fn make_key(&mut self, body: &Value) -> String {
        let request = Request::new("POST", "/api_keys").token(&self.token).json(body);
        let reply = http::exchange(self.server.address(), &request).expect_status(201);
        self.seen.add("answer with a token", reply.wire.clone());
        self.tokens.push(field(&reply.json(), "token").to_owned());
        field(&reply.json(), "id").to_owned()
    }

    fn add_output(&mut self, name: &str, args: &[&str]) {
        let ran = run(args);
        assert!(ran.success(), "{name}: {}", ran.stderr);
        self.seen.add(format!("{name}, stdout"), ran.stdout);
        self.seen.add(format!("{name}, stderr"), ran.stderr);
    }

    /// A copy of the store. A database is copied by its own programs, and its files are looked at where they are.
    fn add_backup(&mut self, backup: &Path, data_dir: &[&str]) {
        let args = [&["backup", text(backup)][..], data_dir].concat();
        if !strongroom_testbed::is_postgres() {
            return self.add_output("backup", &args);
        }
        let refused = run(&args);
        refused.expect_refusal();
        self.seen.add("backup, stderr", refused.stderr);
        for (path, bytes) in database::folders().iter().flat_map(|folder| contents(folder)) {
            // Its log has room in advance: what was never written to is not searched.
            let pages = bytes.chunks(8192).filter(|page| page.iter().any(|byte| *byte != 0));
            self.seen.add(
                format!("file {} of the database", path.display()),
                pages.flatten().copied().collect::<Vec<u8>>(),
            );
        }
    }

    fn add_files(&mut self, when: &str, folder: &Path) {
        for (path, bytes) in contents(folder) {
            self.seen.add(format!("file {} {when}", path.display()), bytes);
        }
    }
}

/// What one run writes: a word that must not be seen, and one that may.
struct Words {
    canary: String,
    control: String,
    /// The canary inside characters that every escaper changes.
    value: String,
}

impl Words {
    fn make() -> Self {
        let seed = Rng::fresh_seed();
        eprintln!("canary seed {seed}");
        let mut rng = Rng::new(seed);
        let canary = rng.word(32);
        let value = format!("<{canary}&\"'/\\é\n{canary}>");
        Self { canary, control: rng.word(32), value }
    }

    /// The value as people and programs hand it over.
    fn written(&self) -> Vec<String> {
        let value = &self.value;
        vec![
            value.clone(),
            base64(value),
            hex(value.as_bytes()),
            percent(value),
            json_escaped(value),
            html_escaped(value),
        ]
    }

    /// The canary in every form, and each form that was written as a value in every form again.
    fn needles(&self) -> Vec<Needle> {
        let mut needles = forms(&self.canary);
        for written in [hex(self.canary.as_bytes()), percent(&self.canary)] {
            needles.extend(forms(&written));
        }
        for needle in forms(&self.canary).into_iter().filter(|needle| needle.form == "base64") {
            needles.extend(forms(&String::from_utf8(needle.bytes).unwrap()));
        }
        needles
    }
}

/// Values given rightly: by create and by change, listed and read back.
fn write_values(world: &mut Run, words: &Words) {
    let vault = json!({"name": "canaries", "description": words.control});
    let vault = world.send("POST", "/vaults", Some(&vault)).expect_status(201).json();
    let vault_path = format!("/vaults/{}", field(&vault, "id"));
    for (n, value) in words.written().into_iter().enumerate() {
        let create = json!({"name": format!("s{n}"), "value": value, "vault_id": vault["id"], "metadata": words.control});
        let secret = world.send("POST", "/vault_secrets", Some(&create)).expect_status(201).json();
        let path = format!("/vault_secrets/{}", field(&secret, "id"));
        world.send("PATCH", &path, Some(&json!({"value": format!("{value}!")}))).expect_status(200);
        world.send("PATCH", &path, Some(&json!({"value": value, "description": "d"}))).expect_status(200);
        world.send("GET", &path, None).expect_status(200);
    }
    let gone = json!({"name": "gone", "value": words.value, "vault_name": "canaries"});
    let gone = world.send("POST", "/vault_secrets", Some(&gone)).expect_status(201).json();
    world.send("DELETE", &format!("/vault_secrets/{}", field(&gone, "id")), None).expect_status(204);
    let detail = format!("/strongroom/secrets/{}", field(&gone, "id"));
    let misplaced = json!({"value": words.value});
    world.send("POST", &format!("{detail}/undelete"), Some(&misplaced)).expect_status(400);
    world.send("GET", "/strongroom/deleted", None).expect_status(200);
    world.send("GET", "/strongroom/changes?after=start&wait=1s", None).expect_status(200);
    world.send("POST", &format!("{detail}/undelete"), Some(&json!({}))).expect_status(200);
    world.send("GET", &format!("{detail}/versions"), None).expect_status(200);
    world
        .send("POST", &format!("{detail}/rollback"), Some(&json!({"version": words.value})))
        .expect_status(400);
    world.send("POST", &format!("{detail}/rollback"), Some(&json!({"version": 1}))).expect_status(200);
    world.send("DELETE", &format!("/vault_secrets/{}", field(&gone, "id")), None).expect_status(204);
    world.send("POST", &format!("{detail}/purge"), None).expect_status(204);
    for list in
        ["/vaults", "/vault_secrets?limit=2", &vault_path, &format!("{vault_path}/secrets"), "/api_keys"]
    {
        world.send("GET", list, None).expect_status(200);
    }
}

/// Values given wrongly: in broken bodies, under wrong names, in wrong types, as credentials.
fn misplace_values(world: &mut Run, words: &Words) {
    let value = &words.value;
    let quoted = json!(value).to_string();
    let bodies = [
        ("a body cut short", format!("{{\"name\":\"x\",\"value\":{quoted}")),
        ("a body with a second value", format!("{{\"name\":\"x\",\"value\":{quoted},\"value\":{quoted}}}")),
        ("a body that is a value", quoted.clone()),
        ("a body that is no JSON", words.canary.clone()),
        ("an unknown field", json!({"name": "x", "valeu": value}).to_string()),
        ("a list", json!({"name": "x", "value": [value]}).to_string()),
        ("an object", json!({"name": "x", "value": {"inner": value}}).to_string()),
        ("a wrong type beside it", json!({"name": 5, "value": value}).to_string()),
        ("too long", json!({"name": "x", "value": value.repeat(2000), "vault_name": "canaries"}).to_string()),
        ("no vault", json!({"name": "x", "value": value}).to_string()),
        ("a taken name", json!({"name": "s0", "value": value, "vault_name": "canaries"}).to_string()),
        ("a lone surrogate", format!("{{\"value\":\"{}\\ud800\"}}", words.canary)),
    ];
    for (name, body) in bodies {
        let request = Request::new("POST", "/vault_secrets").token(&world.token).body(body.as_bytes());
        let reply = world.exchange(name, &request);
        assert!((400..500).contains(&reply.status), "{name}: {reply}");
    }
    let list = Request::new("GET", "/vaults").token(&world.token);
    let canary = &words.canary;
    let requests = [
        ("a bearer", list.clone().header("authorization", &format!("Bearer {canary}"))),
        (
            "a token's shape",
            list.clone().header("authorization", &format!("Bearer {}_{canary}", &canary[..27])),
        ),
        (
            "a basic credential",
            list.clone().header("authorization", &format!("Basic {}", base64(&format!("x:{canary}")))),
        ),
        ("another scheme", list.clone().header("authorization", &format!("Digest {canary}"))),
        ("a strange header", list.clone().header("x-secret", canary)),
        ("an Idempotency-Key of a GET", list.clone().header("idempotency-key", canary)),
        ("a cookie", list.header("cookie", &format!("session={canary}"))),
        ("a query", Request::new("GET", &format!("/vaults?value={canary}")).token(&world.token)),
        (
            "a query where none is routed",
            Request::new("GET", &format!("/nowhere?value={canary}")).token(&world.token),
        ),
    ];
    for (name, request) in requests {
        world.exchange(name, &request);
    }
    // As the key of a create it is hashed, and so is all of a body that comes with it.
    let create = json!({"name": "repeated", "value": value, "vault_name": "canaries"});
    let create = Request::new("POST", "/vault_secrets").token(&world.token).json(&create);
    for (status, key) in [(201, canary.clone()), (201, canary.clone()), (400, format!("{canary} {canary}"))] {
        let request = create.clone().header("idempotency-key", &key);
        world.exchange("a create that comes again", &request).expect_status(status);
    }
}

/// A key that is made under an Idempotency-Key, whose token is kept to be shown once more: it is, and nowhere else.
fn repeat_a_token(world: &mut Run) {
    let body = json!({"description": "made twice"});
    let request = Request::new("POST", "/api_keys").token(&world.token).json(&body);
    let request = request.header("idempotency-key", "once");
    for _ in 0..2 {
        let reply = http::exchange(world.server.address(), &request).expect_status(201);
        world.seen.add("answer with a token", reply.wire.clone());
        world.tokens.push(field(&reply.json(), "token").to_owned());
    }
    assert_eq!(world.tokens.pop().as_ref(), world.tokens.last(), "the token that it was given first");
}

/// A good token where it does not belong, and where it does.
fn misplace_tokens(world: &mut Run) {
    let id = world.make_key(&json!({"description": "canary"}));
    let token = world.tokens.last().unwrap().clone();
    let key_path = format!("/api_keys/{id}");
    world.send("GET", &key_path, None).expect_status(200);
    world.send("PATCH", &key_path, Some(&json!({"metadata": "m"}))).expect_status(200);
    let list = Request::new("GET", "/vaults");
    let requests = [
        ("a good key", list.clone().token(&token)),
        (
            "a key as a user",
            list.clone().header("authorization", &format!("Basic {}", base64(&format!("{token}:")))),
        ),
        ("a key without a scheme", list.clone().header("authorization", &token)),
        ("a key with something behind", list.clone().token(&format!("{token}x"))),
        ("a key as a cookie", list.header("cookie", &format!("key={token}"))),
        ("a key in the query", Request::new("GET", &format!("/vaults?api_key={token}"))),
        (
            "a key in a body",
            Request::new("POST", "/vault_secrets").token(&token).json(&json!({"api_key": token})),
        ),
    ];
    for (name, request) in requests {
        world.exchange(name, &request);
    }
    world.send("DELETE", &key_path, None).expect_status(204);
    world.exchange("a deleted key", &Request::new("GET", "/vaults").token(&token)).expect_status(403);
}

/// Everything else that the server and its commands give away.
fn collect_the_rest(world: &mut Run) {
    for target in ["/metrics", "/openapi.json", "/healthz", "/readyz", "/", "/self"] {
        world.send("GET", target, None).expect_status(200);
    }
    let data = world.data.clone();
    let data_dir = ["--data-dir", text(&data)];
    let backup = data.with_file_name("backup");
    world.add_output("audit list", &[&["audit", "list"][..], &data_dir].concat());
    world.add_output("audit verify", &[&["audit", "verify"][..], &data_dir].concat());
    world.add_output("doctor", &[&["doctor"][..], &data_dir].concat());
    world.add_output("config show", &[&["config", "show"][..], &data_dir].concat());
    world.add_backup(&backup, &data_dir);
    world.add_files("while it runs", backup.parent().unwrap());
    let first_output = world.server.process.stdout();
    world.seen.add("the first start's stdout", first_output);
    let log = world.server.process.stderr();
    world.seen.add("the log", log);
}

/// A later start prints no key; what it logs and leaves is searched as well.
fn restart(mut world: Run, log_format: &str) -> (Run, Haystacks) {
    let mut seen = std::mem::take(&mut world.seen);
    world.server.stop();
    let again = Server::start_with(&world.data, &["--log-format", log_format]);
    again.client().get("/vaults").expect_status(200);
    seen.add("a later start's stdout", again.process.stdout());
    seen.add("a later start's stderr", again.process.stderr());
    world.server = again;
    world.seen = seen;
    world.add_files("after a restart", world.data.parent().unwrap().to_owned().as_path());
    let seen = std::mem::take(&mut world.seen);
    (world, seen)
}

fn nothing_leaks(log_format: &str) {
    let words = Words::make();
    let mut world = Run::start(log_format);
    let key = root_key(&world.data);
    write_values(&mut world, &words);
    values::read_values(&mut world, &words);
    values::refuse_values(&mut world, &words);
    misplace_values(&mut world, &words);
    misplace_tokens(&mut world);
    repeat_a_token(&mut world);
    slots::open_slots(&mut world, &words);
    collect_the_rest(&mut world);
    let (world, seen) = restart(world, log_format);

    assert_the_search_works(&seen, &words);
    let leaks = seen.find(&words.needles(), |place| place == GIVEN);
    assert!(leaks.is_empty(), "the value: {leaks:#?}");
    let given = seen.find(&forms(&words.canary)[..1], |place| place != GIVEN);
    assert_eq!((given.len(), seen.places(GIVEN)), (4, 4), "a value is not where it should be: {given:?}");
    for token in &world.tokens {
        // The first half is the key's public id; the second is what must be kept.
        let secret_half = token.split_once('_').expect("two halves").1;
        let given = ["answer with a token", "the first start's stdout"];
        let leaks = seen
            .find(&forms(secret_half), |place| given.contains(&place) || place.contains("/first-api-key "));
        assert!(leaks.is_empty(), "a token: {leaks:#?}");
    }
    let key_file = format!("file {} ", key.path.display());
    let leaks = seen.find(&key_forms(&key.key), |place| place.starts_with(&key_file));
    assert!(leaks.is_empty(), "the root key: {leaks:#?}");
    world.server.stop();
}

/// The control word was written like the canary but may be seen: it is found where one looks for it.
fn assert_the_search_works(seen: &Haystacks, words: &Words) {
    let found = seen.find(&forms(&words.control), |_| false);
    for place in ["answer to POST /vaults", "answer to GET /vault_secrets", "audit list, stdout", "file "] {
        assert!(
            found.iter().any(|hit| hit.starts_with(&format!("clear in {place}"))),
            "{place} is not searched: {found:#?}"
        );
    }
    for place in [
        "the log",
        "a later start's stderr",
        "answer to GET /metrics",
        "answer to a bearer",
        "head of values",
        "answer to values, known",
        "answer to a refused resolve",
        "answer to POST /strongroom/explain",
        "answer to POST /strongroom/unseal",
        "key slot, std",
        "answer to GET /strongroom/secrets",
        "backup, std",
        "doctor, std",
    ] {
        assert!(seen.places(place) > 0, "{place} is not searched");
    }
    let operation = [Needle { form: "operation id".to_owned(), bytes: b"op_".to_vec() }];
    assert!(seen.find(&operation, |place| place != "the log").len() == 1, "the log holds no operation id");
}

#[test]
fn nothing_leaks_with_a_text_log() {
    nothing_leaks("text");
}

#[test]
fn nothing_leaks_with_a_json_log() {
    nothing_leaks("json");
}

/// Each form is found at any offset, and nothing is found in what does not hold it.
#[test]
fn every_form_is_found() {
    let words = Words::make();
    let planted = [
        ("clear", words.value.clone()),
        ("base64", base64(&words.value)),
        ("base64, one on", base64(&format!("x{}", words.value))),
        ("base64, two on", base64(&format!("xx{}", words.value))),
        ("hex", hex(words.value.as_bytes())),
        ("percent", percent(&words.value)),
        ("JSON", json!(words.value).to_string()),
        ("JSON escapes", json_escaped(&words.value)),
        ("HTML escapes", html_escaped(&words.value)),
        ("base64 of base64", base64(&base64(&words.value))),
        ("base64 of hex", base64(&hex(words.value.as_bytes()))),
    ];
    for (form, text) in planted {
        let mut seen = Haystacks::default();
        seen.add("here", format!("before {text} after"));
        assert!(!seen.find(&words.needles(), |_| false).is_empty(), "{form} is not found");
    }
    let mut innocent = Haystacks::default();
    innocent.add("here", Rng::new(1).word(100_000));
    assert!(innocent.find(&words.needles(), |_| false).is_empty());
}
