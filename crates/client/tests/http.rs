//! What goes over the wire and what comes of an answer, with a server of a few lines that says what a test wants.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_client::api::{Client, Connection, Error, Method, Token};
use strongroom_wire as wire;

const TOKEN: &str = "canary-token-51c2";

/// What a connection gets: an answer, or none at all.
enum Turn {
    Answer(String),
    Close,
    Silence,
}

/// Serves one connection for each turn, and gives the requests it read.
struct Script {
    url: String,
    /// The requests, and the connections that are to stay open.
    served: JoinHandle<(Vec<String>, Vec<TcpStream>)>,
}

impl Script {
    fn of(turns: impl IntoIterator<Item = Turn> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let turns: Vec<_> = turns.into_iter().collect();
        let served = std::thread::spawn(move || {
            let mut requests = Vec::new();
            let mut silent = Vec::new();
            for turn in turns {
                let (mut stream, _) = listener.accept().unwrap();
                requests.push(read_request(&stream));
                match turn {
                    Turn::Answer(answer) => stream.write_all(answer.as_bytes()).unwrap(),
                    Turn::Close => {}
                    Turn::Silence => silent.push(stream),
                }
            }
            (requests, silent)
        });
        Self { url, served }
    }

    fn client(&self) -> Client {
        client(&self.url)
    }

    fn requests(self) -> Vec<String> {
        self.served.join().unwrap().0
    }
}

fn client(url: &str) -> Client {
    let token = Token::parse(TOKEN).unwrap();
    Client::new(Connection { url: url.to_owned(), token, ca: None, identity: None }).unwrap()
}

fn read_request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        text.push_str(&line);
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    text + str::from_utf8(&body).unwrap()
}

fn answer(status: u16, body: &str) -> Turn {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    Turn::Answer(head + body)
}

fn vault(id: &str) -> Value {
    let (time, principal) = ("2026-01-01T00:00:00Z", "usr_1");
    json!({"id": id, "uri": "", "created_at": time, "updated_at": time, "name": id, "description": "",
        "metadata": "", "created_by": principal, "last_updated_by": principal})
}

#[test]
fn a_request_has_the_token_the_version_and_who_asks() {
    let script = Script::of([answer(201, &vault("vault_1").to_string())]);
    let draft = wire::VaultCreate { name: "prod".to_owned(), ..Default::default() };
    assert_eq!(script.client().vault_create(&draft).unwrap().id, "vault_1");
    let request = &script.requests()[0];
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /vaults HTTP/1.1\r\n"), "{head}");
    for line in [
        &format!("authorization: Bearer {TOKEN}")[..],
        "ngrok-version: 2",
        "content-type: application/json",
        &format!("user-agent: strongroom/{}", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(head.to_ascii_lowercase().contains(&line.to_ascii_lowercase()), "{line} in {head}");
    }
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), json!({"name": "prod"}));
}

#[test]
fn what_is_asked_for_is_encoded() {
    let script = Script::of([answer(200, "{}")]);
    let query = [("filter", "obj.name == \"a b\" && x"), ("before_id", "ä?#")];
    script.client().call(Method::Get, "/vaults", &query, None).unwrap();
    let request = script.requests().remove(0);
    let target = request.split(' ').nth(1).unwrap();
    assert_eq!(
        target,
        "/vaults?filter=obj%2Ename%20%3D%3D%20%22a%20b%22%20%26%26%20x&before_id=%C3%A4%3F%23"
    );
}

#[test]
fn reading_is_tried_once_more_and_writing_never() {
    let script = Script::of([
        Turn::Close,
        answer(200, &json!({"vaults": [], "uri": "", "next_page_uri": null}).to_string()),
    ]);
    assert!(script.client().vaults().unwrap().is_empty());
    assert_eq!(script.requests().len(), 2);

    let script = Script::of([Turn::Close, Turn::Close]);
    let error = script.client().vaults().unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    assert_eq!(script.requests().len(), 2);

    for method in [Method::Post, Method::Patch, Method::Delete] {
        let script = Script::of([Turn::Close]);
        let body = (method != Method::Delete).then(|| json!({}));
        let error = script.client().call(method, "/vaults", &[], body.as_ref()).err().unwrap();
        assert!(matches!(error, Error::Lost { .. }), "{error:?}");
        assert_eq!(script.requests().len(), 1);
    }
}

#[test]
fn pages_are_followed_by_the_last_id_and_never_by_their_link() {
    let page = |ids: &[&str], next: Value| {
        let vaults: Vec<_> = ids.iter().map(|id| vault(id)).collect();
        answer(200, &json!({"vaults": vaults, "uri": "", "next_page_uri": next}).to_string())
    };
    let foreign = json!("http://192.0.2.1/vaults?before_id=vault_9");
    let script = Script::of([page(&["vault_3", "vault_2"], foreign), page(&["vault_1"], Value::Null)]);
    let vaults = script.client().vaults().unwrap();
    assert_eq!(
        vaults.iter().map(|vault| vault.id.as_str()).collect::<Vec<_>>(),
        ["vault_3", "vault_2", "vault_1"]
    );
    let requests = script.requests();
    assert!(requests[1].starts_with("GET /vaults?limit=100&before_id=vault_2 "), "{}", requests[1]);

    let again = || page(&["vault_3"], json!("/vaults"));
    let script = Script::of([again(), again()]);
    let error = script.client().vaults().unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "a server that gives one page for ever: {error:?}");
    script.requests();
}

#[test]
fn references_go_in_hundreds_and_come_in_order() {
    let resolved = |from: usize, to: usize| {
        let secrets: Vec<_> = (from..to)
            .map(|n| json!({"id": "", "vault": "v", "name": format!("n{n}"), "version": 1, "value": format!("{n}"), "updated_at": ""}))
            .collect();
        answer(200, &json!({"secrets": secrets}).to_string())
    };
    let script = Script::of([resolved(0, 100), resolved(100, 200), resolved(200, 201)]);
    let references: Vec<_> = (0..201)
        .map(|n| wire::Reference {
            vault: Some("v".to_owned()),
            name: Some(format!("n{n}")),
            ..Default::default()
        })
        .collect();
    let secrets = script.client().resolve(&references).unwrap();
    assert!(secrets.iter().enumerate().all(|(n, secret)| secret.value == n.to_string()));
    let counts: Vec<_> =
        script.requests().iter().map(|request| request.matches("\"name\"").count()).collect();
    assert_eq!(counts, [100, 100, 1]);
}

#[test]
fn what_is_no_answer_of_this_api_is_told_without_what_it_held() {
    let secret = json!({"secrets": [{"value": "hunter2", "version": "hunter2"}]}).to_string();
    let script = Script::of([answer(200, &secret)]);
    let error = script.client().resolve(&[wire::Reference::default()]).err().unwrap();
    assert!(matches!(error, Error::Protocol(_)), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
    script.requests();

    let script = Script::of([answer(502, "<html>"), Turn::Answer("nonsense\r\n\r\n".to_owned())]);
    let error = script.client().vaults().unwrap_err();
    assert!(matches!(&error, Error::Refused(refusal) if refusal.status == 502) && error.is_unavailable());
    let error = script.client().vaults().unwrap_err();
    assert!(matches!(error, Error::Protocol(_)) && !error.is_unavailable(), "{error:?}");
    script.requests();
}

#[test]
fn a_refusal_is_told_in_full() {
    let body = json!({"error_code": "ERR_STRONGROOM_1003", "status_code": 404, "msg": "No.",
        "details": {"operation_id": "op_1", "missing": "prod:a, prod:b"}});
    let script = Script::of([answer(404, &body.to_string())]);
    let Error::Refused(refusal) = script.client().resolve(&[wire::Reference::default()]).err().unwrap()
    else {
        panic!("not refused")
    };
    assert_eq!((refusal.status, refusal.error_code.as_str()), (404, "ERR_STRONGROOM_1003"));
    assert_eq!(refusal.operation_id.as_deref(), Some("op_1"));
    assert_eq!(refusal.details["missing"], "prod:a, prod:b");
    script.requests();
}

#[test]
fn nobody_waits_for_longer_than_was_said() {
    let script = Script::of([Turn::Silence]);
    let client = script.client().with_timeouts(Duration::from_millis(200), Duration::from_millis(300));
    let start = Instant::now();
    let error = client.resolve(&[wire::Reference::default()]).err().unwrap();
    assert!(matches!(error, Error::TimedOut { .. }) && error.is_unavailable(), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    script.requests();
}

/// The time that the server is asked to wait comes on top of that.
#[test]
fn a_wait_is_waited_for() {
    let page = r#"{"changes":[],"cursor":"7-00000000000000ff","more":false}"#;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{page}", page.len());
    let script = Script::of([Turn::Silence, Turn::Answer(answer.clone()), Turn::Answer(answer)]);
    let client = script.client().with_timeouts(Duration::from_millis(200), Duration::from_millis(200));
    let start = Instant::now();
    let error = client.changes(Some("3-00000000000000aa"), Duration::from_millis(300)).unwrap_err();
    let took = start.elapsed();
    assert!(
        matches!(error, Error::TimedOut { .. }) && took >= Duration::from_millis(500),
        "{error:?} {took:?}"
    );
    let client = client.another().with_timeouts(Duration::from_secs(5), Duration::from_secs(5));
    for after in [Some("start"), None] {
        assert_eq!(client.changes(after, Duration::ZERO).unwrap().cursor, "7-00000000000000ff");
    }
    let asked: Vec<_> =
        script.requests().iter().map(|request| request.lines().next().unwrap().to_owned()).collect();
    let get = |query: &str| format!("GET /strongroom/changes{query} HTTP/1.1");
    assert_eq!(asked, [get("?after=3-00000000000000aa&wait=300ms"), get("?after=start"), get("")]);
}

#[test]
fn a_server_that_is_not_there_is_told_apart() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [format!("http://{closed}"), "http://nowhere.invalid".to_owned()] {
        let error = client(&url).vaults().unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }) && error.is_unavailable(), "{error:?}");
        assert!(!format!("{error:?}").contains(TOKEN));
    }
}

#[test]
fn what_answers_without_tls_is_not_trusted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 4096];
        let count = stream.read(&mut request).unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        request.truncate(count);
        request
    });
    let error = client(&url).vaults().unwrap_err();
    assert!(matches!(error, Error::Untrusted { .. }) && !error.is_unavailable(), "{error:?}");
    let seen = served.join().unwrap();
    assert!(!seen.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()));
}
