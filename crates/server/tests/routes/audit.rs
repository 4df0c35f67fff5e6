use insta::assert_snapshot;
use serde_json::json;

use crate::harness::World;
use crate::{seen, seen_with};

/// A log of a few events. The harness makes the account without one.
async fn logged() -> World {
    let world = World::new().await;
    let vault = world.add_vault("prod").await;
    world.make("/vault_secrets", json!({"name": "a", "value": "v", "vault_id": vault["id"]})).await;
    world.add_vault("dev").await;
    world
}

#[tokio::test]
async fn proofs() {
    let world = logged().await;
    let seen = async |target: &str| seen(&world, "GET", target, None).await;
    assert_snapshot!("audit_checkpoint", seen("/strongroom/audit/checkpoint").await);
    assert_snapshot!("audit_inclusion", seen("/strongroom/audit/inclusion?sequence=2").await);
    assert_snapshot!("audit_inclusion_then", seen("/strongroom/audit/inclusion?sequence=2&size=2").await);
    assert_snapshot!("audit_inclusion_of_none", seen("/strongroom/audit/inclusion?sequence=4").await);
    assert_snapshot!("audit_inclusion_unnamed", seen("/strongroom/audit/inclusion").await);
    assert_snapshot!("audit_consistency", seen("/strongroom/audit/consistency?from=2").await);
    assert_snapshot!("audit_consistency_from_nothing", seen("/strongroom/audit/consistency?from=0").await);
    assert_snapshot!("audit_consistency_beyond", seen("/strongroom/audit/consistency?from=2&size=4").await);
}

#[tokio::test]
async fn the_log_takes_its_own_grant() {
    let world = logged().await;
    let seen =
        async |grants: &str| seen_with(&world, grants, "GET", "/strongroom/audit/checkpoint", None).await;
    assert_snapshot!("audit_without_grant", seen("read *:*\nresolve *:*").await);
}
