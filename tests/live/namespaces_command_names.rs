//! `namespaces --largest`, `--examples` and `--watch`.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::exporter::Finished;
use crate::support::wait::LONG;
use crate::support::{Launch, RedisServer, keys, until};

/// Returns the launch of a pass over every key, with policies for two namespaces.
fn launch(server: &RedisServer) -> Launch {
    Launch::configured(&format!(
        "sweep: {{ max_latency: 10s, min_pass_interval: 1s }}\ntargets: [{{ url: '{}' }}]\n\
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

    // A namespace can have most of them.
    let more = run(&server, &["--largest=6", "--output=json"]).stdout;
    let more: Value = serde_json::from_str(&more).unwrap();
    let more = more["largest_keys"].as_array().unwrap();
    let of_queue = more.iter().filter(|key| key["namespace"] == "queue");
    assert_eq!((more.len(), of_queue.count()), (6, 5));

    let table = run(&server, &["--largest=3"]).stdout;
    assert!(table.contains("\nLargest keys:\n"), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
    assert!(table.contains("db0  other  \\u{1b}[2J\\xff\n"), "{table}");
    // Names of keys appear only if they are requested.
    let plain = run(&server, &["--output=json"]).stdout;
    assert!(!plain.contains("queue:5"), "{plain}");
}

#[test]
fn very_long_names_are_cut_and_none_is_missing() {
    let server = RedisServer::start(&[]);
    keys::run(
        &server,
        0,
        "for i = 1, 3 do call('SET', 'session:' .. string.rep('x', 1000) .. i, \
         string.rep('v', 10000 * i)) end",
    );
    let finished = run(&server, &["--largest=5", "--examples", "--output=json"]);
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    let largest = document["largest_keys"].as_array().unwrap();
    assert_eq!(largest.len(), 3, "{largest:?}");
    let never = document["broken_policies"][0]["ttl_required"]
        .as_array()
        .unwrap();
    assert_eq!(never.len(), 3, "{never:?}");
    let names = largest.iter().map(|key| &key["key"]).chain(never);
    for name in names.map(|name| name.as_str().unwrap()) {
        assert!(name.starts_with("session:xxx"), "{name}");
        assert!(name.ends_with("x… (1,009 bytes)"), "{name}");
    }
    assert!(largest.iter().all(|key| key["key_length"] == 1_009));
    let table = run(&server, &["--largest=5", "--examples"]).stdout;
    assert_eq!(table.matches("x… (1,009 bytes)").count(), 6, "{table}");
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

/// Returns the number of completed passes in an output.
fn passes(output: &str) -> usize {
    output.matches("\nNext pass in ").count()
}

#[test]
fn watching_repeats_the_pass_until_it_is_interrupted() {
    let server = RedisServer::start(&[]);
    seed(&server);
    let launch = launch(&server).flag("--watch");
    let out = launch.file("stdout");
    let mut command = launch.start_without_waiting();
    let read = || fs::read_to_string(&out).unwrap();
    until(LONG, "two passes", || {
        assert_eq!(command.process.ended(), None, "{}", command.log());
        (passes(&read()) >= 2).then_some(())
    });
    keys::write(
        &server,
        0,
        100,
        "call('SET', 'session:new' .. i, 'x', 'EX', 900)",
    );
    until(LONG, "new keys", || {
        let is_new = |line: &str| line.starts_with("session ") && line.contains(" 158 ");
        read().lines().any(is_new).then_some(())
    });
    command.process.signal("INT");
    let (status, _) = command.process.wait(LONG);
    assert_eq!(status.code(), Some(0));
    assert!(
        !read().contains('\u{1b}'),
        "a file gets no codes of terminals"
    );
}

#[test]
fn watching_goes_on_after_failed_passes() {
    let mut server = RedisServer::start(&[]);
    seed(&server);
    let launch = launch(&server).flag("--watch");
    let (out, err) = (launch.file("stdout"), launch.file("stderr"));
    let mut command = launch.start_without_waiting();
    let read = || fs::read_to_string(&out).unwrap();
    let errors = || fs::read_to_string(&err).unwrap();
    until(LONG, "a pass", || (passes(&read()) > 0).then_some(()));
    server.kill();
    until(LONG, "two failed passes", || {
        assert_eq!(command.process.ended(), None, "{}", errors());
        (errors().matches("\nNext attempt in ").count() >= 2).then_some(())
    });
    assert!(errors().contains("failed: refused: "), "{}", errors());
    let before = passes(&read());
    server.restart(&[]);
    keys::write(&server, 0, 7, "call('SET', 'queue:' .. i, 'x')");
    until(LONG, "the keys of the restarted server", || {
        assert_eq!(command.process.ended(), None, "{}", errors());
        let is_new = |line: &str| line.starts_with("queue ") && line.contains("  7 ");
        read().lines().any(is_new).then_some(())
    });
    assert!(passes(&read()) > before, "{}", read());
    command.process.signal("INT");
    let (status, _) = command.process.wait(LONG);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn watching_waits_for_a_server_that_is_down_at_the_start() {
    let mut server = RedisServer::start(&[]);
    server.kill();
    let launch = launch(&server).flag("--watch").flag("--output=json");
    let (out, err) = (launch.file("stdout"), launch.file("stderr"));
    let mut command = launch.start_without_waiting();
    until(LONG, "a failed pass", || {
        let errors = fs::read_to_string(&err).unwrap();
        assert_eq!(command.process.ended(), None, "{errors}");
        errors.contains("\nNext attempt in ").then_some(())
    });
    assert_eq!(fs::read_to_string(&out).unwrap(), "");
    server.restart(&[]);
    seed(&server);
    until(LONG, "a document with keys", || {
        let text = fs::read_to_string(&out).unwrap();
        text.contains("\"keys_seen\": 64").then_some(())
    });
    command.process.signal("INT");
    let (status, _) = command.process.wait(LONG);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn watching_ends_if_the_password_is_wrong() {
    let server = RedisServer::start(&["--requirepass", "hunter2"]);
    let finished = launch(&server).flag("--watch").run();
    assert_eq!(finished.code(), 1);
    assert!(finished.stderr.contains("auth: "), "{}", finished.stderr);
}

/// Starts a program in a terminal. Its screen goes to the file.
fn in_terminal(line: &str, screen: &Path) -> Child {
    // Util-linux's `script` runs a command in a terminal.
    Command::new("script")
        .args(["--quiet", "--return", "--flush", "--command", line])
        .arg(screen)
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("script, from the package bsdutils")
}

#[test]
fn watching_redraws_a_terminal() {
    let mut server = RedisServer::start(&[]);
    seed(&server);
    let folder = tempfile::tempdir().unwrap();
    let screen = folder.path().join("screen");
    let program = env!("CARGO_BIN_EXE_redis-namespace-exporter");
    let line = format!(
        "exec '{program}' namespaces --redis.addr={} --sweep.min-pass-interval=1s \
         --sweep.max-latency=10s --full-speed --watch",
        server.url()
    );
    let mut terminal = in_terminal(&line, &screen);
    let read = || {
        let bytes = fs::read(&screen).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    until(LONG, "two passes", || {
        assert!(terminal.try_wait().unwrap().is_none(), "{}", read());
        (read().matches("Next pass in ").count() >= 2).then_some(())
    });
    let shown = read();
    assert!(shown.matches("\u{1b}[H\u{1b}[J").count() >= 2, "{shown:?}");
    assert!(!shown.contains("\u{1b}[?25l"), "the cursor stays visible");
    // The table stays while the server is down, and the error is below it.
    server.kill();
    let last = until(LONG, "a failed pass", || {
        assert!(terminal.try_wait().unwrap().is_none(), "{}", read());
        let text = read();
        let (_, last) = text.rsplit_once("\u{1b}[H\u{1b}[J")?;
        last.contains("Next attempt in ").then(|| last.to_owned())
    });
    for part in ["NAMESPACE", "session", "failed: ", "last complete pass"] {
        assert!(last.contains(part), "{part}: {last:?}");
    }
    // Ctrl-C, as a terminal sends it.
    let mut input = terminal.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"\x03").unwrap();
    let status = until(LONG, "the end", || terminal.try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "{}", read());
}
