//! Files of values on their way into a vault and out of it, and vaults compared.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use harness::{Server, field, private_folder, text};
use person::{Done, Person};
use serde_json::{Value, json};

/// A server, its admin, and somebody who may read the values of `prod` and `staging`.
struct Scene {
    _folder: tempfile::TempDir,
    server: Server,
    admin: Person,
    reader: Person,
}

impl Scene {
    fn new() -> Self {
        let folder = private_folder();
        let server = Server::start(folder.path());
        let grants = json!({"grants": [
            {"action": "resolve", "vault": "prod"}, {"action": "resolve", "vault": "staging"},
        ]});
        let made = server.client().post("/api_keys", &grants).expect_status(201).json();
        let reader = Person::with_key(&server, field(&made, "token"));
        Self { admin: Person::admin(&server), reader, server, _folder: folder }
    }

    fn import(&self, input: &str, args: &[&str]) -> Done {
        self.admin.feed(&[&["import", "--vault", "prod", "-"], args].concat(), input.as_bytes())
    }

    fn exported(&self, vault: &str) -> Value {
        let done = self.reader.run(&["export", "--vault", vault, "--format", "json"]);
        assert_eq!(done.code, 0, "{done:?}");
        serde_json::from_str(&done.stdout).unwrap()
    }
}

#[track_caller]
fn told(done: &Done, code: i32, words: &[&str]) {
    assert_eq!(done.code, code, "{done:?}");
    for word in words {
        assert!(done.stderr.contains(word), "{word:?} is not in {}", done.stderr);
    }
    assert!(!done.stdout.contains("canary") && !done.stderr.contains("canary"), "a value is told: {done:?}");
}

#[test]
fn every_format_goes_in_and_comes_out() {
    let scene = Scene::new();
    let expected = json!({"a-b": "two\nlines", "URL": "postgres://u:p#w@h", "odd": "it's \"so\" $HOME \\"});
    let files = [
        (
            "env",
            "a-b='two\nlines'\nexport URL=postgres://u:p#w@h # here\nodd=\"it's \\\"so\\\" \\$HOME \\\\\"\n",
        ),
        ("yaml", "a-b: |-\n  two\n  lines\nURL: postgres://u:p#w@h\nodd: \"it's \\\"so\\\" $HOME \\\\\"\n"),
        ("json", &expected.to_string()),
    ];
    for (number, (format, file)) in files.iter().enumerate() {
        let done = scene.import(file, &["--format", format, "--create-vault", "--overwrite"]);
        assert_eq!(done.code, 0, "{done:?}");
        let report = if number == 0 { "made" } else { "left" };
        assert_eq!(done.stdout.matches(report).count(), 3, "{format}: {}", done.stdout);
        assert_eq!(scene.exported("prod"), expected, "{format}");
    }
    let path = scene.admin.home().join("prod.env");
    let done = scene.reader.run(&["export", "--vault", "prod", "-o", text(&path), "--prefix", "X_"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{done:?}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // What was written as .env is read again, and a shell reads the same.
    let script = format!("set -a; . {}; printf %s \"$X_A_B|$X_URL|$X_ODD\"", text(&path));
    let shell = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(
        String::from_utf8(shell.stdout).unwrap(),
        "two\nlines|postgres://u:p#w@h|it's \"so\" $HOME \\"
    );
    let done = scene.reader.run(&["export", "--vault", "prod", "--format", "shell"]);
    assert!(done.stdout.contains("export ODD='it'\\''s \"so\" $HOME \\'\n"), "{}", done.stdout);
    scene.server.stop();
}

#[test]
fn what_is_there_is_changed_only_when_told() {
    let scene = Scene::new();
    let first = scene.import("A=1\nB=2\n", &["--create-vault"]);
    assert_eq!(first.code, 0, "{first:?}");
    let before = harness::visible_state(&mut scene.server.client());
    told(
        &scene.import("C=canary\nB=canary2\n", &[]),
        7,
        &["these are in prod already: B", "nothing was written", "--overwrite"],
    );
    let planned = scene.import("C=canary\nB=canary2\n", &["--overwrite", "--dry-run"]);
    assert_eq!((planned.code, planned.stdout.as_str()), (0, "would make    prod:C\nwould change  prod:B\n"));
    assert_eq!(harness::visible_state(&mut scene.server.client()), before, "nothing was written");
    let done = scene.import("A=1\nB=3\nC=4\n", &["--overwrite", "--output", "json"]);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        report,
        json!({"vault": "prod", "dry_run": false, "created": ["C"], "updated": ["B"], "unchanged": ["A"]})
    );
    assert_eq!(scene.exported("prod"), json!({"A": "1", "B": "3", "C": "4"}));
    scene.server.stop();
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_by_line_and_name() {
    let scene = Scene::new();
    let before = harness::visible_state(&mut scene.server.client());
    let cases: [(&str, &str, i32, &[&str]); 10] = [
        ("env", "A=x\nA=canary\n", 6, &["line 2", "A stands on line 1 already"]),
        ("env", "A=x\ncanary\n", 6, &["line 2"]),
        ("env", "A='canary\n", 6, &["line 1", "quotes of the value of A"]),
        ("env", "A=x\nB=\n", 6, &["line 2", "the value is empty"]),
        ("env", "# nothing\n", 6, &["nothing in it"]),
        ("json", "{\"A\": \"x\",\n\"B\": [\"canary\"]}", 6, &["line 2", "B is not a text"]),
        ("json", "{\"a b\": \"canary\"}", 6, &["line 1", "a b is no name of a secret"]),
        ("json", "{\"a@3\": \"canary\"}", 6, &["line 1", "a@3 is no name of a secret"]),
        ("yaml", "A: x\nB: {C: canary}\n", 6, &["line 2", "B is not a text"]),
        ("yaml", "A: \"canary\n", 6, &["this is not YAML"]),
    ];
    for (format, file, code, words) in cases {
        told(&scene.import(file, &["--format", format, "--create-vault"]), code, words);
    }
    let bytes = scene.admin.feed(&["import", "--vault", "prod", "-", "--create-vault"], b"A=\xff\n");
    told(&bytes, 6, &["does not hold text in UTF-8"]);
    told(&scene.import("A=canary\n", &[]), 3, &["no vault 'prod'", "--create-vault"]);
    told(&scene.admin.run(&["import", "--vault", "prod", "/nowhere/.env"]), 3, &["/nowhere/.env"]);
    assert_eq!(harness::visible_state(&mut scene.server.client()), before);
    scene.server.stop();
}

#[test]
fn an_import_that_breaks_off_says_how_far_it_came() {
    let scene = Scene::new();
    // The second value is longer than the server takes, which the command cannot know.
    let file = format!("A=1\nB={}\nC=3\n", "x".repeat((64 << 10) + 1));
    told(
        &scene.import(&file, &["--create-vault"]),
        6,
        &["1 of 3 were stored, and B was not", "running it again"],
    );
    assert_eq!(scene.exported("prod"), json!({"A": "1"}));
    let again = scene.import("A=1\nB=2\nC=3\n", &["--overwrite"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(scene.exported("prod"), json!({"A": "1", "B": "2", "C": "3"}));
    scene.server.stop();
}

#[test]
fn an_export_is_whole_or_not_at_all() {
    let scene = Scene::new();
    scene.import("a-b=canary\nA_B=canary2\n", &["--create-vault"]);
    let path = scene.admin.home().join("out.env");
    std::fs::write(&path, "as it was").unwrap();
    let to_file = ["export", "--vault", "prod", "-o", text(&path)];
    told(&scene.reader.run(&to_file), 6, &["A_B", "prod:a-b", "prod:A_B"]);
    told(&scene.admin.run(&to_file), 4, &["no grant to resolve"]);
    told(&scene.reader.run(&["export", "--vault", "none", "-o", text(&path)]), 3, &["none"]);
    let (nowhere, json) = (scene.admin.home().join("no/such/folder"), ["--format", "json"]);
    let into = ["export", "--vault", "prod", "-o", text(&nowhere)];
    told(&scene.reader.run(&[&into[..], &json].concat()), 1, &["cannot be written"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "as it was");
    assert_eq!(scene.exported("prod"), json!({"a-b": "canary", "A_B": "canary2"}));
    let left: Vec<_> =
        std::fs::read_dir(scene.admin.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !Path::new(name).to_string_lossy().contains("part")), "{left:?}");
    scene.server.stop();
}

#[test]
fn vaults_are_compared_without_a_value_shown() {
    let scene = Scene::new();
    scene.import("same=canary\nleft=canary\nother=canary\n", &["--create-vault"]);
    let staging = ["import", "--vault", "staging", "-", "--create-vault"];
    assert_eq!(scene.admin.feed(&staging, b"same=canary\nright=canary\nother=canary2\n").code, 0);
    let done = scene.reader.run(&["diff", "prod", "staging"]);
    told(&done, 1, &[]);
    assert_eq!(
        done.stdout,
        "NAME   DIFFERENCE\nleft   only in prod\nother  the values differ\nright  only in staging\n"
    );
    let done = scene.reader.run(&["diff", "prod", "staging", "--output", "json"]);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report, json!({"only_in_left": ["left"], "only_in_right": ["right"], "differs": ["other"]}));
    told(&scene.reader.run(&["diff", "prod", "prod"]), 0, &[]);
    told(&scene.reader.run(&["diff", "prod", "none"]), 3, &["none"]);
    // An ordinary key reads names and no values.
    told(&scene.admin.run(&["diff", "prod", "staging"]), 4, &["no grant to resolve"]);
    let names = scene.admin.run(&["diff", "prod", "staging", "--names-only"]);
    assert_eq!((names.code, names.stdout.matches("only in").count()), (1, 2), "{names:?}");
    scene.server.stop();
}

#[test]
fn a_vault_of_more_values_than_an_answer_holds_is_refused_and_never_half_exported() {
    let scene = Scene::new();
    let values: serde_json::Map<String, Value> =
        (0..1001).map(|number| (format!("name-{number:04}"), json!("canary"))).collect();
    let file = scene.admin.file("values.json", json!(values).to_string().as_bytes());
    scene.admin.does(&["import", "--vault", "prod", "--create-vault", &file]);
    told(&scene.reader.run(&["export", "--vault", "prod"]), 6, &["1000 values"]);
    told(&scene.reader.run(&["diff", "prod", "prod"]), 6, &["1000 values"]);
    told(&scene.admin.run(&["diff", "prod", "prod", "--names-only"]), 0, &[]);
    scene.server.stop();
}

#[test]
fn a_server_that_is_down_is_told() {
    let scene = Scene::new();
    let (admin, reader) = (scene.admin, scene.reader);
    scene.server.stop();
    for done in [
        admin.feed(&["import", "--vault", "prod", "-"], b"A=canary\n"),
        reader.run(&["export", "--vault", "prod"]),
        reader.run(&["diff", "prod", "staging"]),
    ] {
        told(&done, 5, &["cannot be reached"]);
    }
}
