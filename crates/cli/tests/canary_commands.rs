//! No value and no token where a command does not mean to put one: not in what it prints beside the answer, not in its
//! errors, not in the files that it keeps.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;
#[allow(dead_code, reason = "the canary of the server uses the rest")]
#[path = "canary/search.rs"]
mod search;

use std::fs;
use std::path::Path;

use harness::{Server, private_folder, text};
use person::Person;
use search::{Haystacks, Needle, forms};

/// A word that occurs nowhere by itself; it is every value, with something around it.
const CANARY: &str = "Xk7QvT2mWp9LcR4s";

/// Places that may hold the value: what asks for it gives it.
const GIVEN: [&str; 8] = [
    "stdout: secret get",
    "stdout: export",
    "stdout: render",
    "stdout: run --vault prod -- printenv",
    "stdout: run --offline",
    "file: exported.env",
    "file: rendered.conf",
    "file: rendered/",
];

/// What the person wrote themselves.
const BROUGHT: [&str; 4] = ["file: values.env", "file: values.json", "file: bad.env", "file: key.pem"];

struct Watch<'a> {
    person: &'a Person,
    seen: &'a mut Haystacks,
}

impl Watch<'_> {
    /// Runs a command, and keeps all that it prints.
    fn run(&mut self, args: &[&str], input: &str) -> i32 {
        let done = self.person.feed(args, input.as_bytes());
        let line = args.join(" ");
        self.seen.add(format!("stdout: {line}"), done.stdout);
        self.seen.add(format!("stderr: {line}"), done.stderr);
        done.code
    }

    #[track_caller]
    fn does(&mut self, code: i32, args: &[&str], input: &str) {
        assert_eq!(self.run(args, input), code, "{args:?}");
    }
}

fn add_files(seen: &mut Haystacks, folder: &Path, name: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{name}{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            add_files(seen, &path, &format!("{name}/"));
        } else {
            seen.add(format!("file: {name}"), fs::read(&path).unwrap());
        }
    }
}

/// Commands that look after secrets.
fn manage(watch: &mut Watch<'_>, value: &str) {
    let home = watch.person.home().to_owned();
    let file = |name: &str, contents: String| {
        fs::write(home.join(name), contents).unwrap();
        text(&home.join(name)).to_owned()
    };
    let pem = file("key.pem", format!("-----BEGIN\n{value}\n"));
    let env = file("values.env", format!("API_TOKEN='{CANARY} x'\nOTHER={CANARY}\n"));
    let json = file("values.json", format!("{{\"API_TOKEN\": \"{CANARY}2\"}}"));
    let bad = file("bad.env", format!("A={CANARY}\n{CANARY}\n"));
    watch.does(0, &["secret", "set", "prod:db-password", "--create-vault"], value);
    watch.does(0, &["secret", "set", "prod:db-password", "--trim"], &format!("{value}\n"));
    watch.does(0, &["secret", "set", "prod:tls-key", "--value-file", &pem], "");
    watch.does(2, &["secret", "set", "prod:x", "argument"], value);
    watch.does(3, &["secret", "set", "nowhere:x"], value);
    watch.does(6, &["secret", "set", "prod:too-long"], &value.repeat(9000));
    watch.does(6, &["secret", "set", "prod:empty"], "");
    watch.does(0, &["import", "--vault", "prod", &env, "--dry-run"], "");
    watch.does(0, &["import", "--vault", "prod", &env], "");
    watch.does(7, &["import", "--vault", "prod", &json], "");
    watch.does(0, &["import", "--vault", "prod", &json, "--overwrite", "--output", "json"], "");
    watch.does(6, &["import", "--vault", "prod", &bad], "");
    watch.does(0, &["import", "--vault", "staging", &env, "--create-vault"], "");
    watch.does(0, &["secret", "list"], "");
    watch.does(0, &["secret", "list", "prod", "--output", "json"], "");
    watch.does(0, &["secret", "show", "prod:db-password"], "");
    watch.does(0, &["secret", "rename", "prod:tls-key", "tls/key"], "");
    watch.does(0, &["secret", "move", "prod:tls/key", "staging"], "");
    watch.does(0, &["secret", "versions", "prod:db-password"], "");
    watch.does(0, &["secret", "rollback", "prod:db-password", "--to", "1"], "");
    watch.does(0, &["secret", "delete", "staging:tls/key", "--yes"], "");
    watch.does(0, &["secret", "deleted"], "");
    watch.does(0, &["secret", "undelete", "staging:tls/key"], "");
    watch.does(0, &["secret", "delete", "staging:tls/key", "--yes"], "");
    watch.does(0, &["secret", "purge", "staging:tls/key", "--yes"], "");
    watch.does(0, &["vault", "list", "--output", "json"], "");
    watch.does(0, &["stale", "--older", "1d"], "");
    watch.does(0, &["changes"], "");
    watch.does(0, &["changes", "--output", "json"], "");
    watch.does(0, &["explain", "prod:db-password"], "");
    watch.does(0, &["whoami"], "");
    watch.does(
        0,
        &["api", "secrets", "create", "--vault-name", "prod", "--name", "api", "--value-file", &pem],
        "",
    );
    watch.does(
        0,
        &["api", "secrets", "create", "--vault-name", "prod", "--name", "v", "--value", "plain"],
        "",
    );
    watch.does(
        7,
        &["api", "secrets", "create", "--vault-name", "prod", "--name", "api", "--value-file", &pem],
        "",
    );
    watch.does(0, &["api", "secrets", "list"], "");
    watch.does(0, &["api", "vaults", "list"], "");
    watch.does(0, &["api", "api-keys", "list"], "");
    watch.does(1, &["diff", "prod", "staging", "--names-only"], "");
}

/// Commands that read values, by a key that may, and how they fail.
fn read(watch: &mut Watch<'_>) {
    let home = watch.person.home().to_owned();
    let at = |name: &str| text(&home.join(name)).to_owned();
    watch.does(0, &["secret", "get", "prod:db-password"], "");
    watch.does(0, &["secret", "get", "prod:db-password", "--output", "json"], "");
    watch.does(3, &["secret", "get", "prod:none"], "");
    watch.does(3, &["secret", "get", "prod:db-password@7"], "");
    watch.does(1, &["diff", "prod", "staging"], "");
    watch.does(1, &["diff", "prod", "staging", "--output", "json"], "");
    watch.does(0, &["export", "--vault", "prod"], "");
    watch.does(0, &["export", "--vault", "prod", "-o", &at("exported.env")], "");
    watch.does(1, &["export", "--vault", "prod", "-o", &at("no/such/folder")], "");
    let whole = "password = ${secrets.get('prod','db-password')}\n";
    watch.does(0, &["render", "-"], whole);
    watch.does(0, &["render", "-", "-o", &at("rendered.conf")], whole);
    watch.does(0, &["render", "--check", "-"], whole);
    watch.does(
        3,
        &["render", "-", "-o", &at("missing.conf")],
        &format!("{whole}${{secrets.get('prod','none')}}"),
    );
    watch.does(6, &["render", "-"], &format!("{whole}${{secrets.fetch('prod','db-password')}}"));
    fs::create_dir(home.join("templates")).unwrap();
    fs::write(home.join("templates/a.conf.tmpl"), whole).unwrap();
    watch.does(0, &["render", &at("templates"), "--output-dir", &at("rendered")], "");
    watch.does(0, &["run", "--vault", "prod", "--", "printenv", "DB_PASSWORD"], "");
    watch.does(0, &["run", "--vault", "prod", "--", "true"], "");
    watch.does(127, &["run", "--vault", "prod", "--", "no-such-command"], "");
    watch.does(126, &["run", "--vault", "prod", "--", "/etc/passwd"], "");
    watch.does(3, &["run", "--map", "X=prod:none", "--", "true"], "");
    watch.does(6, &["run", "--vault", "prod", "--vault", "staging", "--", "true"], "");
    watch.does(
        0,
        &["run", "--vault", "prod", "--redact", "--", "sh", "-c", "printenv; printenv | base64 >&2"],
        "",
    );
    watch.does(0, &["run", "--vault", "prod", "--files", "--", "sh", "-c", "echo $DB_PASSWORD_FILE"], "");
    watch.does(0, &["run", "--offline", "--vault", "prod", "--", "printenv", "DB_PASSWORD"], "");
    watch.does(4, &["secret", "set", "prod:db-password"], CANARY);
}

#[test]
fn no_value_and_no_token_is_where_it_does_not_belong() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let value = format!("{CANARY} \"q\" 'x' $Y\\\n  second {CANARY}");
    let admin = Person::admin(&server).set("PATH", "/usr/bin:/bin");
    let mut seen = Haystacks::default();
    manage(&mut Watch { person: &admin, seen: &mut seen }, &value);
    let reader = admin.granted(&server, &["resolve *:*", "read *:*"]).set("PATH", "/usr/bin:/bin");
    read(&mut Watch { person: &reader, seen: &mut seen });
    let token = harness::first_key(&server.data);
    let login = ["login", "--profile", "work", "--url", &server.url];
    Watch { person: &admin, seen: &mut seen }.does(0, &login, &token);
    server.stop();
    let mut watch = Watch { person: &reader, seen: &mut seen };
    watch.does(5, &["secret", "get", "prod:db-password"], "");
    watch.does(0, &["run", "--offline", "--vault", "prod", "--", "printenv", "DB_PASSWORD"], "");
    watch.does(5, &["run", "--offline", "--max-age", "1s", "--vault", "other", "--", "true"], "");
    add_files(&mut seen, admin.home(), "");
    add_files(&mut seen, reader.home(), "");

    // Looked for by what it is in every value: the words round it are found with it.
    let needles = forms(CANARY);
    let allowed = |place: &str| GIVEN.iter().chain(&BROUGHT).any(|allowed| place.starts_with(allowed));
    assert_eq!(seen.find(&needles, allowed), Vec::<String>::new());
    // The search finds what is there, in each place that gives a value, and the cache is among what was searched.
    for given in GIVEN {
        let found = seen.find(&needles, |place| !place.starts_with(given));
        assert!(!found.is_empty(), "no value at {given}: is it asked for at all?");
    }
    assert!(seen.places("file: .cache/strongroom/") > 0, "no cache was searched");
    let tokens: Vec<Needle> =
        [token.as_str(), reader.variable("STRONGROOM_API_KEY")].into_iter().flat_map(forms).collect();
    // The profile keeps it, in a file that its owner alone may read.
    let profile = |place: &str| place == "file: .config/strongroom/config.toml";
    assert_eq!(seen.find(&tokens, profile), Vec::<String>::new());
    assert!(!seen.find(&tokens, |place| !profile(place)).is_empty());
}
