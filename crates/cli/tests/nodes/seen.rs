//! How soon one node sees what another one did; a key that is revoked there opens nothing here within a second, whatever the
//! link to the database does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::figures;
use super::load::Ends;
use super::world::World;
use crate::harness::{Client, PATIENCE, field, make_vault, poll, secret_in};

/// The longest that a key may work on another node after the answer that revoked it.
const REVOKED: Duration = Duration::from_secs(1);
/// What 99 of 100 changes are seen within on a machine that has nothing else to do.
const TARGET: Duration = Duration::from_millis(100);

fn secret(client: &mut Client) -> String {
    let vault = make_vault(client, "seen");
    let made = client.post("/vault_secrets", &secret_in(&vault, "s", "v")).expect_status(201).json();
    format!("/vault_secrets/{}", field(&made, "id"))
}

#[test]
fn a_change_is_seen_by_the_other_node() {
    const CHANGES: usize = 200;
    let world = World::start();
    let mut clients = [0, 1].map(|node| world.client(node));
    let target = secret(&mut clients[0]);
    let mut took: Vec<Duration> = (0..CHANGES)
        .map(|number| {
            let [writer, reader] = &mut clients;
            let mark = number.to_string();
            // It has it in memory.
            reader.get(&target).expect_status(200);
            writer.patch(&target, &json!({"metadata": mark})).expect_status(200);
            let done = Instant::now();
            poll("the change is seen", || {
                let seen = reader.get(&target).expect_status(200).json();
                (field(&seen, "metadata") == mark).then_some(())
            });
            clients.swap(0, 1);
            done.elapsed()
        })
        .collect();
    took.sort_unstable();
    let at = |percent: usize| took[CHANGES * percent / 100];
    let (p50, p99, longest) = (at(50), at(99), took[CHANGES - 1]);
    figures::tell(&format!(
        "{CHANGES} changes seen by the other node: p50 {p50:?}, p99 {p99:?}, longest {longest:?} (target: p99 {TARGET:?})"
    ));
    // A machine that does other things besides may take longer, but not as long as anybody believes what is in memory.
    assert!(p50 < TARGET && p99 < 5 * TARGET);
}

/// What happens to the other node when a key is revoked, and ends some seconds after.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    Cut,
    Held,
    /// The node itself is paused while the key is revoked.
    Paused,
}

#[test]
fn a_revoked_key_opens_nothing_on_the_other_node() {
    let world = World::start();
    let mut admin = world.client(0);
    let target = secret(&mut admin);
    for trouble in [Trouble::None, Trouble::Cut, Trouble::Held, Trouble::Paused] {
        let key = json!({"grants": [{"action": "manage", "vault": "seen"}, {"action": "resolve", "vault": "seen"}]});
        let key = admin.post("/api_keys", &key).expect_status(201).json();
        let Revoked { worked, ended, refused } = revoke(&world, &mut admin, &key, &target, trouble);
        figures::tell(&format!(
            "key revoked, the other node in trouble: {trouble:?}; the last request that it worked for was sent after {worked:?} \
             and answered after {ended:?}; refused first after {refused:?}"
        ));
        // What a node was about to send when it was paused leaves when it goes on.
        let last = if matches!(trouble, Trouble::Paused) { worked } else { ended };
        assert!(last.is_none_or(|last| last < REVOKED), "{trouble:?}: it worked after {last:?}");
    }
}

/// One request with a key.
#[derive(Debug)]
struct Asked {
    at: Instant,
    answered: Instant,
    status: u16,
}

/// What became of a key on the other node, in time after the answer that revoked it.
struct Revoked {
    /// When the last request was sent that it worked for.
    worked: Option<Duration>,
    /// When the last request was answered that it worked for: one that was let in before may wait for the database.
    ended: Option<Duration>,
    /// When the first one was refused.
    refused: Duration,
}

/// Revokes a key by way of the first node while it is used on the second.
fn revoke(
    world: &World,
    admin: &mut Client,
    key: &serde_json::Value,
    target: &str,
    trouble: Trouble,
) -> Revoked {
    let (over, token) = (AtomicBool::new(false), field(key, "token"));
    thread::scope(|scope| {
        let ends = Ends(&over);
        let body = json!({"secrets": [{"vault": "seen", "name": "s"}]});
        let over = &over;
        let asking = ["GET", "POST"].map(|method| {
            let mut client = world.client_with(1, token);
            let (target, body) =
                if method == "GET" { (target, None) } else { ("/strongroom/resolve", Some(body.clone())) };
            scope.spawn(move || {
                let (begun, mut asked) = (Instant::now(), Vec::new());
                let mut works = true;
                while works || !over.load(Ordering::Relaxed) {
                    let at = Instant::now();
                    let status = client.try_call(method, target, body.as_ref()).unwrap().status;
                    works = status == 200;
                    asked.push(Asked { at, answered: Instant::now(), status });
                    assert!(begun.elapsed() < PATIENCE, "it works still");
                    thread::sleep(Duration::from_millis(1));
                }
                asked
            })
        });
        thread::sleep(Duration::from_millis(200));
        match trouble {
            Trouble::None => {}
            Trouble::Cut => world.proxy.cut(),
            Trouble::Held => world.proxy.hold(),
            Trouble::Paused => world.nodes[1].tell(Signal::STOP),
        }
        admin.delete(&format!("/api_keys/{}", field(key, "id"))).expect_status(204);
        let revoked = Instant::now();
        thread::sleep(REVOKED.mul_f32(1.5));
        match trouble {
            Trouble::None => {}
            Trouble::Cut | Trouble::Held => world.proxy.mend(),
            Trouble::Paused => world.nodes[1].tell(Signal::CONT),
        }
        let mut again = world.client_with(1, token);
        poll("it is refused for good", || [401, 403].contains(&again.get(target).status).then_some(()));
        drop(ends);
        let asked: Vec<_> = asking.into_iter().flat_map(|asking| asking.join().unwrap()).collect();
        assert!(asked.iter().any(|asked| asked.answered < revoked && asked.status == 200), "it never worked");
        let other = asked.iter().find(|asked| ![200, 401, 403, 503].contains(&asked.status));
        assert!(other.is_none(), "{other:?}");
        let worked = || asked.iter().filter(|asked| asked.status == 200);
        let after = |at: Instant| at.checked_duration_since(revoked);
        let refused =
            asked.iter().filter(|asked| asked.status != 200).filter_map(|asked| after(asked.answered));
        Revoked {
            worked: worked().filter_map(|asked| after(asked.at)).max(),
            ended: worked().filter_map(|asked| after(asked.answered)).max(),
            refused: refused.min().expect("it was refused"),
        }
    })
}
