//! The rows of metrics: names, types and units follow Prometheus conventions.

use std::collections::{BTreeSet, HashSet};

use redis_namespace_exporter::catalogue;
use redis_namespace_exporter::config::RESERVED_LABELS;
use redis_namespace_exporter::metric::{Descriptor, Kind, Unit};

use crate::program::program;

#[test]
fn every_spelling_is_used_once() {
    let mut seen = HashSet::new();
    for family in catalogue::families() {
        assert!(seen.insert(family.name), "{} occurs twice", family.name);
        let legacy = family.legacy.filter(|legacy| legacy.name != family.name);
        if let Some(legacy) = legacy {
            assert!(seen.insert(legacy.name), "{} occurs twice", legacy.name);
        }
    }
}

/// Sources of targets may add labels to all series of a target.
#[test]
fn every_label_of_a_metric_is_reserved() {
    let labels = catalogue::families()
        .into_iter()
        .flat_map(|family| family.labels);
    let used: BTreeSet<_> = labels.copied().collect();
    let reserved: BTreeSet<_> = RESERVED_LABELS.iter().copied().collect();
    let missing: Vec<_> = used.difference(&reserved).collect();
    assert_eq!(missing, Vec::<&&str>::new());
}

#[test]
fn families_on_the_page_for_people_exist() {
    let program = program();
    let shown = program.iter().filter(|source| {
        let module = source.module.first().map_or("", String::as_str);
        ["history", "view"].contains(&module)
    });
    let words = shown.flat_map(|source| source.text.split('"'));
    let used: HashSet<&str> = words.filter(|word| word.starts_with("redis_")).collect();
    assert!(used.len() > 80, "{}", used.len());
    let families = catalogue::families();
    for name in used {
        let is_known = |family: &Descriptor| family.name == name || family.labels.contains(&name);
        assert!(families.iter().any(|family| is_known(family)), "{name}");
    }
}

#[test]
fn clean_names_follow_prometheus_conventions() {
    for family in catalogue::families() {
        let name = family.name;
        let allowed =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        assert!(
            name.chars().all(allowed),
            "{name} has letters that a name must not have"
        );
        assert_eq!(
            name.ends_with("_total"),
            family.kind == Kind::Counter,
            "{name} and its type"
        );
        for suffix in [
            "_count",
            "_sum",
            "_bucket",
            "_info_total",
            "_sec",
            "_ms",
            "_usec",
        ] {
            assert!(!name.ends_with(suffix), "{name} ends in {suffix}");
        }
        if matches!(family.unit, Unit::Milliseconds | Unit::Microseconds) {
            assert!(name.contains("_seconds"), "{name} does not name its unit");
        }
        assert!(
            family.help.ends_with('.'),
            "the help of {name} is not a sentence"
        );
        for label in family.labels {
            assert!(
                !["le", "quantile", "job", "instance"].contains(label),
                "{name} has {label}"
            );
        }
    }
}

/// The page replaces `in seconds` for names whose values keep the unit of the reply.
#[test]
fn help_of_converted_times_names_seconds_once() {
    for family in catalogue::families() {
        let is_converted = matches!(family.unit, Unit::Milliseconds | Unit::Microseconds);
        let is_replied = family.legacy.is_some_and(|legacy| legacy.as_replied);
        if is_converted && is_replied {
            let times = family.help.matches("in seconds").count();
            assert_eq!(times, 1, "the help of {}: {}", family.name, family.help);
        }
    }
}
