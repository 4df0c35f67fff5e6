//! Bad IP policies, rules and restrictions.

use serde_json::{Value, json};

use crate::harness::Request;
use crate::table::{Case, UNKNOWN, World, case};

const POLICIES: &str = "/ip_policies";
const RULES: &str = "/ip_policy_rules";
const RESTRICTIONS: &str = "/ip_restrictions";

pub(crate) fn ip(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    for (collection, prefix, missing) in [
        (POLICIES, "ipp_", &["ERR_NGROK_1402"][..]),
        (RULES, "ipr_", &["ERR_NGROK_1404"]),
        (RESTRICTIONS, "ipx_", &[""]),
    ] {
        let own = format!("{collection}/{prefix}{UNKNOWN}");
        let other = format!("{collection}/{}", world.secret);
        let by_robot = Request::new("GET", collection).token(&world.service_user);
        cases.extend([
            case(&format!("{collection}: none"), world.get(&own), 404, missing),
            case(&format!("{collection}: a secret's id"), world.get(&other), 404, &["ERR_NGROK_222"]),
            case(
                &format!("{collection}: a change of none"),
                world.send("PATCH", &own, &json!({"description": "d"})),
                404,
                missing,
            ),
            case(
                &format!("{collection}: an unknown field"),
                world.post(collection, &json!({"name": "n"})),
                400,
                &["ERR_NGROK_214"],
            ),
            case(
                &format!("{collection}: an unknown parameter"),
                world.send("PATCH", &format!("{own}?confirm=true"), &json!({})),
                400,
                &["ERR_NGROK_231"],
            ),
            case(
                &format!("{collection}: a filter of another field"),
                world.get(&format!("{collection}?filter=obj.name=='a'")),
                400,
                &["ERR_NGROK_250"],
            ),
            case(
                &format!("{collection}: an id of another kind before"),
                world.get(&format!("{collection}?before_id=vault_{UNKNOWN}")),
                400,
                &["ERR_NGROK_227"],
            ),
            case(&format!("{collection}: a service user"), by_robot, 403, &["ERR_STRONGROOM_1060"]),
        ]);
    }
    cases.push(case(
        "a policy: long metadata",
        world.post(POLICIES, &json!({"metadata": "m".repeat(4097)})),
        400,
        &["ERR_NGROK_100"],
    ));
    cases.extend(rules(world));
    cases.extend(restrictions(world));
    cases
}

fn rules(world: &World) -> Vec<Case> {
    let faults: [(&str, Value, &'static [&'static str]); 18] = [
        ("nothing", Value::Null, &["ERR_NGROK_1405"]),
        ("an empty range", json!(""), &["ERR_NGROK_1405"]),
        ("a word", json!("localhost/32"), &["ERR_NGROK_1406"]),
        ("too many bits", json!("10.0.0.0/33"), &["ERR_NGROK_1406"]),
        ("too many bits of IPv6", json!("::/129"), &["ERR_NGROK_1406"]),
        ("a sign", json!("10.0.0.0/+8"), &["ERR_NGROK_1406"]),
        ("a zero in front", json!("10.0.0.0/08"), &["ERR_NGROK_1406"]),
        ("a zero in front of a part", json!("010.0.0.0/8"), &["ERR_NGROK_1406"]),
        ("three parts", json!("10.0.0/8"), &["ERR_NGROK_1406"]),
        ("a mask of parts", json!("10.0.0.0/255.0.0.0"), &["ERR_NGROK_1406"]),
        ("an interface", json!("fe80::1%eth0/128"), &["ERR_NGROK_1406"]),
        ("two ranges", json!("10.0.0.0/8,11.0.0.0/8"), &["ERR_NGROK_1406"]),
        ("a NUL", json!("10.0.0.0/8\0"), &["ERR_NGROK_1406"]),
        ("no mask", json!("10.0.0.1"), &["ERR_NGROK_1413"]),
        ("no mask of IPv6", json!("::1"), &["ERR_NGROK_1413"]),
        ("an address within", json!("10.0.0.1/8"), &["ERR_NGROK_1409"]),
        ("a number", json!(10), &["ERR_NGROK_215"]),
        ("a list", json!(["10.0.0.0/8"]), &["ERR_NGROK_215"]),
    ];
    let make = |(fault, cidr, codes): (&str, Value, _)| {
        let body = json!({"cidr": cidr, "ip_policy_id": format!("ipp_{UNKNOWN}"), "action": "allow"});
        case(&format!("a rule: {fault}"), world.post(RULES, &body), 400, codes)
    };
    let mut cases: Vec<_> = faults.into_iter().map(make).collect();
    for (fault, field, value, codes) in [
        ("no such policy", "ip_policy_id", json!(format!("ipp_{UNKNOWN}")), &["ERR_NGROK_1414"][..]),
        ("a vault for a policy", "ip_policy_id", json!(world.vault), &["ERR_NGROK_1414"]),
        ("another action", "action", json!("ALLOW"), &["ERR_NGROK_1422"]),
        ("a flag for an action", "action", json!(true), &["ERR_NGROK_215"]),
    ] {
        let mut body =
            json!({"cidr": "10.0.0.0/8", "ip_policy_id": format!("ipp_{UNKNOWN}"), "action": "allow"});
        body[field] = value;
        cases.push(case(&format!("a rule: {fault}"), world.post(RULES, &body), 400, codes));
    }
    cases
}

fn restrictions(world: &World) -> Vec<Case> {
    let policy = format!("ipp_{UNKNOWN}");
    let faults: [(&str, &str, Value, &'static [&'static str]); 9] = [
        ("no type", "type", Value::Null, &["ERR_NGROK_1803"]),
        ("another type", "type", json!("API"), &["ERR_NGROK_1803"]),
        ("no policies", "ip_policy_ids", json!([]), &["ERR_NGROK_1804"]),
        ("no such policy", "ip_policy_ids", json!([policy]), &["ERR_NGROK_1801"]),
        ("a vault for a policy", "ip_policy_ids", json!([world.vault]), &["ERR_NGROK_1801"]),
        ("a policy twice", "ip_policy_ids", json!([policy, policy]), &["ERR_NGROK_215"]),
        ("too many policies", "ip_policy_ids", json!(vec![&policy; 11]), &["ERR_NGROK_1800"]),
        ("a number among policies", "ip_policy_ids", json!([1]), &["ERR_NGROK_215"]),
        ("a text for enforced", "enforced", json!("true"), &["ERR_NGROK_215"]),
    ];
    let make = |(fault, field, value, codes): (&str, &str, Value, _)| {
        let mut body = json!({"type": "api", "ip_policy_ids": [policy]});
        body[field] = value;
        case(&format!("a restriction: {fault}"), world.post(RESTRICTIONS, &body), 400, codes)
    };
    faults.into_iter().map(make).collect()
}
