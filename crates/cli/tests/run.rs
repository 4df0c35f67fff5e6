//! `strongroom run`: what a program gets, how it is started, and what is left of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;
mod prod;
#[path = "terminal/pty.rs"]
mod pty;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{files, make_vault, poll, secret_in, text};
use prod::Prod;
use pty::Session;
use rustix::process::Signal;

const SECRETS: &[(&str, &str)] =
    &[("db-password", "hunter2 \"quoted\" $HOME"), ("tls/api.key", "line 1\nline 2\n"), ("2fa", "é")];

/// The ways to run a program: as the program itself, and with a supervisor.
const WAYS: [&[&str]; 4] = [&[], &["--files"], &["--redact"], &["--files", "--redact"]];

/// The lines of `env` that are variables of the program.
fn variables(printed: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = printed.lines().filter(|line| line.starts_with("GOT_")).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn values_are_variables_and_the_key_is_none_of_them() {
    let mut prod = Prod::with(SECRETS);
    let done = prod.run(&["--vault", "prod", "--", "env", "-0"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    let found: Vec<&str> = done.stdout.split('\0').collect();
    for expected in ["DB_PASSWORD=hunter2 \"quoted\" $HOME", "TLS_API_KEY=line 1\nline 2\n", "_2FA=é"] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
    assert!(!done.stdout.contains("API_KEY=ak_") && !done.stdout.contains("STRONGROOM_API_KEY"), "{found:?}");

    let kept =
        prod.run(&["--vault", "prod", "--keep-key", "--", "sh", "-c", "echo ${STRONGROOM_API_KEY:+there}"]);
    assert_eq!(kept.stdout, "there\n");
    // A secret of that name is no key of this program's.
    let vault = make_vault(&mut prod.client, "prod-2");
    prod.client.post("/vault_secrets", &secret_in(&vault, "ngrok-api-key", "tunnel")).expect_status(201);
    prod.reader = person::Person::admin(&prod.server).granted(&prod.server, &["resolve *:*"]);
    let own = prod.run(&["--vault", "prod-2", "--", "sh", "-c", "echo $NGROK_API_KEY"]);
    assert_eq!(own.stdout, "tunnel\n");
    prod.server.stop();
}

#[test]
fn what_is_chosen_is_given_under_the_name_that_is_chosen() {
    let prod = Prod::with(SECRETS);
    for (args, expected) in [
        (&["--vault", "prod", "--only", "db-password"][..], &["GOT_DB_PASSWORD"][..]),
        (
            &["--vault", "prod", "--only", "db-password,GOT_TLS_API_KEY"],
            &["GOT_DB_PASSWORD", "GOT_TLS_API_KEY"],
        ),
        (&["--vault", "prod"], &["GOT_2FA", "GOT_DB_PASSWORD", "GOT_TLS_API_KEY"]),
    ] {
        let done = prod.run(&[args, &["--prefix", "GOT_", "--", "sh", "-c", "env | cut -d= -f1"]].concat());
        assert_eq!(variables(&done.stdout), expected, "{args:?}: {done:?}");
    }
    let mapped = ["--map", "GOT_it=prod:db-password@1", "--map", "PATH=prod:2fa", "--", "/bin/sh", "-c"];
    let done = prod.run(&[&mapped[..], &["echo \"$GOT_it:$PATH\""]].concat());
    assert_eq!(done.stdout, "hunter2 \"quoted\" $HOME:é\n", "{done:?}");
    prod.server.stop();
}

#[test]
fn nothing_is_started_when_anything_is_missing_or_wrong() {
    let mut prod =
        Prod::with(&[("a-b", "canary1"), ("a_b", "canary2"), ("path", "canary3"), ("zero", "canary\0")]);
    let long = "canary".repeat(11_000);
    let vault = make_vault(&mut prod.client, "long");
    for name in ["a", "b"] {
        prod.client.post("/vault_secrets", &secret_in(&vault, name, &long[..60_000])).expect_status(201);
    }
    for (code, args, told) in [
        (3, &["--vault", "prod", "--only", "missing"][..], &["prod:missing"][..]),
        (3, &["--vault", "prod", "--only", "A_MISSING"], &["A_MISSING"]),
        (3, &["--map", "A=prod:a-b", "--map", "B=prod:missing"], &["prod:missing"]),
        (3, &["--map", "A=prod:a-b@7"], &["prod:a-b@7"]),
        (3, &["--vault", "prod", "--vault", "nowhere"], &["nowhere"]),
        (6, &["--vault", "prod", "--only", "a-b,a_b"], &["prod:a-b", "prod:a_b", "A_B", "--map"]),
        (6, &["--vault", "prod", "--only", "path"], &["prod:path", "PATH", "--map PATH=prod:path"]),
        (6, &["--vault", "prod", "--only", "zero"], &["prod:zero", "--files"]),
        (6, &["--map", "A=prod:a-b", "--map", "A=prod:a_b"], &["prod:a-b", "prod:a_b"]),
        (2, &["--map", "1=prod:a-b"], &["'1'"]),
        (2, &["--map", "A=prod"], &["vault:name"]),
        (2, &["--vault", "prod", "--prefix", "a-b"], &["a-b"]),
        (2, &["--vault", "prod", "--max-age", "1h"], &["--offline"]),
        (2, &[], &["--vault"]),
    ] {
        let stderr = prod.refuses(code, args);
        for part in told {
            assert!(stderr.contains(part), "{args:?}: {part:?} in {stderr}");
        }
        assert!(!stderr.contains("canary"), "{stderr}");
    }
    prod.reader = person::Person::admin(&prod.server).granted(&prod.server, &["resolve prod:b*"]);
    prod.refuses(3, &["--vault", "prod", "--only", "a-b"]);
    prod.reader = person::Person::admin(&prod.server).granted(&prod.server, &["read *:*", "resolve prod:b*"]);
    prod.refuses(4, &["--vault", "prod", "--only", "a-b"]);
    prod.server.stop();
}

#[test]
fn a_command_that_cannot_be_started_is_told_as_shells_do() {
    let prod = Prod::with(SECRETS);
    let plain = prod.path("plain");
    fs::write(&plain, "no program").unwrap();
    for way in WAYS {
        for (code, command) in
            [(127, "no-such-command"), (127, "/no/such/file"), (126, text(&plain)), (126, "/")]
        {
            let done = prod.run(&[way, &["--vault", "prod", "--", command]].concat());
            assert_eq!(done.code, code, "{way:?} {command}: {done:?}");
            assert!(done.stderr.contains(command) && !done.stderr.contains("hunter2"), "{done:?}");
        }
    }
    for none in [&["--vault", "prod", "--", ""][..], &["--vault", "prod", "--"], &["--vault", "prod"]] {
        assert_eq!(prod.run(none).code, 2, "{none:?}");
    }
    prod.server.stop();
}

#[test]
fn strongroom_becomes_the_program() {
    let prod = Prod::with(SECRETS);
    let process = prod.spawn(&["--vault", "prod", "--", "sh", "-c", "echo $$; exec sleep 1000"]);
    let pid = poll("the program prints its pid", || process.stdout().trim().parse::<u32>().ok());
    assert_eq!(pid, process.id());
    process.terminate();
    assert_eq!(process.wait().status.signal(), Some(Signal::TERM.as_raw()));
    prod.server.stop();
}

#[test]
fn the_exit_code_is_the_programs_and_so_is_the_signal() {
    let prod = Prod::with(SECRETS);
    for way in WAYS {
        for (script, expected) in [
            ("exit 0", (Some(0), None)),
            ("exit 77", (Some(77), None)),
            ("kill -USR1 $$", (None, Some(10))),
            ("kill -KILL $$", (None, Some(9))),
        ] {
            let args = [way, &["--vault", "prod", "--", "sh", "-c", script]].concat();
            let status = prod.spawn(&args).wait().status;
            assert_eq!((status.code(), status.signal()), expected, "{args:?}");
        }
    }
    prod.server.stop();
}

/// What a program inherits beside its environment.
const INHERITED: &str = "grep -E '^(SigIgn|SigBlk|THP_enabled|CoreDumping|NoNewPrivs|Seccomp)' /proc/self/status; \
                         ulimit -a; umask; ls /proc/self/fd | wc -l";

/// The same without the two signals that the C library keeps for its threads, in any program that has some.
fn inherited(printed: &[u8]) -> String {
    let printed = str::from_utf8(printed).unwrap();
    let line = printed.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    let ignored = u64::from_str_radix(line, 16).unwrap() & !(3 << 31);
    printed.replace(line, &format!("{ignored:x}"))
}

#[test]
fn the_program_inherits_what_it_would_without_strongroom() {
    let prod = Prod::with(SECRETS);
    let plain = Command::new("sh").args(["-c", INHERITED]).output().unwrap();
    let expected = inherited(&plain.stdout);
    for way in WAYS {
        let done = prod.run(&[way, &["--vault", "prod", "--", "sh", "-c", INHERITED]].concat());
        assert_eq!(inherited(done.stdout.as_bytes()), expected, "{way:?}");
    }
    prod.server.stop();
}

#[test]
fn signals_reach_the_program_through_a_supervisor() {
    let prod = Prod::with(SECRETS);
    let script = "trap 'echo usr1' USR1; trap 'echo hup' HUP; trap 'echo term; exit 5' TERM; echo ready; \
                  while :; do sleep 0.01; done";
    for way in &WAYS[1..] {
        let process = prod.spawn(&[way, &["--vault", "prod", "--", "sh", "-c", script][..]].concat());
        for (signal, word) in [(None, "ready"), (Some(Signal::USR1), "usr1"), (Some(Signal::HUP), "hup")] {
            signal.into_iter().for_each(|signal| process.signal(signal));
            poll(word, || process.stdout().contains(word).then_some(()));
        }
        process.terminate();
        let ran = process.wait();
        assert_eq!(ran.status.code(), Some(5), "{way:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "ready\nusr1\nhup\nterm\n", "{way:?}");
    }
    prod.server.stop();
}

#[test]
fn a_key_pressed_at_the_terminal_reaches_the_program_once() {
    let prod = Prod::with(SECRETS);
    let script = "trap 'echo interrupted' INT; echo ready; until read -r word || [ \"$n\" = ... ]; do n=$n.; done; echo \"said $word\"; exit 4";
    for way in &WAYS[1..] {
        let run = [&["run"], *way, &["--vault", "prod", "--", "sh", "-c", script]].concat();
        // The terminal is the command's own, as a shell gives it.
        let mut command = Command::new("setsid");
        // Whoever runs the tests in the background has this key ignored.
        command
            .args(["--ctty", "env", "--default-signal=INT", harness::process::BINARY])
            .args(run)
            .env_clear();
        command.envs(prod.reader.command(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut session = Session::start(command);
        session.wait_for("ready");
        session.types("\u{3}").wait_for("interrupted");
        session.types("go\r").wait_for("said go");
        let (code, screen, _) = session.end();
        assert_eq!((code, screen.matches("interrupted").count()), (4, 1), "{way:?}: {screen}");
    }
    prod.server.stop();
}

/// The folder that the program was given, and the pid of the program.
fn folder_of(process: &harness::Process) -> (PathBuf, i32) {
    poll("the program tells its files", || {
        let printed = process.stdout();
        let (path, pid) = printed.strip_suffix('\n')?.split_once(' ')?;
        Some((Path::new(path).parent()?.to_owned(), pid.parse().ok()?))
    })
}

const TELLS_ITS_FILES: &str = "echo $DB_PASSWORD_FILE $$; exec sleep 1000";

#[test]
fn files_are_private_in_memory_and_gone_afterwards() {
    let prod = Prod::with(SECRETS);
    let script = "env | grep -c '^DB_PASSWORD='; stat -f -c %T $DB_PASSWORD_FILE; cat $DB_PASSWORD_FILE $TLS_API_KEY_FILE";
    let done = prod.run(&["--vault", "prod", "--files", "--", "sh", "-c", script]);
    assert_eq!(done.stdout, "0\ntmpfs\nhunter2 \"quoted\" $HOMEline 1\nline 2\n", "{done:?}");

    let process = prod.spawn(&["--vault", "prod", "--files", "--", "sh", "-c", TELLS_ITS_FILES]);
    let (folder, _) = folder_of(&process);
    assert!(folder.starts_with("/dev/shm"), "{}", folder.display());
    assert_eq!(files::mode(&folder), 0o700);
    let found = files::contents(&folder);
    let names: Vec<_> = found.keys().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["DB_PASSWORD", "TLS_API_KEY", "_2FA"]);
    assert!(found.keys().all(|path| files::mode(path) == 0o600));
    process.terminate();
    assert_eq!(process.wait().status.signal(), Some(Signal::TERM.as_raw()));
    assert!(!folder.exists());

    let failed =
        prod.run(&["--vault", "prod", "--files", "--files-dir", text(&prod.path("no")), "--", "true"]);
    assert_eq!(failed.code, 6, "{failed:?}");
    prod.server.stop();
}

#[test]
fn a_zero_byte_or_a_long_value_goes_into_a_file() {
    let mut prod = Prod::with(&[("zero", "a\0b")]);
    let done = prod.run(&["--vault", "prod", "--files", "--", "sh", "-c", "wc -c < $ZERO_FILE"]);
    assert_eq!(done.stdout.trim(), "3", "{done:?}");
    // Each fits, and together they do not.
    let vault = make_vault(&mut prod.client, "large");
    for number in 0..100 {
        let secret = secret_in(&vault, &format!("s{number}"), &"v".repeat(60_000));
        prod.client.post("/vault_secrets", &secret).expect_status(201);
    }
    prod.reader = person::Person::admin(&prod.server).granted(&prod.server, &["resolve large:*"]);
    let limited =
        ["-c", "ulimit -s 8192; exec \"$@\"", "sh", harness::process::BINARY, "run", "--vault", "large"];
    for (code, args) in [(126, &["--", "true"][..]), (0, &["--files", "--", "true"])] {
        let mut command = prod.reader.command(&[]);
        let mut shell = Command::new("sh");
        shell
            .args(limited)
            .args(args)
            .env_clear()
            .envs(command.get_envs().filter_map(|(n, v)| Some((n, v?))));
        command = shell;
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(code == 0 || stderr.contains("--files"), "{stderr}");
    }
    prod.server.stop();
}

#[test]
fn a_killed_supervisor_takes_the_program_along_and_the_next_run_removes_the_files() {
    let prod = Prod::with(SECRETS);
    let base = prod.path("files");
    fs::create_dir(&base).unwrap();
    let args = ["--vault", "prod", "--files", "--files-dir", text(&base), "--", "sh", "-c", TELLS_ITS_FILES];
    let process = prod.spawn(&args);
    let (folder, pid) = folder_of(&process);
    let other = prod.spawn(&args);
    let (others, _) = folder_of(&other);
    assert!(folder.exists() && others.exists());
    process.kill();
    poll("the program ends", || {
        // A zombie has ended too.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
    assert!(folder.exists());
    let done = prod.run(&["--vault", "prod", "--files", "--files-dir", text(&base), "--", "true"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!folder.exists() && others.exists());
    other.terminate();
    other.wait();
    assert_eq!(fs::read_dir(&base).unwrap().count(), 0);
    prod.server.stop();
}

#[test]
fn no_value_is_in_any_command_line() {
    let canary = "canary-that-no-command-line-holds";
    let prod = Prod::with(&[("db-password", canary)]);
    for way in WAYS {
        let process = prod
            .spawn(&[way, &["--vault", "prod", "--", "sh", "-c", "echo ready; exec sleep 1000"]].concat());
        poll("the program runs", || {
            assert_no_process_shows(canary);
            process.stdout().contains("ready").then_some(())
        });
        assert_no_process_shows(canary);
        process.terminate();
        process.wait();
    }
    prod.server.stop();
}

fn assert_no_process_shows(canary: &str) {
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let shown = fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&shown).contains(canary), "{}", process.path().display());
    }
}
