//! The estimated hit ratios with half and twice the memory, compared with servers that have it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::redis::Client;
use crate::support::sweep::{self, FULL_SPEED, NAMESPACES};
use crate::support::wait::{End, LONG, until};
use crate::support::{Exporter, Page, RedisServer};

/// The keys that clients read.
#[derive(Clone, Copy, Debug)]
enum Reads {
    /// Some are more popular than others.
    Zipf,
    /// The popular ones change, and a tenth of the reads scans further keys in a loop.
    DriftAndScan,
    /// As in the first one, with TTLs of 30 to 90 seconds.
    Ttls,
}

/// Names, sizes and speed of the reads.
#[derive(Clone, Copy, Debug)]
struct Load {
    reads: Reads,
    universe: u32,
    /// Exponent of a uniform number whose product with `universe` is the rank of a key.
    skew: i32,
    /// Time between two batches of 40 reads.
    every: Duration,
}

impl Load {
    fn key(&self, random: &mut fastrand::Rng, started: Instant, read: u64) -> String {
        let rank = f64::from(self.universe) * random.f64().powi(self.skew);
        match self.reads {
            Reads::DriftAndScan if random.f64() < 0.1 => {
                format!("websocket:{}", read % u64::from(self.universe / 6))
            }
            Reads::DriftAndScan => {
                let moved = rank + 20.0 * started.elapsed().as_secs_f64();
                format!("session:{:.0}", moved % f64::from(self.universe))
            }
            Reads::Zipf | Reads::Ttls => format!("session:{rank:.0}"),
        }
    }

    /// Applies the same reads to all servers, and writes the keys that are missing in each.
    fn run(&self, servers: &[&RedisServer], done: &AtomicBool) {
        let mut clients: Vec<Client> = servers
            .iter()
            .map(|server| Client::connect(server.port).unwrap())
            .collect();
        let further = match self.reads {
            Reads::Ttls => ", 'PX', 30000 + tonumber(string.match(key, '%d+')) * 40503 % 60000",
            Reads::Zipf | Reads::DriftAndScan => "",
        };
        let script = format!(
            "for _, key in ipairs(KEYS) do if not redis.call('GET', key) then \
             redis.call('SET', key, string.rep('s', 150){further}) end end"
        );
        let mut random = fastrand::Rng::with_seed(6);
        let (started, mut next, mut read) = (Instant::now(), Instant::now(), 0);
        while !done.load(Ordering::Relaxed) {
            let names: Vec<String> = (0..40)
                .map(|_| {
                    read += 1;
                    self.key(&mut random, started, read)
                })
                .collect();
            let mut words = vec!["EVAL", &script, "40"];
            words.extend(names.iter().map(String::as_str));
            for client in &mut clients {
                if let Err(error) = client.try_ask(&words).unwrap() {
                    // The newest Redis sometimes frees memory too late for a script that writes.
                    assert!(error.contains("OOM "), "{error}");
                }
            }
            next += self.every;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
}

/// Starts a server for a cache with this many bytes more than it uses at first, and returns its limit.
fn cache(bytes: u64) -> (RedisServer, u64) {
    let server = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]);
    let used: u64 = server.info("used_memory").unwrap().parse().unwrap();
    limit(&server, used + bytes);
    (server, used + bytes)
}

fn limit(server: &RedisServer, bytes: u64) {
    server.ask(&["CONFIG", "SET", "maxmemory", &bytes.to_string()]);
}

fn start(server: &RedisServer) -> Exporter {
    let settings = format!("{FULL_SPEED}, count: 100");
    sweep::launch(server, &settings, NAMESPACES).start()
}

fn evicted(server: &RedisServer) -> f64 {
    server.info("evicted_keys").unwrap().parse().unwrap()
}

fn lookups(server: &RedisServer) -> [f64; 2] {
    let number = |name| server.info(name).unwrap().parse().unwrap();
    [number("keyspace_hits"), number("keyspace_misses")]
}

fn ratio(before: [f64; 2], after: [f64; 2]) -> f64 {
    let [hits, misses] = [after[0] - before[0], after[1] - before[1]];
    hits / (hits + misses)
}

fn estimate(page: &Page, memory: &str) -> Option<(f64, f64)> {
    let label = [("memory", memory)];
    let ratio = page.get("redis_hit_ratio_estimate", &label)?;
    let error = page.get("redis_hit_ratio_estimate_error", &label);
    Some((ratio, error.unwrap_or(0.0)))
}

#[test]
fn hit_ratio_of_twice_the_memory_is_that_of_a_server_with_it() {
    let (whole, bytes) = cache(2_000_000);
    let (double, _) = cache(0);
    limit(&double, 2 * bytes);
    let load = Load {
        reads: Reads::Zipf,
        universe: 40_000,
        skew: 3,
        every: Duration::from_millis(20),
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| load.run(&[&whole, &double], &done));
        until(LONG, "steady evictions", || {
            (evicted(&double) > 2_000.0).then_some(())
        });
        let exporter = start(&whole);
        let before = lookups(&double);
        let page = exporter.within(2 * LONG, "a hit ratio", |page| {
            estimate(page, "2").is_some_and(|(_, error)| error < 0.06)
        });
        let truth = ratio(before, lookups(&double));
        let (ratio, error) = estimate(&page, "2").unwrap();
        let (now, _) = estimate(&page, "1").unwrap();
        println!("{ratio:.3} ± {error:.3}, truly {truth:.3}, now {now:.3}");
        assert!(
            (ratio - truth).abs() < error + 0.03,
            "{ratio} {error} {truth}"
        );
        assert!(now < truth - 0.05, "{now} {truth}");
        // Keys that are written without a miss would look like misses.
        let writes = "for i = 1, 200 do redis.call('SET', 'api:cache:' .. math.random(1e9), i) end";
        exporter.within(LONG, "no estimate", |page| {
            whole.ask(&["EVAL", writes, "0"]);
            estimate(page, "2").is_none()
        });
        done.store(true, Ordering::Relaxed);
    });
}

/// Maximum error of a final estimate.
const ERROR_MAX: f64 = 0.05;

/// Maximum error of any estimate, as a multiple of the shown one. Chance exceeds the shown error once
/// in 20 times, and one and a half times the error once in 300 times.
const OF_SHOWN_ERROR_MAX: f64 = 1.5;

/// Maximum error of the measured ratio of the same minutes, which depends on chance only because they
/// are not exactly the same.
const MEASURED_ERROR_MAX: f64 = 0.03;

/// Number of comparisons, 20 seconds apart. Both estimates are there before the last.
const COMPARISONS: u32 = 9;

const MEMORIES: [&str; 3] = ["0.5", "1", "2"];

/// Compares the estimates for half, the same and twice the memory with the hit ratios of servers that
/// have it. The swept server has lookups of the exporter, so another one has its true hit ratio.
fn estimates_are_right(reads: Reads) {
    let load = Load {
        reads,
        universe: 120_000,
        skew: 5,
        every: Duration::from_micros(13_333),
    };
    let (swept, bytes) = cache(8_000_000);
    let truths = [bytes / 2, bytes, 2 * bytes].map(|bytes| {
        let (server, _) = cache(0);
        limit(&server, bytes);
        server
    });
    let [half, same, double] = &truths;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| load.run(&[&swept, half, same, double], &done));
        let began = Instant::now();
        until(LONG, "steady evictions", || {
            let is_full = evicted(double) > 5_000.0 || began.elapsed().as_secs() > 110;
            is_full.then_some(())
        });
        let exporter = start(&swept);
        let before = truths.each_ref().map(lookups);
        for comparison in 1..=COMPARISONS {
            std::thread::sleep(Duration::from_secs(20));
            let page = exporter.page();
            for ((memory, server), before) in MEMORIES.into_iter().zip(&truths).zip(before) {
                let truth = ratio(before, lookups(server));
                let found = estimate(&page, memory);
                println!("{reads:?} {memory}: {found:.3?}, truly {truth:.3}");
                let is_last = comparison == COMPARISONS;
                assert!(found.is_some() || !is_last, "{}", page.excerpt());
                let Some((ratio, error)) = found else {
                    continue;
                };
                let off = (ratio - truth).abs();
                let most = match memory {
                    "1" => MEASURED_ERROR_MAX,
                    _ if is_last => ERROR_MAX.min(OF_SHOWN_ERROR_MAX * error),
                    _ => OF_SHOWN_ERROR_MAX * error,
                };
                assert!(off <= most, "{memory}: {ratio} ± {error}, truly {truth}");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
#[ignore = "takes 5 minutes"]
fn hit_ratios_of_a_zipf_load_are_right() {
    estimates_are_right(Reads::Zipf);
}

#[test]
#[ignore = "takes 5 minutes"]
fn hit_ratios_of_a_drifting_load_with_scans_are_right() {
    estimates_are_right(Reads::DriftAndScan);
}

#[test]
#[ignore = "takes 5 minutes"]
fn hit_ratios_of_a_load_with_ttls_are_right() {
    estimates_are_right(Reads::Ttls);
}
