//! Addresses without a usable Redis server.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::support::{Exporter, Launch, RedisServer, port};

/// Starts an exporter of this address and waits for its first poll.
fn exporter_of(address: &str) -> Exporter {
    Launch::of(address).start()
}

/// Starts a listener that calls this function for each connection, and returns its URL.
fn listener(serve: impl Fn(std::net::TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // The thread ends with the test process.
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    address.to_string()
}

#[test]
fn closed_port_is_reported_as_refused() {
    exporter_of(&format!("127.0.0.1:{}", port::free())).until_failed("refused");
}

#[test]
fn missing_socket_file_is_reported_as_refused() {
    let exporter = exporter_of("unix:///nowhere/redis.sock");
    exporter.until_failed("refused");
    let log = exporter.log();
    assert!(log.contains("check the path of the socket"), "{log}");
}

#[test]
fn unknown_host_name_is_reported_as_dns_failure() {
    let exporter = Launch::new()
        .flag("--redis.addr=redis://does-not-exist.invalid:6379")
        .flag("--poll.interval=10s")
        .flag("--poll.timeout=10s")
        .start();
    exporter.until_failed("dns");
}

#[test]
fn web_server_is_reported_as_protocol_failure() {
    let address = listener(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    exporter_of(&address).until_failed("protocol");
}

#[test]
fn silent_listener_is_reported_as_timeout() {
    let held = std::sync::Mutex::new(Vec::new());
    let address = listener(move |stream| held.lock().unwrap().push(stream));
    exporter_of(&address).until_failed("timeout");
}

#[test]
fn hangup_is_reported_as_closed_connection() {
    exporter_of(&listener(drop)).until_failed("closed");
}

#[test]
fn endless_garbage_is_reported_as_protocol_failure() {
    let address = listener(|mut stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});
    exporter_of(&address).until_failed("protocol");
}

#[test]
fn endless_reply_is_cut_off_early() {
    let address = listener(|mut stream| {
        // Replies to CLIENT SETNAME, then starts an endless reply to PING that claims to be 4 GB.
        for reply in [&b"+OK\r\n"[..], b"$4000000000\r\n"] {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(reply);
        }
        while stream.write_all(&[b'x'; 1 << 14]).is_ok() {}
    });
    let exporter = Launch::new()
        .flag(&format!("--redis.addr={address}"))
        .flag("--poll.interval=20s")
        .flag("--poll.timeout=20s")
        .start();
    assert_eq!(exporter.page().failure().as_deref(), Some("protocol"));
    let resident = exporter.page().value("process_resident_memory_bytes", &[]);
    assert!(resident < 400e6, "{resident} bytes");
}

#[test]
fn tls_to_a_plain_port_fails_promptly() {
    let server = RedisServer::start(&[]);
    let exporter = exporter_of(&format!("rediss://{}", server.address()));
    let reason = exporter
        .until("a failure", |page| page.failure().is_some())
        .failure()
        .unwrap();
    assert!(
        ["tls", "timeout", "closed"].contains(&reason.as_str()),
        "{reason}"
    );
    let log = exporter.log();
    assert!(log.contains("redis://"), "{log}");
    assert!(log.contains("expects TLS"), "{log}");
}

#[test]
fn missing_database_is_named_in_the_log() {
    let server = RedisServer::start(&["--databases", "2"]);
    let exporter = exporter_of(&format!("{}/3", server.url()));
    exporter.until_failed("other");
    let log = exporter.log();
    assert!(log.contains("DB index is out of range"), "{log}");
    assert!(log.contains("check the number of the database"), "{log}");
}
