//! Nodes that start for the first time together.

use strongroom_testbed::{Options, Postgres};

use super::check::{assert_chain_holds, assert_same};
use super::world::{DATABASE, World, turn};
use crate::harness::{make_vault, secret_in};

/// Who makes the account is a matter of milliseconds.
const STARTS: usize = 5;

#[test]
fn two_nodes_that_start_at_once_on_an_empty_database_share_one_account() {
    for _ in 0..STARTS {
        let turn = turn();
        let postgres = Postgres::start(Options::default().careless());
        postgres.create_database(DATABASE);
        let world = World::at_once(turn, postgres);
        assert_eq!(world.postgres.run(DATABASE, "SELECT count(*) FROM account"), "1");
        // The one that came too late left nothing, and each does what the other one sees.
        for node in [0, 1] {
            let mut client = world.client(node);
            let vault = make_vault(&mut client, &format!("of-{node}"));
            client.post("/vault_secrets", &secret_in(&vault, "s", "v")).expect_status(201);
        }
        let events = assert_same(&world);
        assert_chain_holds(&world, events.len());
    }
}
