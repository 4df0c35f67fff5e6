//! IP restrictions against a real server: enforced on every route, at once and on connections that are open, and lifted on the
//! machine itself.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
#[path = "revoked/http2.rs"]
mod http2;

use std::io::{BufRead, BufReader, Write};

use harness::http::{connect, exchange};
use harness::{
    Client, Request, Server, audit_events, field, make_vault, poll, private_folder, run, secret_in, text,
};
use http2::Http2;
use serde_json::{Value, json};
use strongroom_server::ROUTES;

/// Well formed, and given to nothing.
const UNKNOWN: &str = "32ELIL9nzEhwlvjSpNSI6xXGNcE";

/// A policy with a rule that allows those addresses.
fn allowing(admin: &mut Client, cidr: &str) -> (Value, Value) {
    let policy = admin.post("/ip_policies", &json!({})).expect_status(201).json();
    let rule = json!({"cidr": cidr, "ip_policy_id": policy["id"], "action": "allow"});
    let rule = admin.post("/ip_policy_rules", &rule).expect_status(201).json();
    (policy, rule)
}

fn restriction(policy: &Value, enforced: bool) -> Value {
    json!({"type": "api", "ip_policy_ids": [policy["id"]], "enforced": enforced})
}

fn log(server: &Server) -> String {
    server.process.stderr() + &server.process.stdout()
}

const CONFIRMED: &str = "/ip_restrictions?confirm_lockout=true";

#[test]
fn it_is_enforced_on_every_route() {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut admin = server.client();
    let token = harness::first_key(data.path());
    let (policy, _) = allowing(&mut admin, "192.0.2.0/24");
    admin.post(CONFIRMED, &restriction(&policy, true)).expect_status(201);
    let events = audit_events(data.path()).len();
    let mut asked = 0;
    for route in ROUTES {
        let path = route.path.replace("{id}", &format!("vault_{UNKNOWN}"));
        for method in route.methods {
            // The rest of the request is wrong in all that can be wrong: nothing is looked at before the address.
            let request = Request::new(method, &format!("{path}?x=%")).token(&token).without("ngrok-version");
            let reply = exchange(server.address(), &request).expect_status(403);
            assert_eq!(reply.json()["error_code"], "ERR_NGROK_220", "{method} {path}: {reply}");
            asked += 1;
        }
    }
    assert!(asked > 60, "{asked}");
    assert_eq!(audit_events(data.path()).len(), events, "something was done");
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        exchange(server.address(), &Request::new("GET", path)).expect_status(200);
    }
    // Without a key that counts, nobody gets to know of a restriction.
    let unknown = exchange(server.address(), &Request::new("GET", "/self")).expect_status(403);
    assert_eq!(unknown.json()["error_code"], "ERR_NGROK_200");
    server.stop();
}

#[test]
fn one_that_is_not_enforced_warns() {
    let data = private_folder();
    let server = Server::start(data.path());
    let mut admin = server.client();
    let (policy, _) = allowing(&mut admin, "192.0.2.0/24");
    let made = admin.post("/ip_restrictions", &restriction(&policy, false)).expect_status(201).json();
    admin.get("/self").expect_status(200);
    let metrics = String::from_utf8(admin.get("/metrics").expect_status(200).body).unwrap();
    assert!(metrics.contains("strongroom_ip_restricted_requests_total{outcome=\"warned\"} 2\n"), "{metrics}");
    assert!(
        metrics.contains("strongroom_ip_restricted_requests_total{outcome=\"refused\"} 0\n"),
        "{metrics}"
    );
    let warned = |line: &&str| line.contains("WARN") && line.contains(field(&made, "id"));
    // A line for each request, which the log may bring later than the answer.
    poll("both lines", || (log(&server).lines().filter(warned).count() == 2).then_some(()));
    server.stop();
}

/// Asks over one connection that stays open.
enum Connection {
    Http1(Client),
    Http2(Http2),
}

impl Connection {
    fn status(&mut self) -> u16 {
        match self {
            Self::Http1(client) => {
                let reply = client.get("/self");
                assert_ne!(reply.header("connection"), Some("close"), "the connection is to stay open");
                reply.status
            }
            Self::Http2(connection) => connection.get("/self").0,
        }
    }
}

/// A server that believes the machine's own address about whom it asks for, so that the admin can stay in.
fn behind_a_proxy(data: &std::path::Path) -> (Server, String) {
    let server = Server::start_with(data, &["--trusted-proxies", "127.0.0.0/8"]);
    (server, harness::first_key(data))
}

/// A request of the admin's from an address that stays allowed.
fn from(address: &str, token: &str, method: &str, target: &str) -> Request {
    Request::new(method, target).token(token).header("x-forwarded-for", address)
}

#[test]
fn a_change_counts_with_the_next_request_on_open_connections() {
    let data = private_folder();
    let (server, token) = behind_a_proxy(data.path());
    let send = |method: &str, target: &str, body: &Value| {
        exchange(server.address(), &from("192.0.2.7", &token, method, target).json(body))
    };
    let (policy, _) = allowing(&mut server.client(), "192.0.2.0/24");
    let mut connections = [
        Connection::Http1(server.client_with(&token)),
        Connection::Http2(Http2::new(server.address(), &token)),
    ];
    let mut all = |expected: u16, when: &str| {
        for connection in &mut connections {
            assert_eq!(connection.status(), expected, "{when}");
        }
    };
    all(200, "at first");
    let it = send("POST", "/ip_restrictions", &restriction(&policy, true)).expect_status(201).json();
    let own = format!("/ip_restrictions/{}", field(&it, "id"));
    all(403, "restricted");
    let here = json!({"cidr": "127.0.0.1/32", "ip_policy_id": policy["id"], "action": "allow"});
    let here = send("POST", "/ip_policy_rules", &here).expect_status(201).json();
    let rule = format!("/ip_policy_rules/{}", field(&here, "id"));
    all(200, "with a rule");
    send("PATCH", &rule, &json!({"cidr": "127.0.0.2/32"})).expect_status(200);
    all(403, "with a rule for another");
    send("PATCH", &own, &json!({"enforced": false})).expect_status(200);
    all(200, "not enforced");
    send("PATCH", &own, &json!({"enforced": true})).expect_status(200);
    all(403, "enforced");
    exchange(server.address(), &from("192.0.2.7", &token, "DELETE", &own)).expect_status(204);
    all(200, "deleted");
    server.stop();
}

#[test]
fn who_waits_for_changes_is_kept_out_too() {
    let data = private_folder();
    let (server, token) = behind_a_proxy(data.path());
    let send = |method: &str, target: &str, body: &Value| {
        exchange(server.address(), &from("192.0.2.7", &token, method, target).json(body))
    };
    let (policy, _) = allowing(&mut server.client(), "192.0.2.0/24");
    let watch =
        Request::new("GET", "/strongroom/changes").token(&token).header("accept", "text/event-stream");
    let mut stream = connect(server.address()).unwrap();
    stream.write_all(&watch.bytes(server.address())).unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.by_ref().find(|line| line.starts_with("id: ")).expect("it tells where it is");
    send("POST", "/ip_restrictions", &restriction(&policy, true)).expect_status(201);
    lines.by_ref().find(|line| line == "event: end").expect("it ends");
    let why = lines.next().unwrap();
    assert!(why.contains("ERR_NGROK_220"), "{why}");
    server.stop();
}

/// A body may come long after its head.
#[test]
fn a_restriction_that_comes_while_a_body_is_on_its_way_counts() {
    let data = private_folder();
    let (server, token) = behind_a_proxy(data.path());
    let mut admin = server.client();
    let (policy, _) = allowing(&mut admin, "192.0.2.0/24");
    let vault = make_vault(&mut admin, "prod");
    admin.post("/vault_secrets", &secret_in(&vault, "s", "v")).expect_status(201);
    let body = json!({"name": "late"}).to_string();
    let bytes = Request::new("POST", "/vaults").token(&token).body(body.as_bytes()).bytes(server.address());
    let (head, rest) = bytes.split_at(bytes.len() - body.len());
    let mut stream = connect(server.address()).unwrap();
    stream.write_all(head).unwrap();
    let make = from("192.0.2.7", &token, "POST", "/ip_restrictions").json(&restriction(&policy, true));
    exchange(server.address(), &make).expect_status(201);
    stream.write_all(rest).unwrap();
    let reply = harness::Reply::read(&mut BufReader::new(stream), "POST").unwrap();
    assert_eq!((reply.status, &reply.json()["error_code"]), (403, &json!("ERR_NGROK_220")), "{reply}");
    server.stop();
}

#[test]
fn a_chain_of_proxies() {
    let data = private_folder();
    let server = Server::start_with(data.path(), &["--trusted-proxies", "127.0.0.1/32, 10.0.0.0/8"]);
    let token = harness::first_key(data.path());
    let (policy, _) = allowing(&mut server.client(), "2001:db8::/32");
    let make = from("2001:db8::1", &token, "POST", "/ip_restrictions").json(&restriction(&policy, true));
    exchange(server.address(), &make).expect_status(201);
    for (said, status) in [
        ("2001:db8::1", 200),
        ("2001:db8::1, 10.1.2.3", 200),
        ("nonsense, 2001:db8::1, 10.1.2.3", 200),
        ("[2001:db8::1]:4711, 10.1.2.3:80", 200),
        ("2001:db8::1, 192.0.2.1", 403),
        ("2001:db8::1, 192.0.2.1, 10.1.2.3", 403),
        ("10.1.2.3", 403),
        ("2001:db8::1, nonsense", 400),
        ("", 400),
    ] {
        let reply = exchange(server.address(), &from(said, &token, "GET", "/self"));
        assert_eq!(reply.status, status, "{said}: {reply}");
        // What a proxy says wrong matters to nobody who asks whether the server is there.
        exchange(server.address(), &from(said, &token, "GET", "/healthz")).expect_status(200);
    }
    poll("a line that tells the client", || log(&server).contains(" client=192.0.2.1 ").then_some(()));
    server.stop();
}

#[test]
fn it_is_lifted_on_the_machine_itself() {
    let data = private_folder();
    let mut server = Server::start(data.path());
    let mut admin = server.client();
    let (policy, _) = allowing(&mut admin, "192.0.2.0/24");
    let it = admin.post(CONFIRMED, &restriction(&policy, true)).expect_status(201).json();
    admin.get("/self").expect_status(403);
    let lift = || run(&["ip-restrictions", "disable", "--data-dir", text(data.path())]);
    let refused = lift();
    refused.expect_refusal();
    assert!(refused.stderr.contains("in use by another Strongroom"), "{}", refused.stderr);
    admin.get("/self").expect_status(403);
    server.pause();
    let lifted = lift();
    assert!(lifted.success(), "{}", lifted.stderr);
    assert_eq!(lifted.stdout, format!("{} is not enforced any more\n", field(&it, "id")));
    assert_eq!(lift().stdout, "No restriction of the API was enforced\n");
    let last = audit_events(data.path()).pop().unwrap();
    assert_eq!(last["event_type"], "ip_restriction_updated.v0");
    assert_eq!((&last["principal"]["source"], &last["object"]["enforced"]), (&json!("CLI"), &json!(false)));
    server.resume_at("127.0.0.1:0");
    let mut admin = server.client();
    admin.get("/self").expect_status(200);
    let own = format!("/ip_restrictions/{}", field(&it, "id"));
    assert_eq!(admin.get(&own).expect_status(200).json()["enforced"], false);
    server.stop();
}

#[test]
fn there_is_nothing_to_lift_where_there_is_no_store() {
    let data = private_folder();
    let refused = run(&["ip-restrictions", "disable", "--data-dir", text(data.path())]);
    refused.expect_refusal();
    assert!(harness::files::contents(data.path()).is_empty(), "nothing was made");
}

#[test]
fn a_bad_setting_is_told() {
    let data = private_folder();
    for bad in ["10.0.0.1", "10.0.0.1/8", "proxy", "10.0.0.0/8,,"] {
        let refused = run(&["serve", "--data-dir", text(data.path()), "--trusted-proxies", bad]);
        refused.expect_refusal();
        assert!(refused.stderr.contains("--trusted-proxies"), "{bad}: {}", refused.stderr);
    }
    let file = data.path().join("c.toml");
    std::fs::write(&file, "trusted_proxies = [\"10.0.0.0/8\", \"2001:db8::/32\"]\n").unwrap();
    let shown = run(&["config", "show", "--config", text(&file)]).stdout;
    assert!(shown.contains("10.0.0.0/8,2001:db8::/32"), "{shown}");
}
