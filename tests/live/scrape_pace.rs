//! Polls follow the scrapes: by default, each scrape shows a new poll.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::http;
use crate::support::prometheus::Prometheus;
use crate::support::redis::Client;
use crate::support::wait::{LONG, slack};
use crate::support::{Exporter, Launch, RedisServer, until};

/// A scrape with a larger delay than this is not punctual.
const PUNCTUAL: Duration = Duration::from_millis(25);

/// Results and timing of one scrape.
#[derive(Clone, Copy, Debug)]
struct Seen {
    poll: f64,
    commands: f64,
    took: Duration,
    /// Whether the scrape was on time. The exporter cannot predict scrapes that a busy machine
    /// delays.
    is_punctual: bool,
}

/// Scrapes at a constant interval after an initial delay.
fn scrape(exporter: &Exporter, after: Duration, every: Duration, times: u32) -> Vec<Seen> {
    let start = Instant::now() + after;
    let scrapes = (0..times).map(|number| {
        let due = start + every * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let started = Instant::now();
        let page = exporter.page();
        Seen {
            poll: page.value("redis_exporter_last_poll_timestamp_seconds", &[]),
            commands: page
                .get("redis_commands_processed_total", &[])
                .unwrap_or_default(),
            took: started.elapsed(),
            is_punctual: started - due < PUNCTUAL,
        }
    });
    scrapes.collect()
}

/// Runs a test while an application sends commands, because the exporter's own commands are not
/// counted.
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

/// Checks that scrapes show a new poll. If the machine was idle, all scrapes but one must.
/// Otherwise two thirds of the punctual scrapes must, or half of all scrapes if too few were
/// punctual. The first scrapes are ignored, because the exporter learns the pace from them. With
/// polls at the default interval, at most one scrape in five would show a new poll.
fn assert_new(seen: &[Seen]) {
    let is_quiet = seen
        .iter()
        .all(|seen| seen.is_punctual && seen.took < PUNCTUAL);
    let all: Vec<&[Seen]> = seen.windows(2).skip(4).collect();
    let is_punctual = |pair: &&&[Seen]| pair.iter().all(|seen| seen.is_punctual);
    let punctual: Vec<&[Seen]> = all.iter().filter(is_punctual).copied().collect();
    let is_new =
        |pair: &&&[Seen]| pair[0].poll < pair[1].poll && pair[0].commands < pair[1].commands;
    let (pairs, part) = if punctual.len() >= 4 {
        (punctual, 3)
    } else {
        (all, 2)
    };
    let new = pairs.iter().filter(is_new).count();
    let missed = if is_quiet { 1 } else { pairs.len() / part };
    let all = pairs.len();
    assert!(new + missed >= all, "{new} of {all} are new: {seen:#?}");
}

/// Starts an exporter with the default poll interval of 15 seconds.
fn with_default_interval(server: &RedisServer, more: &str) -> Exporter {
    Launch::configured(&format!("{more}targets: [{{ url: '{}' }}]\n", server.url())).start()
}

#[test]
fn each_scrape_shows_a_new_poll() {
    let server = RedisServer::start(&[]);
    let exporter = with_default_interval(&server, "");
    under_load(&server, || {
        let seen = scrape(&exporter, Duration::ZERO, Duration::from_secs(1), 24);
        assert_new(&seen);
    });
    server.freeze();
    let frozen = scrape(&exporter, Duration::ZERO, Duration::from_secs(1), 4);
    let longest = frozen.iter().map(|seen| seen.took).max().unwrap();
    assert!(longest < Duration::from_secs(2) + slack(), "{frozen:#?}");
}

#[test]
fn each_scrape_of_two_scrapers_shows_a_new_poll() {
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
                assert_new(&seen);
            }
        });
    });
}

/// Returns the number of polls of a target during this function, and its duration.
fn polls_while(exporter: &Exporter, happens: impl FnOnce()) -> (f64, Duration) {
    let polls = || exporter.page().value("redis_exporter_polls_total", &[]);
    let (before, started) = (polls(), Instant::now());
    happens();
    (polls() - before, started.elapsed())
}

#[test]
fn configured_interval_is_kept_at_any_scrape_rate() {
    let server = RedisServer::start(&[]);
    let set = with_default_interval(&server, "poll: { interval: 3s }\n");
    assert!(set.log().contains("every 3s"), "{}", set.log());
    for (gap, count) in [(1_000, 15), (15, 400)] {
        let gap = Duration::from_millis(gap);
        let (polls, took) = polls_while(&set, || drop(scrape(&set, Duration::ZERO, gap, count)));
        let most = took.as_secs_f64() / 3.0 + 1.5;
        assert!(
            polls <= most,
            "{polls} polls in {took:?}, scraped every {gap:?}"
        );
    }
    let default = with_default_interval(&server, "");
    let log = default.log();
    assert!(log.contains("before each scrape"), "{log}");
    let second = Duration::from_secs(1);
    let (polls, took) = polls_while(&default, || {
        drop(scrape(&default, Duration::ZERO, second, 15));
    });
    // With the interval of 15 s there would be at most two polls.
    assert!(polls >= 4.0, "{polls} polls in {took:?}");
}

#[test]
fn request_loop_does_not_hide_another_scraper() {
    let server = RedisServer::start(&[]);
    let exporter = with_default_interval(&server, "");
    let (end, ended) = mpsc::channel::<()>();
    let port = exporter.port;
    let noise = thread::spawn(move || {
        while ended.recv_timeout(Duration::from_millis(15)) == Err(RecvTimeoutError::Timeout) {
            let agent = "User-Agent: loop\r\n";
            http::send(port, "GET", "/metrics", agent).unwrap();
        }
    });
    let every = Duration::from_secs(2);
    under_load(&server, || {
        let seen = scrape(&exporter, Duration::ZERO, every, 12);
        assert_new(&seen);
    });
    drop(end);
    noise.join().unwrap();
}

#[test]
fn prometheus_sees_a_new_value_at_each_scrape() {
    let server = RedisServer::start(&[]);
    let exporter = with_default_interval(&server, "");
    let prometheus = Prometheus::start("2s", &[("redis", exporter.port, "/metrics")]);
    let over = |function: &str| {
        prometheus.query(&format!(
            "{function}(redis_exporter_last_poll_timestamp_seconds[30s])"
        ))
    };
    let (scrapes, changes) = until(LONG * 4, "a new poll in each scrape", || {
        let (scrapes, changes) = (over("count_over_time")?, over("changes")?);
        (scrapes >= 12.0 && changes + 2.0 >= scrapes).then_some((scrapes, changes))
    });
    let repeated = exporter
        .page()
        .value("redis_exporter_repeated_scrapes_total", &[]);
    assert!(repeated <= scrapes - changes + 4.0, "{repeated}");
}

#[test]
fn scrapes_of_an_unchanged_poll_are_counted() {
    let server = RedisServer::start(&[]);
    let exporter = with_default_interval(&server, "poll: { follow_scrapes: false }\n");
    exporter.within(LONG * 2, "repeats", |page| {
        thread::sleep(Duration::from_millis(300));
        page.value("redis_exporter_repeated_scrapes_total", &[]) >= 5.0
    });
}
