//! The hit ratio: the page's counters against an application that counts its own hits and misses.

use std::time::{Duration, Instant};

use crate::support::keys;
use crate::support::redis::Client;
use crate::support::sweep::{self, NAMESPACES, passes};
use crate::support::{Exporter, Page, RedisServer};

/// As many lookups as possible, again and again.
const EXAGGERATED: &str = "cpu_share: 20%, lookup_share: 100%, min_pass_interval: 1s";

const COUNTERS: [&str; 3] = [
    "redis_commands_processed_total",
    "redis_keyspace_hits_total",
    "redis_keyspace_misses_total",
];

/// An application that finds every second key, and counts.
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

    /// Gets keys for a while.
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

/// Waits until the page shows exactly what was counted since `base`.
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
            started.elapsed() < Duration::from_secs(20),
            "{COUNTERS:?}: {shown:?} instead of {counted:?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn counters_are_exactly_those_of_the_application() {
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
    assert!(induced > 10_000.0, "{induced} lookups are too few to tell");
    assert!(literal - corrected > 10_000.0, "{literal} and {corrected}");
}

#[test]
fn increase_is_right_over_a_restart_of_the_exporter() {
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
        // To Prometheus a value that went back began again at 0.
        assert!(base[1] <= counted[1], "{base:?}");
        increase += counters(&exporter.page())[1] - base[1];
    }
    assert_eq!(increase, application.hits);
}

#[test]
fn counters_never_go_back_when_those_of_the_server_do() {
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

#[test]
fn the_ratio_in_info_is_that_of_the_application() {
    let server = server();
    let mut application = Application::of(&server);
    // The application was there before the exporter.
    application.run(Duration::from_millis(500), Duration::ZERO);
    let settings = "cpu_share: 5%, lookup_share: 0.15%, min_pass_interval: 1s";
    let exporter = sweep::launch(&server, settings, NAMESPACES).start();
    exporter.until("the first keys", |page| {
        page.get("redis_exporter_sweep_keys_visited_total", &[])
            .is_some_and(|visited| visited >= 10_000.0)
    });
    application.run(Duration::from_millis(1_500), Duration::from_millis(1));
    let number = |field: &str| server.info(field).unwrap().parse::<f64>().unwrap();
    let lookups = || [number("keyspace_hits"), number("keyspace_misses")];
    let (before, counted) = (lookups(), [application.hits, application.misses]);
    application.run(Duration::from_secs(8), Duration::from_millis(1));
    let after = lookups();
    let hits = after[0] - before[0];
    let ratio = hits / (hits + after[1] - before[1]) * 100.0;
    let own = application.hits - counted[0];
    let truth = own / (own + application.misses - counted[1]) * 100.0;
    assert!(
        (ratio - truth).abs() <= 0.3,
        "{ratio} % instead of {truth} %"
    );
    assert!(own > 500.0, "{own} lookups are too few to tell");
    assert!(hits > own, "no lookup of the sweep");
}
