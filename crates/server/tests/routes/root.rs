use insta::assert_snapshot;
use strongroom_domain::ids::PrincipalId;

use crate::harness::{Call, World};
use crate::{seen, seen_call};

#[tokio::test]
async fn root() {
    let world = World::new().await;
    assert_snapshot!("root", seen(&world, "GET", "/", None).await);
    assert_snapshot!("root_without_a_key", seen_call(&world, &Call::new("GET", "/", None)).await);
}

#[tokio::test]
async fn who_is_asking() {
    let world = World::new().await;
    assert_snapshot!("self", seen(&world, "GET", "/self", None).await);
    let robot = world.add_service_user("robot", true).await;
    let (_, token) = world.add_key(PrincipalId::ServiceUser(robot)).await;
    let answer = seen_call(&world, &world.call("GET", "/self", None).bearer(&token)).await;
    assert_snapshot!("self_of_a_service_user", answer.replace(&token, "[the service user's token]"));
}
