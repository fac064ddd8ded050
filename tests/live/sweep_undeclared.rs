//! Keys outside of declared namespaces, and keys that are not UTF-8.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::sweep::{self, FULL_SPEED, of, passes};
use crate::support::{Page, RedisServer};

/// Returns promtool's syntax errors for a page, or an empty string if there are none.
fn objections(page: &Page) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("promtool is missing: run scripts/test, or apt-get install prometheus");
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(page.0.as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let broken = text.lines().filter(|line| line.contains("error while"));
    broken.collect::<Vec<_>>().join("\n")
}

#[test]
fn undeclared_namespaces_are_named_after_key_prefixes() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 5_000, FIVE_KINDS);
    let exporter = sweep::launch(&server, FULL_SPEED, "").start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    for namespace in ["session", "api", "ratelimit", "websocket", "other"] {
        assert_eq!(of(&page, "keys", namespace), 1_000.0, "{namespace}");
        assert_eq!(of(&page, "keys_error", namespace), 0.0, "{namespace}");
    }
    assert_eq!(page.value("redis_key_namespace_folded_keys", &[]), 0.0);
}

#[test]
fn small_undeclared_namespaces_are_folded_into_other() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 3_000, "call('SET', 'rare' .. i .. ':x', 1)");
    keys::write(
        &server,
        0,
        2_000,
        "call('SET', 'big' .. (i % 4) .. ':' .. i, 1)",
    );
    let settings = format!("{FULL_SPEED}, max_groups: 10");
    let exporter = sweep::launch(&server, &settings, "").start();
    let page = exporter.until("the large namespaces", |page| {
        let namespaces = page.all("redis_key_namespace_keys", &[("key_namespace", "big3")]);
        passes(page) >= 2.0 && namespaces == [500.0]
    });
    for namespace in ["big0", "big1", "big2", "big3"] {
        assert_eq!(of(&page, "keys", namespace), 500.0, "{namespace}");
    }
    let all = page.all("redis_key_namespace_keys", &[]);
    assert_eq!(all.len(), 5, "{all:?}");
    assert_eq!(all.iter().sum::<f64>(), 5_000.0);
    let other = of(&page, "keys", "other");
    assert_eq!(other, 3_000.0);
    assert_eq!(page.value("redis_key_namespace_folded_keys", &[]), other);
    let hidden = page.value("redis_exporter_sweep_hidden_groups", &[]);
    assert!(hidden >= 10.0, "{hidden}");
}

#[test]
fn keys_starting_with_an_id_create_no_series() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 2_000, "call('SET', 'cache:' .. i, 1)");
    let exporter = sweep::launch(&server, FULL_SPEED, "").start();
    exporter.until("a pass", |page| passes(page) >= 1.0);
    let mut shown = BTreeSet::new();
    // The users of a round may have expired at its end.
    let hidden = Cell::new(0.0_f64);
    for round in 0..6 {
        // Users come and go. The keys of each user start with the id.
        let body = format!("call('SET', 'user{round}-' .. i .. ':session', 1, 'EX', 4)");
        keys::write(&server, 0, 3_000, &body);
        let before = passes(&exporter.page());
        let cache = [("db", "db0"), ("key_namespace", "cache")];
        // While keys come or expire in masses, the estimate is absent or wide.
        let page = exporter.until("two more passes and a narrow interval", |page| {
            let error = page.get("redis_key_namespace_keys_error", &cache);
            let found = page.get("redis_exporter_sweep_hidden_groups", &[]);
            hidden.set(hidden.get().max(found.unwrap_or(0.0)));
            passes(page) >= before + 2.0 && error.is_some_and(|error| error <= 400.0)
        });
        let names = page.0.lines().filter_map(|line| {
            let labels = line.strip_prefix("redis_key_namespace_keys{")?;
            let (_, name) = labels.split_once("key_namespace=\"")?;
            name.split('"').next().map(ToOwned::to_owned)
        });
        shown.extend(names);
        // The keyspace is changing, so this is an estimate.
        let cache = of(&page, "keys", "cache");
        assert!(
            (1_500.0..2_500.0).contains(&cache),
            "round {round}: {cache}"
        );
    }
    assert!(shown.iter().eq(["cache", "other"]), "{shown:?}");
    assert!(hidden.get() > 100.0, "{hidden:?}");
}

#[test]
fn binary_key_names_do_not_break_the_page() {
    let server = RedisServer::start(&[]);
    let body = "for _, name in ipairs({ 'quote\"', 'line\\nbreak', 'back\\\\slash', \
        '\\255\\254', '\\0', 'comma,', 'brace}', 'größe', '' }) do \
        for i = 1, 10 do call('SET', name .. ':' .. i, 'x', 'EX', 100) end end \
        call('SET', ':', 1) call('SET', '', 1)";
    keys::run(&server, 0, body);
    let exporter = sweep::launch(&server, FULL_SPEED, "").start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    assert_eq!(objections(&page), "");
    for line in page.0.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    let keys: f64 = page.all("redis_key_namespace_keys", &[]).iter().sum();
    assert_eq!(keys, 92.0, "{}", page.0);
    for namespace in [
        "quote\\\"",
        "line\\nbreak",
        "back\\\\x5cslash",
        "\\\\xff\\\\xfe",
        "größe",
    ] {
        let start = "redis_key_namespace_keys{target=\"cache\",db=\"db0\",key_namespace=";
        assert!(
            page.0.contains(&format!("{start}\"{namespace}\"}} 10\n")),
            "{namespace}\n{}",
            page.0
        );
    }
    assert!(sweep::goes_on(&page));
    assert_eq!(server.info("total_error_replies").unwrap(), "0");
}
