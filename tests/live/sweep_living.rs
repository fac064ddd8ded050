//! Intervals of a keyspace that does not hold still, against the server's own count.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::redis::Client;
use crate::support::sweep::{self, NAMESPACES, of, passes};
use crate::support::{Page, RedisServer};

/// A pass takes several seconds.
const SLOW: &str = "cpu_share: 3%, first_keys: 0, min_pass_interval: 1s";

const KINDS: [(&str, &str); 5] = [
    ("session", "session:*"),
    ("api-cache", "api:cache:*"),
    ("ratelimit", "ratelimit:*"),
    ("websocket", "websocket:*"),
    ("other", "job*"),
];

/// How many looks make a test, and in how much time at least.
const LOOKS: usize = 25;

/// The keys of all kinds by the server's own count.
fn truth(server: &RedisServer) -> [f64; 5] {
    let count = |(_, pattern): (&str, &str)| format!("#call('KEYS', '{pattern}')");
    let counts = KINDS.map(count).join(" .. ' ' .. ");
    let reply = keys::run(server, 0, &format!("return {counts}"));
    let mut counts = reply.split(' ').map(|count| count.parse().unwrap());
    std::array::from_fn(|_| counts.next().unwrap())
}

/// One look: what was shown of a kind, and what was true then and a second before.
#[derive(Debug)]
struct Look {
    _kind: &'static str,
    shown: f64,
    error: f64,
    least: f64,
    most: f64,
}

impl Look {
    /// A page is up to a second old, so that the truth is anything between two counts.
    fn holds(&self) -> bool {
        self.shown - self.error <= self.most && self.least <= self.shown + self.error
    }
}

fn look(page: &Page, before: [f64; 5], now: [f64; 5]) -> Vec<Look> {
    let each = KINDS.iter().zip(before.into_iter().zip(now));
    each.map(|((kind, _), (before, now))| Look {
        _kind: kind,
        shown: of(page, "keys", kind),
        error: of(page, "keys_error", kind),
        least: before.min(now),
        most: before.max(now),
    })
    .collect()
}

/// Ends the writer also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `change` again and again while an exporter sweeps, and holds what it shows against the
/// truth.
fn held(arguments: &[&str], change: &str) -> Vec<Look> {
    let server = RedisServer::start(arguments);
    keys::write(&server, 0, 50_000, FIVE_KINDS);
    let exporter = sweep::launch(&server, SLOW, NAMESPACES).start();
    let done = AtomicBool::new(false);
    let script = format!("local call = redis.call {change}");
    std::thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| {
            let mut client = Client::connect(server.port).unwrap();
            let mut seed = 0;
            while !done.load(Ordering::Relaxed) {
                seed += 1;
                client.ask(&["EVAL", &script, "0", &seed.to_string()]);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        exporter.until("an estimate", |page| {
            page.0.contains("redis_key_namespace_keys{")
        });
        let mut looks = Vec::new();
        let mut before = truth(&server);
        let started = Instant::now();
        for number in 0.. {
            std::thread::sleep(Duration::from_secs(1));
            let now = truth(&server);
            let page = exporter.page();
            // A busy machine may have cost a poll.
            if page.0.contains("redis_key_namespace_keys{") {
                looks.extend(look(&page, before, now));
            }
            before = now;
            let is_enough = number >= LOOKS && passes(&page) >= 2.0;
            if is_enough || started.elapsed() > Duration::from_mins(2) {
                break;
            }
        }
        looks
    })
}

fn assert_honest(looks: &[Look]) {
    let held = looks.iter().filter(|look| look.holds()).count();
    println!("{held} of {} intervals held the truth", looks.len());
    assert!(looks.iter().any(|look| look.error > 0.0), "{looks:#?}");
    assert!(held * 100 >= looks.len() * 85, "{looks:#?}");
    // An interval that says nothing holds everything.
    let wide = looks
        .iter()
        .filter(|look| look.error > 0.25 * look.most.max(2_000.0));
    assert!(wide.count() * 10 <= looks.len(), "{looks:#?}");
}

const WRITE: &str = "local kind = math.random(5) local i = math.random(1000000000) \
    if kind == 1 then call('SET', 'session:' .. i, 1) \
    elseif kind == 2 then call('SET', 'api:cache:' .. i, 1) \
    elseif kind == 3 then call('SET', 'ratelimit:' .. i, 1) \
    elseif kind == 4 then call('SET', 'websocket:' .. i, 1) \
    else call('SET', 'job' .. i, 1) end";

#[test]
fn intervals_hold_the_truth_while_keys_are_replaced() {
    let change = format!(
        "math.randomseed(ARGV[1]) for n = 1, 40 do \
         call('DEL', call('RANDOMKEY')) {WRITE} end"
    );
    assert_honest(&held(&[], &change));
}

#[test]
fn intervals_hold_the_truth_while_one_namespace_evicts_the_others() {
    let change = "for n = 1, 40 do \
        call('SET', 'api:cache:' .. ARGV[1] .. ':' .. n, string.rep('x', 100)) end";
    let limit = ["--maxmemory", "8mb", "--maxmemory-policy", "allkeys-random"];
    assert_honest(&held(&limit, change));
}

#[test]
fn intervals_hold_the_truth_while_the_keyspace_grows() {
    let change = "for n = 1, 100 do call('SET', 'session:' .. ARGV[1] .. ':' .. n, 1) end";
    assert_honest(&held(&[], change));
}

#[test]
fn an_error_of_nothing_is_shown_only_while_nothing_is_written() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 20_000, FIVE_KINDS);
    let exporter = sweep::launch(
        &server,
        "cpu_share: 100%, min_pass_interval: 10m",
        NAMESPACES,
    );
    let exporter = exporter.start();
    let is_exact = |page: &Page| {
        page.0.contains("redis_key_namespace_keys{") && of(page, "keys_error", "session") == 0.0
    };
    exporter.until("exact numbers", is_exact);
    // One key of a kind goes and one of another comes: the size stays the same.
    keys::run(
        &server,
        0,
        "call('DEL', 'session:5') call('SET', 'websocket:new', 1)",
    );
    exporter.until("an error", |page| {
        let error = of(page, "keys_error", "session");
        (1.0..100.0).contains(&error)
    });
}
