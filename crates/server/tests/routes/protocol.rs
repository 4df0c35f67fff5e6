//! What all routes have in common, shown at one of them.

use insta::assert_snapshot;
use serde_json::json;
use strongroom_domain::caller::Role;
use strongroom_domain::limits::Limits;
use strongroom_server::Settings;

use crate::harness::{Call, World};
use crate::{seen, seen_call};

#[tokio::test]
async fn credentials() {
    let world = World::new().await;
    let call = Call::new("GET", "/vaults", None);
    let key = "ak_0000000000000000000000000xY";
    let token = "0000000000000000000000000xY_1111111111111111111111";
    let cases = [
        ("credential_missing", call.clone()),
        ("credential_unparsable", call.clone().header("authorization", "Digest x")),
        ("credential_malformed", call.clone().bearer("swordfish")),
        ("credential_key_id", call.clone().bearer(key)),
        ("credential_authtoken_id", call.clone().bearer("cr_0000000000000000000000000xY")),
        ("credential_unknown", call.clone().bearer(token)),
    ];
    for (name, call) in cases {
        assert_snapshot!(name, seen_call(&world, &call).await);
    }
    let robot = world.add_service_user("robot", false).await;
    let owner = strongroom_domain::ids::PrincipalId::ServiceUser(robot);
    let (_, token) = world.add_key(owner).await;
    let answer = seen_call(&world, &call.bearer(&token)).await;
    assert_snapshot!("credential_of_an_inactive_owner", answer.replace(&token, "[its token]"));
}

#[tokio::test]
async fn a_viewer_may_not_change_anything() {
    let world = World::with(Role::Viewer, Limits::default(), Settings::default()).await;
    let answer = seen(&world, "POST", "/vaults", Some(json!({"name": "vault"}))).await;
    assert_snapshot!("viewer", answer);
}

#[tokio::test]
async fn versions_and_bodies() {
    let world = World::new().await;
    let body = json!({"name": "vault"});
    let get = world.call("GET", "/vaults", None);
    let post = world.call("POST", "/vaults", Some(&body));
    let text = |text: &str| Call { body: Some(text.to_owned()), ..post.clone() };
    let cases = [
        ("version_missing", get.clone().without("ngrok-version")),
        ("version_other", get.clone().header("ngrok-version", "1")),
        ("content_type_missing", post.clone().without("content-type")),
        ("content_type_other", post.clone().header("content-type", "text/plain")),
        ("body_unexpected", Call { body: Some("{}".to_owned()), ..get }),
        ("body_broken", text("{\"name\":")),
        ("body_array", text("[]")),
        ("body_duplicate_key", text("{\"name\":\"a\",\"name\":\"b\"}")),
        ("query_on_a_change", Call { target: "/vaults?limit=1".to_owned(), ..post.clone() }),
    ];
    for (name, call) in cases {
        assert_snapshot!(name, seen_call(&world, &call).await);
    }
}

#[tokio::test]
async fn routes() {
    let world = World::new().await;
    let cases = [
        ("route_unknown", "GET", "/tunnels"),
        ("method_unknown", "PUT", "/vaults"),
        ("below", "GET", "/vaults/a/b"),
    ];
    for (name, method, path) in cases {
        assert_snapshot!(name, seen(&world, method, path, None).await);
    }
}

#[tokio::test]
async fn pages_of_other_origins() {
    let world = World::new().await;
    let call = Call::new("OPTIONS", "/vaults", None)
        .without("ngrok-version")
        .header("origin", "https://console.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,ngrok-version");
    assert_snapshot!("cors_preflight", seen_call(&world, &call).await);
    let call = world.call("GET", "/vaults", None).header("origin", "https://console.example");
    assert_snapshot!("cors_call", seen_call(&world, &call).await);
}

#[tokio::test]
async fn too_many_requests() {
    let requests_per_minute = std::num::NonZeroU32::new(1);
    let settings = Settings { requests_per_minute, ..Settings::default() };
    let world = World::with(Role::Admin, Limits::default(), settings).await;
    assert_eq!(world.answer(&world.call("GET", "/", None)).await.status(), 200);
    // The wait is measured on a clock that no test sets, and told in whole seconds.
    let answer = seen(&world, "GET", "/", None).await;
    let wait = answer.lines().find_map(|line| line.strip_prefix("retry-after: ")).expect("a wait");
    assert!((1..=60).contains(&wait.parse::<u32>().unwrap()), "{wait}");
    assert_snapshot!(
        "rate_limited",
        answer.replace(&format!("retry-after: {wait}"), "retry-after: [seconds]")
    );
}

/// URLs in answers are those that clients can reach: told by the setting, else by the request.
#[tokio::test]
async fn origins() {
    let settings = Settings {
        external_url: Some("https://secrets.example:8443".parse().unwrap()),
        ..Settings::default()
    };
    let world = World::with(Role::Admin, Limits::default(), settings).await;
    assert_snapshot!("origin_of_the_setting", seen(&world, "GET", "/", None).await);
    let lenient = Settings { lenient: true, ..Settings::default() };
    let world = World::with(Role::Admin, Limits::default(), lenient).await;
    let body = json!({"name": "vault", "colour": "red"});
    assert_snapshot!("lenient", seen(&world, "POST", "/vaults", Some(body)).await);
}
