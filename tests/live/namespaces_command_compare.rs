//! `namespaces --compare`: what changed since an earlier pass.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::exporter::Finished;
use crate::support::keys;
use crate::support::{Launch, RedisServer};

fn run(server: &RedisServer, flags: &[&str]) -> Finished {
    let launch = Launch::of(&server.url()).flag("namespaces");
    let launch = launch.flag("--full-speed").flag("--lookups=all");
    flags
        .iter()
        .fold(launch, |launch, flag| launch.flag(flag))
        .run()
}

/// Saves the JSON document of a pass.
fn saved(server: &RedisServer, folder: &tempfile::TempDir) -> PathBuf {
    let finished = run(server, &["--output=json"]);
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    let path = folder.path().join("before.json");
    fs::write(&path, finished.stdout).unwrap();
    path
}

#[test]
fn growth_new_and_gone_namespaces_are_listed() {
    let server = RedisServer::start(&[]);
    keys::write(
        &server,
        0,
        600,
        "call('SET', 'session:' .. i, 'x', 'EX', 9000)",
    );
    keys::write(&server, 0, 300, "call('SET', 'same:' .. i, 'x')");
    keys::write(&server, 3, 40, "call('RPUSH', 'queue:' .. i, 'x')");
    let folder = tempfile::tempdir().unwrap();
    let before = saved(&server, &folder);
    let compare = format!("--compare={}", before.display());
    let nothing = run(&server, &[&compare]);
    assert_eq!(nothing.code(), 0, "{}", nothing.stderr);
    let unchanged = "No namespace changed.";
    assert!(nothing.stdout.contains(unchanged), "{}", nothing.stdout);

    keys::write(&server, 0, 900, "call('SET', 'session:' .. i, 'x')");
    keys::write(&server, 0, 70, "call('SET', 'cart:' .. i, 'x')");
    keys::run(
        &server,
        3,
        "for i = 1, 40 do call('DEL', 'queue:' .. i) end",
    );
    let finished = run(&server, &[&compare, "--output=json"]);
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    let compared = &document["compared"];
    assert_eq!(compared["was_complete"], true);
    assert!(compared["seconds"].as_f64().unwrap() >= 0.0, "{compared:#}");
    let of = |name: &str| {
        let changes = compared["changes"].as_array().unwrap();
        let found = changes.iter().find(|change| change["name"] == name);
        found
            .unwrap_or_else(|| panic!("{name}: {compared:#}"))
            .clone()
    };
    let session = of("session");
    assert_eq!(session["presence"], "both");
    assert_eq!(session["keys"]["change"], 300);
    assert_eq!(session["keys"]["is_beyond_error"], true);
    // The others lost their TTLs.
    assert_eq!(session["keys_without_ttl"]["change"], 900);
    let used = document["namespaces"].as_array().unwrap();
    let used = used.iter().find(|one| one["name"] == "session").unwrap();
    assert_eq!(
        session["memory_bytes"]["now"],
        used["memory_bytes"]["value"]
    );
    let cart = of("cart");
    assert_eq!(
        (&cart["presence"], &cart["keys"]["now"]),
        (&"new".into(), &70.into())
    );
    let queue = of("queue");
    assert_eq!(queue["presence"], "gone");
    assert_eq!(
        (&queue["database"], &queue["keys"]["change"]),
        (&3.into(), &(-40).into())
    );
    // Its share changed only.
    let same = of("same");
    assert_eq!(same["keys"]["change"], 0);
    assert!(same["share"]["change"].as_f64().unwrap() < 0.0, "{same}");

    let table = run(&server, &[&compare]);
    for part in ["session ", "cart (new)", "queue (gone)", "+300 *", "-40 *"] {
        assert!(table.stdout.contains(part), "{part}: {}", table.stdout);
    }
}

#[test]
fn foreign_file_is_one_error_before_the_pass() {
    let server = RedisServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("before.json");
    let path = file.display().to_string();
    let calls = || {
        server
            .ask(&["INFO", "commandstats"])
            .contains("cmdstat_scan")
    };
    for (text, expected) in [
        (None, format!("{path} cannot be read (")),
        (Some("namespaces: []"), format!("{path}:1:2 is not JSON; ")),
        (
            Some("{\"target\":\"a\",\"end\":\"complete\"}"),
            format!("{path}:1:31 is not the JSON document of a pass; "),
        ),
    ] {
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        let finished = run(&server, &[&format!("--compare={path}")]);
        assert_eq!(finished.code(), 1, "{}", finished.stdout);
        assert_eq!(finished.stdout, "");
        assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
        assert!(
            finished.stderr.contains(&expected),
            "{expected}: {}",
            finished.stderr
        );
        assert!(!calls(), "the pass began");
    }
    let secret = run(&server, &["--compare=redis://user:hunter2@h"]);
    assert_eq!(secret.code(), 1);
    assert!(!secret.stderr.contains("hunter2"), "{}", secret.stderr);
}
