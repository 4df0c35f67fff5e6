//! The proxy: each of its faults, seen from both ends, and the loss of a commit's answer at a real server.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use strongroom_testbed::{Options, Postgres, Proxy, Towards};

/// A server that answers each byte with another.
fn counting(step: u8) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut bytes = [0; 256];
                while let Ok(read @ 1..) = stream.read(&mut bytes) {
                    let answer: Vec<u8> = bytes[..read].iter().map(|byte| byte.wrapping_add(step)).collect();
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// The answer, or how much of it came.
fn ask(stream: &mut TcpStream, bytes: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    let mut answer = Vec::new();
    let mut one = [0];
    if stream.write_all(bytes).is_err() {
        return Err(answer);
    }
    while answer.len() < bytes.len() {
        match stream.read(&mut one) {
            Ok(1) => answer.push(one[0]),
            _ => return Err(answer),
        }
    }
    Ok(answer)
}

#[test]
fn it_passes_on_cuts_and_mends() {
    let proxy = Proxy::to(counting(1));
    let mut stream = connect(&proxy);
    assert_eq!(ask(&mut stream, &[1, 2]), Ok(vec![2, 3]));
    proxy.cut();
    assert_eq!(ask(&mut stream, &[1]), Err(vec![]));
    assert!(TcpStream::connect(proxy.address()).is_err());
    proxy.mend();
    assert_eq!(ask(&mut connect(&proxy), &[1]), Ok(vec![2]));
    let address = proxy.address();
    drop(proxy);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn what_it_holds_passes_once_it_is_mended() {
    let proxy = Proxy::to(counting(1));
    let mut before = connect(&proxy);
    assert_eq!(ask(&mut before, &[1]), Ok(vec![2]));
    proxy.hold();
    let mut since = connect(&proxy);
    for stream in [&mut before, &mut since] {
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(ask(stream, &[5]), Err(vec![]));
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }
    proxy.mend();
    for stream in [&mut before, &mut since] {
        let mut one = [0];
        stream.read_exact(&mut one).unwrap();
        assert_eq!(one, [6]);
    }
}

#[test]
fn what_is_stranded_never_passes_and_new_connections_do() {
    let proxy = Proxy::to(counting(1));
    let mut before = connect(&proxy);
    assert_eq!(ask(&mut before, &[1]), Ok(vec![2]));
    proxy.strand();
    before.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(ask(&mut before, &[5]), Err(vec![]));
    assert_eq!(ask(&mut connect(&proxy), &[1]), Ok(vec![2]));
    proxy.mend();
    assert_eq!(ask(&mut before, &[5]), Err(vec![]));
}

#[test]
fn it_slows_each_way() {
    let proxy = Proxy::to(counting(1));
    let mut stream = connect(&proxy);
    proxy.slow(Duration::from_millis(60));
    let begun = Instant::now();
    assert_eq!(ask(&mut stream, &[1]), Ok(vec![2]));
    assert!(begun.elapsed() >= Duration::from_millis(120), "{:?}", begun.elapsed());
    proxy.slow(Duration::ZERO);
    assert_eq!(ask(&mut stream, &[1]), Ok(vec![2]));
}

#[test]
fn it_switches_to_another_server() {
    let proxy = Proxy::to(counting(1));
    let mut stream = connect(&proxy);
    assert_eq!(ask(&mut stream, &[1]), Ok(vec![2]));
    proxy.switch_to(counting(10));
    assert_eq!(ask(&mut stream, &[1]), Err(vec![]));
    assert_eq!(ask(&mut connect(&proxy), &[1]), Ok(vec![11]));
}

#[test]
fn it_loses_what_follows_a_pattern() {
    let proxy = Proxy::to(counting(1));
    proxy.lose(Towards::Client, &[11, 12, 13], 1);
    let mut stream = connect(&proxy);
    assert_eq!((ask(&mut stream, &[1]), proxy.lost()), (Ok(vec![2]), 0));
    // One byte of the pattern still comes.
    assert_eq!(ask(&mut stream, &[1, 10, 11, 12, 13]), Err(vec![2, 11]));
    assert_eq!(proxy.lost(), 1);
    // That was all that was to be lost.
    let mut stream = connect(&proxy);
    assert_eq!(ask(&mut stream, &[10, 11, 12]), Ok(vec![11, 12, 13]));

    // In two pieces, the other way.
    proxy.lose(Towards::Server, &[20, 21], 0);
    assert_eq!(ask(&mut stream, &[20]), Ok(vec![21]));
    assert_eq!(ask(&mut stream, &[21, 22]), Err(vec![]));
    assert_eq!(proxy.lost(), 2);
}

#[test]
fn it_passes_on_something_else() {
    let proxy = Proxy::to(counting(1));
    proxy.exchange(Towards::Client, &[11, 12], &[7, 8, 9, 10]);
    let mut stream = connect(&proxy);
    assert_eq!((ask(&mut stream, &[1]), proxy.to_exchange()), (Ok(vec![2]), 1));
    assert_eq!(ask(&mut stream, &[1, 10, 11, 12, 13]), Ok(vec![2, 7, 8, 9, 10]));
    assert_eq!(proxy.to_exchange(), 0);
    // What else came of it, and that this was once.
    assert_eq!(ask(&mut stream, &[10, 11]), Ok(vec![13, 14]));
}

#[test]
fn a_commit_is_done_and_its_answer_lost_or_not_done() {
    let postgres = Postgres::start(Options::default().careless());
    postgres.create_database("store");
    postgres.run("store", "CREATE TABLE t (x BIGINT); GRANT ALL ON t TO strongroom");
    let proxy = Proxy::to(postgres.address());
    let insert = |number: u32| -> Output {
        let mut psql = Command::new("psql");
        psql.args([
            "-XAtqw",
            "-c",
            "BEGIN",
            "-c",
            &format!("INSERT INTO t VALUES ({number})"),
            "-c",
            "COMMIT",
        ]);
        psql.arg(postgres.url_at(proxy.address(), "store"));
        psql.env("PGPASSWORD", postgres.password()).output().unwrap()
    };
    let has =
        |number: u32| postgres.run("store", &format!("SELECT count(*) FROM t WHERE x = {number}")) == "1";
    assert!(insert(1).status.success() && has(1));

    proxy.lose(Towards::Client, b"COMMIT\0", 0);
    assert!(!insert(2).status.success() && has(2));
    proxy.lose(Towards::Server, b"COMMIT\0", 0);
    assert!(!insert(3).status.success() && !has(3));
    assert_eq!(proxy.lost(), 2);
    assert!(insert(4).status.success() && has(4));
}
