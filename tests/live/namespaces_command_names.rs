//! `namespaces --largest` and `--examples`.

use serde_json::Value;

use crate::support::exporter::Finished;
use crate::support::{Launch, RedisServer, keys};

/// Returns the launch of a pass over every key, with policies for two namespaces.
fn launch(server: &RedisServer) -> Launch {
    Launch::configured(&format!(
        "sweep: {{ max_latency: 10s }}\ntargets: [{{ url: '{}' }}]\n\
         namespaces:\n- {{ name: session, match: 'session:*', ttl: {{ required: true, max: 1h }} }}\n\
         - {{ name: queue, match: 'queue:*' }}\n",
        server.url()
    ))
    .flag("namespaces")
    .flag("--full-speed")
    .flag("--lookups=all")
}

fn run(server: &RedisServer, flags: &[&str]) -> Finished {
    let launch = flags
        .iter()
        .fold(launch(server), |launch, flag| launch.flag(flag));
    let finished = launch.run();
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    finished
}

fn seed(server: &RedisServer) {
    keys::write(
        server,
        0,
        40,
        "call('SET', 'session:good' .. i, 'x', 'EX', 900)",
    );
    keys::write(server, 0, 9, "call('SET', 'session:never' .. i, 'x')");
    keys::write(
        server,
        0,
        9,
        "call('SET', 'session:long' .. i, 'x', 'EX', 90000)",
    );
    keys::write(
        server,
        3,
        5,
        "call('SET', 'queue:' .. i, string.rep('x', i * 10000))",
    );
    keys::run(
        server,
        0,
        "call('SET', '\\27[2J\\255', string.rep('x', 500000))",
    );
}

#[test]
fn largest_keys_are_named_and_escaped() {
    let server = RedisServer::start(&[]);
    seed(&server);
    let document: Value =
        serde_json::from_str(&run(&server, &["--largest=3", "--output=json"]).stdout).unwrap();
    let largest = document["largest_keys"].as_array().unwrap();
    let found: Vec<_> = largest
        .iter()
        .map(|key| {
            (
                key["key"].as_str().unwrap(),
                key["database"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [("\u{1b}[2J\\xff", 0), ("queue:5", 3), ("queue:4", 3)]
    );
    assert_eq!(largest[1]["namespace"], "queue");
    let bytes: u64 = keys::run(
        &server,
        3,
        "return tostring(call('MEMORY', 'USAGE', 'queue:5'))",
    )
    .parse()
    .unwrap();
    assert_eq!(largest[1]["memory_bytes"], bytes);

    let table = run(&server, &["--largest=3"]).stdout;
    assert!(table.contains("\nLargest keys:\n"), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
    assert!(table.contains("db0  other  \\u{1b}[2J\\xff\n"), "{table}");
    // Names of keys appear only if they are requested.
    let plain = run(&server, &["--output=json"]).stdout;
    assert!(!plain.contains("queue:5"), "{plain}");
}

#[test]
fn examples_of_broken_policies_are_named() {
    let server = RedisServer::start(&[]);
    seed(&server);
    let document: Value =
        serde_json::from_str(&run(&server, &["--examples", "--output=json"]).stdout).unwrap();
    let broken = document["broken_policies"].as_array().unwrap();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0]["namespace"], "session");
    let never = broken[0]["ttl_required"].as_array().unwrap();
    let long = broken[0]["ttl_max"].as_array().unwrap();
    assert_eq!((never.len(), long.len()), (3, 3));
    let starts = |key: &Value, start: &str| key.as_str().unwrap().starts_with(start);
    assert!(
        never.iter().all(|key| starts(key, "session:never")),
        "{never:?}"
    );
    assert!(
        long.iter().all(|key| starts(&key["key"], "session:long")),
        "{long:?}"
    );
    assert!(
        long.iter()
            .all(|key| key["ttl_seconds"].as_f64() > Some(80_000.0))
    );
    let table = run(&server, &["--examples"]).stdout;
    for part in [
        "- session (db0), no TTL: session:never",
        "- session (db0), TTL too long: session:long",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
}
