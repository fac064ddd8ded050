//! What the walk must not change: who is evicted, who expires, and what INFO says of an
//! application's lookups.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::keys;
use crate::support::sweep::{self, NAMESPACES};
use crate::support::{Exporter, RedisServer};

/// Far more than anybody should give it.
const EXAGGERATED: &str = "cpu_share: 10%, min_pass_interval: 5s";

/// Distinct keys of the application; several times as many as the cache can hold.
const KEYS: u32 = 120_000;
const OPERATIONS: u32 = 400_000;
const AT_ONCE: usize = 50;

/// An application that looks a key up and writes it where it was missing.
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

    /// Whether a reply has a value.
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

/// Numbers up to [`KEYS`], small ones more often: Zipf's law with an exponent of about 1.
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
    // Samples enough to come near true LRU, so that two caches differ by little.
    let arguments = "--maxmemory 26mb --maxmemory-policy allkeys-lru --maxmemory-samples 10";
    RedisServer::start(&arguments.split(' ').collect::<Vec<_>>())
}

fn number(server: &RedisServer, field: &str) -> f64 {
    server.info(field).unwrap().parse().unwrap()
}

#[test]
fn a_full_cache_hits_as_often_with_a_walk_as_without() {
    let (walked, quiet) = (full_cache(), full_cache());
    let mut applications = [Application::of(&walked), Application::of(&quiet)];
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
    let warm = [&walked, &quiet].map(|server| number(server, "keyspace_hits"));
    for application in &mut applications {
        (application.hits, application.misses) = (0, 0);
    }
    let missed = number(&walked, "keyspace_misses");
    let exporter = sweep::launch(&walked, EXAGGERATED, NAMESPACES).start();
    // Buffers of connections count as memory of the cache: both have a poll's.
    let _polled = sweep::launch(&quiet, "enabled: false", NAMESPACES).start();
    exporter.until("a walk", |page| sweep::passes(page) >= 1.0);
    run(&mut applications, OPERATIONS);
    let (page, found, not_found) = settled(&walked, &exporter);
    let [with, without] = applications.each_ref().map(Application::hit_rate);
    assert!(
        (with - without).abs() <= 0.3,
        "{with} % with, {without} % without"
    );
    let induced = |result| {
        page.value(
            "redis_exporter_sweep_induced_lookups_total",
            &[("result", result)],
        )
    };
    assert!(
        induced("hit") > 50_000.0,
        "{} lookups are too few to tell",
        induced("hit")
    );
    assert_eq!(
        found - induced("hit"),
        warm[0] + f64::from(applications[0].hits)
    );
    assert_eq!(
        not_found - induced("miss"),
        missed + f64::from(applications[0].misses)
    );
    assert_eq!(number(&walked, "total_error_replies"), 0.0);
}

/// A page and INFO's hits and misses with no lookup of the walk between them.
fn settled(server: &RedisServer, exporter: &Exporter) -> (crate::support::Page, f64, f64) {
    let lookups = || {
        (
            number(server, "keyspace_hits"),
            number(server, "keyspace_misses"),
        )
    };
    let started = Instant::now();
    loop {
        // The walk rests after a pass, and publishes at its end.
        sweep::more_passes(exporter, 1.0);
        let before = lookups();
        let page = exporter.page();
        std::thread::sleep(Duration::from_millis(100));
        if lookups() == before {
            return (page, before.0, before.1);
        }
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "the walk never rests"
        );
    }
}

#[test]
fn expired_keys_do_not_pile_up_because_of_a_walk() {
    let servers = [RedisServer::start(&[]), RedisServer::start(&[])];
    // Half of the keys stay, and the others run out bit by bit.
    let each = "call('SET', 'session:' .. i, 'x', 'PX', 1000 + (i % 2) * 60000 + i % 7919)";
    for server in &servers {
        keys::write(server, 0, 100_000, each);
    }
    let exporter = sweep::launch(&servers[0], EXAGGERATED, NAMESPACES).start();
    let mut stale = [0.0; 2];
    let mut sizes = [0.0; 2];
    let started = Instant::now();
    let mut looks = 0.0;
    while started.elapsed() < Duration::from_secs(11) {
        for (at, server) in servers.iter().enumerate() {
            stale[at] += number(server, "expired_stale_perc");
            sizes[at] += server.ask(&["DBSIZE"]).parse::<f64>().unwrap();
        }
        looks += 1.0;
        std::thread::sleep(Duration::from_millis(100));
    }
    let [walked, quiet] = stale.map(|sum| sum / looks);
    assert!(
        walked <= quiet + 2.0,
        "{walked} % stale with a walk, {quiet} % without"
    );
    let [walked, quiet] = sizes.map(|sum| sum / looks);
    assert!(
        walked <= quiet * 1.05,
        "{walked} keys with a walk, {quiet} without"
    );
    let [walked, quiet] = servers
        .each_ref()
        .map(|server| number(server, "expired_keys"));
    assert!(quiet > 30_000.0, "{quiet} keys expired");
    assert!(
        walked >= quiet * 0.9,
        "{walked} expired with a walk, {quiet} without"
    );
    assert!(sweep::passes(&exporter.page()) >= 1.0);
}
