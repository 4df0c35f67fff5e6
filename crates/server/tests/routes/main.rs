//! What a client sees: one snapshot for each route and main answer, with the request it answers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod api_keys;
mod audit;
mod changes;
mod deleted;
mod expiry;
#[path = "../harness/mod.rs"]
mod harness;
mod health;
mod if_match;
mod ip;
mod keys;
mod protocol;
mod repeats;
mod root;
mod secrets;
mod service_users;
mod values;
mod vaults;
mod versions;
mod webhooks;

use std::fmt::Write as _;

use harness::{Call, World};
use http::{Response, StatusCode};
use serde_json::Value;

/// A call with the first user's token and its answer, ready for a snapshot.
async fn seen(world: &World, method: &str, target: &str, body: Option<Value>) -> String {
    seen_call(world, &world.call(method, target, body.as_ref())).await
}

/// The same with the token of a key that has these grants, one a line.
async fn seen_with(world: &World, grants: &str, method: &str, target: &str, body: Option<Value>) -> String {
    let (_, token) = world.add_key_with(world.first_user, Some(grants)).await;
    let seen = seen_call(world, &Call::new(method, target, body.as_ref()).bearer(&token)).await;
    seen.replace(
        &format!("authorization: Bearer {token}\n"),
        &format!("(a key with {})\n", grants.replace('\n', ", ")),
    )
}

/// Any call and its answer. The headers that every call carries are left out of its picture.
async fn seen_call(world: &World, call: &Call) -> String {
    let mut out = format!("{} {}\n", call.method, call.target);
    for (name, value) in &call.headers {
        let usual = match *name {
            "host" => true,
            "ngrok-version" => value == "2",
            "content-type" => value == "application/json",
            "authorization" => *value == format!("Bearer {}", world.first),
            _ => false,
        };
        if !usual {
            let _ = writeln!(out, "{name}: {value}");
        }
    }
    if let Some(body) = &call.body {
        let _ = match body.get(..60) {
            Some(start) if body.len() > 400 => writeln!(out, "\n{start}… ({} bytes)", body.len()),
            _ => writeln!(out, "\n{body}"),
        };
    }
    out.push('\n');
    draw(&world.answer(call).await, &mut out);
    out
}

fn draw(answer: &Response<Vec<u8>>, out: &mut String) {
    let status = answer.status();
    let _ = writeln!(out, "{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let mut headers: Vec<_> = answer.headers().iter().collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    let operation = answer.headers()["ngrok-operation-id"].to_str().unwrap();
    for (name, value) in headers {
        let _ = writeln!(out, "{name}: {}", value.to_str().unwrap().replace(operation, "[operation]"));
    }
    assert!(operation.parse::<strongroom_domain::ids::OperationId>().is_ok(), "{operation}");
    let body = String::from_utf8(answer.body().clone()).unwrap();
    if status == StatusCode::NO_CONTENT {
        assert_eq!(body, "");
        return;
    }
    out.push('\n');
    // The body tells the same operation as the header, or none.
    indented(&without_token(&body).replace(operation, "[operation]"), out);
}

/// A token's form is checked, and the token left out, as is a signing secret: a snapshot is no place for what looks like one.
fn without_token(body: &str) -> String {
    if let Some((before, rest)) = body.split_once("\"secret\":\"whsec_") {
        let (_, after) = rest.split_once('"').unwrap();
        return format!("{before}\"secret\":\"[secret]\"{after}");
    }
    let Some((before, rest)) = body.split_once("\"token\":\"") else { return body.to_owned() };
    let (token, after) = rest.split_once('"').unwrap();
    let (id, random) = token.split_once('_').unwrap();
    assert!(before.contains(&format!("ak_{id}")), "the token tells its key's id: {token} in {before}");
    assert!(random.len() == 22 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{token}");
    format!("{before}\"token\":\"[token]\"{after}")
}

/// JSON on many lines, its keys in the order they came in; what is no JSON stays as it is.
fn indented(body: &str, out: &mut String) {
    if serde_json::from_str::<Value>(body).is_err() {
        out.push_str(body);
        return;
    }
    let (mut depth, mut in_text, mut escaped) = (0, false, false);
    let line = |out: &mut String, depth: usize| out.extend(["\n", &"  ".repeat(depth)]);
    for (place, c) in body.char_indices() {
        let empty = body[place + c.len_utf8()..].starts_with([']', '}']) && matches!(c, '[' | '{');
        match c {
            '"' if !escaped => in_text = !in_text,
            '{' | '[' if !in_text => depth += 1,
            '}' | ']' if !in_text => {
                depth -= 1;
                if !body[..place].ends_with(['[', '{']) {
                    line(out, depth);
                }
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        out.push(c);
        if !in_text && (c == ',' || matches!(c, '{' | '[') && !empty) {
            line(out, depth);
        }
        if !in_text && c == ':' {
            out.push(' ');
        }
    }
    out.push('\n');
}
