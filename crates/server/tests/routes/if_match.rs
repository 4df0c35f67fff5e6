use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{World, id};
use crate::seen_call;

async fn etag(world: &World, target: &str) -> String {
    let answer = world.answer(&world.call("GET", target, None)).await;
    answer.headers()["etag"].to_str().unwrap().to_owned()
}

/// Sends a change for a tag; the status, and the tag that the answer tells.
async fn change(
    world: &World,
    method: &str,
    target: &str,
    body: Option<&Value>,
    tag: &str,
) -> (u16, Option<String>) {
    let answer = world.answer(&world.call(method, target, body).header("if-match", tag)).await;
    let told = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
    (answer.status().as_u16(), told)
}

#[tokio::test]
async fn a_change_is_for_what_was_read() {
    let world = World::new().await;
    let vault = world.add_vault("prod").await;
    let secret = world.add_secret(&vault, "db").await;
    let other = world.add_vault("other").await;
    for target in [format!("/vaults/{}", id(&other)), format!("/vault_secrets/{}", id(&secret))] {
        let first = etag(&world, &target).await;
        assert_eq!(etag(&world, &target).await, first);
        let body = |text: &str| json!({"description": text});
        let (status, second) = change(&world, "PATCH", &target, Some(&body("a")), &first).await;
        assert_eq!(status, 200);
        let second = second.unwrap();
        assert_ne!(second, first);
        assert_eq!(etag(&world, &target).await, second, "the answer tells the tag that comes next");
        let events = world.store.counts().await.unwrap().events;
        // What it is by now counts, not what the change would make of it; a weak tag fits nothing.
        for (text, tag) in [("b", first.clone()), ("a", first.clone()), ("b", format!("W/{second}"))] {
            assert_eq!(
                change(&world, "PATCH", &target, Some(&body(text)), &tag).await.0,
                412,
                "{text} {tag}"
            );
        }
        assert_eq!(change(&world, "DELETE", &target, None, &first).await.0, 412);
        for garbage in ["x", "\"", "", "W/", "*,*"] {
            assert_eq!(change(&world, "PATCH", &target, Some(&body("b")), garbage).await.0, 400, "{garbage}");
            assert_eq!(change(&world, "DELETE", &target, None, garbage).await.0, 400, "{garbage}");
        }
        assert_eq!(world.store.counts().await.unwrap().events, events, "nothing was changed");
        assert_eq!(etag(&world, &target).await, second);
        assert_eq!(change(&world, "PATCH", &target, Some(&body("c")), "*").await.0, 200);
        let among = format!("\"x\", {}", etag(&world, &target).await);
        assert_eq!(change(&world, "PATCH", &target, Some(&body("d")), &among).await.0, 200);
        let last = etag(&world, &target).await;
        assert_eq!(change(&world, "DELETE", &target, None, &last).await.0, 204);
        assert_eq!(change(&world, "DELETE", &target, None, "*").await.0, 404);
    }
}

#[tokio::test]
async fn whatever_shows_another_state_has_another_tag() {
    let world = World::new().await;
    let vault = world.add_vault("prod").await;
    let secret = world.add_secret(&vault, "db").await;
    let target = format!("/vault_secrets/{}", id(&secret));
    let mut tags = vec![etag(&world, &target).await];
    for (method, path, body) in [
        ("PATCH", target.clone(), json!({"value": "another"})),
        ("PATCH", format!("/vaults/{}", id(&vault)), json!({"name": "production"})),
        ("POST", format!("/strongroom/secrets/{}/rollback", id(&secret)), json!({"version": 1})),
    ] {
        assert_eq!(world.answer(&world.call(method, &path, Some(&body))).await.status(), 200, "{path}");
        tags.push(etag(&world, &target).await);
    }
    assert_eq!(world.answer(&world.call("DELETE", &target, None)).await.status(), 204);
    let undelete = format!("/strongroom/secrets/{}/undelete", id(&secret));
    assert_eq!(world.answer(&world.call("POST", &undelete, None)).await.status(), 200);
    tags.push(etag(&world, &target).await);
    let different: std::collections::BTreeSet<_> = tags.iter().collect();
    assert_eq!(different.len(), tags.len(), "{tags:?}");
    // How long a vault keeps values is changed for what was read, too.
    let keep = format!("/strongroom/vaults/{}", id(&vault));
    let tag = etag(&world, &keep).await;
    assert_eq!(tag, etag(&world, &format!("/vaults/{}", id(&vault))).await);
    let two = json!({"keep_versions": 2});
    assert_eq!(change(&world, "PATCH", &keep, Some(&two), "\"x\"").await.0, 412);
    assert_eq!(change(&world, "PATCH", &keep, Some(&two), &tag).await.0, 200);
}

#[tokio::test]
async fn refusals() {
    let world = World::new().await;
    let vault = world.add_vault("prod").await;
    let path = format!("/vaults/{}", id(&vault));
    let call = |tag| world.call("PATCH", &path, Some(&json!({"name": "b"}))).header("if-match", tag);
    assert_snapshot!("if_match_stale", seen_call(&world, &call("\"0\"")).await);
    assert_snapshot!("if_match_garbage", seen_call(&world, &call("0")).await);
}
