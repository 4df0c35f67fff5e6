//! Bad paging and bad filters; what is asked for is in docs/errors.md.

use serde_json::json;

use crate::table::{Case, World, case};

pub(crate) fn queries(world: &World) -> Vec<Case> {
    let faults: [(&str, &'static [&'static str]); 15] = [
        ("limit=0", &["ERR_NGROK_233"]),
        ("limit=-1", &["ERR_NGROK_233"]),
        ("limit=101", &["ERR_NGROK_233"]),
        ("limit=99999999999999999999999", &["ERR_NGROK_233", "ERR_NGROK_244"]),
        ("limit=ten", &["ERR_NGROK_244"]),
        ("limit=1.5", &["ERR_NGROK_244"]),
        ("limit=1&limit=2", &["ERR_NGROK_232"]),
        ("limit=1&limit=1", &["ERR_NGROK_232"]),
        ("colour=red", &["ERR_NGROK_231"]),
        ("Limit=1", &["ERR_NGROK_231"]),
        ("before_id=1000", &["ERR_NGROK_227"]),
        ("before_id=ak_32ELIL9nzEhwlvjSpNSI6xXGNcE&limit=1&colour=red", &["ERR_NGROK_231", "ERR_NGROK_227"]),
        ("before_id=op_32ELIL9nzEhwlvjSpNSI6xXGNcE", &["ERR_NGROK_227"]),
        ("limit=%zz", &["ERR_NGROK_230", "ERR_NGROK_244"]),
        ("limit=%ff", &["ERR_NGROK_230", "ERR_NGROK_244"]),
    ];
    let by_vault = format!("/vaults/{}/secrets", world.vault);
    let mut cases = Vec::new();
    for list in ["/vaults", "/vault_secrets", &by_vault, "/api_keys", "/bot_users", "/service_users"] {
        for (query, codes) in faults {
            // A key's id is a good place to start from among keys.
            if list == "/api_keys" && query.starts_with("before_id=ak_") {
                continue;
            }
            cases.push(case(&format!("{list}?{query}"), world.get(&format!("{list}?{query}")), 400, codes));
        }
    }
    let of_the_log: [(&str, &'static [&'static str]); 28] = [
        ("/strongroom/audit_events?limit=0", &["ERR_NGROK_233"]),
        ("/strongroom/audit_events?limit=ten", &["ERR_NGROK_244"]),
        ("/strongroom/audit_events?order=sideways", &["ERR_NGROK_215"]),
        ("/strongroom/audit_events?before=-1", &["ERR_NGROK_215"]),
        ("/strongroom/audit_events?before=007", &["ERR_NGROK_215"]),
        ("/strongroom/audit_events?after=1", &["ERR_NGROK_215"]),
        ("/strongroom/audit_events?order=oldest&before=1", &["ERR_NGROK_215"]),
        ("/strongroom/audit_events?before=99999999999999999999999", &["ERR_NGROK_215"]),
        ("/strongroom/audit_events?before_id=ev_32ELIL9nzEhwlvjSpNSI6xXGNcE", &["ERR_NGROK_231"]),
        ("/strongroom/audit_events?filter=obj.name%20==%20%22a%22", &["ERR_NGROK_250"]),
        ("/strongroom/audit/checkpoint?size=1", &["ERR_NGROK_231"]),
        ("/strongroom/audit/inclusion", &["ERR_NGROK_215"]),
        ("/strongroom/audit/inclusion?sequence=", &["ERR_NGROK_215"]),
        ("/strongroom/audit/inclusion?sequence=one", &["ERR_NGROK_215"]),
        ("/strongroom/audit/inclusion?sequence=1&sequence=1", &["ERR_NGROK_232"]),
        ("/strongroom/audit/inclusion?sequence=1&size=18446744073709551615", &["ERR_NGROK_215"]),
        ("/strongroom/audit/inclusion?sequence=1&size=9000000000000000000", &["ERR_NGROK_215"]),
        ("/strongroom/audit/consistency", &["ERR_NGROK_215"]),
        ("/strongroom/audit/consistency?from=9000000000000000000", &["ERR_NGROK_215"]),
        ("/strongroom/changes?after=1", &["ERR_NGROK_215"]),
        ("/strongroom/changes?after=-1-0000000000000000", &["ERR_NGROK_215"]),
        ("/strongroom/changes?after=99999999999999999999-0000000000000000", &["ERR_NGROK_215"]),
        ("/strongroom/changes?after=begin", &["ERR_NGROK_215"]),
        ("/strongroom/changes?wait=soon", &["ERR_NGROK_215"]),
        ("/strongroom/changes?wait=-1s", &["ERR_NGROK_215"]),
        ("/strongroom/changes?wait=61s", &["ERR_NGROK_215"]),
        ("/strongroom/changes?limit=101", &["ERR_NGROK_233"]),
        ("/strongroom/changes?before=1", &["ERR_NGROK_231"]),
    ];
    for (query, codes) in of_the_log {
        cases.push(case(query, world.get(query), 400, codes));
    }
    for query in
        ["/strongroom/audit/inclusion?sequence=0", "/strongroom/audit/inclusion?sequence=9000000000000000000"]
    {
        cases.push(case(query, world.get(query), 404, &[""]));
    }
    for cursor in ["0-0000000000000000", "1-0000000000000000", "9000000000000000000-0000000000000000"] {
        for wait in ["", "&wait=60s"] {
            let query = format!("/strongroom/changes?after={cursor}{wait}");
            cases.push(case(&query, world.get(&query), 410, &["ERR_STRONGROOM_1031"]));
        }
    }
    let create = world.post("/vaults?dry_run=true", &json!({"name": "n"}));
    cases.push(case("a query on a create", create, 400, &["ERR_NGROK_231"]));
    cases
}

pub(crate) fn filters(world: &World) -> Vec<Case> {
    let nested = format!("{}obj.name == \"a\"{}", "(".repeat(2000), ")".repeat(2000));
    let many = vec!["obj.name == \"a\""; 400].join(" || ");
    let faults = [
        ("cut short", "obj.name =="),
        ("no operator", "obj.name \"a\""),
        ("an unknown field", "obj.colour == \"red\""),
        ("the value", "obj.value == \"v\""),
        ("no object", "name == \"a\""),
        ("an open string", "obj.name == \"a"),
        ("a bad escape", "obj.name == \"\\q\""),
        ("arithmetic", "1 + 1 == 2"),
        ("a ternary", "true ? true : false"),
        ("a regular expression", "obj.name.matches(\"a\")"),
        ("a substring of an id", "obj.id.contains(\"a\")"),
        ("a list on the left", "[\"a\"] in obj.name"),
        ("text after the end", "obj.name == \"a\" obj"),
        ("SQL", "obj.name == \"a\" ; DROP TABLE vaults"),
        ("a number for a name", "obj.name == 5"),
        ("a time that is none", "obj.created_at > timestamp(\"yesterday\")"),
        ("deep parentheses", nested.as_str()),
        ("deep negation", &"!".repeat(4000)),
        ("many terms", many.as_str()),
    ];
    let encoded = |filter: &str| filter.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let mut cases = Vec::new();
    for list in ["/vaults", "/vault_secrets"] {
        for (fault, filter) in faults {
            let request = world.get(&format!("{list}?filter={}", encoded(filter)));
            cases.push(case(&format!("{list}, filter: {fault}"), request, 400, &["ERR_NGROK_250"]));
        }
    }
    cases
}
