//! Keys that vanish, by namespace: estimates compared with the events of the server.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::cutter::Cutter;
use crate::support::key_events::{EventCounts, TrueEvents};
use crate::support::keys;
use crate::support::port;
use crate::support::redis::Client;
use crate::support::sweep::{self, FULL_SPEED, NAMESPACES};
use crate::support::wait::{End, until};
use crate::support::{Exporter, Launch, Page, RedisServer};

/// Number of checked keys after which a test that expects no deaths ends.
const ENOUGH: f64 = 1_000.0;

/// Number of vanished keys of the panel between two comparisons with the truth. The error of a share
/// of half of them is about 4 %.
const VANISHED: f64 = 600.0;

/// Number of evictions that are attributed in between. They are attributed every 16 seconds.
const ATTRIBUTED: f64 = 20_000.0;

/// Maximum error: several times the one by chance.
const ERROR: f64 = 0.25;

/// TTL of the sessions of a server that evicts, in seconds.
const SESSION_TTL: u32 = 3_600;

/// Longer than the panel needs, even on a busy machine.
const LONG: Duration = Duration::from_secs(4 * 60);

const SESSIONS: &str = "call('SET', 'session:' .. i, i)";

fn total(page: &Page, metric: &str, namespace: &str) -> Option<f64> {
    let name = format!("redis_key_namespace_{metric}_keys_total");
    page.get(&name, &[("db", "db0"), ("key_namespace", namespace)])
}

fn vanished(page: &Page) -> f64 {
    let all = page.all("redis_key_namespace_vanished_keys_total", &[]);
    all.into_iter().sum()
}

fn checks(page: &Page, result: &str) -> f64 {
    let name = "redis_exporter_panel_checks_total";
    page.get(name, &[("result", result)]).unwrap_or(0.0)
}

fn until_checked(exporter: &Exporter) -> Page {
    let before = checks(&exporter.page(), "alive");
    exporter.within(LONG, "checks of the panel", |page| {
        checks(page, "alive") >= before + ENOUGH
    })
}

fn start(server: &RedisServer) -> Exporter {
    sweep::launch(server, FULL_SPEED, NAMESPACES).start()
}

/// Starts a server that is full of sessions and evicts random keys.
fn full_server() -> RedisServer {
    let server = RedisServer::start(&["--maxmemory-policy", "allkeys-random"]);
    keys::write(&server, 0, 20_000, SESSIONS);
    let used = server.info("used_memory").unwrap();
    server.ask(&["CONFIG", "SET", "maxmemory", &used]);
    server
}

/// Deletes one sixteenth of the sessions before each check of the condition, or writes them again
/// with this command. Half of them remain, so that the keyspace never becomes empty.
fn until_noticed(
    server: &RedisServer,
    exporter: &Exporter,
    write: &str,
    condition: impl Fn(&Page) -> bool,
) -> Page {
    let round = std::cell::Cell::new(0);
    exporter.within(LONG, "deleted keys", |page| {
        let now = round.replace(round.get() + 1);
        let is_deleting = now / 8 % 2 == 0;
        let command = if is_deleting {
            "call('UNLINK', 'session:' .. i)"
        } else {
            write
        };
        let first = now % 8 + 1;
        keys::run(
            server,
            0,
            &format!("for i = {first}, 20000, 16 do {command} end"),
        );
        condition(page)
    })
}

fn evicted_keys(server: &RedisServer) -> f64 {
    server.info("evicted_keys").unwrap().parse().unwrap()
}

/// Writes new keys until the end of the test, so that others are evicted. At most a few hundredths of
/// all keys are evicted in a second.
fn write(server: &RedisServer, done: &AtomicBool) {
    let mut client = Client::connect(server.port).unwrap();
    let script = "local call = redis.call for i = 1, 20 do local key = ARGV[1] .. '-' .. i \
        call('SET', 'session:' .. key, 's', 'EX', ARGV[2]) \
        call('SET', 'api:cache:' .. key, string.rep('a', 100), 'EX', 12) \
        if i % 2 == 0 then call('SET', 'websocket:' .. key, string.rep('w', 50)) end end";
    let mut run = 0;
    while !done.load(Ordering::Relaxed) {
        run += 1;
        let ttl = SESSION_TTL.to_string();
        client.ask(&["EVAL", script, "0", &run.to_string(), &ttl]);
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn evictions_are_attributed_to_their_namespaces() {
    let arguments = [
        "--maxmemory-policy",
        "allkeys-lru",
        "--notify-keyspace-events",
        "Exe",
    ];
    let server = RedisServer::start(&arguments);
    let used: u64 = server.info("used_memory").unwrap().parse().unwrap();
    server.ask(&[
        "CONFIG",
        "SET",
        "maxmemory",
        &(used + 3_000_000).to_string(),
    ]);
    let (mut events, done) = (TrueEvents::of(&server, 1), AtomicBool::new(false));
    let launched = Instant::now();
    std::thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| write(&server, &done));
        // From now on, keys are evicted as fast as they are written.
        until(LONG, "steady evictions", || {
            (evicted_keys(&server) > 10_000.0).then_some(())
        });
        let exporter = start(&server);
        let kinds = ["session", "api-cache", "websocket"];
        let shown = |page: &Page| {
            let totals = kinds.iter().filter_map(|kind| total(page, "evicted", kind));
            totals.sum::<f64>()
        };
        // Right after evictions were attributed, there are few others.
        let begin = exporter.within(LONG, "all numbers", |page| {
            checks(page, "vanished") >= VANISHED
                && kinds
                    .iter()
                    .all(|kind| total(page, "evicted", kind).is_some())
        });
        let begin = exporter.within(LONG, "attributed evictions", |page| {
            shown(page) > shown(&begin)
        });
        let truth_before = events.once("evicted", evicted_keys(&server));
        let end = exporter.within(LONG, "many more vanished keys", |page| {
            checks(page, "vanished") >= checks(&begin, "vanished") + VANISHED
                && shown(page) >= shown(&begin) + ATTRIBUTED
        });
        let end = exporter.within(LONG, "more attributed evictions", |page| {
            shown(page) > shown(&end)
        });
        let truth = events.once("evicted", evicted_keys(&server));
        let counted = |event: &str, kind: &str| {
            let of = |events: &EventCounts| {
                let place = (event.to_owned(), "db0".to_owned(), kind.to_owned());
                events.get(&place).copied().unwrap_or(0.0)
            };
            of(&truth) - of(&truth_before)
        };
        let all: f64 = kinds.iter().map(|kind| counted("evicted", kind)).sum();
        assert!(all > 0.0, "nothing was evicted");
        let all_vanished = vanished(&end) - vanished(&begin);
        println!("{all_vanished} vanished, {all} evicted");
        let since = |metric, kind| Some(total(&end, metric, kind)? - total(&begin, metric, kind)?);
        // The last evictions of the server are not attributed yet, so shares are compared.
        let shown = shown(&end) - shown(&begin);
        let mut errors = Vec::new();
        for kind in kinds {
            let [evicted, expired] = ["evicted", "expired"].map(|event| counted(event, kind));
            let share = since("evicted", kind).unwrap() / shown;
            println!(
                "{kind}: {share:.3} of all evictions, truly {:.3}; {:?} expired, truly {expired}",
                evicted / all,
                since("expired", kind)
            );
            errors.push((share - evicted / all).abs() / (evicted / all).max(1.0 / 3.0));
        }
        assert!(errors.iter().all(|error| *error <= ERROR), "{errors:?}");
        // Part of the time is not attributed yet at the end, or only then.
        assert!((0.5 * all..=1.5 * all).contains(&shown), "{shown} {all}");
        let expired = since("expired", "api-cache").unwrap();
        let truly = counted("expired", "api-cache");
        assert!(
            (0.5 * truly..=1.5 * truly).contains(&expired),
            "{expired} {truly}"
        );
        // Only keys of this namespace live long enough to expire.
        for kind in ["session", "websocket"] {
            assert!(since("expired", kind).unwrap() <= 0.1 * expired, "{kind}");
        }
        let lost = |part: &str| {
            let name = format!("redis_key_namespace_lost_ttl_seconds_{part}");
            end.get(&name, &[("db", "db0"), ("key_namespace", "session")])
        };
        // Sessions have a TTL of an hour, and are evicted within minutes.
        let mean = lost("sum").unwrap() / lost("count").unwrap();
        let youngest = f64::from(SESSION_TTL);
        let oldest = youngest - launched.elapsed().as_secs_f64();
        println!("sessions are evicted {mean:.0} s before their TTL ends");
        assert!((oldest..=youngest).contains(&mean), "{mean} {oldest}");
    });
}

#[test]
fn flush_and_restart_count_nothing() {
    let mut server = RedisServer::start(&[]);
    keys::write(&server, 0, 20_000, SESSIONS);
    let exporter = start(&server);
    assert!(vanished(&until_checked(&exporter)) < 1.0);
    let refill = format!("call('FLUSHALL') for i = 20001, 40000 do {SESSIONS} end");
    keys::run(&server, 0, &refill);
    assert!(vanished(&until_checked(&exporter)) < 1.0);
    server.restart(&[]);
    keys::write(&server, 0, 20_000, SESSIONS);
    let page = until_checked(&exporter);
    assert!(vanished(&page) < 1.0);
    assert_eq!(total(&page, "evicted", "session"), Some(0.0));
    // Deaths are noticed.
    let page = until_noticed(&server, &exporter, SESSIONS, |page| vanished(page) > 100.0);
    assert_eq!(total(&page, "evicted", "session"), Some(0.0));
}

/// The new primary has the same keys, but its own counters. Behind a virtual address, the exporter
/// sees another server.
#[test]
fn failover_counts_nothing_and_the_panel_goes_on() {
    let first = RedisServer::start(&[]);
    keys::write(&first, 0, 20_000, SESSIONS);
    let second = RedisServer::start(&["--replicaof", "127.0.0.1", &first.port.to_string()]);
    until(LONG, "a synchronized replica", || {
        (second.info("master_link_status")? == "up").then_some(())
    });
    let address = Ipv4Addr::new(127, 0, 0, 10);
    let port = port::free();
    let virtual_address = Cutter::at(address, port, first.port);
    let url = format!("redis://{address}:{port}");
    let text = sweep::configuration_of(&url, FULL_SPEED, NAMESPACES);
    let exporter = Launch::configured(&text).start();
    assert!(vanished(&until_checked(&exporter)) < 1.0);
    exporter.within(LONG, "idle times", |page| idle_samples(page) > 1_000.0);
    second.ask(&["REPLICAOF", "NO", "ONE"]);
    first.ask(&["REPLICAOF", "127.0.0.1", &second.port.to_string()]);
    first.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    virtual_address.lead_to(second.port);
    until(LONG, "a sweep of the new primary", || {
        let clients = second.ask(&["CLIENT", "LIST"]);
        clients
            .contains("redis-namespace-exporter-sweep")
            .then_some(())
    });
    let page = until_checked(&exporter);
    assert!(vanished(&page) < 1.0, "{}", vanished(&page));
    for event in ["evicted", "expired"] {
        assert_eq!(total(&page, event, "session"), Some(0.0), "{event}");
    }
    exporter.within(LONG, "idle times", |page| idle_samples(page) > 1_000.0);
    until_noticed(&second, &exporter, SESSIONS, |page| vanished(page) > 100.0);
}

fn idle_samples(page: &Page) -> f64 {
    let all = page.all("redis_key_namespace_idle_seconds_count", &[]);
    all.into_iter().sum()
}

#[test]
fn reset_statistics_do_not_reset_evictions() {
    let server = full_server();
    let exporter = start(&server);
    let done = AtomicBool::new(false);
    let evicted = |page: &Page| total(page, "evicted", "session").unwrap_or(0.0);
    std::thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| write(&server, &done));
        let before = evicted(&exporter.within(LONG, "evictions", |page| evicted(page) > 0.0));
        let counted: f64 = server.info("evicted_keys").unwrap().parse().unwrap();
        server.ask(&["CONFIG", "RESETSTAT"]);
        let after = evicted(&exporter.within(LONG, "more evictions", |page| {
            assert!(evicted(page) >= before);
            evicted(page) > before
        }));
        assert!(after < before + 10.0 * counted.max(1_000.0));
    });
}

#[test]
fn panel_needs_no_permission_beyond_scan() {
    let server = RedisServer::start(&[]);
    // INFO reports that no key has a TTL. Later, all have one that cannot be queried.
    let session = "call('SET', 'session:' .. i, i, 'EX', 3600)";
    keys::write(&server, 0, 20_000, SESSIONS);
    let user = [
        "ACL", "SETUSER", "watcher", "reset", "on", ">secret", "~*", "+scan", "+info", "+client",
    ];
    server.ask(&user);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\ncollectors: {{ config: false }}\n\
         sweep: {{ {FULL_SPEED}, commands_per_second: 1000000, max_latency: 10s }}\n{NAMESPACES}\
         targets: [{{ name: cache, url: 'redis://watcher:secret@{}' }}]\n",
        server.address()
    ))
    .start();
    exporter.within(LONG, "first checks", |page| checks(page, "alive") > 0.0);
    keys::write(&server, 0, 20_000, session);
    let denied = sweep::in_record(&server, "errorstat_NOPERM", "count");
    let unknown = [("key_namespace", "session"), ("when", "unknown")];
    let metric = "redis_key_namespace_vanished_keys_total";
    until_noticed(&server, &exporter, session, |page| {
        page.get(metric, &unknown).is_some_and(|keys| keys > 100.0)
    });
    let now = sweep::in_record(&server, "errorstat_NOPERM", "count");
    assert!((now - denied).abs() < 50.0, "{denied} {now}");
}

/// Asserts that evictions are absent while a script with this body runs 20 times per second.
fn assert_hidden_by(body: &str) {
    let server = full_server();
    let exporter = start(&server);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| write(&server, &done));
        scope.spawn(|| {
            let mut client = Client::connect(server.port).unwrap();
            while !done.load(Ordering::Relaxed) {
                client.ask(&["EVAL", body, "0"]);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let page = exporter.within(LONG, "hidden evictions", |page| {
            vanished(page) > 100.0 && total(page, "evicted", "session").is_none()
        });
        assert!(page.get("redis_evicted_keys_total", &[]).is_some());
    });
}

#[test]
fn deletions_hide_evictions() {
    assert_hidden_by(
        "for i = 1, 20 do local key = redis.call('RANDOMKEY') redis.call('DEL', key) end",
    );
}

/// One call removes ten keys, a fifth of the evicted ones.
#[test]
fn deletions_of_many_keys_hide_evictions() {
    assert_hidden_by(
        "local keys = {} for i = 1, 10 do keys[i] = redis.call('RANDOMKEY') end \
         redis.call('UNLINK', unpack(keys))",
    );
}

#[test]
fn panel_can_be_disabled() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 20_000, SESSIONS);
    let exporter =
        sweep::launch(&server, &format!("{FULL_SPEED}, panel: false"), NAMESPACES).start();
    let page = sweep::more_passes(&exporter, 3.0);
    assert!(
        !page.0.contains("redis_exporter_panel"),
        "{}",
        page.excerpt()
    );
}
