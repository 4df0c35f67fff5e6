//! `strongroom render`: files with values in them, all or none, and no value anywhere else.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;
mod prod;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::{Server, audit_events, files, poll, text};
use person::Person;
use prod::Prod;
use serde_json::json;

const PASSWORD: &str = "canary it's \"quoted\": #1";
const PEM: &str = "-----BEGIN KEY-----\ncanaryMIIB\n-----END KEY-----\n";

fn prod() -> Prod {
    Prod::with(&[("db-password", PASSWORD), ("tls/key", PEM)])
}

/// A folder of templates, by name.
fn templates(prod: &Prod, list: &[(&str, &str)]) -> String {
    let folder = prod.path("templates");
    for (name, template) in list {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, template).unwrap();
    }
    text(&folder).to_owned()
}

#[track_caller]
fn refuses(prod: &Prod, code: i32, args: &[&str]) -> String {
    let error = prod.reader.fails(code, &[&["render"], args].concat());
    assert!(!error.contains("canary"), "{error}");
    error
}

/// What lies in a folder, by name.
fn listing(folder: &Path) -> Vec<PathBuf> {
    if folder.exists() { files::contents(folder).into_keys().collect() } else { Vec::new() }
}

#[test]
fn a_text_is_rendered_from_standard_input_to_standard_output() {
    let prod = prod();
    let template = "PASSWORD=${secrets.get('prod', 'db-password') | shell}\n${HOME} ${req.headers['x']}\n";
    let done = prod.reader.feed(&["render"], template.as_bytes());
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    let word = PASSWORD.replace('\'', r"'\''");
    assert_eq!(done.stdout, format!("PASSWORD='{word}'\n${{HOME}} ${{req.headers['x']}}\n"));
    // No server and no key is needed where no value is wanted.
    let done = Person::stranger().feed(&["render", "-"], b"${HOME}");
    assert_eq!((done.code, done.stdout.as_str()), (0, "${HOME}"), "{done:?}");
}

#[test]
fn a_policy_is_rendered_so_that_it_loads_with_exactly_the_values() {
    let prod = prod();
    let policy = r#"{"on_tcp_connect": [{"actions": [{"type": "terminate-tls", "config": {
        "server_private_key": "${secrets.get(\"prod\", 'tls/key')}", "note": "${conn.client_ip}"}}]}]}"#;
    let file = prod.reader.file("policy.json", policy.as_bytes());
    let rendered: serde_json::Value = prod.reader.json(&["render", &file]);
    let config = &rendered["on_tcp_connect"][0]["actions"][0]["config"];
    assert_eq!(config, &json!({"server_private_key": PEM, "note": "${conn.client_ip}"}));

    let policy = "on_http_request:\n  - credentials: ['u:${secrets.get(''prod'',''db-password'')}'] # 'it\n    key: |\n      ${secrets.get('prod','tls/key')}\n";
    let file = prod.reader.file("policy.yaml.tmpl", policy.as_bytes());
    let expected = "on_http_request:\n  - credentials: [\"u:canary it's \\\"quoted\\\": #1\"] # 'it\n    key: \"-----BEGIN KEY-----\\ncanaryMIIB\\n-----END KEY-----\\n\\n\"\n";
    assert_eq!(prod.reader.does(&["render", &file]), expected);
    // As a text it has another quoting than YAML's, and there the value is put in as it is.
    let error = refuses(&prod, 6, &[&file, "--format", "text"]);
    assert!(error.contains("policy.yaml.tmpl:2:22: "), "{error}");
    let file = prod.reader.file("key.yaml", b"key: ${secrets.get('prod','tls/key')}");
    assert_eq!(prod.reader.does(&["render", &file, "--format", "text"]), format!("key: {PEM}"));
}

#[test]
fn the_name_of_what_is_written_tells_the_format() {
    let prod = prod();
    let template = b"{\"k\": \"${secrets.get('prod','tls/key')}\"}";
    let output = prod.path("out.json");
    let done = prod.reader.feed(&["render", "-o", text(&output)], template);
    assert_eq!(done.code, 0, "{done:?}");
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&output).unwrap()).unwrap();
    assert_eq!(json, json!({"k": PEM}));
    let done = prod.reader.feed(&["render"], template);
    assert_eq!(done.stdout, format!("{{\"k\": \"{PEM}\"}}"));
}

#[test]
fn a_folder_is_rendered_file_by_file_for_its_owner_alone() {
    let prod = prod();
    let folder = templates(
        &prod,
        &[
            ("app.conf.tmpl", "password = ${secrets.get('prod','db-password')}\n"),
            ("tls/key.pem", "${secrets.get('prod','tls/key')}"),
            ("tls/plain.txt", "nothing"),
        ],
    );
    symlink(prod.path("templates/tls/plain.txt"), prod.path("templates/link.txt.tpl")).unwrap();
    let output = prod.path("out");
    let render = || prod.reader.does(&["render", &folder, "--output-dir", text(&output)]);
    assert_eq!(render(), "4 files are written, 0 unchanged\n");
    let expected = [
        ("app.conf", format!("password = {PASSWORD}\n")),
        ("link.txt", "nothing".to_owned()),
        ("tls/key.pem", PEM.to_owned()),
        ("tls/plain.txt", "nothing".to_owned()),
    ];
    assert_eq!(listing(&output), expected.each_ref().map(|(name, _)| output.join(name)));
    for (name, content) in &expected {
        assert_eq!(&fs::read_to_string(output.join(name)).unwrap(), content);
        assert_eq!(files::mode(&output.join(name)), 0o600);
    }
    assert_eq!(files::mode(&output), 0o700);

    // What would not change is left alone; what is open to others is not as it should be.
    let inode = |name: &str| fs::metadata(output.join(name)).unwrap().ino();
    let before = (inode("app.conf"), inode("tls/key.pem"));
    files::set_mode(&output.join("tls/key.pem"), 0o644);
    assert_eq!(render(), "1 file is written, 3 unchanged\n");
    assert!(inode("app.conf") == before.0 && inode("tls/key.pem") != before.1);
    assert_eq!(files::mode(&output.join("tls/key.pem")), 0o600);

    // One request was enough for all of it, each time.
    let resolved = audit_events(&prod.server.data);
    let resolved = resolved.iter().filter(|event| event["event_type"] == "secret_resolved.v0").count();
    assert_eq!(resolved, 4);
}

#[test]
fn nothing_is_written_when_a_secret_is_missing_anywhere() {
    let prod = prod();
    let folder = templates(
        &prod,
        &[
            ("a", "${secrets.get('prod','db-password')}"),
            ("b", "${secrets.get('prod','not-there')}${secrets.get('prod','nor-this')}"),
        ],
    );
    let output = prod.path("out");
    let error = refuses(&prod, 3, &[&folder, "--output-dir", text(&output)]);
    assert!(error.contains("prod:not-there") && error.contains("prod:nor-this"), "{error}");
    assert!(!output.exists());
    refuses(&prod, 3, &[&folder, "--check"]);
    refuses(&prod, 3, &["not-there.conf"]);
}

#[test]
fn what_is_wrong_in_any_template_is_told_by_file_line_and_column() {
    let prod = prod();
    let folder = templates(
        &prod,
        &[
            ("a.yaml", "x: 1\ny: ${secrets.fetch('a','b')}\n"),
            ("b.conf", "é ${\"Basic \" + secrets.get('prod','db-password')}"),
            ("c.conf", "${secrets.get('prod','db-password')}"),
        ],
    );
    let output = prod.path("out");
    let error = refuses(&prod, 6, &[&folder, "--output-dir", text(&output)]);
    assert!(error.contains("a.yaml:2:4: there is no secrets.fetch"), "{error}");
    assert!(error.contains("b.conf:1:3: secrets.get stands inside a larger expression"), "{error}");
    assert!(!output.exists());
    let bytes = prod.reader.file("latin1", b"caf\xe9 ${secrets.get('prod','db-password')}");
    assert!(refuses(&prod, 6, &[&bytes]).contains("is not text in UTF-8"));
}

#[test]
fn check_writes_nothing_and_tells_no_value() {
    let prod = prod();
    let folder = templates(&prod, &[("a", "${secrets.get('prod','db-password')}"), ("b", "")]);
    let before = listing(Path::new(&folder));
    let said = prod.reader.does(&["render", &folder, "--check"]);
    assert_eq!(said, "2 templates are understood, and 1 value is there\n");
    assert_eq!(listing(Path::new(&folder)), before);
}

#[test]
fn a_key_without_the_grant_and_a_server_that_is_down_are_told_apart() {
    let prod = prod();
    let file = prod.reader.file("a", b"${secrets.get('prod','db-password')}");
    let output = prod.path("out.conf");
    fs::write(&output, "as before").unwrap();
    let args = ["render", &file, "-o", text(&output)];
    Person::admin(&prod.server).fails(4, &args);
    let narrow = Person::admin(&prod.server).granted(&prod.server, &["read prod:*", "resolve prod:tls/*"]);
    let error = narrow.fails(4, &args);
    assert!(error.contains("prod:db-password"), "{error}");
    let address = prod.server.url.clone();
    let reader = prod.reader;
    prod.server.stop();
    let error = reader.fails(5, &args);
    assert!(error.contains(&address), "{error}");
    assert_eq!(fs::read_to_string(&output).unwrap(), "as before");
}

#[test]
fn no_template_is_written_over_and_no_file_twice() {
    let prod = prod();
    let template = "${secrets.get('prod','db-password')}";
    let folder = templates(&prod, &[("a.tmpl", template), ("a.tpl", template)]);
    let output = prod.path("out");
    let error = refuses(&prod, 6, &[&folder, "--output-dir", text(&output)]);
    assert!(error.contains("would both be written to"), "{error}");
    refuses(&prod, 2, &[&folder]);
    for within in [folder.clone(), format!("{folder}/sub")] {
        fs::create_dir_all(&within).unwrap();
        assert!(refuses(&prod, 2, &[&folder, "--output-dir", &within]).contains("within the folder"));
    }
    let file = format!("{folder}/a.tmpl");
    let link = prod.path("link");
    fs::hard_link(&file, &link).unwrap();
    for target in [file.as_str(), text(&link)] {
        assert!(refuses(&prod, 6, &[&file, "-o", target]).contains("is a template itself"));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), template);
    assert!(!output.exists());
}

#[test]
fn a_link_out_of_the_folder_is_not_followed() {
    let prod = prod();
    let folder = templates(&prod, &[("a", "x")]);
    symlink("/etc/hostname", prod.path("templates/b")).unwrap();
    let output = prod.path("out");
    let error = refuses(&prod, 6, &[&folder, "--output-dir", text(&output)]);
    assert!(error.contains("templates/b is a link that leads out"), "{error}");
    assert!(!output.exists());
}

#[test]
fn an_output_that_cannot_be_written_changes_no_file() {
    let prod = prod();
    let folder = templates(&prod, &[("a", "${secrets.get('prod','db-password')}"), ("b/c", "x")]);
    let output = prod.path("out");
    fs::create_dir(&output).unwrap();
    fs::write(output.join("a"), "as before").unwrap();
    fs::write(output.join("b"), "no folder").unwrap();
    let error = refuses(&prod, 1, &[&folder, "--output-dir", text(&output)]);
    assert!(error.contains("out/b cannot be made; no file was changed"), "{error}");
    assert_eq!(fs::read_to_string(output.join("a")).unwrap(), "as before");
    assert_eq!(listing(&output), [output.join("a"), output.join("b")]);
    let error = refuses(&prod, 1, &[&folder, "--output-dir", "/proc/strongroom-test"]);
    assert!(error.contains("no file was changed"), "{error}");
    refuses(&prod, 1, &[&format!("{folder}/a"), "-o", text(&prod.path("templates"))]);
    refuses(&prod, 1, &[&format!("{folder}/a"), "-o", text(&prod.path("no/such/folder"))]);
}

#[test]
fn a_device_is_not_replaced_and_a_link_is_followed() {
    let prod = prod();
    let file = prod.reader.file("a", b"${secrets.get('prod','db-password')}");
    // A device may be made by root alone; a pipe is no file either.
    let pipe = prod.path("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let (link, end) = (prod.path("link"), prod.path("end"));
    symlink(&pipe, &link).unwrap();
    for target in [&pipe, &link] {
        let error = refuses(&prod, 1, &[&file, "-o", text(target)]);
        assert!(error.contains("is no file; no file was changed"), "{error}");
    }
    fs::remove_file(&link).unwrap();
    fs::write(&end, "").unwrap();
    symlink(&end, &link).unwrap();
    assert_eq!(prod.reader.does(&["render", &file, "-o", text(&link)]), "1 file is written, 0 unchanged\n");
    assert!(link.is_symlink());
    assert_eq!((fs::read_to_string(&end).unwrap().as_str(), files::mode(&end)), (PASSWORD, 0o600));
}

#[test]
fn a_full_disk_leaves_the_old_file_whole() {
    let prod = Prod::with(&[("large", &"canary".repeat(5000))]);
    let file = prod.reader.file("a", b"${secrets.get('prod','large')}");
    let output = prod.path("out/conf");
    fs::create_dir(prod.path("out")).unwrap();
    fs::write(&output, "as before").unwrap();
    let render = prod.reader.command(&["render", &file, "-o", text(&output)]);
    // A limit on the size of files, of 8 KiB, which fails as a full disk does.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "sh"]);
    limited.arg(render.get_program()).args(render.get_args()).env_clear();
    limited.envs(render.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let done = limited.output().unwrap();
    let error = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{error}");
    assert!(error.contains("no file was changed") && !error.contains("canary"), "{error}");
    assert_eq!(fs::read_to_string(&output).unwrap(), "as before");
    assert_eq!(listing(&prod.path("out")), [output]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let prod = Prod::with(&[("large", &"x".repeat(60_000))]);
    let file = prod.reader.file("a", "${secrets.get('prod','large')}".repeat(4).as_bytes());
    let mut child = prod.reader.command(&["render", &file]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = poll("render ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn more_secrets_than_one_request_takes_are_rendered() {
    let prod = Prod::with(&[]);
    let admin = Person::admin(&prod.server);
    let names: Vec<String> = (0..230).map(|number| format!("name-{number:03}")).collect();
    let values: String = names.iter().map(|name| format!("{name}=value-of-{name}\n")).collect();
    let file = admin.file("values.env", values.as_bytes());
    admin.does(&["import", "--vault", "prod", &file]);
    let template: String =
        names.iter().map(|name| format!("{name}=${{secrets.get('prod','{name}')}}\n")).collect();
    let file = prod.reader.file("t", template.as_bytes());
    assert_eq!(prod.reader.does(&["render", &file]), values);
}

#[test]
fn the_cache_serves_templates_too() {
    let prod = prod();
    let file = prod.reader.file("a", b"${secrets.get('prod','db-password')}");
    let args = ["render", &file, "--offline"];
    assert_eq!(prod.reader.does(&args), PASSWORD);
    let Prod { server, reader, .. } = prod;
    Server::stop(server);
    assert_eq!(reader.does(&args), PASSWORD);
}
