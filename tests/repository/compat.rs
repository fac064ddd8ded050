//! The metrics that `redis_exporter` shows with its default flags, held against the rows: name,
//! type and labels. Whether the values are right is the golden pages' and the live tests' part.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use redis_namespace_exporter::catalogue;
use redis_namespace_exporter::encode::spellings;

use crate::support;

/// What is not here, and why.
const ELSEWHERE: &[(&str, &str)] = &[(
    "redis_cluster_*",
    "every field of the cluster has a row of its own",
)];

/// Labels of ours that differ, and why.
const OTHER_LABELS: &[(&str, &str)] = &[(
    "redis_exporter_build_info",
    "there is no Go version; an absent label is an empty one",
)];

/// Type and labels of every spelling.
fn shown() -> BTreeMap<&'static str, (&'static str, BTreeSet<&'static str>)> {
    let families = catalogue::families();
    let mut shown = BTreeMap::new();
    for family in families {
        for spelling in spellings(family, true) {
            let labels = family.labels.iter().copied().collect();
            shown.insert(spelling.name, (spelling.kind.as_str(), labels));
        }
    }
    shown
}

#[test]
fn every_default_metric_of_redis_exporter_has_its_name_type_and_labels() {
    let table = support::in_repository("tests/golden/redis_exporter-metrics.tsv");
    let table = fs::read_to_string(table).expect("the table is there");
    let shown = shown();
    let mut wrong = Vec::new();
    for line in table.lines().skip(1) {
        let mut columns = line.split('\t');
        let mut column = || columns.next().unwrap_or_default();
        let (name, kind, labels) = (column(), column(), column());
        if ELSEWHERE.iter().any(|(start, _)| name.starts_with(start)) {
            continue;
        }
        let labels: BTreeSet<&str> = labels
            .split(", ")
            .filter(|label| !label.is_empty())
            .collect();
        let same_labels = !OTHER_LABELS.iter().any(|(other, _)| *other == name);
        match shown.get(name) {
            None => wrong.push(format!("{name} is missing")),
            Some((ours, _)) if *ours != kind => {
                wrong.push(format!("{name} is a {ours}, not a {kind}"));
            }
            Some((_, ours)) if same_labels && *ours != labels => {
                wrong.push(format!("{name} has {ours:?}, not {labels:?}"));
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
