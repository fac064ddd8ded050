//! Checks metrics that have one of two names, depending on `legacy_names`.
//!
//! An expression that uses one of the two names must also use the other. Otherwise it finds nothing
//! with the other setting.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use redis_namespace_exporter::catalogue;
use regex::Regex;

use crate::{alerts, dashboards, promql, support};

/// Returns all expressions of rules and panels. The queries of a panel are joined.
fn expressions() -> Vec<String> {
    let dashboards = dashboards::dashboards();
    let of_alerts = alerts::rules()
        .into_iter()
        .map(|rule| alerts::expression(&rule));
    // A panel may have one query for each name, or a second panel may have the clean name.
    let mut panels: BTreeMap<String, String> = BTreeMap::new();
    for (place, expression) in dashboards::expressions(&dashboards) {
        let panel = place.rsplit_once('/').map_or("", |(panel, _)| panel);
        let panel = panel.trim_end_matches(" (clean names)").to_owned();
        let queries = panels.entry(panel).or_default();
        queries.push_str(expression);
        queries.push('\n');
    }
    of_alerts.chain(panels.into_values()).collect()
}

/// Returns the alternative name of each metric that has one.
fn other_names() -> BTreeMap<String, String> {
    let mut others = BTreeMap::new();
    for family in catalogue::families() {
        let legacy = family.legacy.filter(|legacy| legacy.instead);
        let Some(legacy) = legacy.filter(|legacy| legacy.name != family.name) else {
            continue;
        };
        for suffix in ["", "_bucket", "_sum", "_count"] {
            let [clean, legacy] = [family.name, legacy.name].map(|name| format!("{name}{suffix}"));
            others.insert(clean.clone(), legacy.clone());
            others.insert(legacy, clean);
        }
    }
    others
}

#[test]
fn expressions_work_with_and_without_legacy_names() {
    let others = other_names();
    let mut found = 0;
    for expression in expressions() {
        let named = promql::names(&expression).selectors.into_iter();
        let named: BTreeSet<String> = named.map(|(metric, _)| metric).collect();
        for other in named.iter().filter_map(|name| others.get(name)) {
            assert!(named.contains(other), "{other} is missing in {expression}");
            found += 1;
        }
    }
    assert!(found > 10, "only {found} names");
}

#[test]
fn buckets_in_expressions_are_exported_by_default() {
    let page = support::in_repository("tests/golden/redis-7.0.15/standalone.prom");
    let page = fs::read_to_string(page).expect("the page is there");
    let edge = Regex::new(r#"[{,]le="([^"]+)""#).expect("the pattern is right");
    let mut found = BTreeSet::new();
    for expression in expressions() {
        for captures in edge.captures_iter(&expression) {
            let edge = captures.get(1).expect("there is one group").as_str();
            // Clean names use seconds.
            let microseconds = edge.replace("0.00", "");
            assert!(
                page.contains(&format!(",le=\"{microseconds}\"}}")),
                "{edge}"
            );
            found.insert(edge.to_owned());
        }
    }
    assert!(found.contains("1056"), "{found:?}");
}
