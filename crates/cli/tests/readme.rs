//! The examples of the README, run as they stand there.
//!
//! The curl examples are the fenced `sh` blocks between `<!-- curl-examples:start -->` and `<!-- curl-examples:end -->`, one command
//! each, and use `$STRONGROOM_URL`, `$STRONGROOM_API_KEY`, `$VAULT_ID` and `$SECRET_ID`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use harness::{Server, field, first_key, make_vault, private_folder, secret_in, text};
use tempfile::TempDir;

/// The fenced commands between two marks.
fn examples(mark: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (_, rest) = readme.split_once(&format!("<!-- {mark}:start -->")).expect("a start mark in the README");
    let (marked, _) = rest.split_once(&format!("<!-- {mark}:end -->")).expect("an end mark in the README");
    let fences = marked.split("```sh\n").skip(1);
    fences.map(|fence| fence.split("```").next().unwrap().trim().to_owned()).collect()
}

/// A server with something to read, change and delete, made afresh for each example.
struct Stage {
    _folder: TempDir,
    curl_home: TempDir,
    server: Server,
    made: u32,
}

impl Stage {
    fn start() -> Self {
        let (folder, curl_home) = (private_folder(), private_folder());
        // curl tells the status without a change to the example: its own settings file asks it to.
        let write_out = "write-out = \"%{stderr}%{method} %{url_effective} %{http_code}\\n\"\n";
        fs::write(curl_home.path().join(".curlrc"), write_out).unwrap();
        let server = Server::start(folder.path());
        Self { _folder: folder, curl_home, server, made: 0 }
    }

    /// Runs one example with an empty vault and, elsewhere, a secret.
    fn run(&mut self, example: &str) -> Output {
        let mut client = self.server.client();
        self.made += 1;
        let empty = make_vault(&mut client, &format!("empty-{}", self.made));
        let full = make_vault(&mut client, &format!("full-{}", self.made));
        let secret = client.post("/vault_secrets", &secret_in(&full, "s", "v")).expect_status(201).json();
        Command::new("sh")
            .args(["-eu", "-c", example])
            .env("CURL_HOME", text(self.curl_home.path()))
            .env("STRONGROOM_URL", &self.server.url)
            .env("STRONGROOM_API_KEY", first_key(&self.server.data))
            .env("VAULT_ID", field(&empty, "id"))
            .env("SECRET_ID", field(&secret, "id"))
            .output()
            .unwrap()
    }
}

/// `POST /vaults`, `GET /vaults/{id}`: which of the ten calls it was, from what curl says it did.
fn call_of(method: &str, url: &str, origin: &str) -> String {
    let path = url.strip_prefix(origin).unwrap_or_else(|| panic!("{url} is not on {origin}"));
    let mut segments = path.split('?').next().unwrap().split('/').skip(1);
    let collection = segments.next().unwrap();
    match segments.next() {
        Some(_) => format!("{method} /{collection}/{{id}}"),
        None => format!("{method} /{collection}"),
    }
}

#[test]
fn the_curl_examples_work() {
    let mut stage = Stage::start();
    let mut calls = BTreeSet::new();
    for example in examples("curl-examples") {
        let output = stage.run(&example);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_ne!(
            output.status.code(),
            Some(127),
            "curl is needed for this test: install the package `curl`"
        );
        assert!(output.status.success(), "{example}\n{stderr}");
        let told: Vec<&str> = stderr.lines().last().unwrap_or_default().split(' ').collect();
        let [method, url, status] = told[..] else { panic!("{example}\n{stderr}") };
        let expected = match method {
            "POST" => "201",
            "DELETE" => "204",
            _ => "200",
        };
        assert_eq!(status, expected, "{example}\n{}", String::from_utf8_lossy(&output.stdout));
        calls.insert(call_of(method, url, &stage.server.url));
    }
    let expected: BTreeSet<String> = ["vaults", "vault_secrets"]
        .iter()
        .flat_map(|collection| {
            let one = |method| format!("{method} /{collection}/{{id}}");
            let all = |method| format!("{method} /{collection}");
            [all("POST"), all("GET"), one("GET"), one("PATCH"), one("DELETE")]
        })
        .collect();
    assert_eq!(calls, expected, "the calls of the reference and the README's");
    stage.server.stop();
}

/// Four commands, from nothing to a program that has the secret.
#[test]
fn the_quick_start_works() {
    let [serve, rest] = &examples("quick-start")[..] else {
        panic!("two blocks: the server's, and the others")
    };
    let folder = private_folder();
    // The words of the README mean the binary under test, on a port of its own, as somebody with an empty home.
    let program = folder.path().join("bin/strongroom");
    fs::create_dir(folder.path().join("bin")).unwrap();
    std::os::unix::fs::symlink(harness::process::BINARY, &program).unwrap();
    let path = format!("{}:/usr/bin:/bin", text(program.parent().unwrap()));
    let words: Vec<&str> = serve.split_whitespace().collect();
    assert_eq!(words, ["strongroom", "serve"]);
    let data = folder.path().join("strongroom-data");
    let server = Server::start(&data);
    let output = Command::new("sh")
        .args(["-eu", "-c", rest])
        .current_dir(folder.path())
        .env_clear()
        .envs([("PATH", path.as_str()), ("HOME", text(folder.path())), ("STRONGROOM_URL", &server.url)])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(stdout.lines().last(), Some("correct horse"), "{stdout}{stderr}");
    assert_eq!(rest.lines().count() + 1, 4, "four commands");
    server.stop();
}
