//! The server of the tests: what each fault does to it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::OnceLock;
use std::time::Duration;

use strongroom_testbed::{Options, Postgres, Replication, SmallDisk, Stop, poll};

/// One for the tests that break nothing of it.
fn shared() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(|| Postgres::start(Options::default().careless().tls()))
}

fn count(postgres: &Postgres) -> String {
    postgres.run("store", "SELECT count(*) FROM t")
}

fn with_a_table(options: Options) -> Postgres {
    let postgres = Postgres::start(options);
    postgres.create_database("store");
    postgres.run("store", "CREATE TABLE t (x BIGINT)");
    postgres.run("store", "INSERT INTO t VALUES (1)");
    postgres
}

#[test]
fn what_is_told_of_it_opens_it() {
    let postgres = shared();
    postgres.create_database("told");
    let file = postgres.password_file();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), postgres.password());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let ask = |password: &str, more: &str| {
        let url = format!("{}{more}", postgres.url("told"));
        let mut psql = std::process::Command::new("psql");
        psql.args([
            "-XAtqw",
            "-c",
            "SELECT current_user || ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
            &url,
        ]);
        psql.env("PGPASSWORD", password).output().unwrap()
    };
    let ca = format!("&sslrootcert={}", postgres.ca_file().display());
    let opened = ask(postgres.password(), &ca);
    assert_eq!(String::from_utf8_lossy(&opened.stdout).trim(), "strongroomtrue", "{opened:?}");
    assert!(!ask("another", &ca).status.success());
    // The certificate is checked: without its authority it is refused.
    assert!(!ask(postgres.password(), "&sslrootcert=/dev/null").status.success());
}

#[test]
fn it_keeps_its_promises_unless_it_is_told_not_to() {
    assert_eq!(shared().run("postgres", "SHOW fsync"), "off");
    let postgres = with_a_table(Options::default().setting("max_connections", "17"));
    assert_eq!(postgres.run("store", "SHOW fsync"), "on");
    assert_eq!(postgres.run("store", "SHOW max_connections"), "17");
    assert_eq!(postgres.run("store", "SHOW listen_addresses"), "127.0.0.1");
    assert!(postgres.try_run("store", "SELECT nonsense").unwrap_err().contains("nonsense"));
}

#[test]
fn stopped_crashed_and_killed_it_comes_back_with_what_it_had() {
    let mut postgres = with_a_table(Options::default().careless());
    let address = postgres.address();
    postgres.stop(Stop::Fast);
    assert!(!postgres.is_running() && TcpStream::connect(address).is_err());
    postgres.start_again();
    assert_eq!((count(&postgres).as_str(), postgres.address()), ("1", address));

    let recoveries = |postgres: &Postgres| postgres.log().matches("not properly shut down").count();
    assert_eq!(recoveries(&postgres), 0);
    postgres.stop(Stop::Immediate);
    postgres.start_again();
    assert_eq!((count(&postgres).as_str(), recoveries(&postgres)), ("1", 1));

    postgres.kill();
    assert!(!postgres.is_running() && TcpStream::connect(address).is_err());
    postgres.start_again();
    assert_eq!((count(&postgres).as_str(), recoveries(&postgres)), ("1", 2));
}

#[test]
fn frozen_it_says_nothing_until_it_thaws() {
    let postgres = with_a_table(Options::default().careless());
    // A connection that it took before, to which it owes an answer: that it speaks no TLS.
    let ask = || {
        let mut stream = TcpStream::connect(postgres.address()).unwrap();
        stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
        stream
    };
    let mut answer = [0];
    ask().read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"N");
    postgres.freeze();
    let mut stream = ask();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(stream.read_exact(&mut answer).is_err());
    postgres.thaw();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(count(&postgres), "1");
    // It can be dropped while it is frozen.
    postgres.freeze();
}

#[test]
fn a_replica_has_what_was_acknowledged_and_takes_over() {
    let mut primary = with_a_table(Options::default().careless().tls());
    let mut replica = primary.replica(Replication::Synchronous);
    primary.run("store", "INSERT INTO t VALUES (2)");
    // It is on the replica's disk by now, and soon to be seen.
    poll("the replica has it", || (count(&replica) == "2").then_some(()));
    assert!(replica.try_run("store", "INSERT INTO t VALUES (9)").unwrap_err().contains("read-only"));

    // A commit waits while the replica is away.
    replica.stop(Stop::Fast);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| primary.run("store", "INSERT INTO t VALUES (3)"));
        let asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        poll("it waits", || (primary.run("postgres", asked) == "1").then_some(()));
        assert!(!waits.is_finished());
        replica.start_again();
        waits.join().unwrap();
    });
    primary.run("store", "INSERT INTO t VALUES (4)");

    primary.kill();
    replica.promote();
    replica.run("store", "INSERT INTO t VALUES (5)");
    assert_eq!(replica.run("store", "SELECT count(*) FROM t WHERE x IN (1, 2, 3, 4, 5)"), "5");
    assert!(replica.ca_file().exists());
}

#[test]
fn without_being_asked_to_a_commit_waits_for_no_replica() {
    let primary = with_a_table(Options::default().careless());
    let mut replica = primary.replica(Replication::Asynchronous);
    replica.stop(Stop::Immediate);
    primary.run("store", "INSERT INTO t VALUES (2)");
    assert_eq!(count(&primary), "2");
}

#[test]
fn a_table_on_a_full_disk_takes_nothing_and_the_server_lives() {
    let Some(disk) = SmallDisk::mount(32) else { return };
    let mut postgres = Postgres::start(Options::default().careless());
    postgres.create_database_on(&disk, "store");
    postgres.run("store", "CREATE TABLE t (x TEXT)");
    let write =
        || postgres.try_run("store", "INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 1000)");
    write().unwrap();
    disk.fill();
    assert!(write().unwrap_err().contains("No space left on device"));
    assert_eq!(count(&postgres), "1000");
    disk.make_room();
    write().unwrap();
    assert_eq!(count(&postgres), "2000");
    assert!(postgres.is_running());
}

#[test]
fn a_server_on_a_full_disk_goes_down_and_comes_back() {
    let Some(disk) = SmallDisk::mount(96) else { return };
    let place = disk.path().to_owned();
    let mut postgres = with_a_table(Options::default().on(disk));
    let ballast = place.join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while file.write_all(&[7; 1 << 16]).is_ok() {}
    let fills = "INSERT INTO t SELECT * FROM generate_series(1, 1000000)";
    assert!(postgres.try_run("store", fills).unwrap_err().contains("No space left on device"));
    std::fs::remove_file(ballast).unwrap();
    if !postgres.is_running() {
        postgres.start_again();
    }
    poll("it answers again", || postgres.try_run("store", "SELECT 1").ok());
    assert_eq!(count(&postgres), "1");
}

/// A shared server is never dropped, and must not outlive the tests.
#[test]
fn it_ends_with_the_process_that_started_it() {
    const CHILD: &str = "STRONGROOM_TEST_ENDS";
    #[expect(clippy::disallowed_methods, reason = "this test starts itself")]
    if let Some(file) = std::env::var_os(CHILD) {
        let postgres = shared();
        std::fs::write(file, postgres.address().to_string()).unwrap();
        postgres.freeze();
        std::process::abort();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let name = "it_ends_with_the_process_that_started_it";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let ended = child.args(["--exact", name]).env(CHILD, file.path()).output().unwrap();
    assert!(!ended.status.success());
    let address = std::fs::read_to_string(file.path()).unwrap();
    poll("it is gone", || TcpStream::connect(&address).is_err().then_some(()));
}
