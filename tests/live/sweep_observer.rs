//! The sweep must not change which keys are evicted, when keys expire, or the application's hit
//! ratio in INFO.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::keys;
use crate::support::sweep::{self, NAMESPACES};
use crate::support::wait::{LONG, slack};
use crate::support::{Page, RedisServer};

/// A far larger budget than anybody should configure.
const EXAGGERATED: &str = "cpu_share: 10%, min_pass_interval: 5s";

/// The same budget for a single pass, after which the sweep is idle.
const ONE_PASS: &str = "cpu_share: 10%, min_pass_interval: 1h";

/// Number of distinct keys of the application, several times as many as fit into the cache.
const KEYS: u32 = 120_000;
const OPERATIONS: u32 = 400_000;
const AT_ONCE: usize = 50;

/// An application that looks up keys and writes those that are missing.
struct Application {
    stream: BufReader<TcpStream>,
    hits: u32,
    misses: u32,
}

impl Application {
    fn of(server: &RedisServer) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
            hits: 0,
            misses: 0,
        }
    }

    fn send(&mut self, commands: &[Vec<String>]) {
        let mut bytes = String::new();
        for words in commands {
            bytes.push_str(&["*", &words.len().to_string(), "\r\n"].concat());
            for word in words {
                let length = word.len().to_string();
                bytes.push_str(&["$", &length, "\r\n", word, "\r\n"].concat());
            }
        }
        self.stream.get_mut().write_all(bytes.as_bytes()).unwrap();
    }

    /// Reads a reply and returns whether it has a value.
    fn has_value(&mut self) -> io::Result<bool> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        assert!(!line.starts_with('-'), "{line}");
        if let Some(length) = line.strip_prefix('$')
            && !length.starts_with('-')
        {
            let length: usize = length.trim_end().parse().unwrap();
            self.stream.read_exact(&mut vec![0; length + 2])?;
            return Ok(true);
        }
        Ok(line.starts_with('+'))
    }

    fn look_up(&mut self, numbers: &[u32]) {
        let key = |number: &u32| format!("api:cache:{number}");
        let gets = numbers.iter().map(|number| vec!["GET".into(), key(number)]);
        self.send(&gets.collect::<Vec<_>>());
        let mut missed = Vec::new();
        for number in numbers {
            if self.has_value().unwrap() {
                self.hits += 1;
            } else {
                self.misses += 1;
                missed.push(vec!["SET".into(), key(number), "v".repeat(600)]);
            }
        }
        self.send(&missed);
        for _ in &missed {
            assert!(self.has_value().unwrap());
        }
    }

    fn hit_rate(&self) -> f64 {
        f64::from(self.hits) / f64::from(self.hits + self.misses) * 100.0
    }
}

/// Returns a random number up to [`KEYS`]. Small numbers are more frequent: Zipf's law with an
/// exponent of about 1.
fn zipf(random: &mut fastrand::Rng) -> u32 {
    let most = f64::from(KEYS).ln();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and the number of keys"
    )]
    let number = (random.f64() * most).exp() as u32;
    number
}

fn full_cache() -> RedisServer {
    // Enough samples to approximate true LRU, so that two caches differ little.
    let arguments = "--maxmemory 26mb --maxmemory-policy allkeys-lru --maxmemory-samples 10";
    RedisServer::start(&arguments.split(' ').collect::<Vec<_>>())
}

fn number(server: &RedisServer, field: &str) -> f64 {
    server.info(field).unwrap().parse().unwrap()
}

#[test]
fn sweep_does_not_lower_the_hit_rate_of_a_full_cache() {
    let (swept, quiet) = (full_cache(), full_cache());
    let mut applications = [Application::of(&swept), Application::of(&quiet)];
    let mut random = fastrand::Rng::with_seed(7);
    let mut run = |applications: &mut [Application; 2], operations: u32| {
        for _ in 0..operations as usize / AT_ONCE {
            let numbers: Vec<u32> = (0..AT_ONCE).map(|_| zipf(&mut random)).collect();
            for application in applications.iter_mut() {
                application.look_up(&numbers);
            }
        }
    };
    run(&mut applications, OPERATIONS);
    assert!(
        number(&quiet, "evicted_keys") > 1_000.0,
        "the cache is not full"
    );
    let warm = [&swept, &quiet].map(|server| number(server, "keyspace_hits"));
    for application in &mut applications {
        (application.hits, application.misses) = (0, 0);
    }
    let missed = number(&swept, "keyspace_misses");
    let exporter = sweep::launch(&swept, ONE_PASS, NAMESPACES).start();
    // Connection buffers count as memory of the cache, so both servers are polled.
    let _polled = sweep::launch(&quiet, "enabled: false", NAMESPACES).start();
    let started = Instant::now();
    while sweep::passes(&exporter.page()) < 1.0 {
        run(&mut applications, OPERATIONS / 20);
        assert!(started.elapsed() < LONG, "the pass does not end");
    }
    run(&mut applications, OPERATIONS);
    let [with, without] = applications.each_ref().map(Application::hit_rate);
    assert!(
        (with - without).abs() <= 0.3,
        "{with} % with, {without} % without"
    );
    let induced = |page: &Page, result| {
        page.value(
            "redis_exporter_sweep_induced_lookups_total",
            &[("result", result)],
        )
    };
    // The sweep is idle now. Once this condition is met, it has published everything.
    let own_hits = warm[0] + f64::from(applications[0].hits);
    let own_misses = missed + f64::from(applications[0].misses);
    let page = exporter.until("the application's own hits and misses", |page| {
        page.is_up()
            && number(&swept, "keyspace_hits") - induced(page, "hit") == own_hits
            && number(&swept, "keyspace_misses") - induced(page, "miss") == own_misses
    });
    let lookups = induced(&page, "hit");
    assert!(lookups > 20_000.0, "only {lookups} lookups");
    assert_eq!(number(&swept, "total_error_replies"), 0.0);
}

/// Number of keys before the others are written.
const INITIAL: u32 = 500;

/// Writes keys of which half stay, while the others expire gradually within nine seconds. Returns
/// the seconds until few expired keys are left, and their average percentage of all keys over
/// twenty seconds. Redis leaves a tenth of them for later, which takes minutes.
fn expire(server: &RedisServer) -> [f64; 2] {
    const FEW_LEFT: f64 = 60_500.0;
    const WATCHED: Duration = Duration::from_secs(20);
    let each = "call('SET', 'session:' .. i, 'x', 'PX', i % 2 == 0 and 9000000 or 1000 + i % 7919)";
    // Within a script, time does not advance.
    let begun = Instant::now();
    keys::write(server, 0, 100_000, each);
    let (mut stale, mut samples, mut took) = (0.0, 0.0, None);
    while took.is_none() || begun.elapsed() < WATCHED {
        let keys: f64 = server.ask(&["DBSIZE"]).parse().unwrap();
        if keys <= FEW_LEFT {
            took.get_or_insert(begun.elapsed());
        }
        if samples == 0.0 || begun.elapsed() < WATCHED {
            stale += number(server, "expired_stale_perc");
            samples += 1.0;
        }
        assert!(begun.elapsed() < LONG, "{keys} keys are left");
        std::thread::sleep(Duration::from_millis(100));
    }
    [took.unwrap().as_secs_f64(), stale / samples]
}

/// Returns how a sweep delays the removal of expired keys, compared with a server without one.
fn delay_of_removal() -> Option<String> {
    // The sweep of an empty server waits for up to half a minute.
    let start = || {
        let server = RedisServer::start(&[]);
        keys::write(&server, 0, INITIAL, "call('SET', 'websocket:' .. i, 1)");
        server
    };
    let servers = [start(), start()];
    let exporter = sweep::launch(&servers[0], EXAGGERATED, NAMESPACES).start();
    exporter.until("a first pass", |page| sweep::passes(page) >= 1.0);
    // Both run at the same time: writing takes long on a busy machine, and keys expire during it.
    let [swept, quiet] = std::thread::scope(|scope| {
        let running = servers
            .each_ref()
            .map(|server| scope.spawn(|| expire(server)));
        running.map(|thread| thread.join().unwrap())
    });
    println!("seconds and percent stale: {swept:?} with a sweep, {quiet:?} without");
    let visited = exporter
        .page()
        .value("redis_exporter_sweep_keys_visited_total", &[]);
    // On a busy machine, the pass ends later.
    assert!(visited >= 5_000.0, "{visited} keys");
    sweep::more_passes(&exporter, 1.0);
    let is_late = swept[0] > quiet[0] * 1.5 + 2.0 + 2.0 * slack().as_secs_f64();
    let is_stale = swept[1] > quiet[1] * 1.5 + 2.0;
    (is_late || is_stale).then(|| format!("{swept:?} with a sweep, {quiet:?} without"))
}

/// Redis removes expired keys for a limited time ten times a second. A machine that suspends one of the
/// servers in these times slows it down, but not three times the one with the sweep.
#[test]
fn sweep_does_not_delay_removal_of_expired_keys() {
    let delays: Vec<String> = (0..3).map_while(|_| delay_of_removal()).collect();
    assert!(
        delays.len() < 3,
        "seconds until few keys are left, and percent stale: {delays:?}"
    );
}
