//! Shutdown by signals.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::wait::{LONG, slack};
use crate::support::{Exporter, Launch, RedisServer};

/// Maximum documented duration.
const END: Duration = Duration::from_secs(5);

fn ends_well(exporter: &mut Exporter, signal: &str) -> Duration {
    exporter.process.signal(signal);
    let (status, took) = exporter.process.wait(END + slack());
    assert_eq!(status.code(), Some(0), "{status}: {}", exporter.log());
    took
}

#[test]
fn sigterm_and_sigint_exit_with_0() {
    let server = RedisServer::start(&[]);
    for signal in ["TERM", "INT"] {
        let mut exporter = Exporter::of(&server);
        let took = ends_well(&mut exporter, signal);
        assert!(
            took < Duration::from_secs(1) + slack(),
            "{signal} took {took:?}"
        );
        assert!(server.exporter_connections().is_empty());
    }
}

#[test]
fn frozen_server_does_not_delay_shutdown() {
    let server = RedisServer::start(&[]);
    let mut exporter = Launch::new()
        .flag(&format!("--redis.addr={}", server.url()))
        .flag("--poll.interval=1s")
        .flag("--poll.timeout=1s")
        .start();
    server.freeze();
    exporter.until_failed("timeout");
    let took = ends_well(&mut exporter, "TERM");
    assert!(took < Duration::from_secs(1) + slack(), "{took:?}");
}

#[test]
fn hanging_password_file_delays_neither_polls_nor_exit() {
    let launch = Launch::new();
    let path = launch.file("secret");
    std::fs::write(&path, "hunter2").unwrap();
    let server = RedisServer::start(&["--requirepass", "hunter2"]);
    let launch = launch
        .flag(&format!("--redis.addr={}", server.url()))
        .flag("--poll.interval=500ms")
        .variable("REDIS_PASSWORD_FILE", path.to_str().unwrap());
    let mut exporter = launch.start();
    // Opening a pipe without a writer blocks forever, like a file on a dead mount.
    std::fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    server.ask_as("hunter2", &["CLIENT", "KILL", "TYPE", "normal"]);
    exporter.until_failed("timeout");
    exporter.polls(2);
    let took = ends_well(&mut exporter, "TERM");
    assert!(took < Duration::from_secs(1) + slack(), "{took:?}");
}

#[test]
fn shutdown_finishes_scrapes_despite_stuck_clients() {
    let server = RedisServer::start(&[]);
    let mut exporter = Exporter::of(&server);
    let connect = || TcpStream::connect(("127.0.0.1", exporter.port)).unwrap();
    // One client sends nothing, one sends half a request, and one never reads.
    let _silent = connect();
    let mut half = connect();
    half.write_all(b"GET /metrics HTTP/1.1\r\nHost:").unwrap();
    let mut deaf = connect();
    for _ in 0..200 {
        deaf.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
    }
    exporter.page();
    ends_well(&mut exporter, "TERM");
    let mut rest = Vec::new();
    let _ = deaf.read_to_end(&mut rest);
    assert!(
        rest.starts_with(b"HTTP/1.1 200 OK"),
        "a complete request got no response"
    );
}

#[test]
fn second_signal_exits_at_once() {
    let server = RedisServer::start(&[]);
    let mut exporter = Exporter::of(&server);
    // Delays the shutdown of the first signal.
    let mut half = TcpStream::connect(("127.0.0.1", exporter.port)).unwrap();
    half.write_all(b"GET /metrics HTTP/1.1\r\nHost:").unwrap();
    exporter.page();
    exporter.process.signal("TERM");
    crate::support::until(LONG, "the log line about the shutdown", || {
        exporter
            .log()
            .contains("a second signal exits at once")
            .then_some(())
    });
    exporter.process.signal("TERM");
    let (status, took) = exporter.process.wait(END + slack());
    assert!(took < Duration::from_millis(500) + slack(), "{took:?}");
    assert_eq!(status.code(), Some(1), "requests in progress are lost");
}
