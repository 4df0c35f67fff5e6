use insta::assert_snapshot;

use crate::harness::{Call, World};
use crate::seen_call;
use strongroom_testbed::is_postgres;

#[tokio::test]
async fn without_a_key() {
    let world = World::new().await;
    for (name, path) in [("healthz", "/healthz"), ("readyz", "/readyz")] {
        let call = Call::new("GET", path, None).without("ngrok-version");
        assert_snapshot!(name, seen_call(&world, &call).await);
    }
    assert_snapshot!("metrics_without_a_key", seen_call(&world, &Call::new("GET", "/metrics", None)).await);
}

/// The counters tell times and sizes that no test can fix: their names are what others rely on.
#[tokio::test]
async fn the_names_of_the_counters() {
    let world = World::new().await;
    world.answer(&world.call("GET", "/vaults", None)).await;
    let answer = world.answer(&world.call("GET", "/metrics", None)).await;
    assert_eq!(answer.status(), 200);
    let text = String::from_utf8(answer.body().clone()).unwrap();
    // Those of the database are there where there is one.
    let (of_database, told): (Vec<&str>, Vec<&str>) = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .partition(|line| line.contains("strongroom_database_"));
    assert_eq!(of_database.len(), if is_postgres() { 6 } else { 0 }, "{of_database:?}");
    assert_eq!(text.lines().any(|line| line.starts_with("strongroom_database_connections ")), is_postgres());
    let kind = answer.headers()["content-type"].to_str().unwrap();
    assert_snapshot!("metrics_names", format!("content-type: {kind}\n\n{}", told.join("\n")));
    let mut series: Vec<&str> =
        text.lines().filter_map(|line| line.split_once("_count{")).map(|(_, labels)| labels).collect();
    series.sort_unstable();
    assert_snapshot!("metrics_of_requests", series.join("\n"));
}

/// The document itself is committed and checked for freshness: here is how it is served.
#[tokio::test]
async fn the_document() {
    let world = World::new().await;
    let answer = world.answer(&Call::new("GET", "/openapi.json", None).without("ngrok-version")).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &http::HeaderValue::from_static("application/json"))
    );
    assert_eq!(answer.body(), strongroom_server::openapi().as_bytes());
}
