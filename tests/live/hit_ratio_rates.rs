//! The hit ratio with default settings at low and high read rates. Compares INFO, which other
//! dashboards show, and the page with an application that counts its own hits and misses.
//!
//! The error is as small in windows of less than a minute: 35 s at 10 reads/s, and 5 s at thousands
//! of reads. In 35 s, one lookup of the sweep changes the ratio by 0.29 points, and two by too much.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::keys;
use crate::support::redis::Client;
use crate::support::sweep::NAMESPACES;
use crate::support::{Exporter, Launch, Page, RedisServer};

const POINTS: f64 = 0.3;

const SECOND: Duration = Duration::from_secs(1);

/// The windows in which the ratio must be right, in seconds.
const FEW_READS: [usize; 2] = [35, MINUTE as usize];
const MANY_READS: [usize; 2] = [5, MINUTE as usize];
const MINUTE: u32 = 60;

/// Pairs of reads in a fifth of a second that make 10,000 reads in a second.
const MANY_PAIRS: usize = 1_000;

/// Hits and misses.
type Lookups = [f64; 2];

fn difference(after: Lookups, before: Lookups) -> Lookups {
    [after[0] - before[0], after[1] - before[1]]
}

fn percent([hits, misses]: Lookups) -> f64 {
    hits / (hits + misses) * 100.0
}

/// An application that reads at a constant rate. Either every second read finds a key, or none
/// does.
struct Application {
    stream: TcpStream,
    monitor: Client,
    finds: bool,
    own: Lookups,
}

impl Application {
    fn of(server: &RedisServer, finds: bool) -> Self {
        Self {
            stream: TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap(),
            monitor: Client::connect(server.port).unwrap(),
            finds,
            own: [0.0; 2],
        }
    }

    /// Sends two reads in one pipeline.
    fn read_twice(&mut self, times: usize) {
        let first = if self.finds { "hit" } else { "miss" };
        let request = format!("GET {first}\r\nGET miss\r\n").repeat(times);
        self.stream.write_all(request.as_bytes()).unwrap();
        let reply = if self.finds { "$1\r\nx\r\n" } else { "$-1\r\n" };
        let mut replies = vec![0; (reply.len() + "$-1\r\n".len()) * times];
        self.stream.read_exact(&mut replies).unwrap();
        assert!(replies.starts_with(reply.as_bytes()));
        let times = f64::from(u32::try_from(times).unwrap());
        self.own[usize::from(!self.finds)] += times;
        self.own[1] += times;
    }

    /// Returns the counters of INFO, right after the reads of the application.
    fn in_info(&mut self) -> Lookups {
        let info = self.monitor.ask(&["INFO", "stats"]);
        ["keyspace_hits", "keyspace_misses"].map(|field| {
            let mut lines = info.lines();
            let value = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
            value.unwrap().parse().unwrap()
        })
    }

    /// Reads for this many seconds, with this many pairs of reads in each fifth of a second.
    /// Returns its own lookups and those in INFO, before the first second and after each second.
    fn run(&mut self, seconds: u32, pairs: usize) -> Vec<(Lookups, Lookups)> {
        let mut samples = vec![(self.own, self.in_info())];
        let started = Instant::now();
        for second in 1..=seconds {
            for part in 1..=5 {
                self.read_twice(pairs);
                let next = started + SECOND * (second - 1) + SECOND / 5 * part;
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            samples.push((self.own, self.in_info()));
        }
        samples
    }
}

/// Compares the ratio in INFO with the application's own, over each window of these lengths.
fn assert_right_in_info(samples: &[(Lookups, Lookups)], windows: [usize; 2]) {
    let pairs = windows.iter().flat_map(|seconds| {
        assert!(samples.len() > *seconds, "no window of {seconds} s");
        let windows = samples.windows(seconds + 1);
        windows.map(|window| (window[0], window[window.len() - 1]))
    });
    for ((own_before, before), (own, now)) in pairs {
        let (own, now) = (difference(own, own_before), difference(now, before));
        let points = (percent(now) - percent(own)).abs();
        assert!(
            points <= POINTS,
            "{now:?} in INFO, {own:?} of the application"
        );
    }
}

fn lookups(page: &Page) -> Lookups {
    ["redis_keyspace_hits_total", "redis_keyspace_misses_total"].map(|name| page.value(name, &[]))
}

fn induced(page: &Page) -> f64 {
    let induced = page.all("redis_exporter_sweep_induced_lookups_total", &[]);
    induced.iter().sum()
}

/// Returns an up-to-date page.
fn page(exporter: &Exporter) -> Page {
    exporter.polls(2);
    exporter.until("a poll", Page::is_up)
}

/// Waits until the page shows exactly the lookups that the application has counted since `before`,
/// and never more. The application reads nothing in the meantime.
fn assert_right_on_page(exporter: &Exporter, before: Lookups, own: Lookups) {
    exporter.until("the lookups of the application", |page| {
        if !page.is_up() {
            return false;
        }
        let shown = difference(lookups(page), before);
        assert!(
            shown[0] <= own[0] && shown[1] <= own[1],
            "{shown:?} on the page, {own:?} of the application"
        );
        shown == own
    });
}

fn server() -> RedisServer {
    let server = RedisServer::start(&[]);
    keys::write(
        &server,
        0,
        5_000,
        "call('SET', 'session:' .. i, 'here', 'EX', 3600)",
    );
    server.ask(&["SET", "hit", "x"]);
    server.ask(&["CONFIG", "RESETSTAT"]);
    server
}

/// Starts an exporter in the third second of what the application reads.
fn start_while_it_reads(
    server: &RedisServer,
    application: &mut Application,
    pairs: usize,
) -> (Exporter, Vec<(Lookups, Lookups)>) {
    thread::scope(|scope| {
        let exporter = scope.spawn(|| {
            thread::sleep(2 * SECOND);
            start(server)
        });
        let samples = application.run(MINUTE + 3, pairs);
        (exporter.join().unwrap(), samples)
    })
}

fn start(server: &RedisServer) -> Exporter {
    Launch::configured(&format!(
        "poll: {{ interval: 1s, timeout: 1s }}\nsweep: {{ enabled: true }}\n{NAMESPACES}\
         targets: [{{ name: cache, url: '{}' }}]\n",
        server.url()
    ))
    .start()
}

/// Waits until the sweep has caused enough lookups since `start` to show a wrong ratio.
fn assert_telling(exporter: &Exporter, start: &Page) {
    let before = induced(start);
    exporter.until("enough lookups of the sweep", |page| {
        induced(page) - before >= 10.0
    });
}

/// The exporter starts while the application reads 10 missing keys per second.
fn ten_reads_of_missing_keys() {
    let server = server();
    let mut application = Application::of(&server, false);
    let (exporter, samples) = start_while_it_reads(&server, &mut application, 1);
    assert_right_in_info(&samples, FEW_READS);
    let before = lookups(&page(&exporter));
    let own = application.own;
    application.run(3, 1);
    assert_right_on_page(&exporter, before, difference(application.own, own));
    exporter.until("a lookup of the sweep", |page| induced(page) >= 1.0);
}

/// Traffic begins on a quiet server, and every second read finds its key.
fn ten_reads_begin() {
    let server = server();
    let exporter = start(&server);
    exporter.until("a lookup on the quiet server", |page| induced(page) >= 2.0);
    let mut application = Application::of(&server, true);
    let before = lookups(&page(&exporter));
    assert_right_in_info(&application.run(MINUTE + 1, 1), FEW_READS);
    assert_right_on_page(&exporter, before, application.own);
}

/// The exporter starts while the application reads 10,000 times in a second and finds nothing.
fn ten_thousand_reads_of_missing_keys() {
    let server = server();
    let mut application = Application::of(&server, false);
    let (exporter, samples) = start_while_it_reads(&server, &mut application, MANY_PAIRS);
    assert_right_in_info(&samples, MANY_READS);
    let start = page(&exporter);
    let own = application.own;
    application.run(3, MANY_PAIRS);
    let own = difference(application.own, own);
    assert_right_on_page(&exporter, lookups(&start), own);
    assert_telling(&exporter, &start);
}

/// The statistics are reset while the application reads 10,000 times in a second. It finds nothing
/// at first, and then half of the keys.
fn ten_thousand_reads_after_a_reset() {
    let server = server();
    let mut application = Application::of(&server, false);
    let exporter = start(&server);
    application.run(3, MANY_PAIRS);
    server.ask(&["CONFIG", "RESETSTAT"]);
    let start = page(&exporter);
    let own = application.own;
    let mut samples = application.run(MINUTE / 2, MANY_PAIRS);
    application.finds = true;
    samples.extend(
        application
            .run(MINUTE / 2 + 1, MANY_PAIRS)
            .into_iter()
            .skip(1),
    );
    assert_right_in_info(&samples, MANY_READS);
    let own = difference(application.own, own);
    assert_right_on_page(&exporter, lookups(&start), own);
    assert_telling(&exporter, &start);
}

#[test]
fn hit_ratio_in_info_is_accurate_at_any_read_rate() {
    thread::scope(|scope| {
        let cases = [
            ten_reads_of_missing_keys,
            ten_reads_begin,
            ten_thousand_reads_of_missing_keys,
            ten_thousand_reads_after_a_reset,
        ];
        for case in cases {
            scope.spawn(case);
        }
    });
}
