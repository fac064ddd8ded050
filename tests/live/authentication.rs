//! Usernames and passwords from every source.

use std::fs;

use crate::support::{Exporter, Launch, Page, RedisServer};

/// Contains special characters of URLs, YAML and shells.
const PASSWORD: &str = "p@ss/w:rd#1?%&\"'${x} é";
const ENCODED: &str = "p%40ss%2Fw%3Ard%231%3F%25%26%22%27%24%7Bx%7D%20%C3%A9";

/// Starts a server that rejects all commands without a password.
fn guarded() -> RedisServer {
    let server = RedisServer::start(&[]);
    set_password(&server, PASSWORD);
    server
}

fn set_password(server: &RedisServer, password: &str) {
    let rule = format!(">{password}");
    server.ask(&[
        "ACL", "SETUSER", "watcher", "reset", "on", &rule, "allkeys", "+@all",
    ]);
}

fn assert_used(exporter: &Exporter, server: &RedisServer) {
    exporter.until("the server", Page::is_up);
    let connections = server.exporter_connections();
    assert_eq!(connections.len(), 1);
    assert!(connections[0].contains(" user=watcher "), "{connections:?}");
}

#[test]
fn credentials_are_read_from_the_url() {
    let server = guarded();
    let url = format!("redis://watcher:{ENCODED}@{}/0", server.address());
    assert_used(&Launch::of(&url).start(), &server);
}

#[test]
fn credentials_are_read_from_the_environment() {
    let server = guarded();
    let exporter = Launch::new()
        .variable("REDIS_ADDR", &server.address())
        .variable("REDIS_USER", "watcher")
        .variable("REDIS_PASSWORD", PASSWORD)
        .variable("REDIS_EXPORTER_POLL_INTERVAL", "500ms")
        .start();
    assert_used(&exporter, &server);
}

#[test]
fn url_with_credentials_is_read_from_the_environment() {
    let server = guarded();
    let url = format!("redis://watcher:{ENCODED}@{}/0", server.address());
    assert_used(&Launch::new().variable("REDIS_URL", &url).start(), &server);
}

/// Encodes every character for a URL.
fn encoded(password: &str) -> String {
    let bytes = password.bytes().map(|byte| format!("%{byte:02X}"));
    bytes.collect()
}

#[test]
fn special_characters_of_passwords_work_in_every_source() {
    let server = guarded();
    let address = server.address();
    for password in [
        "/",
        "/run/secrets/redis",
        "@",
        "a:6379/0",
        "%2F",
        "100%",
        "#",
        "?",
        "a:b@c:1/0?d#e%40",
    ] {
        set_password(&server, password);
        let environment = |name: &str, value: &str| {
            Launch::new()
                .variable("REDIS_ADDR", &address)
                .variable("REDIS_USER", "watcher")
                .variable(name, value)
        };
        let url = format!("redis://watcher:{}@{address}", encoded(password));
        let target = |option: &str| {
            let entry = format!("url: 'redis://{address}', username: watcher, {option}");
            Launch::configured(&format!("targets: [{{ {entry} }}]\n"))
        };
        let folder = Launch::new();
        let file = folder.file("password");
        fs::write(&file, format!("{password}\n")).unwrap();
        let file = file.to_str().unwrap();
        for (source, launch) in [
            ("the URL", Launch::of(&url)),
            ("REDIS_PASSWORD", environment("REDIS_PASSWORD", password)),
            (
                "REDIS_PASSWORD_FILE",
                environment("REDIS_PASSWORD_FILE", file),
            ),
            ("password", target(&format!("password: '{password}'"))),
            ("password_file", target(&format!("password_file: {file}"))),
        ] {
            let finished = launch.flag("once").run();
            let output = (&finished.stdout, &finished.stderr);
            assert_eq!(finished.code(), 0, "{password:?} in {source}: {output:?}");
            assert!(finished.stdout.contains("\nredis_up"), "{output:?}");
        }
    }
}

#[test]
fn password_alone_authenticates_the_default_user() {
    let server = RedisServer::start(&["--requirepass", "only-a-password"]);
    let exporter = Launch::of(&format!("redis://:only-a-password@{}", server.address())).start();
    exporter.until("the server", Page::is_up);
}

#[test]
fn changed_password_file_is_used_at_next_connect() {
    let server = guarded();
    let launch = Launch::new();
    let file = launch.file("password");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let exporter = launch
        .variable("REDIS_URL", &server.url())
        .variable("REDIS_USER", "watcher")
        .variable("REDIS_PASSWORD_FILE", file.to_str().unwrap())
        .flag("--poll.interval=500ms")
        .start();
    assert_used(&exporter, &server);
    set_password(&server, "another");
    server.ask(&["CLIENT", "KILL", "USER", "watcher"]);
    exporter.until_failed("auth");
    fs::write(&file, "another").unwrap();
    exporter.until("the server with the new password", Page::is_up);
    fs::remove_file(&file).unwrap();
    server.ask(&["CLIENT", "KILL", "USER", "watcher"]);
    exporter.until_failed("auth");
    assert!(
        exporter.log().contains("password file"),
        "{}",
        exporter.log()
    );
}

#[test]
fn wrong_password_is_logged_once_until_it_works() {
    let server = guarded();
    let exporter = Launch::of(&format!("redis://watcher:wrong@{}", server.address())).start();
    let page = exporter.until_failed("auth");
    assert!(page.get("redis_uptime_in_seconds", &[]).is_none());
    assert!(page.value("redis_exporter_poll_failures_total", &[("reason", "auth")]) >= 1.0);
    assert_eq!(
        page.value(
            "redis_exporter_poll_failures_total",
            &[("reason", "timeout")]
        ),
        0.0
    );
    set_password(&server, "wrong");
    exporter.until("the server", Page::is_up);
    let log = exporter.log();
    assert_eq!(
        log.matches("the poll failed").count(),
        1,
        "one line for a change of state: {log}"
    );
}

#[test]
fn missing_password_is_reported_as_auth_failure() {
    let server = RedisServer::start(&["--requirepass", "needed"]);
    Exporter::of(&server).until_failed("auth");
}
