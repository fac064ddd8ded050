//! The layers: which module may use which others. Dependencies have one direction.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::source_paths::{Path, Source, named, sources};
use crate::support;

/// All modules with the modules that they may use. A module comes before all that use it.
pub const LAYERS: &[(&str, &[&str])] = &[
    ("number", &[]),
    ("metric", &[]),
    ("reply", &["number"]),
    ("query", &["reply"]),
    ("info", &["number"]),
    ("failure", &[]),
    ("invisible", &[]),
    ("quantity", &["number"]),
    ("output", &["invisible"]),
    ("backoff", &[]),
    ("clock", &[]),
    ("columns", &[]),
    ("supervise", &["backoff"]),
    ("footprint", &["info"]),
    ("history", &["metric", "number"]),
    ("trace", &["failure", "query"]),
    ("threads", &[]),
    ("bounded_file", &[]),
    ("tls", &["bounded_file"]),
    ("glob", &[]),
    ("label", &[]),
    ("logfmt", &[]),
    ("pattern", &["glob"]),
    ("topology", &["info", "reply"]),
    (
        "config",
        &[
            "bounded_file",
            "glob",
            "label",
            "metric",
            "pattern",
            "tls",
            "topology",
        ],
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
            "number",
            "pattern",
            "query",
            "reply",
        ],
    ),
    ("encode", &["metric", "number"]),
    ("outcome", &["failure", "metric", "number"]),
    (
        "telemetry",
        &["encode", "failure", "metric", "number", "output"],
    ),
    (
        "publish",
        &[
            "clock", "encode", "failure", "history", "metric", "quantity", "trace",
        ],
    ),
    (
        "view",
        &[
            "columns",
            "failure",
            "history",
            "invisible",
            "metric",
            "number",
            "publish",
            "quantity",
            "query",
            "trace",
        ],
    ),
    (
        "connection",
        &[
            "bounded_file",
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
            "backoff",
            "clock",
            "collector",
            "config",
            "connection",
            "failure",
            "footprint",
            "info",
            "label",
            "logfmt",
            "metric",
            "number",
            "pattern",
            "publish",
            "quantity",
            "query",
            "reply",
        ],
    ),
    (
        "access_rule",
        &["collector", "config", "keyspace", "query", "reply", "trace"],
    ),
    (
        "canary",
        &[
            "backoff",
            "clock",
            "config",
            "connection",
            "failure",
            "footprint",
            "info",
            "metric",
            "number",
            "outcome",
            "publish",
            "reply",
        ],
    ),
    (
        "catalogue",
        &[
            "canary",
            "collector",
            "metric",
            "keyspace",
            "outcome",
            "telemetry",
        ],
    ),
    (
        "poll",
        &[
            "access_rule",
            "backoff",
            "clock",
            "collector",
            "config",
            "connection",
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
            "trace",
        ],
    ),
    (
        "page",
        &["encode", "metric", "publish", "telemetry", "threads"],
    ),
    ("requested", &["config"]),
    (
        "http",
        &[
            "bounded_file",
            "clock",
            "config",
            "encode",
            "failure",
            "metric",
            "outcome",
            "publish",
            "quantity",
            "requested",
            "telemetry",
            "threads",
            "tls",
            "view",
        ],
    ),
    ("fetch", &["config", "connection", "failure"]),
    (
        "discovery",
        &[
            "backoff",
            "bounded_file",
            "clock",
            "config",
            "connection",
            "failure",
            "fetch",
            "glob",
            "number",
            "publish",
            "reply",
            "requested",
            "supervise",
            "telemetry",
            "threads",
            "topology",
        ],
    ),
    (
        "fleet",
        &[
            "canary",
            "config",
            "connection",
            "discovery",
            "footprint",
            "keyspace",
            "number",
            "poll",
            "publish",
            "supervise",
            "telemetry",
        ],
    ),
    (
        "command",
        &[
            "access_rule",
            "bounded_file",
            "canary",
            "clock",
            "collector",
            "columns",
            "config",
            "discovery",
            "encode",
            "failure",
            "fetch",
            "glob",
            "invisible",
            "keyspace",
            "label",
            "metric",
            "number",
            "outcome",
            "output",
            "poll",
            "publish",
            "quantity",
            "query",
            "reply",
            "telemetry",
        ],
    ),
    (
        "daemon",
        &[
            "clock",
            "collector",
            "config",
            "discovery",
            "fleet",
            "http",
            "metric",
            "output",
            "page",
            "poll",
            "publish",
            "requested",
            "supervise",
            "telemetry",
            "threads",
        ],
    ),
    (
        "fuzz_targets",
        &[
            "collector",
            "config",
            "connection",
            "discovery",
            "encode",
            "glob",
            "http",
            "info",
            "metric",
            "publish",
            "query",
            "reply",
            "topology",
            "view",
        ],
    ),
];

/// The paths that all modules name, read once.
struct Uses {
    /// The paths by module, as its files name them.
    paths: Vec<(String, BTreeSet<Path>)>,
    /// The names that modules re-export, with the path of each.
    exports: BTreeMap<Path, Path>,
}

impl Uses {
    fn read(sources: &[Source]) -> Self {
        let mut uses = Self {
            paths: Vec::new(),
            exports: BTreeMap::new(),
        };
        for source in sources {
            let named = named(&source.module, &source.text);
            uses.exports.extend(named.exports);
            let module = source.module.first().cloned().unwrap_or_default();
            uses.paths.push((module, named.paths));
        }
        uses
    }

    /// Returns the modules that a module uses, including those behind re-exports.
    fn of(&self, module: &str) -> BTreeSet<String> {
        let of_module = self.paths.iter().filter(|(name, _)| name == module);
        let mut paths: Vec<Path> = of_module.flat_map(|(_, paths)| paths.clone()).collect();
        let mut modules = BTreeSet::new();
        let mut seen = BTreeSet::new();
        while let Some(path) = paths.pop() {
            if !seen.insert(path.clone()) {
                continue;
            }
            for end in 1..=path.len() {
                let (name, rest) = path.split_at(end);
                let parent = name.split_last().map_or(name, |(_, parent)| parent);
                let all = [parent, &["*".to_owned()]].concat();
                let through = [self.exports.get(name), self.exports.get(&all)];
                let through = through.into_iter().flatten();
                paths.extend(through.map(|path| [path, rest].concat()));
            }
            modules.extend(path.into_iter().next());
        }
        modules
    }
}

#[test]
fn every_module_is_in_the_table() {
    let root = fs::read_to_string(support::in_repository("src/lib.rs")).expect("lib.rs is there");
    let modules: BTreeSet<&str> = root
        .lines()
        .map(|line| line.strip_prefix("pub ").unwrap_or(line))
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    let table: BTreeSet<&str> = LAYERS.iter().map(|(module, _)| *module).collect();
    assert_eq!(modules, table);
}

#[test]
fn modules_only_use_lower_layers() {
    let known: BTreeSet<&str> = LAYERS.iter().map(|(module, _)| *module).collect();
    let all_uses = Uses::read(&sources());
    for (module, allowed) in LAYERS {
        for name in all_uses.of(module) {
            let fine = name == *module || allowed.contains(&name.as_str());
            assert!(
                fine || !known.contains(name.as_str()),
                "{module} uses {name}"
            );
        }
    }
}

#[test]
fn every_allowed_use_is_one() {
    let all_uses = Uses::read(&sources());
    let mut unused = Vec::new();
    for (module, allowed) in LAYERS {
        let used = all_uses.of(module);
        let extra = allowed.iter().filter(|name| !used.contains(**name));
        unused.extend(extra.map(|name| format!("{module} does not use {name}")));
    }
    assert!(unused.is_empty(), "{unused:#?}");
}

#[test]
fn uses_through_parents_and_re_exports_are_seen() {
    let source = |module: &str, text: &str| Source {
        file: String::new(),
        module: module.split("::").map(str::to_owned).collect(),
        text: text.to_owned(),
    };
    let sources = [
        source("a", "pub struct A;"),
        source("b", "pub use crate::a::A; pub use crate::e::*;"),
        source("c::d", "use crate::b::A;"),
        source("e", "pub struct E;"),
        source("f::g", "use super::super::c;"),
        source("h", "mod rows { use super::super::f; }"),
        source("i", "fn f() -> crate::b::Anything { }"),
    ];
    let read = Uses::read(&sources);
    for (module, uses) in [
        ("b", &["a", "e"][..]),
        ("c", &["a", "b", "e"]),
        ("f", &["c"]),
        ("h", &["f"]),
        ("i", &["b", "e"]),
    ] {
        let expected: BTreeSet<String> = uses.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(read.of(module), expected, "{module}");
    }
}

#[test]
fn table_of_layers_has_no_cycle() {
    for (at, (module, allowed)) in LAYERS.iter().enumerate() {
        for name in *allowed {
            let below = LAYERS.iter().take(at).any(|(below, _)| below == name);
            assert!(below, "{module} uses {name}, which is not below it");
        }
    }
}

#[test]
fn no_module_names_the_redis_crate() {
    for Source { file, text, .. } in sources() {
        let is_named = text.contains("use redis::") || text.contains(" redis::");
        assert!(!is_named, "{file} uses the redis crate");
    }
}
