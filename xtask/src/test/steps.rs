//! What each step does.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Args;
use crate::build::{for_tests, ordinary_members, target_dir};
use crate::postgres::Postgres;
use crate::process::{cargo, command, run};
use crate::server::{Server, scratch};
use crate::{Result, bench, deploy, fuzz, generate, setup};

pub(super) fn fmt(_: &Args) -> Result {
    run(&mut cargo(["fmt", "--all", "--check"]))
}

pub(super) fn clippy(_: &Args) -> Result {
    let mut clippy = cargo(["clippy", "--quiet", "--all-targets"]);
    run(clippy.args(ordinary_members()).args(["--", "--deny", "warnings"]))
}

pub(super) fn docs(_: &Args) -> Result {
    let mut doc = cargo(["doc", "--quiet", "--no-deps", "--document-private-items"]);
    run(doc.args(ordinary_members()).env("RUSTDOCFLAGS", "--deny warnings"))
}

/// Licences, bans and sources. Advisories need the network's advisory database and are left to people:
/// `cargo deny check advisories`.
pub(super) fn deny(_: &Args) -> Result {
    let cargo_deny = setup::cargo_deny()?;
    run(command(cargo_deny).args(["--log-level", "warn", "check", "bans", "licenses", "sources"]))
}

pub(super) fn build(_: &Args) -> Result {
    for_tests().map(drop)
}

pub(super) fn unit(_: &Args) -> Result {
    let (openbao, moto) = (setup::openbao()?, setup::moto()?);
    let mut tests = cargo(["test", "--no-fail-fast"]);
    run(tests.args(ordinary_members()).env("STRONGROOM_TEST_BAO", openbao).env("STRONGROOM_TEST_MOTO", moto))
}

/// Other services that key slots are opened by.
pub(super) fn key_services() -> Result {
    setup::openbao()?;
    setup::moto().map(drop)
}

/// The tests of the server but for grants, which no store decides, and those of the program that are about no file, with their stores in PostgreSQL. The snapshots of
/// answers are the same.
pub(super) fn nodes(_: &Args) -> Result {
    /// What is about a file of the store's own: copies of it, reading it, a limit to its size.
    const OF_FILES: [&str; 5] = [
        "a_cursor_from_before_a_restore_is_refused",
        "nothing_is_given_when_the_disk_is_full",
        "a_full_disk_repeats_no_message",
        "a_disk_that_is_full_in_the_middle",
        "the_root_key_is_rotated_and_the_old_one_is_gone",
    ];
    /// Those of the server, and those of the program. Each name is that of one test of the workspace.
    const TESTS: [&str; 12] = [
        "routes",
        "authorisation",
        "deliveries",
        "canary",
        "concurrency",
        "resolve",
        "feed",
        "webhooks",
        "rotation",
        "metrics",
        "expiry",
        "revoked",
    ];
    let mut tests = cargo(["test", "--no-fail-fast"]);
    tests.args(ordinary_members()).args(TESTS.iter().flat_map(|name| ["--test", name])).arg("--");
    tests.args(OF_FILES.iter().flat_map(|name| ["--skip", name])).env("STRONGROOM_TEST_STORE", "postgres");
    // A file has had its turn already, at length.
    run(tests.env("STRONGROOM_ROTATION_CRASHES", "2").env("STRONGROOM_ROTATION_VAULTS", "100"))
}

pub(super) fn generated(_: &Args) -> Result {
    generate::check(&for_tests()?)?;
    let validator = setup::python_tools()?.join("openapi-spec-validator");
    run(command(validator).arg(generate::OPENAPI))
}

pub(super) fn deploy(_: &Args) -> Result {
    deploy::check(&for_tests()?)
}

pub(super) fn compat(_: &Args) -> Result {
    let strongroom = for_tests()?;
    clients()?;
    let check = |store: &[&str]| run(compat_run()?.arg("--bin").arg(&strongroom).args(store));
    check(&[])?;
    let postgres = Postgres::start(&scratch("compat")?)?;
    let place = postgres.create_database("compat")?;
    check(&["--database", &place.url, "--password-file", &place.password_file.display().to_string()])?;
    postgres.stop()
}

/// The official clients, installed and built.
pub(super) fn clients() -> Result {
    let _turn = setup::turn("clients")?;
    run(compat_run()?.arg("--prepare"))
}

/// The Rust client has a target folder of its own, so that it can be built while others are in ours.
fn compat_run() -> Result<Command> {
    let built = target_dir().join("compat");
    fs::create_dir_all(&built)?;
    let mut compat = command("python3");
    compat
        .arg("compat/run.py")
        .arg("--venvs")
        .arg(setup::venvs())
        .env("CARGO_TARGET_DIR", built.canonicalize()?);
    Ok(compat)
}

pub(super) fn schemathesis(_: &Args) -> Result {
    let program = setup::python_tools()?.join("schemathesis").canonicalize()?;
    let config = Path::new("xtask/schemathesis.toml").canonicalize()?;
    let strongroom = for_tests()?;
    let folder = scratch("schemathesis")?;
    // An invented target of a webhook that does not answer is not to outlast the patience of who asks.
    let brief = ["--webhooks-timeout", "2s"];
    let server =
        Server::strongroom(&strongroom, &folder.join("data"), &folder.join("server.log"), &brief, None)?;
    let examples = |operations: &[&str], seconds: &str| {
        let mut examples = command(&program);
        examples.arg("--config-file").arg(&config).args(["run", &format!("{}/openapi.json", server.url())]);
        examples.args(operations).args(["--checks", "not_a_server_error"]);
        examples.args(["--max-examples", "50", "--max-time", seconds]);
        // The same examples each time: a failure here is one that the next run shows again.
        examples.args(["--generation-deterministic", "--no-color"]);
        // It leaves notes on failures where it runs.
        run(examples.current_dir(&folder).env("STRONGROOM_API_KEY", &server.api.token))
    };
    // It learns ids from answers and would delete its own key or narrow its grants, and from then on see nothing but 403; or seal the server,
    // and see nothing but 503.
    let (exclude, include) = ("--exclude-operation-id", "--include-operation-id");
    examples(&[exclude, "ApiKeysDelete", exclude, "ApiKeysUpdate", exclude, "SealCreate"], "90")?;
    let answer = server.api.get("/vaults")?;
    if answer.status != 200 {
        return Err(format!("after the run, GET /vaults answers {}: {}", answer.status, answer.body).into());
    }
    examples(&[include, "ApiKeysUpdate"], "10")?;
    examples(&[include, "ApiKeysDelete"], "10")?;
    server.stop()
}

pub(super) fn fuzz_targets(args: &Args) -> Result {
    fuzz::all_targets(args.fuzz_seconds)
}

pub(super) fn bench_smoke(_: &Args) -> Result {
    bench::smoke()
}
