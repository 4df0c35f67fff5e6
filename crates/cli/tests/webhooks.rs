//! Webhooks as those see them who are told: signed, again and again until it is taken, never twice under another name, and
//! none held up by another's trouble.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
#[path = "webhooks/target.rs"]
mod target;
#[path = "webhooks/tls.rs"]
mod tls;

use std::collections::BTreeSet;
use std::path::Path;

use harness::{Client, Server, field, make_vault, poll, private_folder, secret_in};
use serde_json::{Value, json};
use strongroom_crypto::SigningSecret;
use target::{Does, Taken, Target};

const PRIVATE: &str = "--webhooks-allow-private";

/// Makes a webhook that is told of everything, and gives what the answer shows of it.
fn make_webhook(client: &mut Client, url: &str) -> Value {
    let body = json!({"url": url, "event_types": ["*"]});
    client.post("/strongroom/webhooks", &body).expect_status(201).json()
}

fn path(webhook: &Value) -> String {
    format!("/strongroom/webhooks/{}", field(webhook, "id"))
}

/// The deliveries of a webhook that failed.
fn deliveries(client: &mut Client, webhook: &Value) -> Vec<Value> {
    let page = client.get(&format!("{}/deliveries", path(webhook))).expect_status(200).json();
    page["deliveries"].as_array().unwrap().clone()
}

/// Waits until so many deliveries of a webhook have failed in that way.
fn failed(client: &mut Client, webhook: &Value, count: usize, state: &str) -> Vec<Value> {
    poll(&format!("{count} {state} deliveries"), || {
        let found = deliveries(client, webhook);
        (found.len() == count && found.iter().all(|delivery| delivery["state"] == state)).then_some(found)
    })
}

/// Checks what was taken as its receiver would, and gives what it tells.
fn checked(taken: &Taken, secret: &str) -> Value {
    let (id, at) = (taken.header("webhook-id"), taken.header("webhook-timestamp").parse().unwrap());
    let expected = SigningSecret::parse(secret).unwrap().sign(id, at, &taken.body);
    let mut signatures = taken.header("webhook-signature").split(' ');
    assert!(signatures.any(|signature| signature == expected), "{expected} is not in {:?}", taken.headers);
    assert_eq!(taken.header("content-type"), "application/json");
    assert!(taken.header("user-agent").starts_with("strongroom/"));
    serde_json::from_slice(&taken.body).unwrap()
}

#[test]
fn a_change_is_told_signed_and_as_the_feed_tells_it() {
    let folder = private_folder();
    let server = Server::start_with(folder.path(), &[PRIVATE]);
    let (mut client, target) = (server.client(), Target::new(Does::Answer(204)));
    make_vault(&mut client, "before");
    let webhook = make_webhook(&mut client, &target.url("/in?token=x"));
    let vault = make_vault(&mut client, "prod");
    let body = secret_in(&vault, "db-password", "swordfish");
    let secret = client.post("/vault_secrets", &body).expect_status(201).json();
    let narrow =
        json!({"url": target.url("/narrow"), "event_types": ["vault_updated.v0", "secret_deleted.v0"]});
    let narrow = client.post("/strongroom/webhooks", &narrow).expect_status(201).json();
    client.delete(&format!("/vault_secrets/{}", field(&secret, "id"))).expect_status(204);

    let taken = poll("four messages", || Some(target.taken()).filter(|taken| taken.len() >= 4));
    // Several may be on the way at once: the place in the feed says which came first.
    let place =
        |change: &Value| -> u64 { field(change, "cursor").split_once('-').unwrap().0.parse().unwrap() };
    let told = |path: &str, secret: &str| -> Vec<Value> {
        let of = taken.iter().filter(|taken| taken.target == path);
        let mut told: Vec<Value> = of
            .map(|taken| {
                let told = checked(taken, secret);
                assert_eq!(told["data"]["event_id"], taken.header("webhook-id"));
                assert_eq!((&told["type"], &told["timestamp"]), (&told["data"]["type"], &told["data"]["at"]));
                assert!(!String::from_utf8_lossy(&taken.body).contains("swordfish"));
                told["data"].clone()
            })
            .collect();
        told.sort_by_key(place);
        told
    };
    let all = told("/in?token=x", field(&webhook, "secret"));
    let kinds: Vec<&str> = all.iter().map(|change| field(change, "type")).collect();
    assert_eq!(kinds, ["vault_created.v0", "secret_created.v0", "secret_deleted.v0"]);
    let feed = client.get("/strongroom/changes?after=start").expect_status(200).json();
    assert_eq!(feed["changes"].as_array().unwrap()[1..], all, "all but the vault that was there before");
    assert_eq!(told("/narrow", field(&narrow, "secret")), all[2..]);
    assert_eq!((deliveries(&mut client, &webhook), taken.len()), (Vec::new(), 4));

    let metrics = client.get("/metrics").expect_status(200);
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains("strongroom_webhook_deliveries_total{outcome=\"delivered\"} 4"), "{metrics}");
    assert!(metrics.contains("strongroom_webhook_waiting 0"), "{metrics}");
}

#[test]
fn each_trouble_is_told_clearly_holds_up_no_other_and_loses_nothing() {
    let folder = private_folder();
    let server =
        Server::start_with(folder.path(), &[PRIVATE, "--webhooks-timeout=2s", "--webhooks-retry-after=1h"]);
    let mut client = server.client();
    let troubles = [
        (Does::Hang, "did not answer within 2s"),
        (Does::Redirect, "(302), which is not followed"),
        (Does::Answer(500), "the target answered 500"),
        (Does::Answer(404), "the target answered 404"),
        (Does::Close, "the target broke off"),
        (Does::Garbage, "the target broke off"),
        (Does::EndlessHead, "the target broke off"),
    ];
    let mut bad: Vec<_> = troubles
        .into_iter()
        .map(|(does, error)| {
            let target = Target::new(does);
            (make_webhook(&mut client, &target.url("/")), target, error)
        })
        .collect();
    // Nobody listens there any more.
    let gone = Target::closed();
    let unreachable = make_webhook(&mut client, &gone);
    let (good, endless) = (Target::new(Does::Answer(200)), Target::new(Does::EndlessBody));
    for target in [&good, &endless] {
        make_webhook(&mut client, &target.url("/"));
    }
    make_vault(&mut client, "one");
    let started = std::time::Instant::now();
    poll("the good one is told", || (good.taken().len() == 1).then_some(()));
    assert!(started.elapsed().as_millis() < 1500, "it waited for another: {:?}", started.elapsed());
    poll("one that never ends its answer has taken it too", || (endless.taken().len() == 1).then_some(()));

    let mut first = Vec::new();
    for (webhook, target, error) in &bad {
        let delivery = failed(&mut client, webhook, 1, "waiting").remove(0);
        assert!(field(&delivery, "error").contains(error), "{error}: {delivery}");
        assert_eq!((&delivery["attempts"], &delivery["given_up_at"]), (&json!(1), &Value::Null));
        first.push(target.taken().first().map(|taken| taken.header("webhook-id").to_owned()));
    }
    let delivery = failed(&mut client, &unreachable, 1, "waiting").remove(0);
    assert!(field(&delivery, "error").contains("no connection to the target"), "{delivery}");

    for ((webhook, target, error), first) in bad.iter_mut().zip(first) {
        let before = target.taken().len();
        target.does(Does::Answer(200));
        let retried = client.post(&format!("{}/retry", path(webhook)), &json!({})).expect_status(200).json();
        assert_eq!(retried, json!({"retried": 1}), "{error}");
        let taken = poll("it is told at last", || target.taken().get(before).cloned());
        assert_eq!(Some(taken.header("webhook-id").to_owned()), first, "{error}: the same message");
        checked(&taken, field(webhook, "secret"));
        poll("nothing is left", || deliveries(&mut client, webhook).is_empty().then_some(()));
    }
    assert_eq!(good.taken().len(), 1, "once");
}

#[test]
fn what_is_given_up_is_kept_and_can_be_tried_again() {
    let folder = private_folder();
    let server = Server::start_with(folder.path(), &[PRIVATE, "--webhooks-retry-after=10ms,10ms"]);
    let (mut client, target) = (server.client(), Target::new(Does::Answer(503)));
    let webhook = make_webhook(&mut client, &target.url("/"));
    for name in ["one", "two"] {
        make_vault(&mut client, name);
    }
    let dead = failed(&mut client, &webhook, 2, "dead");
    assert!(dead.iter().all(|delivery| delivery["attempts"] == 3 && delivery["next_attempt_at"].is_null()));
    assert!(dead[0]["sequence"].as_u64() > dead[1]["sequence"].as_u64(), "the newest first");
    let state = |state: &str| format!("{}/deliveries?state={state}&limit=1", path(&webhook));
    assert_eq!(client.get(&state("waiting")).json()["deliveries"], json!([]));
    let page = client.get(&state("dead")).json();
    let next = field(&page, "next_page_uri").strip_prefix(&client.origin()).unwrap().to_owned();
    assert_eq!(client.get(&next).json()["deliveries"], json!([dead[1]]));

    target.does(Does::Answer(200));
    let retry = format!("{}/retry", path(&webhook));
    client.post(&retry, &json!({"sequence": 1})).expect_status(404);
    let one = json!({"sequence": dead[1]["sequence"]});
    assert_eq!(client.post(&retry, &one).expect_status(200).json(), json!({"retried": 1}));
    poll("one is left", || (deliveries(&mut client, &webhook) == [dead[0].clone()]).then_some(()));
    assert_eq!(client.post(&retry, &json!({})).expect_status(200).json(), json!({"retried": 1}));
    poll("none is left", || deliveries(&mut client, &webhook).is_empty().then_some(()));
    let ids: BTreeSet<_> = target.taken().iter().map(|taken| taken.header("webhook-id").to_owned()).collect();
    assert_eq!((ids.len(), target.taken().len()), (2, 8), "three attempts each, and one more");
}

#[test]
fn nothing_is_lost_in_a_crash() {
    let folder = private_folder();
    let settings = [PRIVATE, "--webhooks-timeout=20s", "--webhooks-retry-after=1s,1h"];
    let server = Server::start_with(folder.path(), &settings);
    let (hanging, failing) = (Target::new(Does::Hang), Target::new(Does::Answer(500)));
    let mut client = server.client();
    let webhooks = [&hanging, &failing].map(|target| make_webhook(&mut client, &target.url("/")));
    make_vault(&mut client, "one");
    failed(&mut client, &webhooks[1], 1, "waiting");
    // It is under way, and nothing of it is written anywhere but in the log.
    let id =
        poll("it is sent", || hanging.taken().first().map(|taken| taken.header("webhook-id").to_owned()));
    server.process.kill();
    hanging.does(Does::Answer(200));
    failing.does(Does::Answer(200));
    let before = [hanging.taken().len(), failing.taken().len()];

    let server = Server::start_with(folder.path(), &settings);
    let mut client = server.client();
    for ((target, webhook), before) in [&hanging, &failing].into_iter().zip(&webhooks).zip(before) {
        let taken = poll("it is told after the restart", || target.taken().get(before).cloned());
        assert_eq!(taken.header("webhook-id"), id);
        checked(&taken, field(webhook, "secret"));
        poll("nothing is left", || deliveries(&mut client, webhook).is_empty().then_some(()));
    }
    server.stop();
}

/// Killed in the midst of telling a target that falters, again and again: each change is taken in the end.
#[test]
fn every_change_is_told_whatever_happens() {
    let folder = private_folder();
    let settings = [PRIVATE, "--webhooks-retry-after=100ms,100ms,100ms,1s,1s,1s,1s,1s,1s"];
    let target = Target::new(Does::Falter);
    let mut server = Server::start_with(folder.path(), &settings);
    let webhook = make_webhook(&mut server.client(), &target.url("/"));
    for round in 0..3 {
        let mut client = server.client();
        for number in 0..30 {
            make_vault(&mut client, &format!("v{round}-{number}"));
        }
        server.process.kill();
        server = Server::start_with(folder.path(), &settings);
    }
    let mut client = server.client();
    let feed = client.get("/strongroom/changes?after=start").expect_status(200).json();
    let changes = feed["changes"].as_array().unwrap();
    let all: BTreeSet<_> = changes.iter().map(|change| field(change, "event_id").to_owned()).collect();
    assert_eq!(all.len(), 90);
    poll("each is taken", || {
        let taken = target.taken();
        let good = taken.iter().filter(|taken| taken.does == Does::Answer(200));
        let told: BTreeSet<_> = good.map(|taken| taken.header("webhook-id").to_owned()).collect();
        (told == all).then_some(())
    });
    poll("nothing is left", || deliveries(&mut client, &webhook).is_empty().then_some(()));
    server.stop();
}

#[test]
fn private_addresses_are_out_of_reach_unless_they_are_allowed() {
    let folder = private_folder();
    let server = Server::start(folder.path());
    let (mut client, target) = (server.client(), Target::new(Does::Answer(200)));
    let port = target.port();
    for url in [
        format!("https://127.0.0.1:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("http://localhost:{port}/"),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        format!("https://2130706433:{port}/"),
    ] {
        let body = json!({"url": url, "event_types": ["*"]});
        let refused = client.post("/strongroom/webhooks", &body).expect_status(400).json();
        assert_eq!(refused["error_code"], "ERR_STRONGROOM_1050", "{url}");
    }
    // What a name leads to shows when it is looked up.
    let webhook = make_webhook(&mut client, &format!("https://localhost:{port}/"));
    let tested = client.post(&format!("{}/test", path(&webhook)), &json!({})).expect_status(200).json();
    assert_eq!(tested["delivered"], false);
    assert!(field(&tested, "error").contains("not public (loopback)"), "{tested}");
    make_vault(&mut client, "one");
    let delivery = failed(&mut client, &webhook, 1, "waiting").remove(0);
    assert!(field(&delivery, "error").contains("not public (loopback)"), "{delivery}");
    assert_eq!(target.connections(), 0, "nobody came");
}

#[test]
fn a_target_that_is_gone_is_told_nothing_more() {
    let folder = private_folder();
    let server = Server::start_with(folder.path(), &[PRIVATE]);
    let (mut client, target) = (server.client(), Target::new(Does::Answer(410)));
    let webhook = make_webhook(&mut client, &target.url("/"));
    make_vault(&mut client, "one");
    let inactive = poll("it is made inactive", || {
        let now = client.get(&path(&webhook)).expect_status(200).json();
        (now["active"] == false).then_some(now)
    });
    assert_eq!(inactive["secret"], Value::Null);
    let delivery = failed(&mut client, &webhook, 1, "dead").remove(0);
    assert!(field(&delivery, "error").contains("410"), "{delivery}");
    make_vault(&mut client, "unheard");
    target.does(Does::Answer(200));
    client.patch(&path(&webhook), &json!({"active": true})).expect_status(200);
    make_vault(&mut client, "heard");
    let taken = poll("it is told again", || target.taken().get(1).cloned());
    assert_eq!(checked(&taken, field(&webhook, "secret"))["data"]["vault"]["name"], "heard");
    let events = harness::audit_events(&server.data);
    let changed: Vec<_> = events.iter().filter(|event| event["event_type"] == "webhook_updated.v0").collect();
    assert_eq!(changed[0]["principal"]["source"], "SERVER");
    assert_eq!(changed[0]["object"]["host"], "127.0.0.1");
    assert_eq!(changed.len(), 2);
}

#[test]
fn who_is_deleted_is_told_nothing_more() {
    let folder = private_folder();
    let server = Server::start_with(folder.path(), &[PRIVATE, "--webhooks-timeout=1s"]);
    let (mut client, target) = (server.client(), Target::new(Does::Hang));
    let webhook = make_webhook(&mut client, &target.url("/"));
    for number in 0..12 {
        make_vault(&mut client, &format!("v{number}"));
    }
    // Some are on the way, and the rest of them waits for these to end.
    let under_way = poll("four are on the way", || Some(target.taken().len()).filter(|taken| *taken >= 4));
    client.delete(&path(&webhook)).expect_status(204);
    let failed = |client: &mut Client| {
        let metrics = String::from_utf8(client.get("/metrics").expect_status(200).body).unwrap();
        let start = "strongroom_webhook_deliveries_total{outcome=\"failed\"} ";
        metrics.lines().find_map(|line| line.strip_prefix(start)).unwrap().parse::<usize>().unwrap()
    };
    let ended = poll("these have ended", || {
        Some(target.taken().len()).filter(|taken| *taken >= under_way && failed(&mut client) == *taken)
    });
    let other = Target::new(Does::Answer(200));
    make_webhook(&mut client, &other.url("/"));
    make_vault(&mut client, "later");
    poll("another webhook is told", || (other.taken().len() == 1).then_some(()));
    assert!(ended < 12 && target.taken().len() == ended, "{ended} and more were sent");
}

#[test]
fn another_secret_takes_over_and_the_one_before_signs_along() {
    let folder = private_folder();
    let server = Server::start_with(folder.path(), &[PRIVATE]);
    let (mut client, target) = (server.client(), Target::new(Does::Answer(200)));
    let old = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let body = json!({"url": target.url("/"), "event_types": ["*"], "secret": old});
    let webhook = client.post("/strongroom/webhooks", &body).expect_status(201).json();
    assert_eq!(webhook["secret"], old);
    let changed = client.patch(&path(&webhook), &json!({"secret": new})).expect_status(200).json();
    assert_eq!((&changed["secret"], changed["updated_at"].is_string()), (&Value::Null, true));
    client.post(&format!("{}/test", path(&webhook)), &json!({})).expect_status(200);
    let taken = target.taken().remove(0);
    assert_eq!(taken.header("webhook-signature").split(' ').count(), 2);
    for secret in [old, new] {
        let told = checked(&taken, secret);
        assert_eq!(told["type"], "webhook_test.v0");
        assert_eq!(told["data"]["webhook"], webhook["id"]);
    }
}

/// Fails if one of these is in a file of a folder.
fn refuse_in_files(folder: &Path, needles: &[&[u8]]) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            refuse_in_files(&path, needles);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for needle in needles {
            let found = bytes.windows(needle.len()).any(|window| window == *needle);
            assert!(!found, "a signing secret is in {}", path.display());
        }
    }
}

#[test]
fn a_signing_secret_is_shown_once_and_is_nowhere_else() {
    let folder = private_folder();
    let server =
        Server::start_with(folder.path(), &[PRIVATE, "--log-level=debug", "--webhooks-retry-after=10ms"]);
    let (mut client, target) = (server.client(), Target::new(Does::Answer(500)));
    // 24 bytes of text: in base64, and as they are.
    let raw = b"raw-bytes-of-the-secret!";
    let given = "whsec_cmF3LWJ5dGVzLW9mLXRoZS1zZWNyZXQh";
    let body = json!({"url": target.url("/hook?token=not-in-logs"), "event_types": ["*"], "secret": given});
    let webhook = client.post("/strongroom/webhooks", &body).expect_status(201).json();
    make_vault(&mut client, "one");
    failed(&mut client, &webhook, 1, "dead");
    let mut shown = Vec::new();
    for target in ["/strongroom/webhooks", &path(&webhook), &format!("{}/deliveries", path(&webhook))] {
        shown.extend(client.get(target).expect_status(200).wire);
    }
    shown.extend(client.patch(&path(&webhook), &json!({"description": "x"})).expect_status(200).wire);
    shown.extend(client.post(&format!("{}/test", path(&webhook)), &json!({})).expect_status(200).wire);
    shown.extend(client.post("/strongroom/webhooks", &json!({"url": given, "event_types": ["*"]})).wire);
    let events = harness::audit_events(&server.data);
    let told = format!("{events:?}{}{}", server.process.stdout(), server.process.stderr());
    assert!(told.contains("a delivery was given up"), "{told}");
    assert!(!told.contains("not-in-logs"), "the query of a URL may hold a token");
    let shown = format!("{told}{}", String::from_utf8_lossy(&shown));
    assert!(!shown.contains(&given[6..]) && !shown.contains("raw-bytes"), "{shown}");
    refuse_in_files(folder.path(), &[&given.as_bytes()[6..], raw]);
    for taken in target.taken() {
        let all = format!("{:?}{}", taken.headers, String::from_utf8_lossy(&taken.body));
        assert!(!all.contains(&given[6..]));
    }
    client.delete(&path(&webhook)).expect_status(204);
    client.get(&path(&webhook)).expect_status(404);
    server.stop();
    refuse_in_files(folder.path(), &[&given.as_bytes()[6..], raw]);
}
