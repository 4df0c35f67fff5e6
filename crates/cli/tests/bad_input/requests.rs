//! Bad credentials, versions, bodies, ids and routes; what is asked for is in docs/errors.md.

use serde_json::json;

use crate::harness::Request;
use crate::table::{Case, UNKNOWN, World, case};

pub(crate) fn credentials(world: &World) -> Vec<Case> {
    let with = |value: &str| Request::new("GET", "/vaults").header("authorization", value);
    let bearer = |token: &str| with(&format!("Bearer {token}"));
    let mut altered = world.admin.clone();
    let last = if altered.pop() == Some('x') { 'y' } else { 'x' };
    altered.push(last);
    let unsupported: &[&str] = &["ERR_NGROK_201"];
    vec![
        case("no credential", Request::new("GET", "/vaults"), 403, &["ERR_NGROK_200"]),
        case(
            "no credential on a write",
            Request::new("POST", "/vaults").json(&json!({"name": "x"})),
            403,
            &["ERR_NGROK_200"],
        ),
        case("a bare word", with("nonsense"), 403, unsupported),
        case("another scheme", with("Digest username=x"), 403, unsupported),
        case("an empty bearer", with("Bearer "), 403, &["ERR_NGROK_201", "ERR_NGROK_202"]),
        case("no token's shape", bearer("not-a-credential"), 403, &["ERR_NGROK_202"]),
        case(
            "an unknown token",
            bearer(&format!("{UNKNOWN}_59G1nFjCYtpoGt8Fp41Fm")),
            403,
            &["ERR_NGROK_203"],
        ),
        case("one character altered", bearer(&altered), 403, &["ERR_NGROK_203"]),
        case("an authtoken's id", bearer(&format!("cr_{UNKNOWN}")), 403, &["ERR_NGROK_206"]),
        case("a key's id", bearer(&format!("ak_{UNKNOWN}")), 403, &["ERR_NGROK_208"]),
        case("a very long token", bearer(&"x".repeat(4000)), 403, &["ERR_NGROK_202"]),
        case(
            "a key in the version's place",
            Request::new("GET", "/vaults").header("ngrok-version", &world.admin),
            403,
            &["ERR_NGROK_200"],
        ),
    ]
}

pub(crate) fn versions(world: &World) -> Vec<Case> {
    let list = world.get("/vaults");
    vec![
        case("no version", list.clone().without("ngrok-version"), 400, &["ERR_NGROK_218"]),
        case("version 1", list.clone().header("ngrok-version", "1"), 400, &["ERR_NGROK_217"]),
        case("version two", list.header("ngrok-version", "two"), 400, &["ERR_NGROK_217"]),
    ]
}

pub(crate) fn bodies(world: &World) -> Vec<Case> {
    let raw = |body: &[u8]| Request::new("POST", "/vaults").token(&world.admin).body(body);
    let patch = |body: &[u8]| {
        Request::new("PATCH", &format!("/vaults/{}", world.vault)).token(&world.admin).body(body)
    };
    let named = json!({"name": "n"});
    let deep =
        |open: &str, close: &str| format!("{{\"name\":{}{}}}", open.repeat(20_000), close.repeat(20_000));
    let broken: &[&str] = &["ERR_NGROK_213"];
    let broken_or_invalid: &[&str] = &["ERR_NGROK_213", "ERR_NGROK_215"];
    vec![
        case(
            "no content type",
            world.post("/vaults", &named).without("content-type"),
            400,
            &["ERR_NGROK_216"],
        ),
        case(
            "text/plain",
            world.post("/vaults", &named).header("content-type", "text/plain"),
            415,
            &["ERR_NGROK_210"],
        ),
        case(
            "a form",
            world.post("/vaults", &named).header("content-type", "application/x-www-form-urlencoded"),
            415,
            &["ERR_NGROK_210"],
        ),
        case("an empty body", raw(b""), 400, broken),
        case("half an object", raw(b"{\"name\":\"n\""), 400, broken),
        case("text after the object", raw(b"{\"name\":\"n\"} x"), 400, broken),
        case("two objects", raw(b"{\"name\":\"n\"}{}"), 400, broken),
        case("an array", raw(b"[]"), 400, broken),
        case("a string", raw(b"\"name\""), 400, broken),
        case("null", raw(b"null"), 400, broken),
        case("single quotes", raw(b"{'name':'n'}"), 400, broken),
        case("a comment", raw(b"{\"name\":\"n\"/**/}"), 400, broken),
        case("NaN", raw(b"{\"name\":NaN}"), 400, broken),
        case("a raw line break in a string", raw(b"{\"name\":\"a\nb\"}"), 400, broken),
        case("not UTF-8", raw(b"{\"name\":\"\xff\xfe\"}"), 400, broken),
        case("a lone high surrogate", raw(br#"{"name":"\ud800"}"#), 400, broken),
        case("a lone low surrogate", raw(br#"{"name":"n","description":"\udfff!"}"#), 400, broken),
        case("deep arrays", raw(deep("[", "]").as_bytes()), 400, broken_or_invalid),
        case("deep objects", raw(deep("{\"a\":", "}").as_bytes()), 400, broken),
        case("a name given twice", raw(br#"{"name":"n","name":"n"}"#), 400, broken_or_invalid),
        case(
            "a name given twice, spelt apart",
            raw(br#"{"name":"n","n\u0061me":"m"}"#),
            400,
            broken_or_invalid,
        ),
        case(
            "a change with a name given twice",
            patch(br#"{"name":"n","name":"m"}"#),
            400,
            broken_or_invalid,
        ),
        case("a change that is broken", patch(b"{"), 400, broken),
        case("a body on GET", world.send("GET", "/vaults", &named), 400, &["ERR_NGROK_211"]),
        case(
            "a body on DELETE",
            world.send("DELETE", &format!("/vaults/{}", world.other_vault), &named),
            400,
            &["ERR_NGROK_211"],
        ),
    ]
}

pub(crate) fn ids(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    for (collection, prefix) in [
        ("/vaults", "vault_"),
        ("/vault_secrets", "secret_"),
        ("/api_keys", "ak_"),
        ("/bot_users", "bot_"),
        ("/service_users", "service_"),
    ] {
        let over = format!("{prefix}zzzzzzzzzzzzzzzzzzzzzzzzzzz");
        let ids: [(String, &'static [&'static str]); 6] = [
            (format!("{prefix}{UNKNOWN}"), &[""]),
            ("1000".to_owned(), &["ERR_NGROK_222"]),
            (format!("{prefix}{}", &UNKNOWN[1..]), &["ERR_NGROK_222"]),
            // 27 letters z are more than 160 bits can hold.
            (over, &["ERR_NGROK_222", ""]),
            (format!("op_{UNKNOWN}"), &["ERR_NGROK_222"]),
            (format!("{prefix}{UNKNOWN}%00"), &["ERR_NGROK_222"]),
        ];
        for (id, codes) in ids {
            let target = format!("{collection}/{id}");
            cases.push(case(&format!("GET {target}"), world.get(&target), 404, codes));
            cases.push(case(
                &format!("PATCH {target}"),
                world.send("PATCH", &target, &json!({})),
                404,
                codes,
            ));
            let delete = Request::new("DELETE", &target).token(&world.admin);
            cases.push(case(&format!("DELETE {target}"), delete, 404, codes));
        }
    }
    let by_vault = |id: &str| world.get(&format!("/vaults/{id}/secrets"));
    cases.push(case(
        "secrets of an unknown vault",
        by_vault(&format!("vault_{UNKNOWN}")),
        404,
        &["", "ERR_NGROK_24006"],
    ));
    cases.push(case("secrets of no vault", by_vault(&world.other_secret), 404, &["ERR_NGROK_222"]));
    cases
}

pub(crate) fn routes(world: &World) -> Vec<Case> {
    let vault = format!("/vaults/{}", world.vault);
    let secrets = format!("{vault}/secrets");
    let routes: [(&str, &str); 13] = [
        ("GET", "/nowhere"),
        ("GET", "/vaults/"),
        ("GET", "/secrets"),
        ("GET", "/vault-secrets"),
        ("GET", "/VAULTS"),
        ("GET", "/vaults/../vaults"),
        ("PUT", "/vaults"),
        ("DELETE", "/vaults"),
        ("PATCH", "/vault_secrets"),
        ("POST", &vault),
        ("POST", &secrets),
        ("POST", "/"),
        ("TRACE", "/vaults"),
    ];
    let mut cases: Vec<Case> = routes
        .into_iter()
        .map(|(method, target)| {
            case(&format!("{method} {target}"), Request::new(method, target).token(&world.admin), 404, &[""])
        })
        .collect();
    // The route is looked at before the key: a stranger learns no more from a 403 than from a 404.
    cases.push(case("an unknown path without a key", Request::new("GET", "/nowhere"), 404, &[""]));
    cases
}
