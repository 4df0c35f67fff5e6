//! What must hold after every bad day.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::load::{Asker, Load, Told};
use super::world::{DATABASE, World};
use super::writer::{CREATED, Change, DELETED, Known, UPDATED, Writer};
use crate::harness::{Client, field, list_all, poll, run, text, visible_state};

/// All fields of a secret that writers write have one mark: two are a change half applied.
pub(crate) fn assert_whole(secrets: &[Value]) {
    for secret in secrets.iter().filter(|secret| is_writers(secret)) {
        mark_of(secret);
    }
}

/// Whether it is a writer's, by the vault's name.
pub(crate) fn is_writers(secret: &Value) -> bool {
    field(secret, "vault_name").starts_with('w')
}

fn mark_of(secret: &Value) -> &str {
    let mark = field(secret, "name");
    assert_eq!(
        (field(secret, "description"), field(secret, "metadata")),
        (mark, mark),
        "half applied: {secret}"
    );
    mark
}

/// What a node tells, but for its own address.
fn told(client: &mut Client, ask: impl FnOnce(&mut Client) -> Vec<Value>) -> Vec<String> {
    let told = ask(client);
    told.iter().map(|value| value.to_string().replace(&client.origin(), "")).collect()
}

fn until_lists_are_the_same([first, second]: &mut [Client; 2]) {
    let lists = |client: &mut Client| visible_state(client).concat();
    poll("both nodes list the same", || (told(first, lists) == told(second, lists)).then_some(()));
}

/// Both nodes answer the same: lists, secrets one by one, and the log. The log, as they tell it.
pub(crate) fn assert_same(world: &World) -> Vec<Value> {
    let clients = &mut [world.client(0), world.client(1)];
    until_lists_are_the_same(clients);
    let [first, second] = clients;
    for secret in list_all(first, "/vault_secrets", "secrets") {
        let target = format!("/vault_secrets/{}", field(&secret, "id"));
        let each = |client: &mut Client| vec![client.get(&target).expect_status(200).json()];
        assert_eq!(told(first, each), told(second, each));
    }
    // Nobody makes anything now but the readers' last events, which are in the log before they are answered.
    let events =
        |client: &mut Client| list_all(client, "/strongroom/audit_events?order=oldest", "audit_events");
    assert_eq!(told(first, events), told(second, events));
    events(first)
}

/// Walks the log in the database itself, by its hashes.
pub(crate) fn assert_chain_holds(world: &World, events: usize) {
    let (url, password) = (world.postgres.url(DATABASE), world.postgres.password_file());
    let verified = run(&["audit", "verify", "--database", &url, "--database-password-file", text(&password)]);
    assert!(verified.success(), "audit verify: {}{}", verified.stdout, verified.stderr);
    let told = format!("{events} audit events,");
    assert!(verified.stdout.starts_with(&told), "{told} are told by the nodes; {}", verified.stdout);
}

/// How many events of a type name this object.
pub(crate) fn count(events: &[Value], event_type: &str, id: &str) -> usize {
    events.iter().filter(|event| event["event_type"] == event_type && event["object"]["id"] == id).count()
}

pub(crate) fn all_is_well(world: &World, load: &Load, writers: &[Writer]) {
    let mut asker = Asker::new(load, 0, &load.token);
    for writer in writers {
        for mark in &writer.unknown_creations {
            assert!(
                matches!(writer.ask_to_create(&mut asker, mark), Told::Done(_)),
                "asked again for {mark}"
            );
        }
    }
    check_values(world, load);
    let events = assert_same(world);
    assert_chain_holds(world, events.len());
    let ids: BTreeSet<&str> = events.iter().map(|event| field(event, "event_id")).collect();
    assert_eq!(ids.len(), events.len(), "two events with one id");
    let mut client = world.client(1);
    check_writers(&events, writers, &mut client);
    check_counter(&events, load, writers, &mut client);
    let resolved = count(&events, "secret_resolved.v0", &load.read) as u64;
    let (sure, maybe) = (&load.resolved, &load.maybe_resolved);
    let (sure, maybe) = (sure.load(Ordering::Relaxed), maybe.load(Ordering::Relaxed));
    assert!(
        (sure..=sure + maybe).contains(&resolved),
        "{resolved} values given out; {sure}, perhaps {maybe} more"
    );
}

/// The value of each secret that is there, by way of each node, is the one that was written with all else that is told of it.
fn check_values(world: &World, load: &Load) {
    /// As many as may be named in one request.
    const AT_ONCE: usize = 100;
    until_lists_are_the_same(&mut [world.client(0), world.client(1)]);
    let secrets = list_all(&mut world.client(0), "/vault_secrets", "secrets");
    for node in [0, 1] {
        let mut reader = world.client_with(node, &load.reader);
        for secrets in secrets.chunks(AT_ONCE) {
            let ids: Vec<Value> = secrets.iter().map(|secret| json!({"id": secret["id"]})).collect();
            let resolved =
                reader.post("/strongroom/resolve", &json!({"secrets": ids})).expect_status(200).json();
            let resolved = resolved["secrets"].as_array().unwrap();
            assert_eq!(resolved.len(), secrets.len());
            for (secret, resolved) in secrets.iter().zip(resolved) {
                let told = if field(secret, "vault_name") == "load" { "description" } else { "metadata" };
                assert_eq!(
                    (&resolved["id"], &resolved["name"], &resolved["value"]),
                    (&secret["id"], &secret["name"], &secret[told]),
                    "node {node} gives another value than was written: {secret}"
                );
            }
        }
        load.resolved.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the log tells of each secret in writers' vaults.
fn logged(events: &[Value]) -> BTreeMap<String, Vec<Change>> {
    let mut logged: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    for event in
        events.iter().filter(|event| event["object"]["name"].as_str().is_some_and(|n| n.starts_with("w")))
    {
        let kind = [CREATED, UPDATED, DELETED].into_iter().find(|kind| event["event_type"] == *kind);
        if let Some(kind) = kind {
            let change = (kind, mark_of(&event["object"]).to_owned());
            logged.entry(field(&event["object"], "id").to_owned()).or_default().push(change);
        }
    }
    logged
}

/// Each acknowledged change is in the log once, each that was left open once or never, no other one; what is there is what the log
/// tells last, in as many versions.
fn check_writers(events: &[Value], writers: &[Writer], client: &mut Client) {
    let mut logged = logged(events);
    let listed = list_all(client, "/vault_secrets", "secrets");
    let mut there: BTreeMap<&str, &str> = listed
        .iter()
        .filter(|secret| is_writers(secret))
        .map(|secret| (field(secret, "id"), mark_of(secret)))
        .collect();
    for (id, known) in writers.iter().flat_map(|writer| &writer.secrets) {
        let told = logged.remove(id).unwrap_or_default();
        assert_known(id, known, &told);
        let (last, mark) = told.last().unwrap();
        assert_eq!(there.remove(id.as_str()), (*last != DELETED).then_some(mark.as_str()), "{id}");
        if *last != DELETED {
            let target = format!("/strongroom/secrets/{id}/versions");
            let versions = client.get(&target).expect_status(200).json();
            assert_eq!(
                versions["versions"][0]["version"].as_u64(),
                Some(told.len() as u64),
                "{id}: {versions}"
            );
        }
    }
    // What is left was made without an answer, once each.
    let mut unknown: BTreeSet<Vec<Change>> = BTreeSet::new();
    for mark in writers.iter().flat_map(|writer| &writer.unknown_creations) {
        unknown.insert(vec![(CREATED, mark.clone())]);
    }
    assert_eq!(logged.len(), unknown.len(), "each that was asked for twice was made once");
    assert_eq!(there.len(), unknown.len());
    assert_eq!(logged.into_values().collect::<BTreeSet<_>>(), unknown);
}

fn assert_known(id: &str, known: &Known, told: &[Change]) {
    let (sure, rest) = told.split_at_checked(known.changes.len()).unwrap_or((told, &[]));
    assert_eq!(sure, known.changes, "{id}: what is in the log, and what was acknowledged");
    assert!(rest.is_empty() || rest == known.unknown.as_slice(), "{id}: nobody asked for {rest:?}");
}

/// The numbers went up by one with each change; whoever was told that it counted did, once; and nobody who was told that it did not.
fn check_counter(events: &[Value], load: &Load, writers: &[Writer], client: &mut Client) {
    let of_counter = events
        .iter()
        .filter(|event| event["event_type"] == UPDATED && event["object"]["id"] == load.counter.as_str());
    let (mut marks, mut number) = (BTreeSet::new(), 0);
    for event in of_counter {
        number += 1;
        assert_eq!(field(&event["object"], "metadata"), number.to_string(), "{event}");
        assert!(marks.insert(field(&event["object"], "description").to_owned()), "counted twice: {event}");
    }
    let all =
        |of: fn(&Writer) -> &BTreeSet<String>| writers.iter().flat_map(of).cloned().collect::<BTreeSet<_>>();
    let (sure, maybe) = (all(|writer| &writer.counted), all(|writer| &writer.maybe_counted));
    assert!(sure.is_subset(&marks), "lost: {:?}", sure.difference(&marks));
    let more: BTreeSet<_> = marks.difference(&sure).cloned().collect();
    assert!(more.is_subset(&maybe), "told that they did not count: {:?}", more.difference(&maybe));
    let there = client.get(&format!("/vault_secrets/{}", load.counter)).expect_status(200).json();
    assert_eq!(field(&there, "metadata"), number.to_string());
}
