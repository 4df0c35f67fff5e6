//! What the system is asked for, so that keys stay in the server's memory.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::fs;

use harness::{Process, Server, private_folder, text};

fn status(server: &Server, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
}

#[test]
fn the_root_key_is_locked_and_no_core_is_written() {
    let data = private_folder();
    let server = Server::start(data.path());
    assert_ne!(status(&server, "VmLck:"), "0 kB", "nothing is locked in memory");
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.process.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    // The files of a process that cannot be dumped are root's (proc(5)). Root may look all the same.
    if !rustix::process::geteuid().is_root() {
        assert!(fs::read(format!("/proc/{}/environ", server.process.id())).is_err(), "it can be looked into");
    }
    server.stop();
}

/// Without the right to go beyond the limit of locked memory, as root in a container with fewer capabilities.
#[test]
fn a_refused_lock_is_told_loudly() {
    let data = private_folder();
    let mut sh = std::process::Command::new("sh");
    // The right is CAP_IPC_LOCK: only where it can be dropped, or is not there, does the limit count.
    let drop = r#"ulimit -l 0 && if [ "$(id -u)" = 0 ]; then exec setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock "$@"; else exec "$@"; fi"#;
    sh.args(["-c", drop, "sh", env!("CARGO_BIN_EXE_strongroom")]);
    let args = ["serve", "--data-dir", text(data.path()), "--listen", "127.0.0.1:0"];
    let server = Server::wait_until_ready(data.path(), Process::spawn_by(sh, &args, &[]));
    assert_eq!(status(&server, "VmLck:"), "0 kB");
    let log = server.process.stderr() + &server.process.stdout();
    assert!(log.contains("THE ROOT KEY MAY BE SWAPPED TO DISK"), "{log}");
    server.stop();
}
