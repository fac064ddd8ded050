//! Compares the alerts with their tests, runbooks, thresholds, and the names of metrics and labels.
//!
//! promtool tests the rules themselves, in `scripts/check-alerts`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use redis_namespace_exporter::catalogue;
use redis_namespace_exporter::metric::Kind;
use regex::Regex;
use serde_yaml::Value;

use crate::promql;
use crate::support::in_repository;

/// Labels from Prometheus or its configuration, and the label of the target.
const EVERYWHERE: &[&str] = &["cluster", "job", "instance", "target"];

struct Alert {
    name: String,
    severity: String,
    expression: String,
    pending: String,
    keep: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

fn text(path: &str) -> String {
    fs::read_to_string(in_repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let list = value.get(key).and_then(Value::as_sequence);
    list.map(Vec::as_slice).unwrap_or_default()
}

fn word(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn words(value: &Value, key: &str) -> BTreeMap<String, String> {
    let map = value.get(key).and_then(Value::as_mapping);
    map.into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.as_str()?.to_owned())))
        .collect()
}

pub fn rules() -> Vec<Value> {
    let file = yaml("alerts/redis.rules.yml");
    let rules: Vec<Value> = list(&file, "groups")
        .iter()
        .flat_map(|group| list(group, "rules").to_vec())
        .collect();
    assert!(!rules.is_empty(), "the rules file has no rules");
    rules
}

pub fn expression(rule: &Value) -> String {
    let expression = word(rule, "expr").expect("every rule has an expression");
    expression.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn alerts() -> Vec<Alert> {
    rules()
        .iter()
        .filter_map(|rule| {
            let labels = words(rule, "labels");
            let duration = |key| word(rule, key).unwrap_or_else(|| "0s".to_owned());
            Some(Alert {
                name: word(rule, "alert")?,
                severity: labels.get("severity").cloned().unwrap_or_default(),
                expression: expression(rule),
                pending: duration("for"),
                keep: duration("keep_firing_for"),
                labels,
                annotations: words(rule, "annotations"),
            })
        })
        .collect()
}

/// The tests of one alert.
#[derive(Default)]
struct Cases {
    severities: BTreeSet<String>,
    firing: BTreeSet<String>,
    instances: BTreeSet<String>,
}

fn cases() -> BTreeMap<String, Cases> {
    let instance = Regex::new(r#"instance="([^"]+)""#).expect("the pattern is right");
    let file = yaml("alerts/redis.rules.test.yml");
    let mut cases: BTreeMap<String, Cases> = BTreeMap::new();
    for group in list(&file, "tests") {
        let instances: BTreeSet<String> = list(group, "input_series")
            .iter()
            .filter_map(|series| word(series, "series"))
            .filter_map(|series| Some(instance.captures(&series)?.get(1)?.as_str().to_owned()))
            .collect();
        for test in list(group, "alert_rule_test") {
            let name = word(test, "alertname").expect("every test names its alert");
            let of_alert = cases.entry(name).or_default();
            of_alert.instances.extend(instances.clone());
            for expected in list(test, "exp_alerts") {
                let labels = words(expected, "exp_labels");
                of_alert.severities.extend(labels.get("severity").cloned());
                of_alert.firing.extend(labels.get("instance").cloned());
            }
        }
    }
    cases
}

#[test]
fn every_alert_has_a_firing_and_a_silent_case() {
    let cases = cases();
    for Alert { name, severity, .. } in alerts() {
        let cases = cases
            .get(&name)
            .unwrap_or_else(|| panic!("{name} has no test"));
        assert!(
            cases.severities.contains(&severity),
            "{name} has no case that fires as {severity}"
        );
        let silent = cases.instances.difference(&cases.firing);
        assert!(
            silent
                .clone()
                .any(|instance| !instance.starts_with("fires")),
            "{name} has no case that must not fire"
        );
        for instance in silent {
            assert!(
                !instance.starts_with("fires"),
                "{name} does not fire for {instance}"
            );
        }
    }
}

#[test]
fn tests_only_name_existing_alerts() {
    let names: BTreeSet<String> = alerts().into_iter().map(|alert| alert.name).collect();
    for tested in cases().keys() {
        assert!(
            names.contains(tested),
            "there is a test but no alert {tested}"
        );
    }
}

/// promtool sorts groups that the list leaves out in between at random.
#[test]
fn tests_evaluate_all_groups_in_the_order_of_the_rules() {
    let rules = yaml("alerts/redis.rules.yml");
    let groups = list(&rules, "groups").iter();
    let groups: Vec<_> = groups.filter_map(|group| word(group, "name")).collect();
    assert!(groups.len() > 1, "the rules file has no groups");
    let tests = yaml("alerts/redis.rules.test.yml");
    let order = list(&tests, "group_eval_order").iter();
    let order: Vec<_> = order.filter_map(Value::as_str).collect();
    assert_eq!(order, groups);
}

#[test]
fn alerts_and_runbooks_match() {
    let names: BTreeSet<String> = alerts().into_iter().map(|alert| alert.name).collect();
    let runbooks: BTreeSet<String> = fs::read_dir(in_repository("docs/operate/runbooks"))
        .expect("there are runbooks")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|file| file.strip_suffix(".md").map(str::to_owned))
        .collect();
    assert_eq!(names, runbooks);
    for name in &names {
        let page = text(&format!("docs/operate/runbooks/{name}.md"));
        // A comment in a command starts like a heading.
        let headings: Vec<_> = page
            .lines()
            .enumerate()
            .filter(|(at, line)| *at == 0 || line.starts_with("##"))
            .map(|(_, line)| line)
            .collect();
        let expected = [
            &format!("# {name}"),
            "## Meaning",
            "## Impact",
            "## Diagnosis",
            "## Mitigation",
        ];
        assert_eq!(headings, expected, "headings of {name}.md");
        assert!(page.contains("```sh\n"), "{name}.md has no command");
    }
}

#[test]
fn runbook_commands_are_harmless() {
    let forbidden = [
        "KEYS", "MONITOR", "DEBUG", "EVAL", "FLUSHALL", "FLUSHDB", "DEL", "SHUTDOWN", "SMEMBERS",
        "HGETALL",
    ];
    for Alert { name, .. } in alerts() {
        let page = text(&format!("docs/operate/runbooks/{name}.md"));
        let commands = page.split("```sh\n").skip(1);
        let commands = commands.filter_map(|rest| rest.split("```").next());
        let lines = commands.flat_map(str::lines);
        for line in lines.filter(|line| !line.starts_with('#')) {
            for word in line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            {
                let word = word.to_ascii_uppercase();
                assert!(
                    !forbidden.contains(&word.as_str()),
                    "{name}.md: {word} in {line}"
                );
            }
        }
    }
}

#[test]
fn labels_and_annotations_have_one_form() {
    for alert in alerts() {
        let name = &alert.name;
        assert!(name.starts_with("Redis"), "{name}");
        assert!(
            ["critical", "warning", "info"].contains(&alert.severity.as_str()),
            "{name} has severity {}",
            alert.severity
        );
        assert_eq!(
            alert.labels.get("component").map(String::as_str),
            Some("redis")
        );
        assert!(
            alert.labels.contains_key("category"),
            "{name} has no category"
        );
        for (label, value) in &alert.labels {
            assert!(!value.contains("{{"), "{name} has a template in {label}");
        }
        let annotation = |key: &str| {
            let found = alert.annotations.get(key);
            found.unwrap_or_else(|| panic!("{name} has no {key}"))
        };
        let summary = annotation("summary");
        assert!(
            summary.starts_with(char::is_uppercase) && summary.ends_with('.'),
            "{name}: {summary}"
        );
        assert!(
            !summary.contains("{{"),
            "{name} has a template in its summary"
        );
        assert!(
            annotation("description").contains("{{ $labels."),
            "the description of {name} does not name the target or instance"
        );
        assert_eq!(
            *annotation("runbook_url"),
            format!("http://localhost:9121/runbooks/{name}")
        );
        assert!(annotation("dashboard_url").starts_with("/d/redis-"));
    }
}

/// Returns all names that may occur in an expression, with their labels.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let mut known = BTreeMap::new();
    known.insert("up".to_owned(), BTreeSet::new());
    for family in catalogue::families() {
        let spellings = family.legacy.map(|legacy| (legacy.name, legacy.kind));
        for (name, kind) in spellings.into_iter().chain([(family.name, family.kind)]) {
            let labels: BTreeSet<String> = family.labels.iter().map(ToString::to_string).collect();
            let with = |label: &str| {
                let mut labels = labels.clone();
                labels.insert(label.to_owned());
                labels
            };
            match kind {
                Kind::Counter | Kind::Gauge => known.insert(name.to_owned(), labels.clone()),
                Kind::Histogram => known.insert(format!("{name}_bucket"), with("le")),
                Kind::Summary => known.insert(name.to_owned(), with("quantile")),
            };
            if matches!(kind, Kind::Histogram | Kind::Summary) {
                known.insert(format!("{name}_sum"), labels.clone());
                known.insert(format!("{name}_count"), labels);
            }
        }
    }
    known
}

#[test]
fn expressions_use_existing_metrics_and_labels() {
    let mut known = known();
    for rule in rules() {
        let expression = expression(&rule);
        let names = promql::names(&expression);
        assert!(!names.selectors.is_empty(), "no metric in {expression}");
        let mut of_rule = BTreeSet::new();
        for (metric, matched) in &names.selectors {
            let labels = known
                .get(metric)
                .unwrap_or_else(|| panic!("there is no metric {metric}, named in {expression}"));
            for label in matched {
                assert!(
                    labels.contains(label) || EVERYWHERE.contains(&label.as_str()),
                    "{metric} has no label {label}, named in {expression}"
                );
            }
            of_rule.extend(labels.iter().cloned());
        }
        for label in &names.grouping {
            assert!(
                of_rule.contains(label) || EVERYWHERE.contains(&label.as_str()),
                "no metric has a label {label}, named in {expression}"
            );
        }
        if let Some(recorded) = word(&rule, "record") {
            known.insert(recorded, of_rule);
        }
    }
}

/// A row of the table of thresholds.
struct Row {
    name: String,
    severity: String,
    thresholds: Vec<String>,
    pending: String,
    keep: String,
}

fn table() -> Vec<Row> {
    let readme = text("docs/operate/alerts.md");
    let header = "| alert | severity | fires when | threshold | for | keep |";
    let (_, rest) = readme
        .split_once(header)
        .expect("there is a table of thresholds");
    rest.lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [alert, severity, words, threshold, pending, keep] = cells[..] else {
                panic!("{line} has not six cells")
            };
            let name = alert.trim_start_matches('[').split(']').next();
            let name = name.expect("a row names its alert").to_owned();
            assert!(words.ends_with('.'), "{name} has no words: {words}");
            assert_eq!(alert, format!("[{name}](runbooks/{name}.md)"));
            let quoted = threshold.split('`').skip(1).step_by(2);
            Row {
                name,
                severity: severity.to_owned(),
                thresholds: quoted.map(str::to_owned).collect(),
                pending: pending.to_owned(),
                keep: keep.to_owned(),
            }
        })
        .collect()
}

#[test]
fn table_of_thresholds_matches_the_rules() {
    let rows = table();
    let number =
        r"(?:[<>]=?|==) (?:on \([^)]*\) )?(?:group_left \(\) )?([0-9][0-9.]*(?: \* [0-9][0-9.]*)*)";
    let compared = Regex::new(number).expect("the pattern is right");
    let alerts = alerts();
    assert_eq!(rows.len(), alerts.len(), "rows and alerts");
    for alert in alerts {
        let (name, severity) = (&alert.name, &alert.severity);
        let row = rows
            .iter()
            .find(|row| row.name == *name && row.severity == *severity)
            .unwrap_or_else(|| panic!("no row for {name} as {severity}"));
        assert_eq!(
            (&row.pending, &row.keep),
            (&alert.pending, &alert.keep),
            "{name}"
        );
        assert!(!row.thresholds.is_empty(), "no threshold for {name}");
        for threshold in &row.thresholds {
            assert!(
                alert.expression.contains(threshold.as_str()),
                "{name} has no {threshold}"
            );
        }
        let thresholds = row.thresholds.join(" ");
        for found in compared.captures_iter(&alert.expression) {
            let number = found
                .get(1)
                .expect("there is one group")
                .as_str()
                .trim_end();
            assert!(
                ["0", "1"].contains(&number) || thresholds.contains(number),
                "the row of {name} lacks {number}"
            );
        }
    }
}
