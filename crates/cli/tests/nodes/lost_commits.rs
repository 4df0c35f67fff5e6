//! A commit whose answer is lost, or that is lost on its way: done once.

use serde_json::json;
use strongroom_testbed::{Towards, poll};

use super::check::{assert_chain_holds, assert_same, count};
use super::load::bad_day;
use super::rounds;
use super::world::World;
use super::writer::{CREATED, DELETED, UPDATED, body_of};
use crate::harness::{field, make_vault};

/// PostgreSQL has it in its statement and in its answer.
const COMMIT: &[u8] = b"COMMIT\0";

/// Each kind of change, whose commit nobody else is in, by the node whose link loses it.
#[test]
fn a_lost_commit_is_done_once() {
    let world = World::start();
    let mut client = world.client(1);
    let vault = make_vault(&mut client, "w");
    let grant = json!({"grants": [{"action": "resolve", "vault": "w"}]});
    let token = client.post("/api_keys", &grant).expect_status(201).json();
    let mut reader = world.client_with(1, field(&token, "token"));
    let mut expected = Vec::new();
    for (round, towards) in [Towards::Client, Towards::Server].into_iter().enumerate() {
        // A part of the statement that is sent arrives, or none of what was answered.
        let lose = || world.proxy.lose(towards, COMMIT, 0);
        let is_lost = |times: usize| assert_eq!(world.proxy.lost(), round * 4 + times, "{towards:?}");
        let mark = format!("w-{round}");
        let mut body = body_of(&mark);
        body["vault_id"] = vault["id"].clone();
        lose();
        let made = client.post("/vault_secrets", &body).expect_status(201).json();
        is_lost(1);
        let id = field(&made, "id").to_owned();
        let target = format!("/vault_secrets/{id}");
        lose();
        client.patch(&target, &body_of(&format!("{mark}-changed"))).expect_status(200);
        is_lost(2);
        lose();
        let resolve = json!({"secrets": [{"vault": "w", "name": format!("{mark}-changed")}]});
        let resolved = reader.post("/strongroom/resolve", &resolve).expect_status(200).json();
        assert_eq!(resolved["secrets"][0]["version"], 2);
        assert_eq!(resolved["secrets"][0]["value"], format!("{mark}-changed"));
        is_lost(3);
        lose();
        client.delete(&target).expect_status(204);
        is_lost(4);
        expected.push(id);
    }
    let events = assert_same(&world);
    assert_chain_holds(&world, events.len());
    for id in &expected {
        for event in [CREATED, UPDATED, DELETED, "secret_resolved.v0"] {
            assert_eq!(count(&events, event, id), 1, "{event} of {id}");
        }
    }
}

#[test]
fn commits_are_lost_under_load() {
    let mut world = World::start();
    let day = bad_day("lost commits", &mut world, |world, load| {
        for round in 1..=(10 * rounds() as usize) {
            for (number, towards) in [Towards::Client, Towards::Server].into_iter().enumerate() {
                world.proxy.lose(towards, COMMIT, 0);
                poll("a commit is lost", || (world.proxy.lost() == 2 * round - 1 + number).then_some(()));
            }
            load.more_of_both(5);
        }
    });
    assert_eq!(day.requests + day.operations, 0, "whoever waits gets to know what became of a commit");
}
