//! Reloading the configuration at runtime.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, Page, RedisServer};

fn configuration(targets: &[(&str, &RedisServer)]) -> String {
    let line = |(name, server): &(&str, &RedisServer)| {
        format!("- {{ name: {name}, url: '{}' }}\n", server.url())
    };
    let lines = targets.iter().map(line).collect::<Vec<_>>().concat();
    format!("poll: {{ interval: 500ms }}\ntargets:\n{lines}")
}

fn is_up(page: &Page, name: &str) -> bool {
    page.get("redis_up", &[("target", name)]) == Some(1.0)
}

/// Returns the client id of the exporter's only connection.
fn connection_id(server: &RedisServer, exporter: &Exporter) -> String {
    let connections = server.exporter_connections();
    let log = exporter.log();
    assert_eq!(connections.len(), 1, "{connections:?}\n{log}");
    connections[0].split(' ').next().unwrap().to_owned()
}

fn adds_removes_and_keeps(reload: impl Fn(&Exporter)) {
    let servers = [
        RedisServer::start(&[]),
        RedisServer::start(&[]),
        RedisServer::start(&[]),
    ];
    let [kept, removed, added] = &servers;
    let exporter =
        Launch::configured(&configuration(&[("kept", kept), ("removed", removed)])).start();
    exporter.until("both", |page| is_up(page, "kept") && is_up(page, "removed"));
    let id = connection_id(kept, &exporter);
    exporter.reconfigure(&configuration(&[("added", added), ("kept", kept)]));
    reload(&exporter);
    let page = exporter.until("the new target", |page| is_up(page, "added"));
    assert!(is_up(&page, "kept"));
    assert!(!page.0.contains("\"removed\""), "{}", page.0);
    assert_eq!(page.value("redis_exporter_targets", &[]), 2.0);
    assert_eq!(
        page.value("redis_exporter_config_last_reload_successful", &[]),
        1.0
    );
    let labels = [("target", "kept")];
    let page = exporter.polls_of("kept", 3);
    assert_eq!(connection_id(kept, &exporter), id);
    assert_eq!(page.value("redis_exporter_connects_total", &labels), 1.0);
    crate::support::until(LONG, "the end of the removed connection", || {
        removed.exporter_connections().is_empty().then_some(())
    });
    assert_eq!(exporter.get("/probe?target=removed").status, 404);
    assert_eq!(exporter.get("/probe?target=added").status, 200);
}

#[test]
fn http_reload_adds_removes_and_keeps_targets() {
    adds_removes_and_keeps(|exporter| {
        let response = exporter.reload();
        assert_eq!(response.status, 200);
        assert_eq!(
            response.text().trim(),
            "targets: 1 started, 1 ended, 1 kept"
        );
    });
}

#[test]
fn sighup_adds_removes_and_keeps_targets() {
    adds_removes_and_keeps(|exporter| exporter.process.signal("HUP"));
}

#[test]
fn invalid_file_is_reported_and_changes_nothing() {
    let server = RedisServer::start(&[]);
    let good = configuration(&[("cache", &server)]);
    let exporter = Launch::configured(&good).start();
    exporter.until("the server", |page| is_up(page, "cache"));
    let id = connection_id(&server, &exporter);
    exporter.reconfigure(&good.replace("interval: 500ms", "interval: 500, colour: red"));
    let response = exporter.reload();
    assert_eq!(response.status, 500);
    for part in ["config.yaml", "poll.interval", "`colour`"] {
        assert!(
            response.text().contains(part),
            "{part}: {}",
            response.text()
        );
        assert!(exporter.log().contains(part), "{part}: {}", exporter.log());
    }
    let failed =
        |page: &Page| page.value("redis_exporter_config_last_reload_successful", &[]) == 0.0;
    let page = exporter.until("the failed reload", failed);
    assert!(is_up(&page, "cache"));
    exporter.polls(3);
    assert_eq!(connection_id(&server, &exporter), id);
    exporter.reconfigure(&good);
    assert_eq!(exporter.reload().status, 200);
    exporter.until("the successful reload", |page| !failed(page));
    assert_eq!(connection_id(&server, &exporter), id);
}

#[test]
fn changed_password_opens_a_new_connection() {
    let server = RedisServer::start(&[]);
    server.ask(&[
        "ACL", "SETUSER", "watcher", "on", ">first", ">second", "allkeys", "+@all",
    ]);
    let with = |password: &str| {
        format!(
            "poll: {{ interval: 500ms }}\n\
             targets: [{{ name: cache, url: '{}', username: watcher, password: {password} }}]\n",
            server.url()
        )
    };
    let exporter = Launch::configured(&with("first")).start();
    exporter.until("the server", |page| is_up(page, "cache"));
    let id = connection_id(&server, &exporter);
    exporter.reconfigure(&with("second"));
    assert_eq!(
        exporter.reload().text().trim(),
        "targets: 1 started, 1 ended, 0 kept"
    );
    crate::support::until(LONG, "the new connection alone", || {
        let connections = server.exporter_connections();
        (connections.len() == 1 && !connections[0].starts_with(&format!("{id} "))).then_some(())
    });
}

const PROTECTED: &str =
    "sweep: { enabled: false }\nweb: { basic_auth: { username: user, password: hunter2 } }\n";

/// Requests a reload as the user of [`PROTECTED`].
fn reload_as_user(exporter: &Exporter) -> crate::support::http::Response {
    let header = "Authorization: Basic dXNlcjpodW50ZXIy\r\n";
    crate::support::http::send(exporter.port, "POST", "/-/reload", header).unwrap()
}

#[test]
fn file_without_targets_or_password_is_rejected() {
    let server = RedisServer::start(&[]);
    let good = format!("{PROTECTED}{}", configuration(&[("cache", &server)]));
    let mut exporter = Launch::configured(&good).start_without_waiting();
    let path = exporter.configuration_path();
    crate::support::until(LONG, "a ready exporter", || {
        let ready = crate::support::http::get(exporter.port, "/-/ready").ok()?;
        (ready.status == 200).then_some(())
    });
    let id = connection_id(&server, &exporter);
    for (text, loss) in [
        ("", "is empty"),
        ("# cut\n", "is empty"),
        (PROTECTED, "has no `targets`"),
        (
            good.strip_prefix(PROTECTED).unwrap(),
            "has no `web.basic_auth`",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        let response = reload_as_user(&exporter);
        assert_eq!(response.status, 500, "{text:?}: {}", response.text());
        assert!(response.text().contains(loss), "{}", response.text());
        assert_eq!(exporter.get("/metrics").status, 401, "{text:?}");
    }
    assert_eq!(connection_id(&server, &exporter), id);
    std::fs::write(&path, &good).unwrap();
    let response = reload_as_user(&exporter);
    assert_eq!(
        response.text().trim(),
        "targets: 0 started, 0 ended, 1 kept"
    );
    assert!(exporter.process.ended().is_none());
}

/// Writes a file in parts, without waiting as long as the exporter does between two readings. False
/// if the machine was so busy that it did.
fn write_in_parts(path: &Path, whole: &str) -> bool {
    let mut file = std::fs::File::create(path).unwrap();
    let mut longest = Duration::ZERO;
    for part in whole.as_bytes().chunks(whole.len() / 12) {
        let started = Instant::now();
        file.write_all(part).unwrap();
        std::thread::sleep(Duration::from_millis(80));
        longest = longest.max(started.elapsed());
    }
    longest < Duration::from_millis(200)
}

#[test]
fn partly_written_file_is_read_once_complete() {
    let servers = [RedisServer::start(&[]), RedisServer::start(&[])];
    let [first, second] = &servers;
    let whole = configuration(&[("first", first), ("second", second)]);
    let whole = format!("sweep: {{ enabled: false }}\n{whole}");
    crate::support::until(LONG, "a file that is written without a stop", || {
        let exporter = Launch::configured(&configuration(&[("first", first)])).start();
        let path = exporter.configuration_path();
        let text = whole.clone();
        let writer = std::thread::spawn(move || write_in_parts(&path, &text));
        crate::support::until(LONG, "the first bytes", || {
            let text = std::fs::read_to_string(exporter.configuration_path()).unwrap();
            let is_begun = !text.is_empty() && text.len() < whole.len() / 2;
            (is_begun || writer.is_finished()).then_some(())
        });
        let response = exporter.reload();
        let is_steady = writer.join().unwrap();
        if !is_steady {
            return None;
        }
        assert_eq!(
            response.text().trim(),
            "targets: 1 started, 0 ended, 1 kept"
        );
        exporter.until("both", |page| is_up(page, "first") && is_up(page, "second"));
        Some(())
    });
}

#[test]
fn reloads_are_same_site_rate_limited_and_optional() {
    let server = RedisServer::start(&[]);
    let good = configuration(&[("cache", &server)]);
    let exporter = Launch::configured(&good).start();
    let ask = |header: &str| {
        crate::support::http::send(exporter.port, "POST", "/-/reload", header)
            .unwrap()
            .status
    };
    assert_eq!(ask("Origin: http://evil.example\r\n"), 403);
    assert_eq!(ask("Sec-Fetch-Site: cross-site\r\n"), 403);
    assert_eq!(ask("Origin: http://localhost\r\n"), 200);
    crate::support::until(LONG, "the limit", || (ask("") == 429).then_some(()));
    exporter.reconfigure(&format!("web: {{ reload: false }}\n{good}"));
    exporter.process.signal("HUP");
    crate::support::until(LONG, "the end of reloads", || {
        (ask("") == 403).then_some(())
    });
    exporter.reconfigure(&good);
    exporter.process.signal("HUP");
    crate::support::until(LONG, "the refusal", || {
        exporter.log().contains("has no `web.reload`").then_some(())
    });
    assert_eq!(ask(""), 403);
    exporter.reconfigure(&format!("web: {{ reload: true }}\n{good}"));
    exporter.process.signal("HUP");
    crate::support::until(LONG, "reloads again", || (ask("") != 403).then_some(()));
}
