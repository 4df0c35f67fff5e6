//! Bad grants, bad ends of keys, bad references, and what is wrong on our own routes; docs/errors.md has the codes.

use serde_json::{Value, json};

use crate::harness::Request;
use crate::table::{Case, UNKNOWN, World, case};

const FIELD: &[&str] = &["ERR_NGROK_215"];
const UNKNOWN_FIELD: &[&str] = &["ERR_NGROK_214"];
const BROKEN: &[&str] = &["ERR_NGROK_213"];
const GRANT: &[&str] = &["ERR_STRONGROOM_1004"];
const REFERENCE: &[&str] = &["ERR_STRONGROOM_1006"];

fn grant_faults() -> Vec<(&'static str, Value, &'static [&'static str])> {
    let read = |fields: Value| {
        let mut grant = json!({"action": "read", "vault": "*"});
        grant.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!([grant])
    };
    vec![
        ("none", json!([]), GRANT),
        ("more than 100", json!(vec![json!({"action": "audit"}); 101]), GRANT),
        ("very many", json!(vec![json!({"action": "audit"}); 10_000]), GRANT),
        ("a text", json!("read prod:*"), FIELD),
        ("an object", json!({"action": "read", "vault": "*"}), FIELD),
        ("a number", json!(1), FIELD),
        ("true", json!(true), FIELD),
        ("a list of texts", json!(["read prod:*"]), FIELD),
        ("a list of lists", json!([[{"action": "audit"}]]), FIELD),
        ("a null among them", json!([{"action": "audit"}, null]), FIELD),
        ("an empty grant", json!([{}]), GRANT),
        ("an empty secret", json!([{"action": "read", "vault": "a", "secret": ""}]), GRANT),
        ("no action", json!([{"vault": "*"}]), GRANT),
        ("an unknown action", read(json!({"action": "write"})), GRANT),
        ("an action in other case", read(json!({"action": "Read"})), GRANT),
        ("an action and its target in one", read(json!({"action": "read *:*"})), GRANT),
        ("a number for an action", read(json!({"action": 1})), FIELD),
        ("no vault", json!([{"action": "read"}]), GRANT),
        ("a secret without a vault", json!([{"action": "resolve", "secret": "*"}]), GRANT),
        ("audit with a vault", json!([{"action": "audit", "vault": "*"}]), GRANT),
        ("admin with a secret", json!([{"action": "admin", "secret": "*"}]), GRANT),
        ("a vault with a space", read(json!({"vault": "a b"})), GRANT),
        ("a vault with a colon", read(json!({"vault": "prod:tls"})), GRANT),
        ("a vault with a question mark", read(json!({"vault": "prod?"})), GRANT),
        ("a vault with brackets", read(json!({"vault": "[a-z]"})), GRANT),
        ("a vault with an accent", read(json!({"vault": "é"})), GRANT),
        ("a vault with a line break", read(json!({"vault": "a\nadmin"})), GRANT),
        ("a vault of 256 bytes", read(json!({"vault": "v".repeat(256)})), GRANT),
        ("a list for a vault", read(json!({"vault": ["*"]})), FIELD),
        ("an object for a secret", read(json!({"secret": {}})), FIELD),
        ("a secret of 256 bytes", read(json!({"secret": "*".repeat(256)})), GRANT),
        ("a secret with a percent sign", read(json!({"secret": "a%"})), GRANT),
        ("an unknown field", read(json!({"name": "x"})), UNKNOWN_FIELD),
        ("an id", read(json!({"id": "x"})), UNKNOWN_FIELD),
        ("one bad among good ones", json!([{"action": "audit"}, {"action": "read"}]), GRANT),
    ]
}

/// Ends that neither a key nor a secret can have.
pub(crate) fn bad_ends() -> Vec<(Value, &'static [&'static str])> {
    let past: &[&str] = &["ERR_STRONGROOM_1007"];
    vec![
        (json!("yesterday"), FIELD),
        (json!("2100-01-01"), FIELD),
        (json!("2100-01-01T00:00:00"), FIELD),
        (json!("2100-02-30T00:00:00Z"), FIELD),
        (json!("2100-01-01T25:00:00Z"), FIELD),
        (json!("10000-01-01T00:00:00Z"), FIELD),
        (json!(" "), FIELD),
        (json!(4_102_444_800_i64), FIELD),
        (json!(["2100-01-01T00:00:00Z"]), FIELD),
        (json!(true), FIELD),
        (json!("2020-01-01T00:00:00Z"), past),
        (json!("1970-01-01T00:00:00Z"), past),
        (json!("-000001-01-01T00:00:00Z"), FIELD),
        (json!("21000101T000000Z"), FIELD),
        (json!("2100-01-01T00:00:00Z[UTC]"), FIELD),
    ]
}

pub(crate) fn grants(world: &World) -> Vec<Case> {
    let change = format!("/api_keys/{}", world.key);
    let mut cases = Vec::new();
    let both = |what: String, body: &Value, codes| {
        let (create, change) = (world.post("/api_keys", body), world.send("PATCH", &change, body));
        [
            case(&format!("create, {what}"), create, 400, codes),
            case(&format!("change, {what}"), change, 400, codes),
        ]
    };
    for (fault, grants, codes) in grant_faults() {
        cases.extend(both(format!("grants: {fault}"), &json!({"grants": grants}), codes));
    }
    for (end, codes) in bad_ends() {
        cases.extend(both(format!("expires_at: {end}"), &json!({"expires_at": end}), codes));
    }
    let twice = br#"{"grants":[{"action":"read","vault":"a","vault":"*"}]}"#;
    cases.push(case(
        "grants: a field given twice",
        Request::new("POST", "/api_keys").token(&world.admin).body(twice),
        400,
        BROKEN,
    ));
    for grants in [json!([{"action": "resolve", "vault": "*"}]), json!([{"action": "admin"}])] {
        let body = json!({"grants": grants});
        let request = Request::new("POST", "/api_keys").token(&world.service_user).json(&body);
        let name = format!("grants for an admin to give: {grants}");
        cases.push(case(&name, request, 403, &["ERR_STRONGROOM_1008"]));
    }
    cases
}

/// What is wrong with a resolve, in its body.
fn resolve_faults(world: &World) -> Vec<(&'static str, Value, u16, &'static [&'static str])> {
    let held = || json!({"vault": "taken", "name": "held"});
    let with = |fields: Value| {
        let mut reference = held();
        reference.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!([reference])
    };
    let missing: &[&str] = &["ERR_STRONGROOM_1003"];
    let unknown = format!("secret_{UNKNOWN}");
    vec![
        ("nothing", json!([]), 400, REFERENCE),
        ("null", Value::Null, 400, REFERENCE),
        ("101 references", json!(vec![held(); 101]), 400, REFERENCE),
        ("10,000 references", json!(vec![held(); 10_000]), 400, REFERENCE),
        ("a text", json!("taken:held"), 400, FIELD),
        ("an object", held(), 400, FIELD),
        ("a list of texts", json!(["taken:held"]), 400, FIELD),
        ("a list of lists", json!([[held()]]), 400, FIELD),
        ("a null among them", json!([held(), null]), 400, FIELD),
        ("a number among them", json!([1, held()]), 400, FIELD),
        ("an empty reference", json!([{}]), 400, REFERENCE),
        ("a name alone", json!([{"name": "held"}]), 400, REFERENCE),
        ("a version alone", json!([{"version": 1}]), 400, REFERENCE),
        ("an empty vault and name", json!([{"vault": "", "name": ""}]), 400, REFERENCE),
        ("an empty vault", json!([{"vault": "", "name": "held"}]), 400, REFERENCE),
        ("an empty id", json!([{"id": ""}]), 400, REFERENCE),
        // Not all of the vault: a variable of a script may be empty.
        ("an empty name", with(json!({"name": ""})), 400, REFERENCE),
        ("an id and a name", with(json!({"id": world.secret})), 400, REFERENCE),
        ("an id and a vault", json!([{"id": world.secret, "vault": "taken"}]), 400, REFERENCE),
        ("a vault and a version", json!([{"vault": "taken", "version": 1}]), 400, REFERENCE),
        ("version 0", with(json!({"version": 0})), 400, FIELD),
        ("version -1", with(json!({"version": -1})), 400, FIELD),
        ("version 1.5", with(json!({"version": 1.5})), 400, FIELD),
        ("version 1e0", with(json!({"version": 1e0})), 400, FIELD),
        ("version 2^32", with(json!({"version": 1_u64 << 32})), 400, FIELD),
        ("version 2^64 and more", with(json!({"version": 1e20})), 400, FIELD),
        ("a text for a version", with(json!({"version": "1"})), 400, FIELD),
        ("true for a version", with(json!({"version": true})), 400, FIELD),
        ("a list for a version", with(json!({"version": [1]})), 400, FIELD),
        ("a number for a name", with(json!({"name": 5})), 400, FIELD),
        ("a number for an id", json!([{"id": 5}]), 400, FIELD),
        ("an object for a vault", with(json!({"vault": {}})), 400, FIELD),
        ("an unknown field", with(json!({"vault_id": world.vault})), 400, UNKNOWN_FIELD),
        ("a field in other case", json!([{"Vault": "taken"}]), 400, UNKNOWN_FIELD),
        ("another version", with(json!({"version": 2})), 404, missing),
        ("the greatest version", with(json!({"version": u32::MAX})), 404, missing),
        ("a name in other case", with(json!({"name": "Held"})), 404, missing),
        ("a name that is none", with(json!({"name": "a b\u{0}\n"})), 400, REFERENCE),
        ("a name with a pattern", with(json!({"name": "*"})), 400, REFERENCE),
        ("a vault with a pattern", json!([{"vault": "*"}]), 400, REFERENCE),
        ("an unknown id", json!([{"id": unknown}]), 404, missing),
        ("no id", json!([{"id": "1000"}]), 404, missing),
        ("a vault's id", json!([{"id": world.vault}]), 404, missing),
        ("one missing among many", json!([held(), {"vault": "taken", "name": "x"}]), 404, missing),
    ]
}

pub(crate) fn resolving(world: &World) -> Vec<Case> {
    const TARGET: &str = "/strongroom/resolve";
    let send = |body: &Value| Request::new("POST", TARGET).token(&world.resolver).json(body);
    let raw = |body: &str| Request::new("POST", TARGET).token(&world.resolver).body(body.as_bytes());
    let mut cases: Vec<Case> = resolve_faults(world)
        .into_iter()
        .map(|(fault, references, status, codes)| {
            case(&format!("resolve: {fault}"), send(&json!({"secrets": references})), status, codes)
        })
        .collect();
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(20_000), close.repeat(20_000));
    let held = json!({"secrets": [{"vault": "taken", "name": "held"}]});
    cases.extend([
        case("resolve: no list", send(&json!({})), 400, REFERENCE),
        case("resolve: a field beside it", send(&json!({"vault": "taken"})), 400, UNKNOWN_FIELD),
        case("resolve: a list for a body", raw("[]"), 400, BROKEN),
        case("resolve: cut short", raw("{\"secrets\":[{\"vault\":\"taken\"}"), 400, BROKEN),
        case("resolve: deep lists", raw(&format!("{{\"secrets\":{}}}", deep("[", "]"))), 400, FIELD),
        case(
            "resolve: deep objects",
            raw(&format!("{{\"secrets\":[{{\"vault\":{}}}]}}", deep("{\"a\":", "}"))),
            400,
            &["ERR_NGROK_215", "ERR_NGROK_213"],
        ),
        case("resolve: twice", raw("{\"secrets\":[],\"secrets\":[{\"vault\":\"taken\"}]}"), 400, BROKEN),
        case(
            "resolve: a field twice",
            raw("{\"secrets\":[{\"vault\":\"other\",\"vault\":\"taken\"}]}"),
            400,
            BROKEN,
        ),
        case(
            "resolve: a field twice, spelt apart",
            raw("{\"secrets\":[{\"vault\":\"other\",\"v\\u0061ult\":\"taken\"}]}"),
            400,
            BROKEN,
        ),
        case("resolve: a lone surrogate", raw("{\"secrets\":[{\"vault\":\"\\ud800\"}]}"), 400, BROKEN),
        case(
            "resolve: text/plain",
            send(&held).header("content-type", "text/plain"),
            415,
            &["ERR_NGROK_210"],
        ),
        case("resolve: no version", send(&held).without("ngrok-version"), 400, &["ERR_NGROK_218"]),
        case(
            "resolve: a query",
            Request::new("POST", &format!("{TARGET}?vault=taken")).token(&world.resolver).json(&held),
            400,
            &["ERR_NGROK_231"],
        ),
        case("resolve: without a grant", world.post(TARGET, &held), 403, &["ERR_STRONGROOM_1002"]),
        case("resolve: without a key", send(&held).without("authorization"), 403, &["ERR_NGROK_200"]),
    ]);
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        let request = Request::new(method, TARGET).token(&world.resolver);
        cases.push(case(&format!("{method} {TARGET}"), request, 404, &[""]));
    }
    cases
}

pub(crate) fn reading_values(world: &World) -> Vec<Case> {
    let get = |query: &str| Request::new("GET", &format!("/strongroom/values{query}")).token(&world.resolver);
    let missing: &[&str] = &["ERR_STRONGROOM_1003"];
    let faults: [(&str, u16, &'static [&'static str]); 22] = [
        ("", 400, REFERENCE),
        ("?vault=", 400, REFERENCE),
        ("?name=held", 400, REFERENCE),
        ("?vault=&name=held", 400, REFERENCE),
        ("?vault=taken&version=1", 400, REFERENCE),
        ("?vault=taken&name=held&version=0", 400, FIELD),
        ("?vault=taken&name=held&version=-1", 400, FIELD),
        ("?vault=taken&name=held&version=1.5", 400, FIELD),
        ("?vault=taken&name=held&version=4294967296", 400, FIELD),
        ("?vault=taken&name=held&version=x", 400, FIELD),
        ("?vault=taken&vault=taken", 400, &["ERR_NGROK_232"]),
        ("?vault=taken&name=held&name=second", 400, &["ERR_NGROK_232"]),
        ("?vault=taken&colour=red", 400, &["ERR_NGROK_231"]),
        ("?Vault=taken", 400, &["ERR_NGROK_231"]),
        ("?vault=%zz", 400, &["ERR_NGROK_230"]),
        ("?vault=%ff", 400, &["ERR_NGROK_230"]),
        ("?vault=taken&name=", 400, REFERENCE),
        ("?vault=&name=held", 400, REFERENCE),
        ("?vault=nowhere", 404, missing),
        ("?vault=TAKEN", 404, missing),
        ("?vault=taken&name=none", 404, missing),
        ("?vault=taken&name=held&version=2", 404, missing),
    ];
    let mut cases: Vec<Case> = faults
        .into_iter()
        .map(|(query, status, codes)| case(&format!("values{query}"), get(query), status, codes))
        .collect();
    // No tag makes something of what is not there.
    for tag in ["*", "\"", "W/", ",,,", "\"a\", *", &format!("\"{}\"", "a".repeat(4000))] {
        let request = get("?vault=nowhere").header("if-none-match", tag);
        cases.push(case(&format!("values, nothing there, If-None-Match {tag:.8}"), request, 404, missing));
    }
    let body = get("?vault=taken").json(&json!({"vault": "taken"}));
    cases.push(case("values: a body", body, 400, &["ERR_NGROK_211"]));
    let without = world.get("/strongroom/values?vault=taken");
    cases.push(case("values: without a grant", without, 403, &["ERR_STRONGROOM_1002"]));
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let request = Request::new(method, "/strongroom/values?vault=taken").token(&world.resolver);
        cases.push(case(&format!("{method} /strongroom/values"), request, 404, &[""]));
    }
    cases
}

pub(crate) fn details_and_moves(world: &World) -> Vec<Case> {
    let list = "/strongroom/secrets";
    let faults: [(&str, u16, &'static [&'static str]); 12] = [
        ("limit=0", 400, &["ERR_NGROK_233"]),
        ("limit=101", 400, &["ERR_NGROK_233"]),
        ("before_id=1000", 400, &["ERR_NGROK_227"]),
        ("vault=taken&vault=other", 400, &["ERR_NGROK_232"]),
        ("colour=red", 400, &["ERR_NGROK_231"]),
        ("unused_since=soon", 400, FIELD),
        ("unused_since=2026-01-01", 400, FIELD),
        ("unused_since=2026-13-01T00:00:00Z", 400, FIELD),
        ("unused_since=0", 400, FIELD),
        ("filter=obj.value%20==%20%22v%22", 400, &["ERR_NGROK_250"]),
        ("filter=obj.version%20==%201", 400, &["ERR_NGROK_250"]),
        ("vault=nowhere", 404, &["ERR_NGROK_24009"]),
    ];
    let mut cases: Vec<Case> = faults
        .into_iter()
        .map(|(query, status, codes)| {
            case(&format!("details?{query}"), world.get(&format!("{list}?{query}")), status, codes)
        })
        .collect();
    let (unknown, secret) = (format!("{list}/secret_{UNKNOWN}"), format!("{list}/{}", world.secret));
    let moved = |body: &Value| world.post(&format!("{secret}/move"), body);
    let elsewhere = json!({"vault_id": world.other_vault});
    let not_found: &[&str] = &["ERR_NGROK_24006"];
    cases.extend([
        case("an unknown detail", world.get(&unknown), 404, &[""]),
        case("no detail", world.get(&format!("{list}/1000")), 404, &["ERR_NGROK_222"]),
        case("a vault's detail", world.get(&format!("{list}/{}", world.vault)), 404, &["ERR_NGROK_222"]),
        case("a query on a detail", world.get(&format!("{secret}?limit=1")), 400, &["ERR_NGROK_231"]),
        case("an unknown move", world.post(&format!("{unknown}/move"), &elsewhere), 404, &[""]),
        case(
            "a move of no secret",
            world.post(&format!("{list}/1000/move"), &elsewhere),
            404,
            &["ERR_NGROK_222"],
        ),
        case("a move nowhere", moved(&json!({})), 400, &["ERR_NGROK_24008"]),
        case(
            "a move to null",
            moved(&json!({"vault_id": null, "vault_name": ""})),
            400,
            &["ERR_NGROK_24008"],
        ),
        case("a move to where it is", moved(&json!({"vault_name": "taken"})), 400, &["ERR_STRONGROOM_1009"]),
        case(
            "a move to an unknown vault",
            moved(&json!({"vault_id": format!("vault_{UNKNOWN}")})),
            404,
            not_found,
        ),
        case("a move to no vault", moved(&json!({"vault_id": world.secret})), 404, not_found),
        case(
            "a move to an unknown name",
            moved(&json!({"vault_name": "nowhere"})),
            404,
            &["ERR_NGROK_24009"],
        ),
        case(
            "a move to two vaults",
            moved(&json!({"vault_id": world.other_vault, "vault_name": "taken"})),
            400,
            FIELD,
        ),
        case(
            "a move under a bad name",
            moved(&json!({"vault_name": "other", "name": "a b"})),
            400,
            &["ERR_NGROK_24000"],
        ),
        case("a move with a value", moved(&json!({"vault_name": "other", "value": "v"})), 400, UNKNOWN_FIELD),
        case("a move to a list", moved(&json!({"vault_name": ["other"]})), 400, FIELD),
        case("a move by a text", moved(&json!("other")), 400, BROKEN),
        case("GET of a move", world.get(&format!("{secret}/move")), 404, &[""]),
        case("PATCH of a detail", world.send("PATCH", &secret, &json!({})), 404, &[""]),
        case("DELETE of a detail", Request::new("DELETE", &secret).token(&world.admin), 404, &[""]),
    ]);
    cases
}

pub(crate) fn versions_and_keeping(world: &World) -> Vec<Case> {
    let list = "/strongroom/secrets";
    let (unknown, secret) = (format!("{list}/secret_{UNKNOWN}"), format!("{list}/{}", world.secret));
    let back = |body: &Value| world.post(&format!("{secret}/rollback"), body);
    let (vaults, vault) = ("/strongroom/vaults", format!("/strongroom/vaults/{}", world.vault));
    let keep = |body: &Value| world.send("PATCH", &vault, body);
    let one = json!({"version": 1});
    vec![
        case("versions of nothing", world.get(&format!("{unknown}/versions")), 404, &[""]),
        case("versions of no secret", world.get(&format!("{list}/1000/versions")), 404, &["ERR_NGROK_222"]),
        case(
            "a query on versions",
            world.get(&format!("{secret}/versions?limit=1")),
            400,
            &["ERR_NGROK_231"],
        ),
        case("POST of versions", world.post(&format!("{secret}/versions"), &one), 404, &[""]),
        case("a rollback of nothing", world.post(&format!("{unknown}/rollback"), &one), 404, &[""]),
        case("a rollback to nothing", back(&json!({})), 400, FIELD),
        case("a rollback to null", back(&json!({"version": null})), 400, FIELD),
        case("a rollback to 0", back(&json!({"version": 0})), 400, FIELD),
        case("a rollback to -1", back(&json!({"version": -1})), 400, FIELD),
        case("a rollback to a text", back(&json!({"version": "1"})), 400, FIELD),
        case("a rollback to a half", back(&json!({"version": 1.5})), 400, FIELD),
        case("a rollback too far", back(&json!({"version": 1_u64 << 32})), 400, FIELD),
        case("a rollback to none", back(&json!({"version": 2})), 404, &["ERR_STRONGROOM_1021"]),
        case("a rollback with a value", back(&json!({"version": 1, "value": "v"})), 400, UNKNOWN_FIELD),
        case("GET of a rollback", world.get(&format!("{secret}/rollback")), 404, &[""]),
        case("an unknown vault kept", world.get(&format!("{vaults}/vault_{UNKNOWN}")), 404, &[""]),
        case("no vault kept", world.get(&format!("{vaults}/{}", world.secret)), 404, &["ERR_NGROK_222"]),
        case("keep too many", keep(&json!({"keep_versions": 101})), 400, &["ERR_STRONGROOM_1022"]),
        case("keep fewer than none", keep(&json!({"keep_versions": -1})), 400, FIELD),
        case("keep a text", keep(&json!({"keep_versions_for": "90d"})), 400, FIELD),
        case("keep a name", keep(&json!({"name": "x"})), 400, UNKNOWN_FIELD),
        case("DELETE of a vault kept", Request::new("DELETE", &vault).token(&world.admin), 404, &[""]),
        case("the list of vaults kept", world.get(vaults), 404, &[""]),
    ]
}

pub(crate) fn deleted_things(world: &World) -> Vec<Case> {
    let (secrets, vaults) = ("/strongroom/secrets", "/strongroom/vaults");
    let (unknown, secret) = (format!("{secrets}/secret_{UNKNOWN}"), format!("{secrets}/{}", world.secret));
    let (no_vault, vault) = (format!("{vaults}/vault_{UNKNOWN}"), format!("{vaults}/{}", world.vault));
    let act = |target: &str, action: &str| world.post(&format!("{target}/{action}"), &json!({}));
    let bare =
        |target: &str, action: &str| Request::new("POST", &format!("{target}/{action}")).token(&world.admin);
    let list = |query: &str| world.get(&format!("/strongroom/deleted?{query}"));
    let live: &[&str] = &["ERR_STRONGROOM_1023"];
    let mut cases = vec![
        case("undelete an unknown secret", act(&unknown, "undelete"), 404, &[""]),
        case("undelete no secret", act(&format!("{secrets}/1000"), "undelete"), 404, &["ERR_NGROK_222"]),
        case("undelete what is there", act(&secret, "undelete"), 409, live),
        case("undelete what is there, without a body", bare(&secret, "undelete"), 409, live),
        case(
            "undelete with a text",
            act(&secret, "undelete").header("content-type", "text/plain"),
            415,
            &["ERR_NGROK_210"],
        ),
        case(
            "undelete without a type",
            act(&secret, "undelete").without("content-type"),
            400,
            &["ERR_NGROK_216"],
        ),
        case("purge an unknown secret", bare(&unknown, "purge"), 404, &[""]),
        case("purge what is there", bare(&secret, "purge"), 409, live),
        case(
            "purge with a name",
            world.post(&format!("{secret}/purge"), &json!({"name": "x"})),
            400,
            UNKNOWN_FIELD,
        ),
        case("undelete an unknown vault", act(&no_vault, "undelete"), 404, &[""]),
        case("undelete a vault that is there", act(&vault, "undelete"), 409, live),
        case("purge an unknown vault", bare(&no_vault, "purge"), 404, &[""]),
        case("purge a vault that is there", bare(&vault, "purge"), 409, live),
        case(
            "purge a secret as a vault",
            bare(&format!("{vaults}/{}", world.secret), "purge"),
            404,
            &["ERR_NGROK_222"],
        ),
        case("GET of an undelete", world.get(&format!("{secret}/undelete")), 404, &[""]),
        case("deleted before an API key", list(&format!("before_id={}", world.key)), 400, &["ERR_NGROK_227"]),
        case("deleted with a filter", list("filter=obj.name%20==%20%22a%22"), 400, &["ERR_NGROK_231"]),
        case("deleted, none of them", list("limit=0"), 400, &["ERR_NGROK_233"]),
        case("POST of the deleted", world.post("/strongroom/deleted", &json!({})), 404, &[""]),
    ];
    for (name, body, codes) in [
        ("undelete under a bad name", json!({"name": "a b"}), &["ERR_NGROK_24000"][..]),
        ("undelete under a long name", json!({"name": "n".repeat(256)}), &["ERR_NGROK_24002"]),
        ("undelete under a number", json!({"name": 1}), FIELD),
        ("undelete with a value", json!({"value": "v"}), UNKNOWN_FIELD),
    ] {
        cases.push(case(name, world.post(&format!("{secret}/undelete"), &body), 400, codes));
    }
    cases
}

pub(crate) fn expectations(world: &World) -> Vec<Case> {
    let things = [format!("/vaults/{}", world.other_vault), format!("/vault_secrets/{}", world.secret)];
    let mut cases = Vec::new();
    for target in &things {
        let patch = world.send("PATCH", target, &json!({"description": "x"}));
        let delete = Request::new("DELETE", target).token(&world.admin);
        for (request, method) in [(patch, "PATCH"), (delete, "DELETE")] {
            for tag in ["x", "\"", "\"x", "W/", "*, *", "\"a\" \"b\"", "é"] {
                let name = format!("{method} {target} for {tag}");
                let request = request.clone().header("if-match", tag);
                cases.push(case(&name, request, 400, &["ERR_STRONGROOM_1026"]));
            }
            for tag in ["\"\"", "\"x\"", "W/\"x\"", "\"a\", \"b\""] {
                let name = format!("{method} {target} for {tag}");
                let request = request.clone().header("if-match", tag);
                cases.push(case(&name, request, 412, &["ERR_STRONGROOM_1027"]));
            }
        }
    }
    cases
}

/// Keys under which no create can come again.
pub(crate) fn repeatable_creates(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    for (target, body) in [
        ("/vaults", json!({"name": "n"})),
        ("/vault_secrets", json!({"name": "n", "value": "v", "vault_id": world.vault})),
        ("/api_keys", json!({})),
        ("/service_users", json!({"name": "n"})),
        ("/bot_users", json!({"name": "n"})),
    ] {
        let long = "k".repeat(256);
        for key in ["", "\"", "\"\"", "\"a", "a b", "é", "\"a\\b\"", "\"a\"; p", "\"a\", \"b\"", &long] {
            let request = world.post(target, &body).header("idempotency-key", key);
            cases.push(case(&format!("{target} under {key:.20}"), request, 400, &["ERR_STRONGROOM_1012"]));
        }
    }
    cases
}

pub(crate) fn explaining(world: &World) -> Vec<Case> {
    let send = |body: &Value| world.post("/strongroom/explain", body);
    let named = |fields: Value| {
        let mut body = json!({"vault": "taken", "name": "held"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        send(&body)
    };
    vec![
        case("explain: nothing", send(&json!({})), 400, &["ERR_NGROK_23001"]),
        case("explain: no name", send(&json!({"vault": "taken"})), 400, &["ERR_NGROK_24001"]),
        case("explain: no vault", send(&json!({"name": "held"})), 400, &["ERR_NGROK_23001"]),
        case("explain: a bad vault", named(json!({"vault": "a b"})), 400, &["ERR_NGROK_23000"]),
        case("explain: a pattern", named(json!({"name": "*"})), 400, &["ERR_NGROK_24000"]),
        case("explain: a long name", named(json!({"name": "n".repeat(256)})), 400, &["ERR_NGROK_24002"]),
        case("explain: a number", named(json!({"name": 1})), 400, FIELD),
        case("explain: a list for a key", named(json!({"api_key": [world.key]})), 400, FIELD),
        case("explain: an unknown field", named(json!({"action": "read"})), 400, UNKNOWN_FIELD),
        case("explain: no key", named(json!({"api_key": "1000"})), 404, &["ERR_NGROK_222"]),
        case("explain: a vault for a key", named(json!({"api_key": world.vault})), 404, &["ERR_NGROK_222"]),
        case("explain: an unknown key", named(json!({"api_key": format!("ak_{UNKNOWN}")})), 404, &[""]),
        case(
            "explain: another's key",
            Request::new("POST", "/strongroom/explain")
                .token(&world.service_user)
                .json(&json!({"api_key": world.key, "vault": "taken", "name": "held"})),
            404,
            &[""],
        ),
        case("GET of explain", world.get("/strongroom/explain"), 404, &[""]),
    ]
}
