//! Passwords are never shown.

use std::fs;

use crate::support::{Exporter, Launch, Page, RedisServer, http};

const PASSWORD: &str = "hunter2 p@ss/w:rd#1?%&\"'${x} é";
const ENCODED: &str = "hunter2%20p%40ss%2Fw%3Ard%231%3F%25%26%22%27%24%7Bx%7D%20%C3%A9";
/// The password in single-quoted YAML, escaped because variables are expanded.
const IN_YAML: &str = "'hunter2 p@ss/w:rd#1?%&\"''$${x} é'";

fn guarded() -> RedisServer {
    let server = RedisServer::start(&[]);
    let rule = format!(">{PASSWORD}");
    server.ask(&["ACL", "SETUSER", "watcher", "on", &rule, "allkeys", "+@all"]);
    server
}

/// Checks that a text contains neither the password nor a part that would make it easy to guess.
fn assert_hidden(place: &str, text: &str) {
    for part in ["hunter2", "p@ss", "p%40ss", "w:rd", "w%3Ard"] {
        assert!(!text.contains(part), "{place} shows the password: {text}");
    }
}

fn assert_hidden_in_every_response(exporter: &Exporter, server: &RedisServer) {
    let url = format!("redis://watcher:{ENCODED}@{}/0", server.address());
    let raw = format!("redis://watcher:hunter2p@ss@{}", server.address());
    for path in [
        "/".to_owned(),
        "/api/v1/targets".to_owned(),
        format!("/targets/{}", server.address()),
        format!("/api/v1/targets/{}", server.address()),
        format!("/targets/{ENCODED}"),
        format!("/probe?target={url}&debug=1"),
        "/metrics".to_owned(),
        "/-/ready".to_owned(),
        "/health".to_owned(),
        format!("/probe?target={url}"),
        format!("/scrape?target={url}"),
        format!("/probe?target={raw}"),
        format!("/probe?target=redis://watcher:{ENCODED}@elsewhere:1"),
        format!("/probe?target={ENCODED}"),
        format!("/{ENCODED}"),
    ] {
        let response = exporter.get(&path);
        assert_hidden(&path, &response.head);
        assert_hidden(&path, &response.text());
    }
    let authorization = format!("Authorization: Basic {ENCODED}\r\n");
    let response = http::send(exporter.port, "GET", "/metrics", &authorization).unwrap();
    assert_hidden("/metrics", &response.text());
    assert_hidden("the reload", &exporter.reload().text());
}

/// Runs everything that uses the password, with this log level and format.
fn use_passwords(level: &str, format: &str) {
    let server = guarded();
    let exporter = Launch::of(&format!("redis://watcher:{ENCODED}@{}/0", server.address()))
        .flag(&format!("--log-level={level}"))
        .flag(&format!("--log-format={format}"))
        .start();
    exporter.until("the server", Page::is_up);
    assert_hidden_in_every_response(&exporter, &server);
    server.ask(&["ACL", "SETUSER", "watcher", "resetpass", ">other"]);
    server.ask(&["CLIENT", "KILL", "USER", "watcher"]);
    exporter.until_failed("auth");
    assert_hidden_in_every_response(&exporter, &server);
    server.freeze();
    exporter.until_failed("timeout");
    exporter.process.signal("TERM");
    crate::support::until(crate::support::wait::LONG, "the end", || {
        exporter.log().contains("stopped").then_some(())
    });
    let log = exporter.log();
    assert!(
        log.contains("the server is up") && log.contains("auth"),
        "{log}"
    );
    assert_hidden("the log", &log);
}

#[test]
fn text_debug_log_and_responses_hide_passwords() {
    use_passwords("debug", "text");
}

#[test]
fn json_debug_log_and_responses_hide_passwords() {
    use_passwords("debug", "json");
}

#[test]
fn trace_log_hides_passwords() {
    use_passwords("trace", "text");
}

#[test]
fn passwords_from_files_stay_hidden() {
    let server = guarded();
    let good = format!(
        "poll: {{ interval: 500ms }}\nlog: {{ level: debug }}\n\
         targets:\n- name: cache\n  url: '{}'\n  username: watcher\n  password: {IN_YAML}\n",
        server.url()
    );
    let exporter = Launch::configured(&good).start();
    exporter.until("the server", Page::is_up);
    assert_eq!(server.exporter_connections().len(), 1);
    assert_hidden_in_every_response(&exporter, &server);
    for (from, to) in [
        ("  password:", "  pasword:"),
        ("  password:", "  memory_limit:"),
        ("  password:", "  password_file:"),
        ("  password:", "  db:"),
        ("  password:", "  password: x\n  password:"),
        ("  password:", "  - password:"),
        ("watcher", "{ a: b"),
        ("interval: 500ms", "interval: x"),
    ] {
        exporter.reconfigure(&good.replace(from, to));
        let response = exporter.reload();
        assert_eq!(response.status, 500, "{to}");
        assert_hidden(to, &response.text());
    }
}

#[test]
fn subcommands_print_no_passwords() {
    let server = guarded();
    let wrong = ENCODED.replace("%20", "");
    for (password, status) in [(ENCODED, 0), (&wrong, 1)] {
        let url = format!("redis://watcher:{password}@{}", server.address());
        for command in ["check", "once"] {
            let finished = Launch::of(&url)
                .flag("--log-level=debug")
                .flag(command)
                .run();
            assert_eq!(finished.code(), status, "{}", finished.stderr);
            assert_hidden(command, &(finished.stdout + &finished.stderr));
        }
    }
}

#[test]
fn help_and_startup_errors_show_no_passwords() {
    let url = format!("redis://watcher:{PASSWORD}@127.0.0.1");
    let encoded = format!("redis://watcher:{ENCODED}@127.0.0.1");
    for flags in [
        &["--help"][..],
        &["--version"],
        &["check", "--help"],
        &["--colour"],
        &["--redis.addr", &url],
        &["--redis.adr", &encoded],
        &["--config", &encoded],
        &["--redis.addr", &encoded, "--poll.interval=x"],
        &["check", &encoded],
    ] {
        let mut launch = Launch::new()
            .variable("REDIS_URL", &encoded)
            .variable("REDIS_USER", "watcher")
            .variable("REDIS_PASSWORD", PASSWORD);
        for flag in flags {
            launch = launch.flag(flag);
        }
        let finished = launch.run();
        assert_hidden(&flags.join(" "), &(finished.stdout + &finished.stderr));
    }
    for (name, value) in [
        ("REDIS_URL", url.as_str()),
        ("REDIS_ADDR", &url),
        ("REDIS_URL", &encoded.replace("redis:", "gopher:")),
        ("REDIS_URL", &format!("{encoded}/x")),
    ] {
        let finished = Launch::new().variable(name, value).run();
        assert_eq!(finished.code(), 78, "{name}={value}");
        assert_hidden(name, &(finished.stdout + &finished.stderr));
    }
}

#[test]
fn contents_of_password_files_stay_hidden() {
    let server = guarded();
    let launch = Launch::new();
    let file = launch.file("password");
    fs::write(&file, "hunter2 wrong").unwrap();
    let exporter = launch
        .variable("REDIS_URL", &server.url())
        .variable("REDIS_USER", "watcher")
        .variable("REDIS_PASSWORD_FILE", file.to_str().unwrap())
        .flag("--log-level=debug")
        .flag("--poll.interval=300ms")
        .start();
    exporter.until_failed("auth");
    assert_hidden_in_every_response(&exporter, &server);
    assert_hidden("the log", &exporter.log());
}
