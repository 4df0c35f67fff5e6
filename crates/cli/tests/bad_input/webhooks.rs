//! Bad webhooks.

use serde_json::{Value, json};

use crate::harness::Request;
use crate::table::{Case, UNKNOWN, World, case};

const PATH: &str = "/strongroom/webhooks";

pub(crate) fn webhooks(world: &World) -> Vec<Case> {
    let unknown = format!("{PATH}/wh_{UNKNOWN}");
    let mut cases = vec![
        case("no webhook", world.get(&unknown), 404, &[""]),
        case(
            "a webhook with a secret's id",
            world.get(&format!("{PATH}/{}", world.secret)),
            404,
            &["ERR_NGROK_222"],
        ),
        case("a change of no webhook", world.send("PATCH", &unknown, &json!({"active": true})), 404, &[""]),
        case("deliveries of no webhook", world.get(&format!("{unknown}/deliveries")), 404, &[""]),
        case("a test of no webhook", world.post(&format!("{unknown}/test"), &json!({})), 404, &[""]),
        case("a retry of no webhook", world.post(&format!("{unknown}/retry"), &json!({})), 404, &[""]),
        case("a filter of webhooks", world.get(&format!("{PATH}?filter=true")), 400, &["ERR_NGROK_231"]),
        case(
            "a test with a field",
            world.post(&format!("{unknown}/test"), &json!({"a": 1})),
            400,
            &["ERR_NGROK_214"],
        ),
        case(
            "a webhook by a service user",
            Request::new("POST", PATH).token(&world.service_user).json(&json!({})),
            400,
            &["ERR_STRONGROOM_1050"],
        ),
        case(
            "webhooks listed by a service user",
            Request::new("GET", PATH).token(&world.service_user),
            403,
            &["ERR_STRONGROOM_1053"],
        ),
    ];
    cases.extend(fields(world));
    cases.extend(urls(world));
    cases
}

fn fields(world: &World) -> Vec<Case> {
    let secret_of = |bytes: usize| {
        use base64::Engine as _;
        format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(vec![7; bytes]))
    };
    let faults: [(&str, Value, &'static [&'static str]); 14] = [
        ("no types", json!({"event_types": []}), &["ERR_STRONGROOM_1051"]),
        ("an unknown type", json!({"event_types": ["*", "secret_read.v0"]}), &["ERR_STRONGROOM_1051"]),
        ("a type without a version", json!({"event_types": ["secret_updated"]}), &["ERR_STRONGROOM_1051"]),
        ("a text for types", json!({"event_types": "*"}), &["ERR_NGROK_215"]),
        ("a number among types", json!({"event_types": [1]}), &["ERR_NGROK_215"]),
        ("too many types", json!({"event_types": vec!["*"; 101]}), &["ERR_NGROK_215"]),
        ("a secret without its mark", json!({"secret": &secret_of(24)[6..]}), &["ERR_STRONGROOM_1052"]),
        ("a short secret", json!({"secret": secret_of(23)}), &["ERR_STRONGROOM_1052"]),
        ("a long secret", json!({"secret": secret_of(65)}), &["ERR_STRONGROOM_1052"]),
        ("an empty secret", json!({"secret": ""}), &["ERR_STRONGROOM_1052"]),
        ("a number for a secret", json!({"secret": 5}), &["ERR_NGROK_215"]),
        ("a text for active", json!({"active": "yes"}), &["ERR_NGROK_215"]),
        ("a long description", json!({"description": "d".repeat(256)}), &["ERR_NGROK_215"]),
        ("an unknown field", json!({"name": "n"}), &["ERR_NGROK_214"]),
    ];
    let make = |(fault, fields, codes): (&str, Value, _)| {
        let mut body = json!({"url": "https://hooks.example.com/", "event_types": ["*"]});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        case(&format!("webhook: {fault}"), world.post(PATH, &body), 400, codes)
    };
    faults.into_iter().map(make).collect()
}

fn urls(world: &World) -> Vec<Case> {
    let long = format!("https://hooks.example.com/{}", "x".repeat(2048));
    let urls = [
        "",
        "hooks.example.com",
        "ftp://hooks.example.com/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://hooks.example.com/",
        "https://",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://user@hooks.example.com/",
        "https://hooks.example.com/#fragment",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nhost: x",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://10.0.0.1/",
        "https://169.254.169.254/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[fe80::1%25eth0]/",
        &long,
    ];
    let make = |url: &str| {
        let body = json!({"url": url, "event_types": ["*"]});
        case(&format!("webhook to {url:.60}"), world.post(PATH, &body), 400, &["ERR_STRONGROOM_1050"])
    };
    urls.into_iter().map(make).collect()
}
