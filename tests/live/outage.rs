//! Servers that die, freeze, load, or have too many clients.

use std::time::{Duration, Instant};

use crate::support::wait::{LONG, slack, throughout};
use crate::support::{Exporter, Launch, Page, RedisServer};

fn poll_time(page: &Page) -> f64 {
    page.value("redis_exporter_last_poll_timestamp_seconds", &[])
}

#[test]
fn killed_server_goes_down_and_up_within_one_interval() {
    let mut server = RedisServer::start(&[]);
    let exporter = Launch::new()
        .flag(&format!("--redis.addr={}", server.url()))
        .flag("--poll.interval=1s")
        .flag("--poll.timeout=500ms")
        .start();
    let interval = Duration::from_secs(1);
    assert!(exporter.page().is_up());
    for _ in 0..2 {
        server.kill();
        let page = exporter.within(interval + slack(), "the failure", |page| {
            page.failure().is_some()
        });
        let reason = page.failure().unwrap();
        assert!(["closed", "refused"].contains(&reason.as_str()), "{reason}");
        assert!(page.get("redis_uptime_in_seconds", &[]).is_none());
        // Configured values are known even if the server is down, because alert rules compare with
        // them.
        assert_eq!(page.value("redis_exporter_poll_interval_seconds", &[]), 1.0);
        // Long enough that an unlimited backoff would have grown beyond the interval.
        exporter.polls(3);
        exporter.until_failed("refused");
        server.restart(&[]);
        exporter.within(interval + slack(), "the server", Page::is_up);
    }
}

/// Durations of scrapes, and of simple requests that do not show a poll.
#[derive(Debug, Default)]
struct Times {
    scrapes: Vec<Duration>,
    others: Vec<Duration>,
}

/// Scrapes, and records how long that took.
fn scrape(exporter: &Exporter, times: &mut Times) -> Page {
    let started = Instant::now();
    exporter.get("/-/healthy");
    times.others.push(started.elapsed());
    let started = Instant::now();
    let page = exporter.page();
    times.scrapes.push(started.elapsed());
    page
}

/// Checks that scrapes do not wait for the poll's timeout of 500 ms. A busy machine may delay a few
/// of them, and other requests as well.
fn assert_prompt(times: &Times) {
    let slow = |times: &[Duration], limit| {
        let limit = Duration::from_millis(limit);
        times.iter().filter(|time| **time > limit).count()
    };
    let Times { scrapes, others } = times;
    let all = scrapes.len();
    assert!(
        slow(scrapes, 400) <= all / 20 + 2 * slow(others, 200),
        "{times:?}"
    );
    assert!(
        slow(scrapes, 100) <= all / 5 + 2 * slow(others, 50),
        "{times:?}"
    );
}

/// Freezes the server and returns how long it takes until the page reports it.
fn time_to_detect(server: &RedisServer, exporter: &Exporter, times: &mut Times) -> Duration {
    server.freeze();
    let frozen = Instant::now();
    loop {
        let page = scrape(exporter, times);
        if let Some(reason) = page.failure() {
            assert_eq!(reason, "timeout");
            assert_eq!(page.value("redis_up", &[]), 0.0);
            assert!(page.get("redis_uptime_in_seconds", &[]).is_none());
            return frozen.elapsed();
        }
        assert!(frozen.elapsed() < LONG, "the freeze was not detected");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn frozen_after(delay_of: impl Fn() -> Duration) {
    let server = RedisServer::start(&[]);
    let exporter = Launch::new()
        .flag(&format!("--redis.addr={}", server.url()))
        .flag("--poll.interval=2s")
        .flag("--poll.timeout=500ms")
        .start();
    for _ in 0..2 {
        let before = poll_time(&exporter.until("the server", Page::is_up));
        exporter.until("the next poll", |page| poll_time(page) > before);
        throughout(delay_of(), || assert!(exporter.page().is_up()));
        let mut times = Times::default();
        let took = time_to_detect(&server, &exporter, &mut times);
        let limit = Duration::from_secs(2) + slack();
        assert!(took < limit, "detected after {took:?}");
        throughout(Duration::from_secs(1), || {
            assert!(!scrape(&exporter, &mut times).is_up());
        });
        assert_prompt(&times);
        server.thaw();
        exporter.until("the server again", Page::is_up);
    }
    let connections = server.exporter_connections();
    assert_eq!(connections.len(), 1, "there is a leaked connection");
}

#[test]
fn freeze_after_a_poll_is_detected_within_one_interval() {
    frozen_after(|| Duration::ZERO);
}

#[test]
fn freeze_at_any_moment_is_detected_within_one_interval() {
    frozen_after(|| Duration::from_millis(fastrand::u64(100..1900)));
}

#[test]
fn loading_server_is_up_and_keeps_its_connection() {
    let mut server = RedisServer::start(&["--enable-debug-command", "yes"]);
    server.ask(&["DEBUG", "POPULATE", "4000", "key", "100"]);
    server.ask(&["SAVE"]);
    // 4000 keys at 1 ms each. The server handles clients after about every KiB.
    server.restart(&[
        "--key-load-delay",
        "1000",
        "--loading-process-events-interval-bytes",
        "1024",
    ]);
    let exporter = Exporter::of(&server);
    let page = exporter.page();
    assert_eq!(page.failure(), None);
    assert_eq!(page.value("redis_up", &[]), 1.0);
    assert_eq!(page.value("redis_loading_dump_file", &[]), 1.0);
    let page = exporter.until("the end of loading", |page| {
        page.get("redis_loading_dump_file", &[]) == Some(0.0)
    });
    assert_eq!(page.value("redis_db_keys", &[("db", "db0")]), 4000.0);
    let page = exporter.polls(1);
    assert!(
        page.label_values("redis_exporter_collector_success", "collector", 0.0)
            .is_empty()
    );
    page.value("redis_config_maxclients", &[]);
    page.value("redis_exporter_last_scrape_ping_time_seconds", &[]);
    assert_eq!(page.value("redis_exporter_connects_total", &[]), 1.0);
}

#[test]
fn maxclients_is_reported_until_there_is_room() {
    let server = RedisServer::start(&[]);
    let mut held = crate::support::redis::Client::connect(server.port).unwrap();
    held.ask(&["CONFIG", "SET", "maxclients", "1"]);
    let exporter = Exporter::of(&server);
    let page = exporter.until_failed("maxclients");
    assert!(
        page.value(
            "redis_exporter_poll_failures_total",
            &[("reason", "maxclients")]
        ) >= 1.0
    );
    held.ask(&["CONFIG", "SET", "maxclients", "100"]);
    exporter.until("the server", Page::is_up);
}

#[test]
fn dead_and_frozen_targets_do_not_affect_others() {
    let (mut dead, frozen, well) = (
        RedisServer::start(&[]),
        RedisServer::start(&[]),
        RedisServer::start(&[]),
    );
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\ntargets:\n\
         - {{ name: dead, url: '{}' }}\n- {{ name: frozen, url: '{}' }}\n- {{ name: well, url: '{}' }}\n",
        dead.url(),
        frozen.url(),
        well.url()
    ))
    .start();
    let up = |page: &Page, name: &str| page.get("redis_up", &[("target", name)]) == Some(1.0);
    exporter.until("all", |page| {
        ["dead", "frozen", "well"].iter().all(|name| up(page, name))
    });
    dead.kill();
    frozen.freeze();
    exporter.until("two targets to be down", |page| {
        !up(page, "dead") && !up(page, "frozen")
    });
    let mut monitor = crate::support::redis::Client::connect(well.port).unwrap();
    monitor.ask(&["MONITOR"]);
    throughout(Duration::from_secs(4), || {
        let page = exporter.page();
        assert!(up(&page, "well") && !up(&page, "dead") && !up(&page, "frozen"));
        let well = [("target", "well")];
        let duration = page.value("redis_exporter_last_scrape_duration_seconds", &well);
        let limit = slack().as_secs_f64();
        assert!(duration < limit, "a poll took {duration} s");
    });
    well.ask(&["ECHO", "the end"]);
    let times = poll_times(&mut monitor);
    assert!(times.len() >= 3, "{times:?}");
    for pair in times.windows(2) {
        let gap = pair[1] - pair[0];
        assert!(
            gap < (Duration::from_millis(500) + slack()).as_secs_f64(),
            "{gap} s between polls"
        );
    }
}

/// Returns the times of all INFO commands, by the server's clock, up to the mark in the output of
/// MONITOR.
fn poll_times(monitor: &mut crate::support::redis::Client) -> Vec<f64> {
    let mut times = Vec::new();
    loop {
        let line = monitor.reply().unwrap().unwrap();
        if line.contains("the end") {
            return times;
        }
        if line.contains("] \"INFO\" ") {
            times.push(line.split(' ').next().unwrap().parse().unwrap());
        }
    }
}

#[test]
fn busy_server_is_down_until_its_script_ends() {
    let server = RedisServer::start(&["--busy-reply-threshold", "100"]);
    let exporter = Exporter::of(&server);
    exporter.until("the server", Page::is_up);
    let mut endless = crate::support::redis::Client::connect(server.port).unwrap();
    let script = std::thread::spawn(move || endless.try_ask(&["EVAL", "while true do end", "0"]));
    let page = exporter.until("a failure", |page| page.failure().is_some());
    assert_eq!(page.value("redis_up", &[]), 0.0);
    exporter.until_failed("other");
    assert!(exporter.log().contains("BUSY"), "{}", exporter.log());
    server.ask(&["SCRIPT", "KILL"]);
    exporter.until("the server again", Page::is_up);
    assert!(script.join().unwrap().unwrap().is_err());
}

/// Returns how long the current function has been running.
fn running(page: &Page) -> Option<f64> {
    page.get("redis_function_running_seconds", &[("function", "endless")])
}

#[test]
fn long_running_function_is_named() {
    let server = RedisServer::start(&["--busy-reply-threshold", "100"]);
    let library = "#!lua name=lib\nredis.register_function{function_name='endless', \
        callback=function() while true do end end, flags={'no-writes'}}";
    server.ask(&["FUNCTION", "LOAD", library]);
    let exporter = Exporter::of(&server);
    exporter.until("the server", Page::is_up);
    let mut caller = crate::support::redis::Client::connect(server.port).unwrap();
    let call = std::thread::spawn(move || caller.try_ask(&["FCALL", "endless", "0"]));
    let page = exporter.until("the function", |page| running(page).is_some());
    assert_eq!(page.value("redis_up", &[]), 0.0);
    let first = running(&page).unwrap();
    assert!(first > 0.1, "{first}");
    exporter.until("a longer run time", |page| running(page) > Some(first));
    assert!(exporter.log().contains("function endless has been running"));
    server.ask(&["FUNCTION", "KILL"]);
    call.join().unwrap().unwrap().unwrap_err();
    let page = exporter.until("the server", Page::is_up);
    assert_eq!(running(&page), None);
}

#[test]
fn denied_function_stats_is_sent_once() {
    let server = RedisServer::start(&["--busy-reply-threshold", "100"]);
    let rules = ["on", ">secret", "~*", "&*", "+@all", "-function|stats"];
    server.ask(&[&["ACL", "SETUSER", "exporter"], &rules[..]].concat());
    let url = format!("redis://exporter:secret@{}", server.address());
    let exporter = Launch::of(&url).start();
    exporter.until("the server", Page::is_up);
    let mut endless = crate::support::redis::Client::connect(server.port).unwrap();
    let script = std::thread::spawn(move || endless.try_ask(&["EVAL", "while true do end", "0"]));
    exporter.until_failed("other");
    exporter.polls(4);
    server.ask(&["SCRIPT", "KILL"]);
    script.join().unwrap().unwrap().unwrap_err();
    exporter.until("the server", Page::is_up);
    assert_eq!(server.info("errorstat_NOPERM").as_deref(), Some("count=1"));
}
