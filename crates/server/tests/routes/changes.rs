use std::time::Duration;

use http::Response;
use http_body_util::BodyExt;
use insta::assert_snapshot;
use serde_json::{Value, json};
use strongroom_domain::caller::Role;
use strongroom_domain::deleted::Retention;
use strongroom_domain::limits::Limits;
use strongroom_server::{Settings, sweeper};

use crate::harness::{Call, World, id};
use crate::{seen, seen_call, seen_with};

const FEED: &str = "/strongroom/changes";

/// A vault `prod` with a secret that was renamed, and one that went from there to `dev`.
async fn lived_in() -> World {
    live_in(World::new().await).await
}

async fn live_in(world: World) -> World {
    let (prod, dev) = (world.add_vault("prod").await, world.add_vault("dev").await);
    let (renamed, moved) = (world.add_secret(&prod, "a").await, world.add_secret(&prod, "b").await);
    let change = async |method: &str, target: String, body: Value| {
        assert_eq!(world.answer(&world.call(method, &target, Some(&body))).await.status(), 200, "{target}");
    };
    change("PATCH", format!("/vault_secrets/{}", id(&renamed)), json!({"name": "c", "value": "w"})).await;
    change("POST", format!("/strongroom/secrets/{}/move", id(&moved)), json!({"vault_id": id(&dev)})).await;
    change("PATCH", format!("/vaults/{}", id(&prod)), json!({"name": "live"})).await;
    change("PATCH", format!("/strongroom/vaults/{}", id(&dev)), json!({"keep_versions": 3})).await;
    world
}

fn json_of(answer: &Response<Vec<u8>>) -> Value {
    assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(answer.body()));
    serde_json::from_slice(answer.body()).unwrap()
}

fn names(page: &Value) -> Vec<String> {
    let name = |change: &Value| {
        let thing = change.get("secret").unwrap_or(&change["vault"]);
        format!("{} {}", change["type"].as_str().unwrap(), thing["name"].as_str().unwrap())
    };
    page["changes"].as_array().unwrap().iter().map(name).collect()
}

async fn cursor(world: &World) -> String {
    json_of(&world.answer(&world.call("GET", FEED, None)).await)["cursor"].as_str().unwrap().to_owned()
}

/// Waits until so many watch.
async fn watched_by(world: &World, count: usize) {
    let line = format!("strongroom_feed_watchers {count}\n");
    while !metrics(world).await.contains(&line) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn metrics(world: &World) -> String {
    let answer = world.answer(&world.call("GET", "/metrics", None)).await;
    String::from_utf8(answer.into_body()).unwrap()
}

#[tokio::test]
async fn reading() {
    let world = lived_in().await;
    let seen = async |query: &str| seen(&world, "GET", &format!("{FEED}{query}"), None).await;
    assert_snapshot!("changes_from_now_on", seen("").await);
    assert_snapshot!("changes_from_the_start", seen("?after=start").await);
    assert_snapshot!("changes_a_few", seen("?after=start&limit=2").await);
    assert_snapshot!("changes_no_cursor", seen("?after=7").await);
    assert_snapshot!("changes_a_long_wait", seen("?wait=2m").await);
    assert_snapshot!("changes_of_another_server", seen("?after=2-0123456789abcdef").await);
    assert_snapshot!("changes_from_before_a_restore", seen("?after=99-0123456789abcdef&wait=30s").await);
    let granted =
        async |grants: &str| seen_with(&world, grants, "GET", &format!("{FEED}?after=start"), None).await;
    assert_snapshot!("changes_under_one_name", granted("read dev:*").await);
    assert_snapshot!("changes_that_are_not_seen", granted("audit\nadmin").await);
}

#[tokio::test]
async fn page_after_page_tells_each_change_once() {
    let world = lived_in().await;
    let whole =
        names(&json_of(&world.answer(&world.call("GET", &format!("{FEED}?after=start"), None)).await));
    assert_eq!(whole.len(), 8);
    for wait in ["", "&wait=10ms"] {
        let (mut after, mut told) = ("start".to_owned(), Vec::new());
        loop {
            let target = format!("{FEED}?after={after}&limit=3{wait}");
            let page = json_of(&world.answer(&world.call("GET", &target, None)).await);
            told.extend(names(&page));
            after = page["cursor"].as_str().unwrap().to_owned();
            if page["more"] == false {
                break;
            }
        }
        assert_eq!(told, whole, "{wait}");
        assert_eq!(after, cursor(&world).await, "the place is the end");
    }
}

#[tokio::test]
async fn who_waits_is_told_at_once() {
    let world = World::new().await;
    let (prod, dev) = (world.add_vault("prod").await, world.add_vault("dev").await);
    let after = cursor(&world).await;
    let (_, token) = world.add_key_with(world.first_user, Some("resolve dev:*")).await;
    let poll = Call::new("GET", &format!("{FEED}?after={after}&wait=60s"), None).bearer(&token);
    let (answer, ()) = tokio::join!(world.answer(&poll), async {
        watched_by(&world, 1).await;
        world.add_secret(&prod, "unseen").await;
        world.add_secret(&dev, "seen").await;
    });
    assert_eq!(names(&json_of(&answer)), ["secret_created.v0 seen"]);
    watched_by(&world, 0).await;
}

#[tokio::test]
async fn a_wait_without_a_change_ends_further_on() {
    let world = lived_in().await;
    let after = cursor(&world).await;
    world.add_key(world.first_user).await;
    let page =
        json_of(&world.answer(&world.call("GET", &format!("{FEED}?after={after}&wait=50ms"), None)).await);
    assert_eq!((names(&page).len(), &page["more"]), (0, &json!(false)));
    let end = cursor(&world).await;
    assert_ne!(end, after);
    let page =
        json_of(&world.answer(&world.call("GET", &format!("{FEED}?after={end}&wait=1ms"), None)).await);
    assert_eq!(page["cursor"], end);
}

/// A key that is deleted, expires or is narrowed while it waits gets what it may get by then.
#[tokio::test]
async fn a_key_is_looked_at_again_before_the_answer() {
    let world = lived_in().await;
    let dev = &world.make("/vaults", json!({"name": "watched"})).await;
    for (body, expected) in [
        (None, 403),
        (Some(json!({"expires_at": "2026-01-01T00:00:00Z"})), 403),
        (Some(json!({"grants": [{"action": "read", "vault": "elsewhere"}]})), 200),
    ] {
        let after = cursor(&world).await;
        let key = world.make("/api_keys", json!({"grants": [{"action": "read", "vault": "*"}]})).await;
        let path = format!("/api_keys/{}", id(&key));
        let poll = format!("{FEED}?after={after}&wait=1s");
        let poll = Call::new("GET", &poll, None).bearer(key["token"].as_str().unwrap());
        let (answer, ()) = tokio::join!(world.answer(&poll), async {
            watched_by(&world, 1).await;
            match &body {
                None => drop(world.answer(&world.call("DELETE", &path, None)).await),
                Some(body) if body.get("expires_at").is_some() => {
                    let end = json!({"expires_at": "2026-01-01T00:00:05Z"});
                    assert_eq!(world.answer(&world.call("PATCH", &path, Some(&end))).await.status(), 200);
                    world.pass(5);
                }
                body => drop(world.answer(&world.call("PATCH", &path, body.as_ref())).await),
            }
            world.add_secret(dev, &format!("s{expected}{}", body.is_some())).await;
        });
        let text = String::from_utf8_lossy(answer.body());
        assert_eq!(answer.status(), expected, "{body:?}: {text}");
        assert!(!text.contains("watched"), "{body:?}: {text}");
    }
}

/// What came of a stream until there were so many events with data.
async fn events(body: &mut axum::body::Body, count: usize) -> String {
    let mut text = String::new();
    while text.matches("data: ").count() < count {
        let frame = body.frame().await.expect("the stream goes on").unwrap();
        text += std::str::from_utf8(&frame.into_data().unwrap()).unwrap();
    }
    text
}

fn streaming(world: &World, query: &str) -> Call {
    world.call("GET", &format!("{FEED}{query}"), None).header("accept", "text/event-stream")
}

#[tokio::test]
async fn a_stream_goes_on() {
    let world = lived_in().await;
    let mut answer = world.open(&streaming(&world, "?after=start")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_snapshot!("changes_streamed", events(answer.body_mut(), 8).await);
    world.add_vault("new").await;
    let text = events(answer.body_mut(), 1).await;
    assert!(text.starts_with("id: ") && text.contains("\nevent: vault_created.v0\ndata: {"), "{text}");

    // Taken up again where it was, whatever the query says.
    let last = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    world.add_vault("newer").await;
    let again = streaming(&world, "?after=start").header("last-event-id", &last);
    let mut again = world.open(&again).await;
    let text = events(again.body_mut(), 1).await;
    assert!(text.contains("\"name\":\"newer\"") && !text.contains("\"name\":\"new\""), "{text}");
    drop((answer, again));
    watched_by(&world, 0).await;
}

#[tokio::test]
async fn a_stream_that_cannot_start_says_so() {
    let world = lived_in().await;
    let answer = seen_call(&world, &streaming(&world, "").header("last-event-id", "soon")).await;
    assert_snapshot!("changes_streamed_from_no_cursor", answer);
    let answer = world.answer(&streaming(&world, "?after=1-0000000000000000")).await;
    assert_eq!(answer.status(), 410);
}

#[tokio::test]
async fn a_stream_ends_with_its_key() {
    let world = lived_in().await;
    let key = world.make("/api_keys", json!({})).await;
    let call = streaming(&world, "").bearer(key["token"].as_str().unwrap());
    let answer = world.open(&call).await;
    watched_by(&world, 1).await;
    let path = format!("/api_keys/{}", id(&key));
    assert_eq!(world.answer(&world.call("DELETE", &path, None)).await.status(), 204);
    world.add_vault("unseen").await;
    let text = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(
        text.contains("event: end\ndata: {\"error_code\":\"ERR_NGROK_203\"") && !text.contains("unseen"),
        "{text}"
    );
}

#[tokio::test]
async fn a_quiet_stream_shows_that_it_is_there_and_ends_when_its_key_does() {
    let world = live_in(World::in_file().await).await;
    let key = world.make("/api_keys", json!({"expires_at": "2026-01-01T00:00:05Z"})).await;
    let mut answer = world.open(&streaming(&world, "").bearer(key["token"].as_str().unwrap())).await;
    let body = answer.body_mut();
    let mut next =
        async || String::from_utf8(body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec());
    let first = next().await.unwrap();
    assert!(first.starts_with(": here\nid: "), "{first}");
    // From here on time passes by itself where everybody waits for it.
    tokio::time::pause();
    assert_eq!(next().await.unwrap(), first, "nothing has changed");
    world.pass(5);
    let last = next().await.unwrap();
    assert!(last.starts_with("event: end\ndata: ") && last.contains("expired"), "{last}");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_given_up() {
    let world = live_in(World::in_file().await).await;
    let mut answer = world.open(&streaming(&world, "?after=start")).await;
    watched_by(&world, 1).await;
    tokio::time::pause();
    while !metrics(&world).await.contains("strongroom_feed_watchers 0\n") {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    // What was on its way is there, and then it is at its end.
    let first = answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b": here\nid: "), "{first:?}");
    assert!(answer.body_mut().frame().await.is_none());
}

#[tokio::test]
async fn a_server_that_stops_lets_nobody_wait() {
    let world = lived_in().await;
    let after = cursor(&world).await;
    let poll = world.call("GET", &format!("{FEED}?after={after}&wait=60s"), None);
    let stream = world.open(&streaming(&world, "")).await;
    let (answer, ()) = tokio::join!(world.answer(&poll), async {
        watched_by(&world, 2).await;
        world.front.shared().stop_waiting();
    });
    assert_eq!(json_of(&answer)["cursor"], after);
    let text = stream.into_body().collect().await.unwrap().to_bytes();
    assert!(text.starts_with(b": here\nid: "), "{text:?}");
    // Nor anybody who comes later.
    assert_eq!(json_of(&world.answer(&poll).await)["cursor"], after);
}

/// What comes after a cursor may be too old to be kept; then it says so, and how to begin again.
#[tokio::test]
async fn a_cursor_that_is_too_old_says_so() {
    let limits = Limits { audit: Some(Retention { seconds: 600 }), ..Limits::default() };
    let world = World::with(Role::Admin, limits, Settings::default()).await;
    let mut cursors = Vec::new();
    for number in 0..20 {
        world.add_vault(&format!("old-{number}")).await;
        cursors.push(cursor(&world).await);
    }
    world.pass(601);
    world.add_vault("young").await;
    sweeper::sweep(world.front.shared(), u64::MAX).await;
    assert_eq!(world.store.audit_list(0, 1).await.unwrap()[0].sequence, 17);
    let seen = async |query: &str| seen(&world, "GET", &format!("{FEED}?after={query}"), None).await;
    assert_snapshot!("changes_that_are_not_kept", seen(&cursors[14]).await);
    assert_eq!(world.answer(&streaming(&world, &format!("?after={}", cursors[3]))).await.status(), 410);
    // The last one that is gone is told of by the cursor after it, and the oldest one that is kept comes first.
    for after in [&cursors[15], "start"] {
        let page = json_of(&world.answer(&world.call("GET", &format!("{FEED}?after={after}"), None)).await);
        let expected = ["old-16", "old-17", "old-18", "old-19", "young"];
        assert_eq!(names(&page), expected.map(|name| format!("vault_created.v0 {name}")), "{after}");
    }
}

/// Many who watch cost one reading of each record, and none when nobody watches.
#[tokio::test]
async fn each_record_is_read_once_for_all() {
    const WATCHERS: usize = 200;
    let world = World::new().await;
    world.add_vault("before").await;
    assert!(metrics(&world).await.contains("strongroom_feed_records_total 0\n"), "nobody watches yet");
    let mut streams = Vec::new();
    for _ in 0..WATCHERS {
        streams.push(world.open(&streaming(&world, "")).await);
    }
    for number in 0..20 {
        world.add_vault(&format!("v{number}")).await;
    }
    for stream in &mut streams {
        let text = events(stream.body_mut(), 20).await;
        let places: Vec<_> = (0..20).map(|n| text.find(&format!("\"name\":\"v{n}\"")).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
    }
    let told = metrics(&world).await;
    assert!(told.contains("strongroom_feed_records_total 21\n"), "{told}");
    assert!(told.contains(&format!("strongroom_feed_changes_total {}\n", 20 * WATCHERS)), "{told}");
    drop(streams);
    watched_by(&world, 0).await;
    world.add_vault("after").await;
    assert!(metrics(&world).await.contains("strongroom_feed_records_total 21\n"), "nobody watches any more");
}

#[tokio::test]
async fn no_more_watch_than_may() {
    let world =
        World::with(Role::Admin, Limits::default(), Settings { watchers: 2, ..Settings::default() }).await;
    let streams = [world.open(&streaming(&world, "")).await, world.open(&streaming(&world, "")).await];
    let after = cursor(&world).await;
    let waits = format!("{FEED}?after={after}&wait=30s");
    assert_snapshot!("changes_too_many_watch", seen(&world, "GET", &waits, None).await);
    assert_eq!(world.answer(&streaming(&world, "")).await.status(), 429);
    assert_eq!(world.answer(&world.call("GET", &format!("{FEED}?after={after}"), None)).await.status(), 200);
    drop(streams);
    watched_by(&world, 0).await;
    assert_eq!(world.open(&streaming(&world, "")).await.status(), 200);
}
