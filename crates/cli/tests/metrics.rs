//! The counters: on a listener of their own without a key, on the main one with a key, in a form that scrapers read.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use harness::http::exchange;
use harness::{Reply, Request, Server, first_key, make_vault, private_folder, secret_in};

/// The addresses of a server that has both listeners. The second one's port is asked of the system: another process may
/// take it in between, and then the server says so and another one is tried.
fn start(data: &std::path::Path) -> (Server, String) {
    for _ in 0..10 {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut process = Server::spawn(data, &["--metrics-listen", &free]);
        let started = harness::poll("the server starts or gives up", || {
            let listens = process.stdout().lines().any(|line| line.trim_start().starts_with("URL "));
            (listens || process.exited().is_some()).then_some(listens)
        });
        if started {
            return (Server::wait_until_ready(data, process), free);
        }
        assert!(process.stderr().contains(&free), "{}", process.stderr());
    }
    panic!("no port stayed free");
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone()).unwrap()
}

/// The value of the one sample that starts like this.
fn sample(text: &str, start: &str) -> f64 {
    let found: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(start)).collect();
    assert_eq!(found.len(), 1, "{start:?} in {text}");
    found[0].trim().parse().unwrap_or_else(|e| panic!("{e} in {found:?}"))
}

fn assert_open_metrics(reply: &Reply) {
    let kind = reply.header("content-type").expect("a content type");
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = text(reply);
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert_eq!(text.matches("# EOF").count(), 1);
    let mut types = std::collections::BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with("# EOF")) {
        if let Some(name) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()) {
            assert!(types.insert(name.to_owned()), "{name} is told twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let family =
                ["_bucket", "_count", "_sum", "_total"].iter().find_map(|end| name.strip_suffix(end));
            let known = types.contains(name) || family.is_some_and(|family| types.contains(family));
            assert!(known && name.starts_with("strongroom_"), "a sample without a type: {line}");
            let value = line.rsplit(' ').next().unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[test]
fn a_listener_of_their_own_needs_no_key_and_has_nothing_else() {
    let data = private_folder();
    let (server, address) = start(data.path());
    let mut client = server.client();
    let vault = make_vault(&mut client, "vault");
    client.post("/vault_secrets", &secret_in(&vault, "secret", "value")).expect_status(201);
    client.get("/vaults").expect_status(200);
    client.get("/vaults/vault_0000000000000000000000000xY").expect_status(404);

    let reply = exchange(&address, &Request::new("GET", "/metrics").without("ngrok-version"));
    let reply = reply.expect_status(200);
    assert_open_metrics(&reply);
    let told = text(&reply);
    for (start, expected) in [
        ("strongroom_store_vaults ", 1.0),
        ("strongroom_store_secrets ", 1.0),
        ("strongroom_store_api_keys ", 1.0),
        ("strongroom_store_audit_events_total ", 3.0),
    ] {
        assert!((sample(&told, start) - expected).abs() < 0.5, "{start}{expected} in {told}");
    }
    assert!(sample(&told, "strongroom_store_bytes ") > 0.0);
    assert!(sample(&told, "strongroom_store_changes_total ") >= 2.0);
    assert!(sample(&told, "strongroom_store_commits_total ") >= 2.0);
    assert!(sample(&told, "strongroom_http_connections ") >= 1.0);
    let requests = |method: &str, route: &str, status: u16| {
        let labels = format!("{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}");
        sample(&told, &format!("strongroom_http_request_duration_seconds_count{labels}"))
    };
    for (method, route, status) in [
        ("POST", "/vaults", 201),
        ("POST", "/vault_secrets", 201),
        ("GET", "/vaults", 200),
        ("GET", "/vaults/{id}", 404),
    ] {
        assert!((requests(method, route, status) - 1.0).abs() < 0.5, "{method} {route} {status} in {told}");
    }

    let key = first_key(data.path());
    for path in ["/", "/vaults", "/healthz", "/openapi.json", "/metrics/", "//metrics", "/self"] {
        let reply = exchange(&address, &Request::new("GET", path).token(&key));
        assert_eq!((reply.status, reply.body.len()), (404, 0), "{path}: {reply}");
    }
    let change = Request::new("POST", "/vaults").token(&key).json(&serde_json::json!({"name": "other"}));
    assert_eq!(exchange(&address, &change).status, 404);
    assert_eq!(harness::list_all(&mut client, "/vaults", "vaults").len(), 1);
    server.stop();
}

#[test]
fn the_main_listener_tells_them_to_those_with_a_key() {
    let data = private_folder();
    let server = Server::start(data.path());
    let refused = exchange(server.address(), &Request::new("GET", "/metrics")).expect_status(403);
    assert!(!text(&refused).contains("strongroom_"), "{refused}");
    let reply = exchange(server.address(), &Request::new("GET", "/metrics").token(&first_key(data.path())));
    assert_open_metrics(&reply.expect_status(200));
    server.stop();
}

/// Labels are what the server knows, never what a client chose: not a path, not a method, and no end of series.
#[test]
fn no_client_can_make_a_series() {
    let data = private_folder();
    let server = Server::start(data.path());
    let key = first_key(data.path());
    for number in 0..20 {
        exchange(server.address(), &Request::new("GET", &format!("/no-such-{number}")).token(&key));
        exchange(server.address(), &Request::new(&format!("X{number}"), "/vaults").token(&key));
        exchange(server.address(), &Request::new("GET", &format!("/vaults/swordfish-{number}")).token(&key));
    }
    let reply = exchange(server.address(), &Request::new("GET", "/metrics").token(&key)).expect_status(200);
    let told = text(&reply);
    for word in ["no-such", "swordfish", "X1"] {
        assert!(!told.contains(word), "{word} in {told}");
    }
    let series = told.lines().filter(|line| line.contains("_seconds_count{")).count();
    assert!(series <= 4, "{told}");
    server.stop();
}
