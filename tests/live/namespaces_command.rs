//! `namespaces`: one pass in the terminal.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::exporter::Finished;
use crate::support::keys;
use crate::support::redis::Client;
use crate::support::terminal::Terminal;
use crate::support::wait::{LONG, slack};
use crate::support::{Launch, RedisServer};

/// Runs the command at full speed for every key, with additional flags.
fn run(server: &RedisServer, flags: &[&str]) -> Finished {
    run_at(&server.url(), flags)
}

fn run_at(url: &str, flags: &[&str]) -> Finished {
    let launch = Launch::of(url).flag("namespaces").flag("--full-speed");
    let launch = launch.flag("--lookups=all");
    let launch = flags.iter().fold(launch, |launch, flag| launch.flag(flag));
    launch.run()
}

fn document(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", finished.stdout, finished.stderr))
}

/// Returns the namespace with this name in a database.
fn namespace<'a>(document: &'a Value, name: &str, database: u64) -> &'a Value {
    let all = document["namespaces"].as_array().unwrap();
    let found = all
        .iter()
        .find(|one| one["name"] == name && one["database"] == database);
    found.unwrap_or_else(|| panic!("{name} in {database}: {document:#}"))
}

/// Writes strings, hashes and lists to databases 0 and 3, some with TTLs of 100 s.
fn seed(server: &RedisServer) {
    let mut client = Client::connect(server.port).unwrap();
    for number in 0..600 {
        let key = format!("session:{number}");
        client.ask(&["SET", &key, "value", "EX", "100"]);
    }
    for number in 0..400 {
        client.ask(&["HSET", &format!("user:{number}"), "name", "somebody"]);
    }
    client.ask(&["SET", "alone", "value"]);
    client.ask(&["SELECT", "3"]);
    for number in 0..50 {
        client.ask(&["RPUSH", &format!("queue:{number}"), "one", "two"]);
    }
}

#[test]
fn expiring_keys_leave_the_counts_of_others_alone() {
    let server = RedisServer::start(&[]);
    let sessions = "call('SET', 'session:' .. i, 'x', 'EX', 2 + i % 120)";
    keys::write(&server, 0, 20_000, sessions);
    keys::write(&server, 0, 292, "call('SET', 'ratelimit:' .. i, 'x')");
    keys::run(&server, 0, "call('SET', 'alone:1', string.rep('x', 30000))");
    let expired = || -> u64 { server.info("expired_keys").unwrap().parse().unwrap() };
    for _ in 0..4 {
        let before = expired();
        // At the default speed, so that keys expire during the pass.
        let finished = Launch::of(&server.url()).flag("namespaces");
        let document = document(&finished.flag("--output=json").run());
        assert!(expired() > before, "no key expired during the pass");
        let keys = |name| {
            namespace(&document, name, 0)["keys"]["value"]
                .as_u64()
                .unwrap()
        };
        // A few of them might have been removed since they were counted.
        assert!((287..=292).contains(&keys("ratelimit")), "{document:#}");
        assert_eq!(keys("alone"), 1, "{document:#}");
    }
}

#[test]
fn counts_are_exact_in_every_database() {
    let server = RedisServer::start(&[]);
    seed(&server);
    let finished = run(&server, &["--output", "json"]);
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    let document = document(&finished);
    assert_eq!(document["end"], "complete");
    assert_eq!(document["namespaces"].as_array().unwrap().len(), 4);
    assert_eq!(document["databases"].as_array().unwrap().len(), 2);
    let exact = |count: u64| serde_json::json!({ "value": count, "error": 0, "lower": count, "upper": count });
    for (name, database, keys, without_ttl, data_type) in [
        ("session", 0, 600, 0, "string"),
        ("user", 0, 400, 400, "hash"),
        ("other", 0, 1, 1, "string"),
        ("queue", 3, 50, 50, "list"),
    ] {
        let found = namespace(&document, name, database);
        assert_eq!(found["keys"], exact(keys), "{name}");
        assert_eq!(found["keys_without_ttl"], without_ttl, "{name}");
        assert_eq!(found["types"][data_type], keys, "{name}");
        assert_eq!(found["memory_bytes"]["error"], 0, "{name}");
    }
    let ttl = &namespace(&document, "session", 0)["ttl_seconds"];
    let longest = ttl["max"].as_f64().unwrap();
    assert!((60.0..=100.0).contains(&longest), "{longest}");
    assert_eq!(document["total"]["keys"], 1_051);
    let bytes: u64 = server.ask(&["MEMORY", "USAGE", "alone"]).parse().unwrap();
    let other = namespace(&document, "other", 0);
    assert_eq!(other["memory_bytes"]["value"], bytes);
    assert_eq!(other["largest_key_bytes"], bytes);
}

/// Returns the cells of the line of a table that starts with `name`.
fn cells(table: &str, name: &str) -> Vec<String> {
    let row = table.lines().find(|line| line.starts_with(name));
    let row = row.unwrap_or_else(|| panic!("{name}: {table}"));
    let cells = row.split("  ").map(str::trim);
    let cells = cells.filter(|cell| !cell.is_empty());
    cells.map(ToOwned::to_owned).collect()
}

#[test]
fn table_lists_each_namespace_and_a_total() {
    let server = RedisServer::start(&[]);
    seed(&server);
    let finished = Launch::configured(&format!(
        "sweep: {{ max_latency: 10s }}\ntargets: [{{ name: cache, url: '{}' }}]\nnamespaces:\n\
         - {{ name: people, match: 'user:*', ttl: {{ required: true }} }}\n\
         - {{ name: nobody, match: 'nobody:*' }}\n",
        server.url()
    ))
    .flag("namespaces")
    .flag("cache")
    .flag("--full-speed")
    .flag("--lookups=all")
    .run();
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    let cells = |name: &str| cells(&finished.stdout, name);
    assert_eq!(cells("people")[..4], ["people", "0", "400", "38.1%"]);
    let violations = cells("NAMESPACE");
    let violations = violations.iter().position(|cell| cell == "VIOLATIONS");
    assert_eq!(cells("people")[violations.unwrap()], "400");
    assert_eq!(cells("nobody")[2], "0");
    assert_eq!(cells("total")[1], "1,051");
    // Without a terminal the output contains no progress and no log. A busy machine
    // does not slow this sweep down, which would be logged.
    assert_eq!(finished.stderr, "");
}

#[test]
fn verdict_ends_the_output_at_the_width_of_the_terminal() {
    let server = RedisServer::start(&[]);
    seed(&server);
    let address = format!("--redis.addr={}", server.url());
    let flags = ["namespaces", "--full-speed", "--largest=3", "--examples"];
    let flags = [&flags[..], &[&address, "--lookups=all"]].concat();
    let mut terminal = Terminal::start(&flags, &[("NO_COLOR", "1")], (80, 60));
    assert_eq!(terminal.ended().code(), Some(0));
    let text = terminal.see("queue (db3): 50 keys never expire.");
    let (before, verdict) = text.split_once("\nNotable:\n").unwrap();
    let is_part = |line: &str| line.starts_with("- ") || line.starts_with("  ");
    assert!(verdict.lines().all(is_part), "{text}");
    assert!(
        verdict.contains("- user (db0): 400 keys never expire."),
        "{text}"
    );
    for part in ["Largest keys:", "that break a policy", "remaining TTLs"] {
        assert!(before.contains(part), "{part} {text}");
    }
    // The terminal breaks a line that is too long within a word.
    let note =
        "TTLs are remaining TTLs. TTL MEDIAN is the histogram bucket that contains the\nmedian.";
    assert!(text.contains(note), "{text}");
    let finished = run(&server, &["--suggest"]);
    assert!(
        finished.stdout.starts_with("# Based on "),
        "{}",
        finished.stdout
    );
    let (_, verdict) = finished.stderr.split_once("\nNotable:\n").unwrap();
    assert!(verdict.lines().all(is_part), "{}", finished.stderr);
}

/// Lookups of keys that the server has counted.
fn lookups(server: &RedisServer) -> u64 {
    let stats = server.ask(&["INFO", "stats"]);
    let lines = stats.lines().filter_map(|line| line.trim().split_once(':'));
    let lookups = lines.filter(|(name, _)| ["keyspace_hits", "keyspace_misses"].contains(name));
    lookups
        .map(|(_, value)| value.parse::<u64>().unwrap())
        .sum()
}

#[test]
fn a_pass_causes_few_lookups_by_default() {
    let server = RedisServer::start(&[]);
    keys::write(
        &server,
        0,
        9_000,
        "call('SET', 'session:' .. i, 'x', 'EX', i % 3 == 0 and 100 or 9000)",
    );
    keys::write(&server, 0, 3_000, "call('RPUSH', 'queue:' .. i, 'x')");
    let before = lookups(&server);
    let plain = Launch::of(&server.url()).flag("namespaces");
    let finished = plain.flag("--full-speed").flag("--output=json").run();
    let caused = lookups(&server) - before;
    assert_eq!(caused, 1_000);
    let document = document(&finished);
    assert_eq!(document["sampled"]["lookups"], 1_000);
    assert_eq!(document["sampled"]["idle"], 250);
    assert_eq!(document["sampled"]["ttls"], 600);
    for (name, keys, without_ttl) in [("session", 9_000, 0.0), ("queue", 3_000, 3_000.0)] {
        let found = namespace(&document, name, 0);
        assert_eq!(found["keys"]["value"], keys);
        assert_eq!(found["memory_bytes"]["error"], 0);
        let value = found["keys_without_ttl"].as_f64().unwrap();
        let error = found["keys_without_ttl_error"].as_f64().unwrap();
        assert!((value - without_ttl).abs() <= error, "{name}: {found:#}");
    }
    // Of the sessions, a third expires soon.
    let ttl = &namespace(&document, "session", 0)["ttl_seconds"];
    let within = ttl["buckets"][3]["keys"].as_f64().unwrap();
    assert!((2_200.0..=3_800.0).contains(&within), "{ttl:#}");
}

#[test]
fn the_number_of_lookups_can_be_chosen() {
    let server = RedisServer::start(&[]);
    seed(&server);
    let caused_by = |flag: &str| {
        let before = lookups(&server);
        let launch = Launch::of(&server.url()).flag("namespaces").flag(flag);
        let finished = launch.flag("--full-speed").run();
        assert_eq!(finished.code(), 0, "{}", finished.stderr);
        let caused = lookups(&server) - before;
        let is_named = finished.stdout.contains(" lookups, which count in");
        assert_eq!(is_named, caused > 0, "{}", finished.stdout);
        caused
    };
    for (flag, expected) in [("--lookups=0", 0), ("--lookups=50", 50)] {
        assert_eq!(caused_by(flag), expected, "{flag}");
    }
    let all = caused_by("--lookups=all");
    // TTL and type of each key, and up to 1,000 idle times of different keys.
    assert!(
        (2 * 1_051 + 900..=2 * 1_051 + 1_000).contains(&all),
        "{all}"
    );
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"]);
    assert_eq!(caused_by("--lookups=all"), 2 * 1_051, "no idle times");
}

/// Writes keys that were used hours ago, just now, and that expire together in ten minutes.
fn seed_ages(server: &RedisServer) {
    keys::run(
        server,
        0,
        "call('SET', 'model', string.rep('m', 50)) local model = call('DUMP', 'model') \
         call('DEL', 'model') for i = 1, 4000 do \
         call('RESTORE', 'session:' .. i, 0, model, 'IDLETIME', i % 4 == 0 and 4000 or 700) \
         call('SET', 'cache:' .. i, i, 'EX', 600) call('SET', 'queue:' .. i, i) end",
    );
    // Idle times are in the file, too. A server that did not load them cannot know them.
    server.ask(&["SAVE"]);
}

/// Returns the share of 4,000 keys that the server has not seen used for this many seconds.
fn idle_share(server: &RedisServer, prefix: &str, seconds: u32) -> f64 {
    let body = format!(
        "local idle = 0 for i = 1, 4000 do \
         if call('OBJECT', 'IDLETIME', '{prefix}' .. i) >= {seconds} then idle = idle + 1 end end \
         return tostring(idle / 4000)"
    );
    keys::run(server, 0, &body).parse().unwrap()
}

/// Returns the seconds until a key expires.
fn seconds_left(server: &RedisServer, key: &str) -> f64 {
    let left: f64 = server.ask(&["PTTL", key]).parse().unwrap();
    left / 1_000.0
}

#[test]
fn idle_and_expiring_keys_are_shown() {
    let mut server = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]);
    seed_ages(&server);
    server.restart(&[]);
    let launch = Launch::configured(&format!(
        "sweep: {{ max_latency: 10s }}\ntargets: [{{ url: '{}' }}]\nnamespaces:\n\
         - {{ name: session, match: 'session:*', on_eviction: harmful }}\n\
         - {{ name: cache, match: 'cache:*', on_eviction: harmless }}\n",
        server.url()
    ));
    let launch = launch.flag("namespaces").flag("--full-speed");
    let before = seconds_left(&server, "cache:1");
    let finished = launch.flag("--lookups=4000").flag("--output=json").run();
    let after = seconds_left(&server, "cache:1");
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    let document = document(&finished);
    let [session, cache, other] =
        ["session", "cache", "other"].map(|name| namespace(&document, name, 0));
    let idle = |namespace: &Value, place: usize| {
        let idle = &namespace["idle"][place];
        (idle["at_least"].as_u64(), idle["memory_share"].as_f64())
    };
    let share = |prefix, seconds| idle_share(&server, prefix, seconds);
    assert_eq!(share("session:", 600), 1.0);
    assert_eq!(idle(session, 1), (Some(600), Some(1.0)));
    let hour = idle(session, 2).1.unwrap();
    let expected = share("session:", 3_600);
    assert!((hour - expected).abs() < 0.10, "{hour}, not {expected}");
    assert_eq!(idle(cache, 1), (Some(600), Some(share("cache:", 600))));
    assert_eq!(document["sampled"]["idle"], 1_000);
    let expiring = |namespace: &Value| {
        let all = namespace["expiring"].as_array().unwrap();
        let quarter = all.iter().find(|part| part["within"] == 900);
        quarter.and_then(|part| part["keys"].as_u64())
    };
    assert_eq!((expiring(session), expiring(cache)), (Some(0), Some(4_000)));
    let burst = &cache["expiry_burst"];
    assert_eq!(burst["share"], 1);
    let wait = burst["in_seconds"].as_f64().unwrap();
    // The reply to PTTL arrives a little later than the server computes it.
    let latest = before + slack().as_secs_f64() + 1.0;
    assert!(
        (after..=latest).contains(&wait),
        "{wait}: {after} to {before}"
    );
    assert_eq!(session["expiry_burst"], Value::Null);
    let harms = [session, cache, other].map(|namespace| &namespace["declared"]["on_eviction"]);
    assert_eq!(
        harms,
        [
            &Value::from("harmful"),
            &Value::from("harmless"),
            &Value::Null
        ]
    );
    // Nothing is evicted. Whether that is known depends on the time of the pass.
    assert_eq!(document["lru_horizon_seconds"], Value::Null);
    let evicted = &document["evicted_per_second"];
    if document["seconds"].as_f64().unwrap() < 1.0 {
        assert_eq!(*evicted, Value::Null);
    } else {
        assert!(evicted.is_null() || *evicted == 0, "{evicted}");
    }
}

#[test]
fn suggestion_shortens_a_ttl_of_idle_memory() {
    let mut server = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]);
    keys::run(
        &server,
        0,
        "call('SET', 'model', string.rep('m', 50)) local model = call('DUMP', 'model') \
         call('DEL', 'model') for i = 1, 2000 do \
         call('RESTORE', 'session:' .. i, 86000000, model, 'IDLETIME', i % 4 == 0 and 10 or 8000) \
         call('SET', 'cache:' .. i, i, 'EX', 86000) end",
    );
    server.ask(&["SAVE"]);
    server.restart(&[]);
    let flags = ["--suggest", "--output=json"];
    let finished = run(&server, &flags);
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    let document = document(&finished);
    let of = |name: &str| {
        let all = document["suggestions"].as_array().unwrap();
        let found = all.iter().find(|one| one["name"] == name).unwrap();
        (
            found["shorter_ttl_max_seconds"].clone(),
            found["shorter_ttl_reason"].clone(),
        )
    };
    assert_eq!(of("session"), (3_600.into(), "idle_memory".into()));
    let yaml = document["suggested_yaml"].as_str().unwrap();
    let comment = "% of the memory was not used for 1h, but TTLs reach 1d.";
    assert!(yaml.contains(comment), "{yaml}");
    // A server that tracks no idle times suggests nothing about them.
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"]);
    let finished = run(&server, &["--suggest"]);
    assert!(!finished.stdout.contains("not used"), "{}", finished.stdout);
    assert!(finished.stdout.contains("max: 1d"), "{}", finished.stdout);
}

#[test]
fn groups_have_idle_and_expiring_keys_without_a_declaration() {
    let server = RedisServer::start(&["--maxmemory-policy", "allkeys-lfu"]);
    seed_ages(&server);
    let finished = run(&server, &[]);
    let table = &finished.stdout;
    let heading = cells(table, "NAMESPACE");
    assert!(
        heading.iter().all(|cell| !cell.starts_with("IDLE")),
        "{table}"
    );
    let expire = heading.iter().position(|cell| cell == "EXPIRE 15m");
    let expire = expire.unwrap_or_else(|| panic!("{table}"));
    let of = |name| cells(table, name)[expire].clone();
    assert_eq!(
        ["cache", "queue", "session"].map(of),
        ["100.0%", "0.0%", "0.0%"]
    );
    assert!(
        table.contains("100.0% of the keys of cache expire within ten seconds, "),
        "{table}"
    );
    let widest = table
        .lines()
        .skip(3)
        .take(5)
        .map(|line| line.chars().count());
    assert!(widest.max() <= Some(100), "{table}");
}

#[test]
fn traffic_of_others_limits_the_lookups() {
    let server = RedisServer::start(&[]);
    seed(&server);
    let stop = AtomicBool::new(false);
    let stopped = || stop.store(true, Ordering::Relaxed);
    let document = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = Client::connect(server.port).unwrap();
            while !stop.load(Ordering::Relaxed) {
                client.ask(&["GET", "alone"]);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let launch = Launch::of(&server.url()).flag("namespaces");
        let finished = launch.flag("--full-speed").flag("--output=json").run();
        stopped();
        document(&finished)
    });
    // At most twenty lookups per second allow for a hundred.
    assert_eq!(document["sampled"]["lookups"], 100);
}

/// Writes the keys of the demo: sessions, cached responses, rate limits, websockets, and two locks.
fn seed_demo(server: &RedisServer) {
    let mut client = Client::connect(server.port).unwrap();
    for number in 0..300 {
        let digest = format!("{:032x}", u128::from(fastrand::u64(..)) << 64 | number);
        let address = format!("10.0.{}.{}", number % 7, number % 250);
        for (key, ttl) in [
            (format!("session:{digest}"), "3000"),
            (format!("api:cache:/v1/orders/{number}:{digest}"), "50"),
            (format!("ratelimit:{address}:{number}"), "40"),
        ] {
            client.ask(&["SET", &key, "value", "EX", ttl]);
        }
        client.ask(&["SET", &format!("websocket:{number}"), "value"]);
    }
}

#[test]
fn suggested_namespaces_are_valid_configuration() {
    let server = RedisServer::start(&[]);
    seed_demo(&server);
    let finished = run(&server, &["--suggest"]);
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("\ntotal "), "{}", finished.stderr);
    for pattern in [
        "\"session:*\"",
        "\"api:cache:",
        "\"ratelimit:",
        "\"websocket:*\"",
    ] {
        assert!(
            finished.stdout.contains(pattern),
            "{pattern}: {}",
            finished.stdout
        );
    }
    let text = format!(
        "targets: [{{ url: '{}' }}]\n{}",
        server.url(),
        finished.stdout
    );
    let checked = Launch::configured(&text).flag("check").run();
    assert_eq!(
        checked.code(),
        0,
        "{}{}\n{text}",
        checked.stdout,
        checked.stderr
    );
    let again = Launch::configured(&text)
        .flag("namespaces")
        .flag("--full-speed")
        .flag("--lookups=all")
        .flag("--suggest")
        .flag("--output=json")
        .run();
    let document = document(&again);
    let all = document["namespaces"].as_array().unwrap();
    assert!(all.iter().all(|one| one["name"] != "other"), "{document:#}");
    assert!(
        document["suggested_yaml"]
            .as_str()
            .unwrap()
            .contains("session:*")
    );
    assert!(document["suggestions"].as_array().unwrap().len() >= 4);
}

#[test]
fn binary_key_names_are_escaped() {
    let server = RedisServer::start(&["--enable-debug-command", "yes"]);
    server.ask(&[
        "EVAL",
        "for n = 1, 40 do redis.call('SET', '\\255\\27[2J\\n:' .. n, 'v') end",
        "0",
    ]);
    let json = run(&server, &["--output=json", "--suggest"]);
    let document = document(&json);
    let found = namespace(&document, "\\xff\u{1b}[2J\n", 0);
    assert_eq!(found["keys"]["value"], 40);
    let table = run(&server, &[]);
    assert!(!table.stdout.contains('\u{1b}'), "{}", table.stdout);
    assert!(
        table.stdout.contains("\\xff\\u{1b}[2J\\n "),
        "{}",
        table.stdout
    );
}

#[test]
fn empty_server_is_not_an_error() {
    let server = RedisServer::start(&[]);
    let finished = run(&server, &[]);
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    assert!(
        finished.stdout.contains("\nno keys\n"),
        "{}",
        finished.stdout
    );
    let suggested = run(&server, &["--suggest"]);
    assert!(
        suggested.stdout.ends_with("namespaces: []\n"),
        "{}",
        suggested.stdout
    );
    let json = run(&server, &["--output=json"]);
    assert_eq!(document(&json)["total"]["keys"], 0);
}

#[test]
fn denied_values_are_missing_and_named() {
    let server = RedisServer::start(&[]);
    seed(&server);
    server.ask(&[
        "ACL", "SETUSER", "watcher", "on", ">secret", "+@all", "~*", "-memory",
    ]);
    let url = format!("redis://watcher:secret@{}", server.address());
    let finished = run_at(&url, &["--output=json"]);
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    let document = document(&finished);
    assert_eq!(document["refused"], serde_json::json!(["memory"]));
    let session = namespace(&document, "session", 0);
    assert_eq!(session["memory_bytes"], Value::Null);
    assert_eq!(session["keys"]["value"], 600);
    let table = run_at(&url, &[]);
    assert!(table.stdout.contains("+memory|usage"), "{}", table.stdout);
}

#[test]
fn denied_scan_names_the_missing_permission() {
    let server = RedisServer::start(&[]);
    seed(&server);
    server.ask(&[
        "ACL", "SETUSER", "watcher", "on", ">secret", "+@all", "-scan",
    ]);
    let url = format!("redis://watcher:secret@{}", server.address());
    let finished = run_at(&url, &[]);
    assert_eq!(finished.code(), 1);
    assert_eq!(finished.stdout, "");
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    for part in ["denied", "+scan"] {
        assert!(finished.stderr.contains(part), "{}", finished.stderr);
    }
    assert!(!finished.stderr.contains("secret"), "{}", finished.stderr);
}

#[test]
fn frozen_server_fails_within_the_timeout() {
    let server = RedisServer::start(&[]);
    server.freeze();
    let started = std::time::Instant::now();
    let finished = run(&server, &[]);
    // The timeout is 500 ms.
    let took = started.elapsed();
    assert!(took < Duration::from_secs(3) + slack(), "{took:?}");
    assert_eq!(finished.code(), 1);
    assert!(finished.stderr.contains("timeout"), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("poll.timeout"),
        "{}",
        finished.stderr
    );
}

#[test]
fn unknown_target_error_lists_only_known_names() {
    let finished = Launch::of("redis://127.0.0.1:1")
        .flag("namespaces")
        .flag("redis://user:hunter2@h")
        .run();
    assert_eq!(finished.code(), 1);
    assert!(
        finished.stderr.contains("127.0.0.1:1"),
        "{}",
        finished.stderr
    );
    assert!(!finished.stderr.contains("hunter2"), "{}", finished.stderr);
}

/// Prepares a pass that takes minutes: there are many keys, the budget is small, and the latency
/// limit tolerates a busy machine.
fn slow(server: &RedisServer) -> Launch {
    server.ask(&["DEBUG", "POPULATE", "20000", "key", "100"]);
    Launch::configured(&format!(
        "poll: {{ interval: 1s, timeout: 500ms }}\n\
         targets:\n- name: cache\n  url: '{}'\n\
         \x20 sweep: {{ first_keys: 2000, cpu_share: 0.1%, max_latency: 400ms }}\n",
        server.url()
    ))
    .flag("namespaces")
    .flag("--output=json")
}

fn slow_server() -> RedisServer {
    RedisServer::start(&["--enable-debug-command", "yes"])
}

/// Runs the command until it has scanned about a thousand keys, calls `interrupt`, and returns the
/// exit code and the output.
fn interrupted(
    server: &RedisServer,
    interrupt: impl Fn(&crate::support::Exporter),
) -> (i32, Value, String) {
    let launch = slow(server);
    let (out, err) = (launch.file("stdout"), launch.file("stderr"));
    let mut command = launch.start_without_waiting();
    crate::support::until(LONG, "scanned keys", || {
        assert_eq!(command.process.ended(), None, "{}", command.log());
        let stats = server.ask(&["INFO", "commandstats"]);
        let line = stats
            .lines()
            .find(|line| line.starts_with("cmdstat_scan:"))?;
        let calls = line.split(['=', ',']).nth(1)?.parse::<u32>().ok()?;
        (calls >= 10).then_some(())
    });
    interrupt(&command);
    let (status, took) = command.process.wait(LONG);
    assert!(took < Duration::from_secs(3) + slack(), "{took:?}");
    let text = fs::read_to_string(out).unwrap();
    let errors = fs::read_to_string(err).unwrap();
    let document =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{errors}"));
    (status.code().unwrap(), document, errors)
}

fn assert_partial(document: &Value) {
    let keys = &namespace(document, "key", 0)["keys"];
    let number = |field: &str| keys[field].as_f64().unwrap();
    assert!(
        number("lower") <= 20_000.0 && number("upper") >= 20_000.0,
        "{keys}"
    );
    let coverage = document["databases"][0]["coverage"].as_f64().unwrap();
    assert!(coverage > 0.0 && coverage < 1.0, "{coverage}");
    let memory = &namespace(document, "key", 0)["memory_bytes"];
    assert!(memory["value"].as_f64().unwrap() > 0.0, "{memory}");
}

#[test]
fn interrupt_prints_partial_results() {
    let server = slow_server();
    let (code, document, errors) = interrupted(&server, |command| command.process.signal("INT"));
    assert_eq!(code, 1);
    assert_eq!(document["end"], "interrupted");
    assert_eq!(errors, "");
    assert_partial(&document);
}

#[test]
fn freeze_during_the_pass_prints_partial_results() {
    let server = slow_server();
    let (code, document, errors) = interrupted(&server, |_| server.freeze());
    assert_eq!(code, 1);
    assert_eq!(document["end"], "failed");
    assert!(errors.contains("timeout"), "{errors}");
    assert_partial(&document);
}
