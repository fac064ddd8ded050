//! The layers: which module may use which others. Dependencies have one direction.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use crate::support;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// All modules with the modules that they may use. A module comes before all that use it.
pub const LAYERS: &[(&str, &[&str])] = &[
    ("metric", &[]),
    ("reply", &[]),
    ("query", &["reply"]),
    ("info", &[]),
    ("failure", &[]),
    ("output", &[]),
    ("supervise", &[]),
    ("footprint", &["info"]),
    ("threads", &[]),
    ("bounded_file", &[]),
    ("tls", &["bounded_file"]),
    ("glob", &[]),
    ("label", &[]),
    ("logfmt", &[]),
    ("pattern", &["glob"]),
    (
        "config",
        &["bounded_file", "glob", "metric", "pattern", "tls"],
    ),
    (
        "collector",
        &[
            "config",
            "footprint",
            "glob",
            "info",
            "label",
            "metric",
            "query",
            "reply",
        ],
    ),
    ("encode", &["metric"]),
    ("outcome", &["failure", "metric"]),
    ("telemetry", &["encode", "failure", "metric", "output"]),
    ("publish", &["encode", "failure", "metric"]),
    (
        "connection",
        &[
            "config",
            "failure",
            "footprint",
            "info",
            "query",
            "reply",
            "threads",
            "tls",
        ],
    ),
    (
        "keyspace",
        &[
            "collector",
            "config",
            "connection",
            "failure",
            "footprint",
            "glob",
            "info",
            "label",
            "logfmt",
            "metric",
            "pattern",
            "publish",
            "query",
            "reply",
        ],
    ),
    (
        "catalogue",
        &["collector", "metric", "keyspace", "outcome", "telemetry"],
    ),
    (
        "poll",
        &[
            "collector",
            "config",
            "connection",
            "encode",
            "failure",
            "footprint",
            "info",
            "logfmt",
            "metric",
            "outcome",
            "publish",
            "query",
            "reply",
            "telemetry",
            "threads",
        ],
    ),
    (
        "page",
        &["encode", "metric", "publish", "telemetry", "threads"],
    ),
    (
        "http",
        &[
            "config",
            "encode",
            "failure",
            "metric",
            "publish",
            "telemetry",
            "threads",
            "tls",
        ],
    ),
    (
        "fleet",
        &[
            "config",
            "connection",
            "footprint",
            "keyspace",
            "poll",
            "publish",
            "supervise",
            "telemetry",
        ],
    ),
    (
        "command",
        &[
            "collector",
            "config",
            "encode",
            "failure",
            "metric",
            "keyspace",
            "outcome",
            "output",
            "poll",
            "query",
            "reply",
            "telemetry",
        ],
    ),
    (
        "daemon",
        &[
            "collector",
            "config",
            "encode",
            "fleet",
            "http",
            "metric",
            "output",
            "page",
            "poll",
            "publish",
            "supervise",
            "telemetry",
            "threads",
        ],
    ),
];

fn sources(path: &Path) -> String {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a folder can be read");
        let files = entries.map(|entry| sources(&entry.expect("an entry can be read").path()));
        return files.collect();
    }
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn source_of(module: &str) -> String {
    let file = support::in_repository(&format!("src/{module}.rs"));
    let folder = support::in_repository(&format!("src/{module}"));
    [file, folder]
        .iter()
        .filter(|path| path.exists())
        .map(|path| sources(path))
        .collect()
}

/// Returns the modules of the crate that a text uses, by `crate::name` or in `use crate::{name,
/// …}`.
fn used(source: &str) -> BTreeSet<String> {
    let word = |text: &str| {
        let letters = text.trim_start().chars();
        letters
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect::<String>()
    };
    let mut modules = BTreeSet::new();
    for (at, _) in source.match_indices("crate::") {
        let rest = source.get(at + "crate::".len()..).unwrap_or_default();
        match rest
            .strip_prefix('{')
            .and_then(|group| group.split_once('}'))
        {
            Some((group, _)) => modules.extend(group.split(',').map(word)),
            None => {
                modules.insert(word(rest));
            }
        }
    }
    modules
}

#[test]
fn every_module_stands_in_the_table() {
    let root = fs::read_to_string(support::in_repository("src/lib.rs")).expect("lib.rs is there");
    let modules: BTreeSet<&str> = root
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let table: BTreeSet<&str> = LAYERS.iter().map(|(module, _)| *module).collect();
    assert_eq!(modules, table);
}

#[test]
fn no_module_reaches_upward() {
    let known: BTreeSet<&str> = LAYERS.iter().map(|(module, _)| *module).collect();
    for (module, allowed) in LAYERS {
        for name in used(&source_of(module)) {
            let fine = name == *module || allowed.contains(&name.as_str());
            assert!(
                fine || !known.contains(name.as_str()),
                "{module} uses {name}"
            );
        }
    }
}

#[test]
fn the_table_has_no_circle() {
    for (at, (module, allowed)) in LAYERS.iter().enumerate() {
        for name in *allowed {
            let below = LAYERS.iter().take(at).any(|(below, _)| below == name);
            assert!(below, "{module} uses {name}, which does not stand below it");
        }
    }
}

#[test]
fn no_module_names_the_redis_crate() {
    for (module, _) in LAYERS {
        let source = source_of(module);
        let is_named = source.contains("use redis::") || source.contains(" redis::");
        assert!(!is_named, "{module} uses the redis crate");
    }
}
