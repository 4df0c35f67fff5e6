//! Bad fields; where ngrok publishes nothing, docs/compatibility.md tells what was chosen.

use serde_json::{Value, json};

use crate::harness::Request;
use crate::table::{Case, UNKNOWN, World, case};
use crate::values::bad_ends;

/// Faults that vaults and secrets have in common, on create and on change.
fn common_fields(noun: &str, create: &str, change: &str, valid: &Value, world: &World) -> Vec<Case> {
    let faults: [(&str, Value, &'static [&'static str]); 10] = [
        ("an unknown field", json!({"colour": "red"}), &["ERR_NGROK_214"]),
        ("a field in other case", json!({"Name": "n"}), &["ERR_NGROK_214"]),
        ("a number for a name", json!({"name": 5}), &["ERR_NGROK_215", "ERR_NGROK_213"]),
        ("a list for a name", json!({"name": ["n"]}), &["ERR_NGROK_215", "ERR_NGROK_213"]),
        ("an object for metadata", json!({"metadata": {"a": "b"}}), &["ERR_NGROK_215", "ERR_NGROK_213"]),
        ("true for a description", json!({"description": true}), &["ERR_NGROK_215", "ERR_NGROK_213"]),
        ("a description of 256 bytes", json!({"description": "d".repeat(256)}), &["ERR_NGROK_215"]),
        (
            "a description of 128 two-byte letters",
            json!({"description": "é".repeat(128)}),
            &["ERR_NGROK_215"],
        ),
        (
            "metadata of 4097 bytes",
            json!({"metadata": "m".repeat(4097)}),
            &["ERR_NGROK_100", "ERR_NGROK_215"],
        ),
        (
            "one bad field among good ones",
            json!({"description": "good", "metadata": 1}),
            &["ERR_NGROK_215", "ERR_NGROK_213"],
        ),
    ];
    let mut cases = Vec::new();
    for (fault, fields, codes) in faults {
        let mut whole = valid.clone();
        whole.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        cases.push(case(&format!("{noun}, create: {fault}"), world.post(create, &whole), 400, codes));
        cases.push(case(
            &format!("{noun}, change: {fault}"),
            world.send("PATCH", change, &fields),
            400,
            codes,
        ));
    }
    cases
}

/// Names that no vault and no secret may have, with the code's last digit in its family.
fn bad_names() -> Vec<(&'static str, String, usize)> {
    vec![
        ("with a space", "a b".to_owned(), 0),
        ("with a NUL", "a\0b".to_owned(), 0),
        ("with a line break", "a\n".to_owned(), 0),
        ("with an accent", "é".to_owned(), 0),
        ("with a quote", "a\"b".to_owned(), 0),
        ("with a colon", "a:b".to_owned(), 0),
        ("empty", String::new(), 1),
        ("of 256 bytes", "n".repeat(256), 2),
    ]
}

fn named_cases(
    noun: &str,
    codes: [&'static [&'static str]; 3],
    create: impl Fn(&str) -> Request,
    change: impl Fn(&str) -> Request,
) -> Vec<Case> {
    let both = |(what, name, code): (&str, String, usize)| {
        [
            case(&format!("{noun}, create: a name {what}"), create(&name), 400, codes[code]),
            case(&format!("{noun}, change: a name {what}"), change(&name), 400, codes[code]),
        ]
    };
    bad_names().into_iter().flat_map(both).collect()
}

pub(crate) fn vault_fields(world: &World) -> Vec<Case> {
    let change = format!("/vaults/{}", world.vault);
    let named = |name: &str| json!({"name": name});
    let mut cases = common_fields("vault", "/vaults", &change, &named("n"), world);
    cases.extend(named_cases(
        "vault",
        [&["ERR_NGROK_23000"], &["ERR_NGROK_23001"], &["ERR_NGROK_23002"]],
        |name| world.post("/vaults", &named(name)),
        |name| world.send("PATCH", &change, &named(name)),
    ));
    cases.extend([
        case("vault: no name", world.post("/vaults", &json!({})), 400, &["ERR_NGROK_23001"]),
        case(
            "vault: null for a name",
            world.post("/vaults", &json!({"name": null})),
            400,
            &["ERR_NGROK_23001"],
        ),
        case("vault: a taken name", world.post("/vaults", &named("taken")), 400, &["ERR_NGROK_23004"]),
        case(
            "vault: renamed to a taken name",
            world.send("PATCH", &change, &named("other")),
            400,
            &["ERR_NGROK_23004"],
        ),
        case(
            "vault: a value",
            world.post("/vaults", &json!({"name": "n", "value": "v"})),
            400,
            &["ERR_NGROK_214"],
        ),
        case(
            "vault: deleted with secrets in it",
            Request::new("DELETE", &change).token(&world.admin),
            400,
            &["ERR_NGROK_23003"],
        ),
    ]);
    cases
}

pub(crate) fn secret_fields(world: &World) -> Vec<Case> {
    let change = format!("/vault_secrets/{}", world.secret);
    let create = |fields: Value| {
        let mut body = json!({"name": "n", "value": "v", "vault_id": world.vault});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        world.post("/vault_secrets", &body)
    };
    let patch = |fields: Value| world.send("PATCH", &change, &fields);
    let valid = json!({"name": "n", "value": "v", "vault_id": world.vault});
    let mut cases = common_fields("secret", "/vault_secrets", &change, &valid, world);
    cases.extend(named_cases(
        "secret",
        [&["ERR_NGROK_24000"], &["ERR_NGROK_24001"], &["ERR_NGROK_24002"]],
        |name| create(json!({"name": name})),
        |name| patch(json!({"name": name})),
    ));
    for (end, codes) in bad_ends() {
        let end = json!({"expires_at": end});
        cases.push(case(&format!("secret, create: {end}"), create(end.clone()), 400, codes));
        cases.push(case(&format!("secret, change: {end}"), patch(end), 400, codes));
    }
    let invalid: &[&str] = &["ERR_NGROK_215", "ERR_NGROK_213"];
    let unknown_vault = format!("vault_{UNKNOWN}");
    let foreign = json!({"name": "n", "value": "v", "vault_id": "", "vault_name": null});
    cases.extend([
        case(
            "secret: no value",
            world.post("/vault_secrets", &json!({"name": "n", "vault_id": world.vault})),
            400,
            &["ERR_NGROK_24003"],
        ),
        case("secret: an empty value", create(json!({"value": ""})), 400, &["ERR_NGROK_24003"]),
        case("secret: changed to an empty value", patch(json!({"value": ""})), 400, &["ERR_NGROK_24003"]),
        case("secret: a number for a value", create(json!({"value": 1})), 400, invalid),
        case("secret: changed to a list", patch(json!({"value": ["v"]})), 400, invalid),
        case(
            "secret: a value of 64 KiB and one byte",
            create(json!({"value": "v".repeat(65_537)})),
            400,
            &["ERR_NGROK_24004"],
        ),
        case(
            "secret: changed to 64 KiB and one byte",
            patch(json!({"value": "v".repeat(65_537)})),
            400,
            &["ERR_NGROK_24004"],
        ),
        case(
            "secret: no vault",
            world.post("/vault_secrets", &json!({"name": "n", "value": "v"})),
            400,
            &["ERR_NGROK_24008"],
        ),
        case(
            "secret: an empty and a null vault",
            world.post("/vault_secrets", &foreign),
            400,
            &["ERR_NGROK_24008"],
        ),
        case(
            "secret: an unknown vault",
            create(json!({"vault_id": unknown_vault})),
            404,
            &["ERR_NGROK_24006"],
        ),
        case("secret: a malformed vault id", create(json!({"vault_id": "1000"})), 404, &["ERR_NGROK_24006"]),
        case(
            "secret: a secret's id for a vault",
            create(json!({"vault_id": world.secret})),
            404,
            &["ERR_NGROK_24006"],
        ),
        case(
            "secret: an unknown vault name",
            create(json!({"vault_id": "", "vault_name": "nowhere"})),
            404,
            &["ERR_NGROK_24009"],
        ),
        case(
            "secret: two vaults that differ",
            create(json!({"vault_name": "other"})),
            400,
            &["ERR_NGROK_215"],
        ),
        case(
            "secret: moved to another vault",
            patch(json!({"vault_id": world.other_vault})),
            400,
            &["ERR_NGROK_214"],
        ),
        case("secret: a taken name", create(json!({"name": "held"})), 400, &["ERR_NGROK_24005"]),
        case("secret: renamed to a taken name", patch(json!({"name": "second"})), 400, &["ERR_NGROK_24005"]),
    ]);
    cases
}

pub(crate) fn key_and_user_fields(world: &World) -> Vec<Case> {
    let as_service_user = |method: &str, target: &str, body: &Value| {
        Request::new(method, target).token(&world.service_user).json(body)
    };
    let change = format!("/bot_users/{}", world.bot);
    let unknown_owner = json!({"owner_id": format!("usr_{UNKNOWN}")});
    let owner_codes: &[&str] = &["ERR_NGROK_380", "ERR_NGROK_223", "ERR_NGROK_215", "ERR_NGROK_634"];
    let mut cases = vec![
        case(
            "key: a long description",
            world.post("/api_keys", &json!({"description": "d".repeat(256)})),
            400,
            &["ERR_NGROK_604"],
        ),
        case(
            "key: long metadata",
            world.post("/api_keys", &json!({"metadata": "m".repeat(4097)})),
            400,
            &["ERR_NGROK_605"],
        ),
        case(
            "key: an unknown field",
            world.post("/api_keys", &json!({"name": "n"})),
            400,
            &["ERR_NGROK_214"],
        ),
        case(
            "key: a chosen token",
            world.post("/api_keys", &json!({"token": "t"})),
            400,
            &["ERR_NGROK_214", "ERR_NGROK_638"],
        ),
        case(
            "key: an owner who is no string",
            world.post("/api_keys", &json!({"owner_id": 1})),
            400,
            &["ERR_NGROK_215", "ERR_NGROK_213"],
        ),
        case(
            "key: an owner for others to choose",
            as_service_user("POST", "/api_keys", &unknown_owner),
            403,
            &["ERR_NGROK_630"],
        ),
        case(
            "user made by a service user",
            as_service_user("POST", "/bot_users", &json!({"name": "n"})),
            403,
            &["ERR_NGROK_4111"],
        ),
        case(
            "user changed by a service user",
            as_service_user("PATCH", &change, &json!({"active": false})),
            403,
            &["ERR_NGROK_4111"],
        ),
        case(
            "user deleted by a service user",
            Request::new("DELETE", &change).token(&world.service_user),
            403,
            &["ERR_NGROK_4111"],
        ),
    ];
    // The catalogue has 400 and 404 for an owner who does not exist; either says it.
    for (owner, status) in [(json!({"owner_id": "1000"}), 400), (unknown_owner, 404)] {
        cases.push(case(
            &format!("key: owner {owner}"),
            world.post("/api_keys", &owner),
            status,
            owner_codes,
        ));
    }
    for collection in ["/bot_users", "/service_users"] {
        let faults: [(&str, Value, &'static [&'static str]); 6] = [
            ("no name", json!({}), &["ERR_NGROK_4109"]),
            ("an empty name", json!({"name": ""}), &["ERR_NGROK_4109"]),
            ("a long name", json!({"name": "n".repeat(256)}), &["ERR_NGROK_4110"]),
            ("a taken name", json!({"name": "robot"}), &["ERR_NGROK_4112"]),
            ("a text for active", json!({"name": "n", "active": "yes"}), &["ERR_NGROK_215", "ERR_NGROK_213"]),
            ("an unknown field", json!({"name": "n", "metadata": "m"}), &["ERR_NGROK_214"]),
        ];
        for (fault, body, codes) in faults {
            cases.push(case(&format!("{collection}: {fault}"), world.post(collection, &body), 400, codes));
        }
    }
    let taken = world.send("PATCH", &change, &json!({"name": "second robot"}));
    cases.push(case("user renamed to a taken name", taken, 400, &["ERR_NGROK_4112"]));
    cases
}
