//! `strongroom run --redact`: what a program prints, without the values.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;
mod prod;

use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use harness::rng::Rng;
use harness::{poll, text};
use prod::Prod;

const VALUE: &str = "correct/horse \"battery\"&staple+é";
const KEY: &str = "-----BEGIN KEY-----\nMHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY/PuoAoGCCqGSM49\nAwEHoUQDQgAE\n-----END KEY-----\n";

/// Forms as other programs than this one write them; none may be seen.
fn forms() -> Vec<String> {
    let mut forms = vec![
        VALUE.to_owned(),
        STANDARD.encode(VALUE),
        URL_SAFE_NO_PAD.encode(VALUE),
        // encodeURIComponent, Python's quote_plus, Go's url.PathEscape in lower case.
        "correct%2Fhorse%20%22battery%22%26staple%2B%C3%A9".to_owned(),
        "correct%2Fhorse+%22battery%22%26staple%2B%C3%A9".to_owned(),
        "correct%2fhorse%20%22battery%22%26staple%2b%c3%a9".to_owned(),
        // serde, Python, PHP, Go.
        r#"correct/horse \"battery\"&staple+é"#.to_owned(),
        r#"correct/horse \"battery\"&staple+\u00e9"#.to_owned(),
        r#"correct\/horse \"battery\"&staple+\u00e9"#.to_owned(),
        r#"correct/horse \"battery\"\u0026staple+é"#.to_owned(),
        KEY.to_owned(),
        STANDARD.encode(KEY),
        KEY.replace('\n', "\\n"),
        KEY.replace('\n', "%0A").replace('/', "%2F").replace(' ', "%20"),
    ];
    forms.extend(KEY.lines().map(str::to_owned));
    forms
}

#[test]
fn no_form_of_a_value_is_seen_however_it_is_written() {
    let prod = Prod::with(&[("pass", VALUE), ("key", KEY)]);
    let text_of_all: String = forms().iter().map(|form| format!("before {form} after\n")).collect();
    let user = STANDARD.encode(format!("user:{VALUE}:x"));
    let wrapped = STANDARD.encode(KEY);
    let wrapped = wrapped
        .as_bytes()
        .chunks(76)
        .map(|line| str::from_utf8(line).unwrap())
        .collect::<Vec<_>>()
        .join("\n");
    let file = prod.path("output");
    fs::write(&file, format!("{text_of_all}Basic {user}\n{wrapped}\nend\n")).unwrap();
    for script in [
        "cat \"$0\"",
        "dd if=\"$0\" bs=1 status=none",
        "dd if=\"$0\" bs=7 status=none",
        "cat \"$0\" >&2",
        // Two writers of one stream.
        "cat \"$0\" & wait; cat \"$0\"",
    ] {
        let done = prod.run(&["--vault", "prod", "--redact", "--", "sh", "-c", script, text(&file)]);
        let printed = format!("{}{}", done.stdout, done.stderr);
        assert_eq!(done.code, 0, "{done:?}");
        for form in forms() {
            assert!(!printed.contains(&form), "{script}: {form:?} in {printed}");
        }
        assert!(
            printed.contains("before [redacted] after\n") && printed.ends_with("end\n"),
            "{script}: {printed}"
        );
        // What is left of a longer base64 text are letters that hold bits of what is around.
        let basic = printed.lines().find_map(|line| line.strip_prefix("Basic ")).unwrap();
        let (before, after) = basic.split_once("[redacted]").unwrap();
        assert!(
            user.starts_with(before) && user.ends_with(after) && before.len() <= 8 && after.len() <= 6,
            "{basic}"
        );
    }
    prod.server.stop();
}

#[test]
fn without_a_value_every_byte_passes_and_both_streams_stay_apart() {
    let prod = Prod::with(&[("pass", VALUE)]);
    let mut rng = Rng::new(7);
    let bytes: Vec<u8> = (0..300_000).map(|_| rng.next() as u8).collect();
    let file = prod.path("bytes");
    fs::write(&file, &bytes).unwrap();
    let mut command = prod.reader.command(&["run", "--vault", "prod", "--redact", "--", "sh", "-c"]);
    let output = command.args(["cat \"$0\"; cat \"$0\" >&2; exit 9"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(9));
    assert!(output.stdout == bytes && output.stderr == bytes);
    prod.server.stop();
}

#[test]
fn a_prompt_appears_at_once_and_input_reaches_the_program() {
    let prod = Prod::with(&[("pass", VALUE)]);
    let script = "printf 'Password: '; read -r answer; echo \"got $answer\"";
    let mut command = prod.reader.command(&["run", "--vault", "prod", "--redact", "--", "sh", "-c", script]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut prompt = [0; 10];
    stdout.read_exact(&mut prompt).unwrap();
    assert_eq!(&prompt, b"Password: ");
    writeln!(stdin, "{VALUE}").unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "got [redacted]\n");
    assert!(child.wait().unwrap().success());
    prod.server.stop();
}

#[test]
fn what_a_program_leaves_running_is_filtered_too() {
    let prod = Prod::with(&[("pass", VALUE)]);
    let go = prod.path("go");
    let script = "(while [ ! -e \"$0\" ]; do sleep 0.01; done; echo \"late $PASS\") & echo early; exit 3";
    let process = prod.spawn(&["--vault", "prod", "--redact", "--", "sh", "-c", script, text(&go)]);
    poll("the program prints", || process.stdout().contains("early").then_some(()));
    fs::write(&go, "").unwrap();
    let ran = process.wait();
    assert_eq!(
        (ran.status.code(), ran.stdout.as_str()),
        (Some(3), "early\nlate [redacted]\n"),
        "{}",
        ran.stderr
    );
    prod.server.stop();
}

#[test]
fn a_reader_that_goes_away_ends_the_program() {
    let prod = Prod::with(&[("pass", VALUE)]);
    let mut command = prod.reader.command(&["run", "--vault", "prod", "--redact", "--", "yes"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 2];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    poll("it ends", || child.try_wait().unwrap());
    prod.server.stop();
}

#[test]
fn a_very_short_value_is_hidden_and_warned_of() {
    let prod = Prod::with(&[("flag", "on")]);
    let done = prod.run(&["--vault", "prod", "--redact", "--", "echo", "turned on, done"]);
    assert_eq!(done.stdout, "turned [redacted], d[redacted]e\n", "{done:?}");
    assert!(done.stderr.contains("prod:flag") && !done.stderr.contains("on\""), "{done:?}");
    prod.server.stop();
}
