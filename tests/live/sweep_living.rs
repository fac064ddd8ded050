//! Compares the intervals of a changing keyspace with the server's own counts.

use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::redis::Client;
use crate::support::sweep::{self, NAMESPACES, of, passes};
use crate::support::wait::End;
use crate::support::{Exporter, Page, RedisServer};

/// A pass takes several seconds.
const SLOW: &str = "cpu_share: 3%, first_keys: 0, min_pass_interval: 1s";

const KINDS: [(&str, &str); 5] = [
    ("session", "session:*"),
    ("api-cache", "api:cache:*"),
    ("ratelimit", "ratelimit:*"),
    ("websocket", "websocket:*"),
    ("other", "job*"),
];

/// Number of checks per test, and the time during which keys change before each check.
const CHECKS: usize = 20;
const CHANGES_LAST: Duration = Duration::from_millis(1_200);

/// Returns the number of keys of each kind that the server counts.
fn truth(server: &RedisServer) -> [f64; 5] {
    let count = |(_, pattern): (&str, &str)| format!("#call('KEYS', '{pattern}')");
    let counts = KINDS.map(count).join(" .. ' ' .. ");
    let reply = keys::run(server, 0, &format!("return {counts}"));
    let mut counts = reply.split(' ').map(|count| count.parse().unwrap());
    std::array::from_fn(|_| counts.next().unwrap())
}

/// The estimate of a namespace, and the true value.
#[derive(Debug)]
struct Check {
    kind: &'static str,
    shown: f64,
    error: f64,
    truth: f64,
}

impl Check {
    fn holds(&self) -> bool {
        (self.shown - self.error..=self.shown + self.error).contains(&self.truth)
    }

    /// Returns half of the width, relative to the number of keys. Small namespaces always have wide
    /// intervals.
    fn width(&self) -> f64 {
        self.error / self.truth.max(2_000.0)
    }
}

fn checks(page: &Page, truth: [f64; 5]) -> impl Iterator<Item = Check> {
    KINDS
        .into_iter()
        .zip(truth)
        .map(|((kind, _), truth)| Check {
            kind,
            shown: of(page, "keys", kind),
            error: of(page, "keys_error", kind),
            truth,
        })
}

fn is_polled(page: &Page) -> bool {
    page.get("redis_up", &[]) == Some(1.0)
}

/// Returns a page with estimates that are newer than this call. The first new estimate may be
/// older, so this waits for two.
fn page_of_now(exporter: &Exporter) -> Page {
    let ages = RefCell::new(Vec::new());
    exporter.until("two new estimates", |page| {
        let age = page.get(
            "redis_exporter_sweep_estimate_age_seconds",
            &[("db", "db0")],
        );
        let mut ages = ages.borrow_mut();
        if age.is_some() && ages.last() != Some(&age) {
            ages.push(age);
        }
        // On a busy machine, a poll may have failed.
        ages.len() > 2 && is_polled(page)
    })
}

/// Runs `change` with the number of the run every 50 ms while an exporter sweeps, and compares the
/// estimates with the truth. Changes pause during each check, so that the truth is exact.
/// `maxmemory` is off during checks, because buffers of reading clients would evict keys as well.
fn check_while(maxmemory: &str, prepare: &str, change: &str) -> Vec<Check> {
    let policy = ["--maxmemory-policy", "allkeys-random"];
    let server = RedisServer::start(&policy);
    let limit = |bytes: &str| {
        let reply = server.ask(&["CONFIG", "SET", "maxmemory", bytes]);
        assert!(reply.contains("OK"), "{reply}");
    };
    limit(maxmemory);
    keys::write(&server, 0, 50_000, FIVE_KINDS);
    keys::run(&server, 0, prepare);
    let exporter = sweep::launch(&server, SLOW, NAMESPACES).start();
    let done = AtomicBool::new(false);
    let gate = Mutex::new(());
    let script = format!("local call = redis.call {change}");
    std::thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| {
            let mut client = Client::connect(server.port).unwrap();
            let mut run = 0;
            while !done.load(Ordering::Relaxed) {
                let open = gate.lock();
                client.ask(&["EVAL", &script, "0", &run.to_string()]);
                drop(open);
                run += 1;
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        exporter.until("an estimate", |page| {
            page.0.contains("redis_key_namespace_keys{")
        });
        let mut all = Vec::new();
        let started = Instant::now();
        for number in 0.. {
            std::thread::sleep(CHANGES_LAST);
            let paused = gate.lock();
            limit("0");
            let now = truth(&server);
            let page = page_of_now(&exporter);
            limit(maxmemory);
            drop(paused);
            all.extend(checks(&page, now));
            let is_enough = number + 1 >= CHECKS && passes(&page) >= 2.0;
            if is_enough || started.elapsed() > Duration::from_secs(3 * 60) {
                break;
            }
        }
        all
    })
}

/// Checks that nine in ten intervals cover the truth, and eight in ten of each namespace, because
/// there are few checks. Their average width must be below `width`.
fn assert_honest(all: &[Check], width: f64) {
    let held = all.iter().filter(|check| check.holds()).count();
    println!("{held} of {} intervals covered the truth", all.len());
    assert!(held * 10 >= all.len() * 9, "{all:#?}");
    assert!(all.iter().any(|check| check.error > 0.0), "{all:#?}");
    for (kind, _) in KINDS {
        let own: Vec<&Check> = all.iter().filter(|check| check.kind == kind).collect();
        let held = own.iter().filter(|check| check.holds()).count();
        let (sum, number) = own.iter().fold((0.0, 0.0), |(sum, number), check| {
            (sum + check.width(), number + 1.0)
        });
        let (count, mean) = (own.len(), sum / number);
        println!("{kind}: {held} of {count}, width {:.1} %", 100.0 * mean);
        assert!(held * 10 >= count * 8, "{kind}: {own:#?}");
        assert!(mean <= width, "{kind}: {mean}: {own:#?}");
    }
}

const WRITE: &str = "local kind = math.random(5) local i = math.random(1000000000) \
    if kind == 1 then call('SET', 'session:' .. i, 1) \
    elseif kind == 2 then call('SET', 'api:cache:' .. i, 1) \
    elseif kind == 3 then call('SET', 'ratelimit:' .. i, 1) \
    elseif kind == 4 then call('SET', 'websocket:' .. i, 1) \
    else call('SET', 'job' .. i, 1) end";

#[test]
fn intervals_cover_the_truth_while_keys_are_replaced() {
    let change = format!(
        "math.randomseed(ARGV[1]) for n = 1, 40 do \
         call('DEL', call('RANDOMKEY')) {WRITE} end"
    );
    assert_honest(&check_while("0", "", &change), 0.1);
}

#[test]
fn intervals_cover_the_truth_during_eviction() {
    let change = "for n = 1, 40 do \
        call('SET', 'api:cache:' .. ARGV[1] .. ':' .. n, string.rep('x', 100)) end";
    assert_honest(&check_while("8mb", "", change), 0.1);
}

#[test]
fn intervals_cover_the_truth_while_the_keyspace_grows() {
    let change = "for n = 1, 100 do call('SET', 'session:' .. ARGV[1] .. ':' .. n, 1) end";
    assert_honest(&check_while("0", "", change), 0.1);
}

/// Batch jobs load and delete 20,000 keys of one namespace, then 20,000 of another, repeatedly.
#[test]
fn intervals_cover_the_truth_during_batch_jobs() {
    let change = "local run = ARGV[1] % 160 \
        local name = run < 80 and 'session:batch:' or 'websocket:batch:' \
        run = run % 80 \
        for n = 1, 400 do \
            if run < 50 then call('SET', name .. run * 400 + n, 1) \
            elseif run < 70 then \
                for part = 0, 2 do call('DEL', name .. (run - 50) * 1000 + n + part * 400) end \
            end \
        end";
    assert_honest(&check_while("0", "", change), 0.4);
}

/// The total number of keys does not change.
#[test]
fn intervals_cover_the_truth_while_namespaces_swap_sizes() {
    let prepare = "for i = 1, 20000 do call('SET', 'session:trade:' .. i, 1) end";
    let change = "local run = ARGV[1] % 200 \
        local from, to = 'session:trade:', 'ratelimit:trade:' \
        if run >= 100 then from, to = to, from end \
        run = run % 100 \
        for n = 1, 200 do \
            call('DEL', from .. run * 200 + n) call('SET', to .. run * 200 + n, 1) \
        end";
    assert_honest(&check_while("0", prepare, change), 0.4);
}

/// Three of five namespaces expire at once, and the others stay. No namespace may vanish from the
/// page, and the intervals must cover the truth immediately.
#[test]
fn namespaces_stay_visible_while_most_keys_expire_at_once() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 50_000, FIVE_KINDS);
    let exporter = sweep::launch(&server, SLOW, NAMESPACES).start();
    exporter.until("a pass", |page| passes(page) >= 1.0);
    let expire = "local now = call('TIME')[1] \
        for _, pattern in ipairs({'session:*', 'api:cache:*', 'ratelimit:*'}) do \
            for _, key in ipairs(call('KEYS', pattern)) do call('EXPIREAT', key, now + 5) end \
        end";
    keys::run(&server, 0, expire);
    let shown = RefCell::new(0);
    let is_over = |page: &Page| {
        let missing = KINDS.iter().find(|(kind, _)| {
            let labels = [("db", "db0"), ("key_namespace", *kind)];
            page.get("redis_key_namespace_keys", &labels).is_none()
        });
        let is_sound = missing.is_none() || !is_polled(page);
        assert!(is_sound, "{missing:?} vanished:\n{}", page.0);
        *shown.borrow_mut() += 1;
        server.ask(&["DBSIZE"]).parse::<u32>().unwrap() < 24_000
    };
    exporter.until("the expiry of most keys", is_over);
    let mut all = Vec::new();
    for _ in 0..8 {
        // Counting the keys also removes expired ones.
        let now = truth(&server);
        let page = page_of_now(&exporter);
        is_over(&page);
        all.extend(checks(&page, now));
    }
    println!("shown {} times", shown.borrow());
    let held = all.iter().filter(|check| check.holds()).count();
    assert!(held * 10 >= all.len() * 9, "{all:#?}");
}

#[test]
fn zero_error_is_shown_only_without_writes() {
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
    // One key is replaced by a key of another kind, so the size does not change.
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

/// A pass over few keys takes long on a quiet server. The load falls into its only segment.
#[test]
fn intervals_cover_the_truth_after_a_bulk_load_into_few_keys() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 1_100, FIVE_KINDS);
    let slow = "first_keys: 0, commands_per_second: 30";
    let exporter = sweep::launch(&server, slow, NAMESPACES).start();
    exporter.until("the first keys", |page| {
        let visited = page.get("redis_exporter_sweep_keys_visited_total", &[]);
        visited.is_some_and(|visited| visited > 100.0) && page.0.contains("_namespace_keys{")
    });
    assert_eq!(passes(&exporter.page()), 0.0, "too fast for this test");
    keys::write(&server, 0, 60_000, "call('SET', 'session:load:' .. i, 1)");
    keys::write(&server, 0, 40_000, "call('SET', 'api:cache:load:' .. i, 1)");
    let now = truth(&server);
    let mut all = Vec::new();
    for _ in 0..CHECKS {
        std::thread::sleep(CHANGES_LAST);
        all.extend(checks(&page_of_now(&exporter), now));
    }
    // All checks are of one load and rest on the same sample, so that one error in twenty comes in
    // rows. A single time for the segment would cover the truth in fewer than four of ten.
    let held = all.iter().filter(|check| check.holds()).count();
    println!("{held} of {} intervals covered the truth", all.len());
    assert!(held * 10 >= all.len() * 7, "{all:#?}");
    // At first, nearly all keys could be in any namespace, but not at the end.
    let last = all.iter().rev().take(KINDS.len());
    let widest = last.map(Check::width).fold(0.0, f64::max);
    assert!(widest < 2.0, "{widest}: {all:#?}");
}
