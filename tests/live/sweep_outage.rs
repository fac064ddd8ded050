//! Sweeps of servers that freeze, restart, or save.

use std::time::Duration;

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::redis::Client;
use crate::support::sweep::{self, FULL_SPEED, NAMESPACES, of, passes};
use crate::support::wait::{LONG, throughout};
use crate::support::{Page, RedisServer, until};

/// Returns whether the target is down and its sweep metrics are absent.
fn is_down(page: &Page) -> bool {
    !page.is_up() && !page.0.contains("redis_key_namespace_keys{")
}

#[test]
fn sweep_stops_on_a_freeze_and_resumes_after_it() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 5_000, FIVE_KINDS);
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    exporter.until("a pass", |page| passes(page) >= 1.0);
    server.freeze();
    exporter.until("the failure", is_down);
    until(LONG, "the end of the sweep", || {
        exporter.log().contains("the sweep failed").then_some(())
    });
    server.thaw();
    let page = exporter.until("a sweep", |page| page.is_up() && sweep::goes_on(page));
    let page = exporter.until("another pass", |later| passes(later) > passes(&page));
    assert_eq!(of(&page, "keys", "session"), 1_000.0);
    assert_eq!(sweep::connections(&server).len(), 1);
}

#[test]
fn sweep_names_the_password_that_a_reconnect_lacks() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 5_000, FIVE_KINDS);
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    exporter.until("a pass", |page| passes(page) >= 1.0);
    let mut client = Client::connect(server.port).unwrap();
    client.ask(&["CONFIG", "SET", "requirepass", "hunter2"]);
    client.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    until(LONG, "the end of the sweep", || {
        exporter.log().contains("the sweep failed").then_some(())
    });
    let log = exporter.log();
    assert!(log.contains("requires a password"), "{log}");
    assert!(!log.contains("another server responded"), "{log}");
}

#[test]
fn sweep_resumes_after_server_restart() {
    let mut server = RedisServer::start(&[]);
    keys::write(&server, 0, 5_000, FIVE_KINDS);
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    exporter.until("a pass", |page| passes(page) >= 1.0);
    server.kill();
    exporter.until("the failure", is_down);
    server.restart(&[]);
    keys::write(&server, 0, 300, "call('SET', 'session:' .. i, 1)");
    exporter.until("the new keys", |page| {
        page.is_up()
            && sweep::goes_on(page)
            && page.get("redis_key_namespace_keys", &[("key_namespace", "session")]) == Some(300.0)
            && page.get(
                "redis_key_namespace_keys_error",
                &[("key_namespace", "session")],
            ) == Some(0.0)
    });
}

#[test]
fn frozen_replica_stops_the_sweep_but_not_the_poll() {
    let primary = RedisServer::start(&[]);
    let replica = RedisServer::start(&[]);
    keys::write(&replica, 0, 5_000, FIVE_KINDS);
    let settings = format!("{FULL_SPEED}, from: '{}'", replica.url());
    let exporter = sweep::launch(&primary, &settings, NAMESPACES).start();
    exporter.until("a pass", |page| passes(page) >= 1.0);
    replica.freeze();
    let page = exporter.until("the failure", |page| {
        page.get("redis_exporter_sweep_success", &[]) == Some(0.0)
    });
    assert_eq!(of(&page, "keys", "session"), 1_000.0, "known values stay");
    let age = |page: &Page| page.value("redis_exporter_sweep_estimate_age_seconds", &[]);
    exporter.until("an older estimate", |later| {
        assert!(later.is_up());
        age(later) > age(&page) + 1.0
    });
    replica.thaw();
    exporter.until("a sweep", |page| {
        assert!(page.is_up());
        sweep::goes_on(page)
    });
    assert_eq!(
        exporter.page().value(
            "redis_exporter_poll_failures_total",
            &[("reason", "timeout")]
        ),
        0.0
    );
}

/// Kills the connection of the sweep and waits for the next one. Runs a check until then.
fn kill_the_sweep(server: &RedisServer, check: impl Fn()) {
    let line = until(LONG, "the connection of the sweep", || {
        sweep::connections(server).pop()
    });
    let id = line.split(' ').next().and_then(|id| id.strip_prefix("id="));
    let id = id.expect("CLIENT LIST begins with the id");
    server.ask(&["CLIENT", "KILL", "ID", id]);
    until(LONG, "another connection", || {
        check();
        let lines = sweep::connections(server);
        (lines.len() == 1 && !lines[0].starts_with(&format!("id={id} "))).then_some(())
    });
}

#[test]
fn estimates_survive_a_reconnect_in_the_first_pass() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 200_000, FIVE_KINDS);
    let slow = "cpu_share: 1%, first_keys: 0, min_pass_interval: 1s";
    let exporter = sweep::launch(&server, slow, NAMESPACES).start();
    let is_shown = |page: &Page| page.0.contains("redis_key_namespace_keys{");
    exporter.until("an estimate", is_shown);
    let check = || {
        let page = exporter.page();
        assert!(is_shown(&page), "the namespaces vanished:\n{}", page.0);
        assert_eq!(passes(&page), 0.0, "the pass is too short for this test");
    };
    for _ in 0..3 {
        kill_the_sweep(&server, check);
        throughout(Duration::from_millis(1_500), check);
    }
}

#[test]
fn killed_sweep_connection_does_not_affect_the_poll() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 5_000, FIVE_KINDS);
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    exporter.until("a pass", |page| passes(page) >= 1.0);
    for _ in 0..3 {
        kill_the_sweep(&server, || assert!(exporter.page().is_up()));
    }
    let page = sweep::more_passes(&exporter, 1.0);
    assert_eq!(page.value("redis_exporter_connects_total", &[]), 1.0);
    assert_eq!(server.info("total_error_replies").unwrap(), "0");
}

#[test]
fn sweep_waits_for_the_end_of_a_save() {
    // The child process writes slowly, so that the save takes long.
    let server = RedisServer::start(&["--rdb-key-save-delay", "10000"]);
    keys::write(&server, 0, 300, "call('SET', 'session:' .. i, 1)");
    let settings = "cpu_share: 100%, min_pass_interval: 1s, while_saving: false";
    let exporter = sweep::launch(&server, settings, NAMESPACES).start();
    exporter.until("a pass", |page| passes(page) >= 1.0);
    server.ask(&["BGSAVE"]);
    let scans = || sweep::in_record(&server, "cmdstat_scan", "calls");
    let saves = || server.info("rdb_bgsave_in_progress").as_deref() == Some("1");
    assert!(saves());
    // The sweep may finish a step that began before the save.
    std::thread::sleep(Duration::from_millis(1_200));
    let before = scans();
    throughout(Duration::from_secs(1), || {
        assert!(saves(), "the save is too short for this test");
        assert_eq!(scans(), before);
    });
    let page = exporter.page();
    assert!(sweep::goes_on(&page));
    let age = |page: &Page| page.value("redis_exporter_sweep_estimate_age_seconds", &[]);
    exporter.until("an older estimate", |later| age(later) > age(&page));
    until(LONG, "the end of the save", || (!saves()).then_some(()));
    sweep::more_passes(&exporter, 1.0);
}
