//! Polls follow the scrapes: each scrape shows a new poll, whatever interval is configured.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::prometheus::Prometheus;
use crate::support::redis::Client;
use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, RedisServer, until};

/// What one scrape showed, and when it came.
#[derive(Clone, Copy, Debug)]
struct Seen {
    poll: f64,
    commands: f64,
    took: Duration,
}

/// Scrapes at a steady interval, starting after a time.
fn scrape(exporter: &Exporter, after: Duration, every: Duration, times: u32) -> Vec<Seen> {
    let start = Instant::now() + after;
    let scrapes = (0..times).map(|number| {
        thread::sleep((start + every * number).saturating_duration_since(Instant::now()));
        let started = Instant::now();
        let page = exporter.page();
        Seen {
            poll: page.value("redis_exporter_last_poll_timestamp_seconds", &[]),
            commands: page
                .get("redis_commands_processed_total", &[])
                .unwrap_or_default(),
            took: started.elapsed(),
        }
    });
    scrapes.collect()
}

/// Runs a test while an application sends commands: those of the exporter are not counted.
fn under_load(server: &RedisServer, test: impl FnOnce()) {
    let (end, ended) = mpsc::channel::<()>();
    let port = server.port;
    let load = thread::spawn(move || {
        let mut client = Client::connect(port).unwrap();
        while ended.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout) {
            client.ask(&["SET", "key", "value"]);
        }
    });
    test();
    drop(end);
    load.join().unwrap();
}

/// How many of the scrapes showed a poll that the one before had not, of how many. The first ones
/// teach the pace.
fn new_polls(seen: &[Seen]) -> (usize, usize) {
    let pairs = seen.windows(2).skip(4);
    let is_new =
        |pair: &&[Seen]| pair[0].poll < pair[1].poll && pair[0].commands < pair[1].commands;
    (pairs.clone().filter(is_new).count(), pairs.count())
}

/// Nothing about polls is configured: the interval is 15 seconds.
fn with_default_interval(server: &RedisServer, more: &str) -> Exporter {
    Launch::configured(&format!("{more}targets: [{{ url: '{}' }}]\n", server.url())).start()
}

#[test]
fn each_scrape_shows_a_new_poll() {
    let server = RedisServer::start(&[]);
    let exporter = with_default_interval(&server, "");
    under_load(&server, || {
        let seen = scrape(&exporter, Duration::ZERO, Duration::from_secs(1), 16);
        let (new, all) = new_polls(&seen);
        assert!(new + 1 >= all, "{new} of {all} are new: {seen:#?}");
    });
    server.freeze();
    let frozen = scrape(&exporter, Duration::ZERO, Duration::from_secs(1), 4);
    let longest = frozen.iter().map(|seen| seen.took).max().unwrap();
    assert!(longest < Duration::from_secs(2), "{frozen:#?}");
}

#[test]
fn each_scrape_of_a_pair_of_scrapers_shows_a_new_poll() {
    let server = RedisServer::start(&[]);
    let exporter = with_default_interval(&server, "");
    let every = Duration::from_secs(3);
    under_load(&server, || {
        thread::scope(|scope| {
            let scrapers: Vec<_> = [0, 900]
                .map(|phase| {
                    let exporter = &exporter;
                    scope.spawn(move || scrape(exporter, Duration::from_millis(phase), every, 10))
                })
                .into();
            for scraper in scrapers {
                let seen = scraper.join().unwrap();
                let (new, all) = new_polls(&seen);
                assert!(new + 1 >= all, "{new} of {all} are new: {seen:#?}");
            }
        });
    });
}

#[test]
fn prometheus_finds_a_new_value_at_each_scrape() {
    let server = RedisServer::start(&[]);
    let exporter = with_default_interval(&server, "");
    let prometheus = Prometheus::start("2s", &[("redis", exporter.port, "/metrics")]);
    let over = |function: &str| {
        prometheus.query(&format!(
            "{function}(redis_exporter_last_poll_timestamp_seconds[30s])"
        ))
    };
    let (scrapes, changes) = until(LONG * 4, "scrapes that all show a new poll", || {
        let (scrapes, changes) = (over("count_over_time")?, over("changes")?);
        (scrapes >= 12.0 && changes + 2.0 >= scrapes).then_some((scrapes, changes))
    });
    let repeated = exporter
        .page()
        .value("redis_exporter_repeated_scrapes_total", &[]);
    assert!(repeated <= scrapes - changes + 4.0, "{repeated}");
}

#[test]
fn scrapes_that_show_the_same_poll_are_counted() {
    let server = RedisServer::start(&[]);
    let exporter = with_default_interval(&server, "poll: { follow_scrapes: false }\n");
    exporter.within(LONG * 2, "repeats", |page| {
        thread::sleep(Duration::from_millis(300));
        page.value("redis_exporter_repeated_scrapes_total", &[]) >= 5.0
    });
}
