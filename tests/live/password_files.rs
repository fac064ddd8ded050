//! Password files: which formats are read, and which contents are never sent to a server.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::{Launch, Page, RedisServer};

/// Files in unsupported formats that may contain the secrets of several servers.
const SEVERAL: [&str; 10] = [
    "\u{feff}{\n  \"redis://127.0.0.1:1\": \"hunter2\",\n}\n",
    "// redis passwords\n{\n  \"redis://127.0.0.1:1\": \"hunter2\"\n}\n",
    "redis://127.0.0.1:1: hunter2\nredis://other:6379: hunter3\n",
    "redis://127.0.0.1:1: hunter2\n",
    "# first line\nhunter2\n",
    "[{\"host\": \"h\", \"password\": \"hunter2\"}]\n",
    "{cache-a: hunter2, cache-b: hunter3}\n",
    "cache-a=hunter2,cache-b=hunter3\n",
    "'cache-a': 'hunter2'\n",
    "REDIS_PASSWORD=hunter2\n",
];

/// Starts a listener that records the bytes it receives and then closes the connection.
fn recorder() -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let received = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&received);
    // The thread ends with the test process.
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).unwrap_or_default();
            record.lock().unwrap().extend_from_slice(&bytes[..read]);
            let _ = stream.write_all(b"-WRONGPASS no\r\n");
        }
    });
    (port, received)
}

#[test]
fn files_with_several_secrets_prevent_startup() {
    for text in SEVERAL {
        let (port, received) = recorder();
        let launch = Launch::new();
        let file = launch.file("password");
        fs::write(&file, text).unwrap();
        let finished = launch
            .variable("REDIS_URL", &format!("redis://127.0.0.1:{port}"))
            .variable("REDIS_PASSWORD_FILE", file.to_str().unwrap())
            .run();
        assert_eq!(finished.code(), 78, "{text}: {}", finished.stderr);
        let stderr = &finished.stderr;
        assert!(stderr.starts_with("REDIS_PASSWORD_FILE: "), "{stderr}");
        assert!(stderr.contains("JSON map"), "{stderr}");
        assert!(!stderr.contains("hunter"), "{stderr}");
        assert!(received.lock().unwrap().is_empty());
    }
}

#[test]
fn files_with_several_secrets_are_never_sent() {
    let (port, received) = recorder();
    let launch = Launch::new();
    let file = launch.file("password");
    fs::write(&file, "first-password\n").unwrap();
    let exporter = launch
        .variable("REDIS_URL", &format!("redis://127.0.0.1:{port}"))
        .variable("REDIS_PASSWORD_FILE", file.to_str().unwrap())
        .flag("--poll.interval=300ms")
        .start();
    exporter.until_failed("auth");
    let text =
        |bytes: &Mutex<Vec<u8>>| String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned();
    assert!(text(&received).contains("first-password\r\n"));
    for several in SEVERAL {
        fs::write(&file, several).unwrap();
        exporter.polls(3);
        assert!(!text(&received).contains("hunter"), "{several}");
    }
    exporter.until_failed("auth");
    assert!(!exporter.log().contains("hunter"), "{}", exporter.log());
}

#[test]
fn map_with_byte_order_mark_is_read() {
    let server = RedisServer::start(&["--requirepass", "hunter2"]);
    let launch = Launch::new();
    let file = launch.file("passwords.json");
    let map = format!("\u{feff}{{\r\n\"{}\": \"hunter2\"\r\n}}\r\n", server.url());
    fs::write(&file, map).unwrap();
    let exporter = launch
        .variable("REDIS_URL", &server.url())
        .variable("REDIS_PASSWORD_FILE", file.to_str().unwrap())
        .start();
    exporter.until("the server is up", Page::is_up);
}

#[test]
fn map_without_the_server_logs_the_missing_key() {
    let server = RedisServer::start(&[]);
    let launch = Launch::new();
    let file = launch.file("passwords.json");
    fs::write(&file, "{\"rediss://127.0.0.1:1\": \"hunter2\"}").unwrap();
    let exporter = launch
        .variable("REDIS_URL", &server.url())
        .variable("REDIS_PASSWORD_FILE", file.to_str().unwrap())
        .start();
    assert!(exporter.page().is_up());
    let (log, url) = (exporter.log(), server.url());
    let expected = format!("REDIS_PASSWORD_FILE has no entry for {url}, so no password is sent");
    assert!(log.contains(&expected), "{log}");
    assert!(log.contains("for another port"), "{log}");
    assert!(!log.contains("hunter"), "{log}");
}

#[test]
fn removed_map_entry_is_named_when_login_fails() {
    let server = RedisServer::start(&["--requirepass", "hunter2"]);
    let launch = Launch::new();
    let file = launch.file("passwords.json");
    let map = format!("{{\"{}\": \"hunter2\"}}", server.url());
    fs::write(&file, map).unwrap();
    let exporter = launch
        .variable("REDIS_URL", &server.url())
        .variable("REDIS_PASSWORD_FILE", file.to_str().unwrap())
        .flag("--poll.interval=300ms")
        .start();
    exporter.until("the server is up", Page::is_up);
    fs::write(&file, "{\"redis://127.0.0.1:1\": \"hunter3\"}").unwrap();
    server.ask_as("hunter2", &["CLIENT", "KILL", "TYPE", "normal"]);
    exporter.until_failed("auth");
    let log = exporter.log();
    let url = server.url();
    assert!(log.contains("the server requires a password"), "{log}");
    assert!(log.contains(&format!("has no entry for {url}")), "{log}");
    assert!(log.contains("the key of one would be"), "{log}");
    assert!(!log.contains("hunter"), "{log}");
}

#[test]
fn quoted_password_is_sent_unchanged_with_a_hint() {
    let server = RedisServer::start(&[]);
    server.ask(&["CONFIG", "SET", "requirepass", "'hunter2'"]);
    let launch = Launch::new();
    let file = launch.file("password");
    fs::write(&file, "'hunter2'\n").unwrap();
    let exporter = launch
        .variable("REDIS_URL", &server.url())
        .variable("REDIS_PASSWORD_FILE", file.to_str().unwrap())
        .start();
    exporter.until("the server is up", Page::is_up);
    assert!(exporter.log().contains("REDIS_PASSWORD_FILE is in quotes"));
}
