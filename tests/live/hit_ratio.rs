//! Compares the hit and miss counters of the page with those of an application that counts its own.

use std::time::{Duration, Instant};

use crate::support::keys;
use crate::support::redis::Client;
use crate::support::sweep::{self, NAMESPACES, passes};
use crate::support::wait::LONG;
use crate::support::{Exporter, Page, RedisServer};

/// A sweep with as many lookups as possible.
const EXAGGERATED: &str = "cpu_share: 20%, lookup_share: 100%, min_pass_interval: 1s";

const COUNTERS: [&str; 3] = [
    "redis_commands_processed_total",
    "redis_keyspace_hits_total",
    "redis_keyspace_misses_total",
];

/// An application that finds every second key and counts its hits and misses.
struct Application {
    client: Client,
    commands: f64,
    hits: f64,
    misses: f64,
}

impl Application {
    fn of(server: &RedisServer) -> Self {
        Self {
            client: Client::connect(server.port).unwrap(),
            commands: 0.0,
            hits: 0.0,
            misses: 0.0,
        }
    }

    /// Continues with a new connection.
    fn resumed(server: &RedisServer, before: &Self) -> Self {
        Self {
            commands: before.commands,
            hits: before.hits,
            misses: before.misses,
            ..Self::of(server)
        }
    }

    fn get(&mut self, number: u32) {
        let key = format!("session:{}", 2 * number);
        let found = self.client.ask(&["GET", &key]);
        assert_eq!(found, "here");
        let missing = format!("session:{}", 2 * number + 1);
        assert_eq!(self.client.ask(&["GET", &missing]), "");
        self.commands += 2.0;
        self.hits += 1.0;
        self.misses += 1.0;
    }

    /// Reads keys for this long.
    fn run(&mut self, time: Duration, pause: Duration) {
        let started = Instant::now();
        let mut number = 0;
        while started.elapsed() < time {
            number = number % 10_000 + 1;
            self.get(number);
            std::thread::sleep(pause);
        }
    }

    const fn counts(&self) -> [f64; 3] {
        [self.commands, self.hits, self.misses]
    }
}

fn server() -> RedisServer {
    let server = RedisServer::start(&[]);
    keys::write(
        &server,
        0,
        20_000,
        "call('SET', 'session:' .. 2 * i, 'here')",
    );
    server
}

fn counters(page: &Page) -> [f64; 3] {
    COUNTERS.map(|name| page.value(name, &[]))
}

/// Waits until the page shows exactly these counts since `base`.
fn until_exact(exporter: &Exporter, base: [f64; 3], counted: [f64; 3]) {
    let started = Instant::now();
    loop {
        let shown = counters(&exporter.page());
        let shown = [0, 1, 2].map(|at| shown[at] - base[at]);
        if shown == counted {
            return;
        }
        for (name, (shown, counted)) in COUNTERS.iter().zip(shown.iter().zip(&counted)) {
            assert!(shown <= counted, "{name}: {shown} instead of {counted}");
        }
        assert!(
            started.elapsed() < LONG,
            "{COUNTERS:?}: {shown:?} instead of {counted:?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn counters_match_the_application_exactly() {
    let server = server();
    let exporter = sweep::launch(&server, EXAGGERATED, NAMESPACES).start();
    exporter.until("a pass", |page| passes(page) >= 1.0);
    let base = counters(&exporter.polls(2));
    let mut application = Application::of(&server);
    for _ in 0..4 {
        application.run(Duration::from_millis(700), Duration::from_micros(500));
        until_exact(&exporter, base, application.counts());
    }
    exporter.polls(4);
    until_exact(&exporter, base, application.counts());
    let page = exporter.page();
    let literal = page.value("redis_info_keyspace_hits_total", &[]);
    let corrected = page.value("redis_keyspace_hits_total", &[]);
    let induced = [("result", "hit")];
    let induced = page.value("redis_exporter_sweep_induced_lookups_total", &induced);
    assert!(induced > 10_000.0, "only {induced} lookups");
    assert!(literal - corrected > 10_000.0, "{literal} and {corrected}");
}

#[test]
fn increase_is_exact_across_an_exporter_restart() {
    let server = server();
    let mut application = Application::of(&server);
    let mut increase = 0.0;
    for _ in 0..2 {
        let exporter = sweep::launch(&server, EXAGGERATED, NAMESPACES).start();
        let base = counters(&exporter.until("a poll", Page::is_up));
        let before = application.counts();
        application.run(Duration::from_millis(500), Duration::from_micros(500));
        let counted = [0, 1, 2].map(|at| application.counts()[at] - before[at]);
        until_exact(&exporter, base, counted);
        // Prometheus treats a decreased counter as restarted at 0.
        assert!(base[1] <= counted[1], "{base:?}");
        increase += counters(&exporter.page())[1] - base[1];
    }
    assert_eq!(increase, application.hits);
}

#[test]
fn counters_never_decrease_when_server_counters_reset() {
    let mut server = server();
    let exporter = sweep::launch(&server, EXAGGERATED, NAMESPACES).start();
    exporter.polls(2);
    let mut last = counters(&exporter.page());
    let mut check = |exporter: &Exporter| {
        let page = exporter.page();
        if page.is_up() {
            let now = counters(&page);
            for (name, (now, last)) in COUNTERS.iter().zip(now.iter().zip(&last)) {
                assert!(now >= last, "{name}: {now} after {last}");
            }
            last = now;
        }
    };
    let mut application = Application::of(&server);
    application.run(Duration::from_millis(600), Duration::from_millis(1));
    check(&exporter);
    server.ask(&["CONFIG", "RESETSTAT"]);
    application.run(Duration::from_millis(1_200), Duration::from_millis(1));
    exporter.polls(1);
    check(&exporter);
    server.restart(&[]);
    keys::write(
        &server,
        0,
        20_000,
        "call('SET', 'session:' .. 2 * i, 'here')",
    );
    let mut application = Application::of(&server);
    application.run(Duration::from_millis(1_200), Duration::from_millis(1));
    exporter.until("the server", Page::is_up);
    exporter.polls(2);
    check(&exporter);
}

/// Waits until the page shows exactly these hits and misses since `base`, and never more.
fn until_lookups_are_exact(exporter: &Exporter, base: [f64; 3], counted: [f64; 3]) {
    exporter.until("the hits and misses of the application", |page| {
        if !page.is_up() {
            return false;
        }
        let shown = counters(page);
        let shown = [1, 2].map(|at| shown[at] - base[at]);
        let counted = [counted[1], counted[2]];
        assert!(
            shown[0] <= counted[0] && shown[1] <= counted[1],
            "{shown:?} instead of {counted:?}"
        );
        shown == counted
    });
}

#[test]
fn sweep_lookups_without_a_reply_are_subtracted() {
    let server = server();
    let exporter = sweep::launch(&server, EXAGGERATED, NAMESPACES).start();
    exporter.until("a pass", |page| passes(page) >= 1.0);
    let base = counters(&exporter.polls(2));
    let mut application = Application::of(&server);
    for _ in 0..3 {
        application.run(Duration::from_millis(300), Duration::from_micros(500));
        let outages = connection_errors(&exporter.page());
        // Pipelines that the server has already received time out, but it executes them later.
        server.freeze();
        exporter.until("timeouts", |page| {
            !page.is_up() && connection_errors(page) >= outages + 1.0
        });
        server.thaw();
        exporter.until("the sweep", |page| page.is_up() && sweep::goes_on(page));
        exporter.polls(4);
        until_lookups_are_exact(&exporter, base, application.counts());
    }
    for _ in 0..20 {
        server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut application = Application::resumed(&server, &application);
    application.run(Duration::from_millis(300), Duration::from_micros(500));
    exporter.until("the sweep", |page| page.is_up() && sweep::goes_on(page));
    exporter.polls(4);
    until_lookups_are_exact(&exporter, base, application.counts());
}

/// Returns the number of failed polls.
fn connection_errors(page: &Page) -> f64 {
    page.all("redis_exporter_poll_failures_total", &[])
        .iter()
        .sum()
}
