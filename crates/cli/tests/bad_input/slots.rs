//! Bad requests about key slots, sealing and unsealing.

use serde_json::{Value, json};

use crate::harness::Request;
use crate::table::{Case, UNKNOWN, World, case};

const PATH: &str = "/strongroom/key_slots";

pub(crate) fn slots(world: &World) -> Vec<Case> {
    let enrolment = "A".repeat(86) + "==";
    let made = |kind: &str, enrolment: &str, opener: &str| json!({"name": "x", "kind": kind, "enrolment": enrolment, "opener": opener});
    let faults: [(&str, Value, &'static [&'static str]); 9] = [
        ("no kind", json!({"name": "x"}), &["ERR_NGROK_215"]),
        ("a number for a kind", json!({"kind": 1}), &["ERR_NGROK_215"]),
        ("an unknown kind", json!({"kind": "tape"}), &["ERR_STRONGROOM_1097"]),
        ("an unknown field", json!({"kind": "recovery", "words": "x"}), &["ERR_NGROK_214"]),
        ("no enrolment", json!({"kind": "recovery"}), &["ERR_STRONGROOM_1097"]),
        ("a short enrolment", made("recovery", "AAAA", "{}"), &["ERR_STRONGROOM_1097"]),
        ("an enrolment that is no base64", made("recovery", "?", "{}"), &["ERR_STRONGROOM_1097"]),
        ("an opener that is no object", made("recovery", &enrolment, "[]"), &["ERR_STRONGROOM_1097"]),
        ("a service's key from a client", made("transit", &enrolment, "{}"), &["ERR_STRONGROOM_1097"]),
    ];
    let unseals: [(&str, Value, &'static [&'static str]); 5] = [
        ("nothing given", json!({}), &["ERR_STRONGROOM_1095"]),
        ("two things given", json!({"passphrase": "x", "words": "y"}), &["ERR_STRONGROOM_1095"]),
        ("no share", json!({"shares": []}), &["ERR_STRONGROOM_1095"]),
        ("shares that are none", json!({"shares": [1]}), &["ERR_NGROK_215"]),
        ("an unknown thing given", json!({"key": "x"}), &["ERR_NGROK_214"]),
    ];
    let by_user = |method, target: &str| Request::new(method, target).token(&world.service_user);
    let denied: &'static [&'static str] = &["ERR_STRONGROOM_1070"];
    let unknown = format!("{PATH}/ks_{UNKNOWN}");
    let mut cases = vec![
        case("no slot", world.get(&unknown), 404, &[""]),
        case("the removal of no slot", Request::new("DELETE", &unknown).token(&world.admin), 404, &[""]),
        case("a try of no slot", world.post(&format!("{unknown}/test"), &json!({})), 404, &[""]),
        case("the slot of a vault", world.get(&format!("{PATH}/{}", world.vault)), 404, &["ERR_NGROK_222"]),
        case("slots listed by a service user", by_user("GET", PATH), 403, denied),
        case("sealed by a service user", by_user("POST", "/strongroom/seal"), 403, denied),
        case(
            "sealed with a field",
            world.post("/strongroom/seal", &json!({"now": true})),
            400,
            &["ERR_NGROK_214"],
        ),
        case("sealed by nobody", Request::new("POST", "/strongroom/seal"), 403, &["ERR_NGROK_200"]),
    ];
    cases.extend(faults.map(|(what, body, codes)| case(what, world.post(PATH, &body), 400, codes)));
    cases.extend(unseals.map(|(what, body, codes)| {
        case(what, Request::new("POST", "/strongroom/unseal").json(&body), 400, codes)
    }));
    cases
}
