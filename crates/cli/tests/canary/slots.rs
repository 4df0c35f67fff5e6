//! What opens key slots: given rightly and wrongly, to a server that has its keys and to one that is sealed.

use serde_json::{Value, json};

use super::{Run, Words};
use crate::harness::{Process, Request, poll, text};

pub(crate) fn open_slots(world: &mut Run, words: &Words) {
    let (word, folder) = (&words.canary, tempfile::tempdir().unwrap());
    let file = folder.path().join("passphrase");
    std::fs::write(&file, word).unwrap();
    let env = [("STRONGROOM_URL", world.server.url.clone()), ("STRONGROOM_API_KEY", world.token.clone())];
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for args in [
        &["key", "slot", "add", "passphrase", "--passphrase-file", text(&file)][..],
        &["key", "slot", "test", "passphrase", "--from", text(&file)],
    ] {
        let ran = Process::spawn(args, &env).wait();
        assert!(ran.success(), "{}", ran.stderr);
        world.seen.add("key slot, stdout", ran.stdout);
        world.seen.add("key slot, stderr", ran.stderr);
    }
    let slots = world.send("GET", "/strongroom/key_slots", None).expect_status(200).json();
    let slot =
        slots["key_slots"].as_array().unwrap().iter().find(|slot| slot["kind"] == "passphrase").unwrap();
    let test = format!("/strongroom/key_slots/{}/test", slot["id"].as_str().unwrap());
    let wrong = wrongly(words);
    for (body, _) in &wrong {
        let refused = world.send("POST", &test, Some(body));
        assert!((400..500).contains(&refused.status), "{refused}");
    }
    world.send("POST", &test, Some(&json!({"passphrase": word}))).expect_status(200);
    for body in [
        json!({"kind": word}),
        json!({"kind": "recovery", "enrolment": word, "opener": "{}"}),
        json!({"kind": "recovery", "passphrase": word}),
    ] {
        world.send("POST", "/strongroom/key_slots", Some(&body)).expect_status(400);
    }
    world.send("POST", "/strongroom/seal", Some(&json!({}))).expect_status(200);
    for (body, status) in wrong.iter().chain([&(json!({"passphrase": word}), 200)]) {
        let request = Request::new("POST", "/strongroom/unseal").json(body);
        // There is a pause after one that failed.
        let answer = poll("it is tried", || {
            Some(world.exchange("POST /strongroom/unseal", &request)).filter(|answer| answer.status != 429)
        });
        assert_eq!(answer.status, *status, "{answer}");
    }
}

/// Each with what a sealed server answers.
fn wrongly(words: &Words) -> Vec<(Value, u16)> {
    let word = &words.canary;
    vec![
        (json!({"passphrase": format!("{word}!")}), 403),
        (json!({"words": format!("{word} {word}")}), 403),
        (json!({"shares": [word]}), 403),
        (json!({"shares": [format!("sr1-{word}")]}), 403),
        (json!({"passphrase": [word]}), 400),
        (json!({"key": word}), 400),
    ]
}
