//! Generates a second set of rule tests, in which all servers of a group are targets of one
//! exporter.
//!
//! A join that ignores `target` would mix up servers. This test compares the generated file.
//! `scripts/check-alerts` runs it.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs;

use serde_yaml::Value;

use crate::support::{assert_golden, in_repository};

const HEAD: &str = "\
# Generated from redis.rules.test.yml: the same servers, as targets of one exporter each. Change that
# file, then UPDATE_GOLDEN=1 cargo test --test repository alert_targets
rule_files:
  - redis.rules.yml
evaluation_interval: 1m
";

/// The instance that Prometheus scrapes: it replaces all instances of servers.
const INSTANCE: &str = "one-exporter";

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    let text = value.get(key).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no {key} in {value:?}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let list = value.get(key).and_then(Value::as_sequence);
    list.map(Vec::as_slice).unwrap_or_default()
}

/// Returns a series with its instance turned into its target, unless it has one.
fn as_target(series: &str) -> String {
    if series.contains("target=\"") {
        return series.to_owned();
    }
    let target = format!("instance=\"{INSTANCE}\",target=\"");
    series.replacen("instance=\"", &target, 1)
}

/// Returns the sample of a firing alert with the expected labels.
fn sample(alert: &str, labels: &Value) -> String {
    let labels = labels.as_mapping().into_iter().flatten();
    let labels = labels.map(|(name, value)| match (name.as_str(), value.as_str()) {
        (Some(name), Some(value)) => format!(",{name}=\"{value}\""),
        _ => panic!("a label of {alert} is no text"),
    });
    let labels: String = labels.collect();
    as_target(&format!(
        "ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"{labels}}}"
    ))
}

/// Returns the order in which promtool evaluates the groups of rules.
fn order(tests: &Value) -> String {
    let names = list(tests, "group_eval_order").iter();
    names
        .filter_map(Value::as_str)
        .fold("group_eval_order:\n".to_owned(), |order, name| {
            order + "  - " + name + "\n"
        })
}

fn group(test: &Value) -> String {
    let mut group = format!(
        "  - name: \"{}\"\n    interval: {}\n    input_series:\n",
        text(test, "name"),
        text(test, "interval")
    );
    for series in list(test, "input_series") {
        let (name, values) = (as_target(text(series, "series")), text(series, "values"));
        let _ = writeln!(group, "      - series: '{name}'");
        let _ = writeln!(group, "        values: '{values}'");
    }
    group.push_str("    promql_expr_test:\n");
    for case in list(test, "alert_rule_test") {
        let alert = text(case, "alertname");
        let expression = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}");
        let _ = writeln!(group, "      - expr: '{expression}'");
        let _ = writeln!(group, "        eval_time: {}", text(case, "eval_time"));
        let expected = list(case, "exp_alerts");
        if expected.is_empty() {
            group.push_str("        exp_samples: []\n");
            continue;
        }
        group.push_str("        exp_samples:\n");
        for alert_labels in expected.iter().filter_map(|alert| alert.get("exp_labels")) {
            let sample = sample(alert, alert_labels);
            let _ = writeln!(
                group,
                "          - labels: '{sample}'\n            value: 1"
            );
        }
    }
    group
}

#[test]
fn rules_are_tested_with_many_targets_too() {
    let tests = fs::read_to_string(in_repository("alerts/redis.rules.test.yml")).unwrap();
    let tests: Value = serde_yaml::from_str(&tests).unwrap();
    let groups: String = list(&tests, "tests").iter().map(group).collect();
    assert!(groups.contains(INSTANCE), "no server became a target");
    let order = order(&tests);
    assert_golden(
        &in_repository("alerts/redis.rules.targets.test.yml"),
        &format!("{HEAD}{order}tests:\n{groups}"),
    );
}

#[test]
fn existing_target_label_is_kept() {
    assert_eq!(
        as_target(r#"a{job="b",instance="c"}"#),
        r#"a{job="b",instance="one-exporter",target="c"}"#
    );
    let target = r#"a{job="b",instance="c",target="d"}"#;
    assert_eq!(as_target(target), target);
}
