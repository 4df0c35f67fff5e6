//! Bad requests about vault keys.

use serde_json::{Value, json};

use crate::harness::Request;
use crate::table::{Case, UNKNOWN, World, case};

const PATH: &str = "/strongroom/keys";

pub(crate) fn keys(world: &World) -> Vec<Case> {
    let (unknown, rotate) = (format!("{PATH}/vault_{UNKNOWN}"), format!("{PATH}/{}/rotate", world.vault));
    let faults: [(&str, Value, &'static [&'static str]); 4] = [
        ("an unknown kind", json!({"kind": "root"}), &["ERR_NGROK_215"]),
        ("an empty kind", json!({"kind": ""}), &["ERR_NGROK_215"]),
        ("a number for a kind", json!({"kind": 1}), &["ERR_NGROK_215"]),
        ("an unknown field", json!({"key": "vault"}), &["ERR_NGROK_214"]),
    ];
    let mut cases = vec![
        case("no vault's key", world.get(&unknown), 404, &[""]),
        case("a rotation of no vault", world.post(&format!("{unknown}/rotate"), &json!({})), 404, &[""]),
        case("the key of a secret", world.get(&format!("{PATH}/{}", world.secret)), 404, &["ERR_NGROK_222"]),
        case(
            "a field of none",
            world.post("/strongroom/root_key/rotate", &json!({"keep_old": "yes"})),
            400,
            &["ERR_NGROK_214"],
        ),
        case(
            "the root key by a service user",
            Request::new("POST", "/strongroom/root_key/rotate").token(&world.service_user),
            403,
            &["ERR_STRONGROOM_1070"],
        ),
        case("a filter of keys", world.get(&format!("{PATH}?filter=true")), 400, &["ERR_NGROK_231"]),
        case(
            "keys listed by a service user",
            Request::new("GET", PATH).token(&world.service_user),
            403,
            &["ERR_STRONGROOM_1070"],
        ),
        case(
            "a rotation by a service user",
            Request::new("POST", &rotate).token(&world.service_user),
            403,
            &["ERR_STRONGROOM_1070"],
        ),
    ];
    cases.extend(faults.map(|(what, body, codes)| case(what, world.post(&rotate, &body), 400, codes)));
    cases
}
