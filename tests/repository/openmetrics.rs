//! Checks that a page is valid `OpenMetrics`: syntax, unique names, and samples below their own
//! family.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};

use redis_namespace_exporter::catalogue;
use redis_namespace_exporter::encode::{Spelling, spellings};
use redis_namespace_exporter::metric::{Kind, stem};

/// Returns the suffixes that the samples of a family of this type may have.
fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total", "_created"],
        "summary" => &["", "_sum", "_count", "_created"],
        "histogram" => &["_bucket", "_sum", "_count", "_created"],
        "gauge" | "unknown" => &[""],
        other => panic!("there is no type {other}"),
    }
}

/// Reserves all names of a family. Panics if one is taken.
fn claim(taken: &mut BTreeMap<String, String>, name: &str, kind: &str) {
    let names: BTreeSet<&str> = suffixes(kind).iter().copied().chain([""]).collect();
    for suffix in names {
        let owner = taken.insert(format!("{name}{suffix}"), name.to_owned());
        assert_eq!(owner, None, "{name} has the name {name}{suffix} as well");
    }
}

/// Panics unless a page is valid.
pub fn assert_valid(page: &str) {
    let body = page
        .strip_suffix("# EOF\n")
        .expect("a page ends with # EOF");
    let mut taken = BTreeMap::new();
    let (mut helped, mut name, mut kind) = ("", "", "");
    let mut samples: BTreeMap<&str, usize> = BTreeMap::new();
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            assert_complete(name, kind, &samples);
            samples.clear();
            helped = help.split(' ').next().unwrap_or_default();
            assert!(!help.replace("\\\"", "").contains('"'), "{line}");
        } else if let Some(declared) = line.strip_prefix("# TYPE ") {
            (name, kind) = declared.split_once(' ').expect("a name and a type");
            assert_eq!(helped, name, "a family has one HELP and one TYPE");
            claim(&mut taken, name, kind);
        } else {
            let end = line.find(['{', ' ']).expect("a sample has a value");
            let sample = line.get(..end).unwrap_or_default();
            let suffix = sample.strip_prefix(name).unwrap_or("?");
            assert!(
                suffixes(kind).contains(&suffix),
                "{line} under {name} {kind}"
            );
            let value: f64 = line
                .rsplit(' ')
                .next()
                .and_then(|value| value.parse().ok())
                .expect("a sample has a value");
            assert!(kind != "counter" || value >= 0.0, "{line}");
            *samples.entry(suffix).or_default() += 1;
            if line.contains("le=\"+Inf\"") {
                *samples.entry("+Inf").or_default() += 1;
            }
        }
    }
    assert_complete(name, kind, &samples);
}

/// Panics if a histogram lacks a sum, a count or its last bucket.
fn assert_complete(name: &str, kind: &str, samples: &BTreeMap<&str, usize>) {
    if kind == "histogram" {
        let of = |part| samples.get(part).copied().unwrap_or(0);
        let parts = (of("_sum"), of("_count"));
        assert_eq!(parts, (of("+Inf"), of("+Inf")), "{name}");
    }
}

/// Returns the names and types of a spelling, if all its samples are complete.
fn declared(spelling: &Spelling) -> Vec<(String, &'static str)> {
    let name = spelling.name.to_owned();
    let apart = |parts: [&str; 3]| {
        parts
            .map(|part| (format!("{name}{part}"), "unknown"))
            .to_vec()
    };
    match spelling.kind {
        Kind::Counter if stem(&name) == name => vec![(name, "unknown")],
        Kind::Counter => vec![(stem(&name).to_owned(), "counter")],
        Kind::Summary if spelling.as_replied => apart(["", "_sum", "_count"]),
        kind => vec![(name, kind.as_str())],
    }
}

#[test]
fn no_two_families_share_a_name() {
    for legacy_names in [true, false] {
        let mut taken = BTreeMap::new();
        for family in catalogue::families() {
            for spelling in spellings(family, legacy_names) {
                for (name, kind) in declared(&spelling) {
                    claim(&mut taken, &name, kind);
                }
            }
        }
    }
}

#[test]
fn spellings_never_differ_by_total_alone() {
    let mut pairs = 0;
    for family in catalogue::families() {
        let names: Vec<_> = spellings(family, true)
            .map(|spelling| spelling.name)
            .collect();
        if let [one, other] = names[..] {
            assert_ne!(stem(one), stem(other));
            pairs += 1;
        }
    }
    assert!(pairs > 20, "only {pairs} pairs");
}

#[test]
fn invalid_pages_are_detected() {
    let header = "# HELP a A.\n# TYPE a gauge\na 1\n";
    assert_valid(&format!("{header}# EOF\n"));
    for page in [
        header.to_owned(),
        format!("{header}# HELP a A.\n# TYPE a counter\na_total 1\n# EOF\n"),
        format!("{header}# HELP b B.\n# TYPE b counter\nb 1\n# EOF\n"),
        format!("{header}# HELP b B.\n# TYPE b counter\nb_total -1\n# EOF\n"),
        format!("{header}# HELP b \"B\".\n# TYPE b gauge\nb 1\n# EOF\n"),
        "# HELP b B.\n# TYPE b histogram\nb_bucket{le=\"+Inf\"} 1\nb_count 1\n# EOF\n".to_owned(),
    ] {
        let found = std::panic::catch_unwind(|| assert_valid(&page));
        assert!(found.is_err(), "{page} is taken for valid");
    }
}
