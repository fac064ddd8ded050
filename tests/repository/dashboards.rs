//! Compares the dashboards with the rows and with our rules for dashboards.
//!
//! `scripts/check-dashboards` checks that their queries find data.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use redis_namespace_exporter::metric::Kind;
use redis_namespace_exporter::{catalogue, telemetry};
use serde_json::Value;

use crate::selectors;
use crate::support::in_repository;

/// Schema version of dashboards in Grafana 10.4. Newer versions read it too.
const SCHEMA_VERSION: u64 = 39;

/// The variables that every dashboard starts with, and the value of "All". `.*` also matches a
/// missing label.
const VARIABLES: &[(&str, &str)] = &[
    ("cluster", ".*"),
    ("job", ".+"),
    ("instance", ".+"),
    ("target", ".*"),
];

/// Types of panels that Grafana 10.4 and newer have.
const PANELS: &[&str] = &[
    "bargauge",
    "heatmap",
    "stat",
    "state-timeline",
    "table",
    "timeseries",
];

/// Metrics of Prometheus itself, and of every process.
const NOT_OURS: &[&str] = &["ALERTS", "up"];
const NOT_OURS_BEGIN: &[&str] = &["process_", "scrape_"];

/// Labels of every scraped sample, of histograms, and of alerts.
const COMMON_LABELS: &[&str] = &["cluster", "job", "instance", "target", "le"];
const ALERT_LABELS: &[&str] = &["alertname", "alertstate", "component", "severity"];

/// Functions over counters.
const OF_COUNTERS: &[&str] = &["changes", "increase", "rate", "resets"];

/// Ranges that Grafana sets.
const RANGES: &[&str] = &["$__rate_interval", "$__range"];

/// Panels and annotations that use the range of an alert or an objective.
const FIXED_RANGES: &[(&str, &str)] = &[
    ("redis-instance/How much will be used in a day?/A", "6h"),
    ("redis-instance/How much will be used in a day?/B", "1h"),
    ("redis-instance/When is the memory full?/A", "6h"),
    (
        "redis-namespaces/How fast do keys without TTL increase?/A",
        "6h",
    ),
    ("redis-namespaces/Which namespaces change?/A", "5m"),
    ("redis-namespaces/Which namespaces have misses?/A", "5m"),
    ("redis-overview/Do commands take under 1 ms?/B", "30d"),
    ("redis-overview/When will the memory be full?/B", "6h"),
    ("redis-overview/When will the memory be full?/C", "6h"),
    ("redis-exporter/annotation Reloads", "2m"),
    ("redis-exporter/annotation Restarts", "2m"),
    ("redis-instance/annotation Reloads", "2m"),
    ("redis-instance/annotation Restarts", "2m"),
    ("redis-namespaces/annotation Reloads", "2m"),
    ("redis-namespaces/annotation Restarts", "2m"),
    ("redis-overview/annotation Reloads", "2m"),
    ("redis-overview/annotation Restarts", "2m"),
];

/// Allowed units: bytes, seconds, and ratios from 0 to 1.
const UNITS: &[&str] = &[
    "Bps",
    "bytes",
    "cps",
    "none",
    "ops",
    "percentunit",
    "reqps",
    "s",
    "short",
];

/// Aggregations over servers, unless they have `by (…)`.
const OVER_SERVERS: &[&str] = &["sum(", "max(", "min(", "count(", "avg(", "quantile("];

pub fn dashboards() -> BTreeMap<String, Value> {
    let folder = fs::read_dir(in_repository("grafana")).expect("there are dashboards");
    folder
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| {
            let place = path.display().to_string();
            let stem = path.file_stem().expect("a file has a name");
            let text = fs::read(&path).unwrap_or_else(|error| panic!("{place}: {error}"));
            let value = serde_json::from_slice(&text);
            let value = value.unwrap_or_else(|error| panic!("{place}: {error}"));
            (stem.to_string_lossy().into_owned(), value)
        })
        .collect()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn number(value: &Value, pointer: &str) -> u64 {
    let number = value.pointer(pointer).and_then(Value::as_u64);
    number.unwrap_or_else(|| panic!("no number at {pointer} of {}", text(value, "/title")))
}

/// Returns all panels, including those in rows. The rows themselves are only included on request.
fn panels(dashboard: &Value, rows: bool) -> Vec<&Value> {
    list(dashboard, "/panels")
        .iter()
        .flat_map(|panel| std::iter::once(panel).chain(list(panel, "/panels")))
        .filter(|panel| rows || text(panel, "/type") != "row")
        .collect()
}

/// Returns all expressions with their places.
pub fn expressions(dashboards: &BTreeMap<String, Value>) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    for (name, dashboard) in dashboards {
        for panel in panels(dashboard, false) {
            let title = text(panel, "/title");
            for query in list(panel, "/targets") {
                let place = format!("{name}/{title}/{}", text(query, "/refId"));
                found.push((place, text(query, "/expr")));
            }
        }
        for annotation in list(dashboard, "/annotations/list") {
            if annotation.get("expr").is_some() {
                let place = format!("{name}/annotation {}", text(annotation, "/name"));
                assert_eq!(text(annotation, "/expr"), text(annotation, "/target/expr"));
                found.push((place, text(annotation, "/expr")));
            }
        }
    }
    found
}

fn is_ours(metric: &str) -> bool {
    !NOT_OURS.contains(&metric) && !NOT_OURS_BEGIN.iter().any(|begin| metric.starts_with(begin))
}

/// The properties of a sample name.
struct Series {
    labels: Vec<&'static str>,
    only_grows: bool,
    has_target: bool,
}

/// Returns all possible sample names.
fn series() -> BTreeMap<String, Series> {
    let exporter: BTreeSet<_> = telemetry::families()
        .iter()
        .map(|family| family.name)
        .collect();
    let mut series = BTreeMap::new();
    for family in catalogue::families() {
        let legacy = family.legacy.map(|legacy| (legacy.name, legacy.kind));
        for (name, kind) in std::iter::once((family.name, family.kind)).chain(legacy) {
            // The histograms of namespaces are current counts, not totals.
            let is_snapshot = name.starts_with("redis_key_namespace_");
            let mut insert = |name: String, only_grows| {
                let labels = family.labels.to_vec();
                let has_target = !exporter.contains(family.name) || labels.contains(&"target");
                series.entry(name).or_insert(Series {
                    labels,
                    only_grows,
                    has_target,
                });
            };
            match kind {
                Kind::Histogram | Kind::Summary => {
                    for suffix in ["bucket", "sum", "count"] {
                        insert(format!("{name}_{suffix}"), !is_snapshot);
                    }
                }
                _ => insert(name.to_owned(), kind == Kind::Counter),
            }
        }
    }
    series
}

#[test]
fn a_dashboard_can_be_provisioned_as_a_file() {
    let dashboards = dashboards();
    assert!(dashboards.len() >= 4, "only {:?}", dashboards.keys());
    for (name, dashboard) in &dashboards {
        assert_eq!(text(dashboard, "/uid"), name, "the uid is the name");
        assert!(name.len() <= 40, "{name} is too long for a uid");
        for absent in ["id", "__inputs", "__elements", "__requires"] {
            assert!(dashboard.get(absent).is_none(), "{name} has {absent}");
        }
        assert_eq!(number(dashboard, "/schemaVersion"), SCHEMA_VERSION);
        assert_eq!(dashboard["editable"], false, "{name}");
        assert_eq!(dashboard["graphTooltip"], 1, "{name}");
        assert_eq!(text(dashboard, "/refresh"), "1m", "{name}");
        assert!(!text(dashboard, "/title").is_empty(), "{name}");
        let tags = list(dashboard, "/tags");
        assert!(tags.contains(&"redis-exporter".into()), "{name}: {tags:?}");
        let link = dashboard.pointer("/links/0").expect("a link to the others");
        assert_eq!(link["tags"][0], "redis-exporter", "{name}");
        assert_eq!(link["includeVars"], true, "{name}");
        assert_eq!(link["keepTime"], true, "{name}");
    }
}

#[test]
fn restarts_failovers_and_reloads_are_marked() {
    for (name, dashboard) in dashboards() {
        for marked in ["Restarts", "Failovers", "Reloads"] {
            let annotations = list(&dashboard, "/annotations/list").iter();
            let of_name: Vec<_> = annotations
                .filter(|annotation| text(annotation, "/name") == marked)
                .collect();
            let [annotation] = of_name.as_slice() else {
                panic!("{name} has {} annotations {marked}", of_name.len());
            };
            assert_eq!(annotation["enable"], true, "{name}/{marked}");
        }
    }
}

#[test]
fn namespaces_are_links_with_gauges() {
    let dashboards = dashboards();
    let namespaces = dashboards.get("redis-namespaces").expect("a dashboard");
    let table = panels(namespaces, false)
        .into_iter()
        .find(|panel| text(panel, "/title") == "How is each namespace?")
        .expect("a table of namespaces");
    let (mut gauges, mut links) = (0, Vec::new());
    for override_ in list(table, "/fieldConfig/overrides") {
        for property in list(override_, "/properties") {
            match text(property, "/id") {
                "custom.cellOptions" if text(property, "/value/type") == "gauge" => gauges += 1,
                "links" => links.extend(list(property, "/value")),
                _ => {}
            }
        }
    }
    assert!(gauges >= 2, "only {gauges} columns are gauges");
    assert!(links.len() >= 2, "only {} columns are links", links.len());
    for link in links {
        let url = text(link, "/url");
        assert!(url.contains("${__url_time_range}"), "{url} loses the time");
        assert!(url.contains("var-target="), "{url} loses the target");
    }
}

#[test]
fn variables_choose_among_many_servers() {
    for (name, dashboard) in dashboards() {
        let variables = list(&dashboard, "/templating/list");
        let (source, variables) = variables.split_first().expect("there are variables");
        assert_eq!(text(source, "/type"), "datasource", "{name}");
        assert_eq!(text(source, "/name"), "datasource", "{name}");
        assert_eq!(text(source, "/label"), "Data source", "{name}");
        for (variable, expected) in variables.iter().zip(VARIABLES) {
            let found = (text(variable, "/name"), text(variable, "/allValue"));
            assert_eq!(found, *expected, "{name}");
        }
        assert!(variables.len() >= VARIABLES.len(), "{name}");
        for variable in variables {
            let place = format!("{name}/{}", text(variable, "/name"));
            assert_eq!(
                text(variable, "/datasource/uid"),
                "${datasource}",
                "{place}"
            );
            assert!(!text(variable, "/label").is_empty(), "{place}");
            assert_eq!(variable["multi"], true, "{place}");
            assert_eq!(variable["includeAll"], true, "{place}");
            assert_eq!(
                variable["refresh"], 2,
                "{place}: at each change of the time range"
            );
            assert_eq!(variable["sort"], 1, "{place}");
            for absent in ["current", "definition", "options"] {
                assert!(variable.get(absent).is_none(), "{place} has {absent}");
            }
        }
    }
}

#[test]
fn panels_have_unique_numbers_titles_and_places() {
    for (name, dashboard) in dashboards() {
        let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
        for panel in panels(&dashboard, true) {
            let title = text(panel, "/title");
            assert!(ids.insert(number(panel, "/id")), "{name}/{title}: id");
            let is_new = text(panel, "/type") == "row" || titles.insert(title);
            assert!(is_new, "{name}/{title} occurs twice");
        }
        assert_no_overlap(&name, list(&dashboard, "/panels"));
        for row in list(&dashboard, "/panels") {
            assert_no_overlap(&name, list(row, "/panels"));
        }
    }
}

/// Returns the left, top, right and bottom edge.
fn edges(panel: &Value) -> [u64; 4] {
    let [x, y, w, h] = ["x", "y", "w", "h"].map(|edge| number(panel, &format!("/gridPos/{edge}")));
    assert!(w > 0 && h > 0 && x + w <= 24, "{}", text(panel, "/title"));
    [x, y, x + w, y + h]
}

fn assert_no_overlap(name: &str, panels: &[Value]) {
    for (at, one) in panels.iter().enumerate() {
        let [left, top, right, bottom] = edges(one);
        for other in panels.iter().skip(at + 1) {
            let [other_left, other_top, other_right, other_bottom] = edges(other);
            let apart = right <= other_left
                || other_right <= left
                || bottom <= other_top
                || other_bottom <= top;
            let titles = [one, other].map(|panel| text(panel, "/title"));
            assert!(apart, "{name}: {titles:?} overlap");
        }
    }
}

/// Words that titles start with.
const FIRST_WORDS: &[&str] = &[
    "Are", "Can", "Do", "Does", "How", "Is", "What", "When", "Which", "Who", "Why", "Will", "Would",
];

/// Letters of a title that fit into a column of the grid if the window is 1280 pixels wide.
const LETTERS_PER_COLUMN: u64 = 7;

/// Returns what is wrong with the title of a panel or row that is this many columns wide.
fn title_fault(title: &str, columns: u64) -> Option<&'static str> {
    let words: Vec<&str> = title.split_whitespace().collect();
    let letters = u64::try_from(title.chars().count()).unwrap_or(u64::MAX);
    if !title.ends_with('?') || title.matches('?').count() != 1 {
        Some("is not one question")
    } else if words.len() < 3 {
        Some("has less than three words")
    } else if !FIRST_WORDS.contains(words.first().unwrap_or(&"")) {
        Some("does not start like a question")
    } else if letters > columns * LETTERS_PER_COLUMN {
        Some("is too long for its width")
    } else {
        None
    }
}

#[test]
fn title_faults_are_found() {
    for title in [
        "Keys?",
        "Which sizes?",
        "Against their policy?",
        "How many keys",
        "How many keys? How much memory?",
        "How much of the memory is used now?",
    ] {
        assert!(title_fault(title, 4).is_some(), "{title}");
    }
    assert_eq!(title_fault("How many keys are there?", 4), None);
}

#[test]
fn titles_are_questions_that_fit() {
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard, true) {
            let title = text(panel, "/title");
            let fault = title_fault(title, number(panel, "/gridPos/w"));
            assert_eq!(fault, None, "{name}/{title}");
        }
    }
}

#[test]
fn every_panel_has_a_description_and_a_unit() {
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard, false) {
            let place = format!("{name}/{}", text(panel, "/title"));
            let kind = text(panel, "/type");
            assert!(PANELS.contains(&kind), "{place} is a {kind}");
            assert!(!text(panel, "/title").is_empty(), "{place} has no title");
            let description = text(panel, "/description");
            assert!(description.ends_with('.'), "{place}: no description");
            let defaults = "/fieldConfig/defaults";
            let unit = text(panel, &format!("{defaults}/unit"));
            assert!(!unit.is_empty(), "{place} has no unit");
            let no_value = text(panel, &format!("{defaults}/noValue"));
            assert!(!no_value.is_empty(), "{place} has no text for missing data");
            if unit == "percentunit" && kind == "timeseries" {
                let min = panel.pointer(&format!("{defaults}/min"));
                assert_eq!(min, Some(&0.into()), "{place}");
            }
            if kind == "timeseries" {
                let spans = panel.pointer(&format!("{defaults}/custom/spanNulls"));
                assert_eq!(spans, Some(&false.into()), "{place} hides gaps");
            }
            if kind == "heatmap" {
                let unit = text(panel, "/options/yAxis/unit");
                assert!(!unit.is_empty(), "{place} has no unit of its axis");
            }
        }
    }
}

#[test]
fn queries_use_the_selected_data_source() {
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard, false) {
            let place = format!("{name}/{}", text(panel, "/title"));
            assert_eq!(text(panel, "/datasource/uid"), "${datasource}", "{place}");
            let mut ids = BTreeSet::new();
            assert!(!list(panel, "/targets").is_empty(), "{place} has no query");
            for query in list(panel, "/targets") {
                assert_eq!(text(query, "/datasource/uid"), "${datasource}", "{place}");
                assert!(ids.insert(text(query, "/refId")), "{place}");
                assert!(!text(query, "/expr").is_empty(), "{place}");
                assert!(!text(query, "/legendFormat").is_empty(), "{place}");
            }
        }
    }
}

#[test]
fn queries_use_existing_metrics_and_labels() {
    let series = series();
    let dashboards = dashboards();
    let mut labels: BTreeSet<&str> = series
        .values()
        .flat_map(|series| series.labels.iter().copied())
        .collect();
    labels.extend(COMMON_LABELS.iter().chain(ALERT_LABELS));
    let mut seen = 0;
    for (place, expression) in expressions(&dashboards) {
        for selector in selectors::selectors(expression) {
            let metric = selector.metric;
            if !is_ours(metric) {
                continue;
            }
            seen += 1;
            let found = series
                .get(metric)
                .unwrap_or_else(|| panic!("{place} names {metric}"));
            for label in selectors::matched_labels(selector.matchers) {
                let exists = COMMON_LABELS.contains(&label) || found.labels.contains(&label);
                assert!(exists, "{place}: {metric} has no label {label}");
            }
        }
        let rest = selectors::without_selectors(expression);
        for word in rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_') {
            assert!(
                !series.contains_key(word),
                "{place}: {word} has no matchers"
            );
        }
        for label in selectors::grouped_labels(expression) {
            assert!(labels.contains(label), "{place} groups by {label}");
        }
    }
    assert!(seen > 200, "only {seen} selectors were found");
}

/// A live check has no failover and no last week, so that it cannot run these queries.
#[test]
fn queries_of_an_earlier_time_have_expected_values() {
    let values = fs::read_to_string(in_repository("scripts/panel-values.json"));
    let values: Value = serde_json::from_str(&values.unwrap()).unwrap();
    let cases = list(&values, "").iter();
    let cases = cases.flat_map(|case| list(case, "/expect"));
    let panels: BTreeSet<&str> = cases.map(|case| text(case, "/panel")).collect();
    let dashboards = dashboards();
    let expressions = expressions(&dashboards);
    let earlier = expressions
        .iter()
        .filter(|(_, expression)| expression.contains(" offset "));
    let places: Vec<&str> = earlier.map(|(place, _)| place.as_str()).collect();
    assert!(places.len() >= 9, "{places:?}");
    for place in places {
        assert!(
            panels.contains(place),
            "scripts/panel-values.json has no values of {place}"
        );
    }
}

#[test]
fn selectors_use_the_selected_servers() {
    let series = series();
    for (place, expression) in expressions(&dashboards()) {
        for selector in selectors::selectors(expression) {
            let metric = selector.metric;
            for name in ["cluster", "job", "instance"] {
                let matcher = format!("{name}=~\"${name}\"");
                assert!(
                    selector.matchers.contains(&matcher),
                    "{place}: {metric} {name}"
                );
            }
            // The exporter's own metrics have no target.
            let has_target = series.get(metric).is_some_and(|series| series.has_target);
            let chosen = selector.matchers.contains("target=~\"$target\"");
            assert_eq!(chosen, has_target, "{place}: {metric} and its target");
        }
        // `All` selects every job. Metrics that every process has must be limited to exporters.
        let foreign = selectors::selectors(expression)
            .iter()
            .any(|selector| !is_ours(selector.metric) && selector.metric != "ALERTS");
        let kept = expression.contains("redis_exporter_build_info{");
        assert!(!foreign || kept, "{place} takes processes of others");
    }
}

#[test]
fn counters_are_shown_as_rates_and_snapshots_are_not() {
    let series = series();
    for (place, expression) in expressions(&dashboards()) {
        for selector in selectors::selectors(expression) {
            let (metric, function) = (selector.metric, selector.function);
            let only_grows = series.get(metric).is_some_and(|series| series.only_grows);
            let as_rate = OF_COUNTERS.contains(&function);
            assert!(as_rate || !only_grows, "{place}: {metric} only grows");
            if metric.starts_with("redis_key_namespace_") && !only_grows {
                assert!(!as_rate, "{place}: {metric} is a count of now");
            }
        }
        for range in selectors::ranges(expression) {
            let is_known =
                RANGES.contains(&range) || FIXED_RANGES.contains(&(place.as_str(), range));
            assert!(is_known, "{place}: [{range}]");
        }
    }
}

/// Returns whether each sample of an expression belongs to one server.
fn distinguishes_servers(expression: &str) -> bool {
    let rest = selectors::without_selectors(expression);
    let is_sum = |function: &&str| {
        rest.match_indices(*function).any(|(at, _)| {
            let before = rest.get(..at).unwrap_or_default();
            !before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
        })
    };
    let mut groups = expression.split("by (").skip(1);
    let keeps = groups.all(|labels| {
        let labels = labels.split(')').next().unwrap_or_default();
        labels.contains("instance")
    });
    keeps && !OVER_SERVERS.iter().any(is_sum)
}

#[test]
fn legends_name_the_server_if_there_are_several() {
    let mut seen = 0;
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard, false) {
            for query in list(panel, "/targets") {
                let place = format!("{name}/{}", text(panel, "/title"));
                let (expression, legend) = (text(query, "/expr"), text(query, "/legendFormat"));
                let names_labels = legend != "__auto" && text(panel, "/type") != "stat";
                if !names_labels || !distinguishes_servers(expression) {
                    continue;
                }
                seen += 1;
                // Probed servers have no target. Among the targets of one exporter, the target
                // distinguishes servers.
                let server = if expression.contains("target=~") {
                    "{{target}} {{instance}}"
                } else {
                    "{{instance}}"
                };
                assert!(legend.contains(server), "{place}: {legend}");
            }
        }
    }
    assert!(seen > 80, "only {seen} legends were found");
}

#[test]
fn panel_units_match_the_metrics() {
    let mut seen = 0;
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard, false) {
            let place = format!("{name}/{}", text(panel, "/title"));
            let unit = text(panel, "/fieldConfig/defaults/unit");
            assert!(UNITS.contains(&unit), "{place} is in {unit}");
            let kind = text(panel, "/type");
            for query in list(panel, "/targets") {
                let expression = text(query, "/expr");
                let selectors = selectors::selectors(expression);
                let of_bytes = selectors.iter().all(|selector| {
                    selector.metric.ends_with("_bytes") || selector.metric.ends_with("_bytes_total")
                });
                let is_level = [" / ", "count", ">", "histogram"]
                    .iter()
                    .all(|other| !selectors::without_selectors(expression).contains(other));
                if of_bytes && is_level && ["timeseries", "bargauge", "stat"].contains(&kind) {
                    seen += 1;
                    let is_rate = selectors.iter().any(|selector| selector.function == "rate");
                    let expected = if is_rate { "Bps" } else { "bytes" };
                    assert_eq!(unit, expected, "{place}: {expression}");
                }
            }
        }
    }
    assert!(seen > 20, "only {seen} queries of bytes were found");
}

/// Returns the alerts that a description names: words that start like alerts.
fn named_alerts(description: &str) -> impl Iterator<Item = &str> {
    let words = description.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.filter(|word| {
        let rest = word.strip_prefix("Redis").unwrap_or_default();
        rest.starts_with(|letter: char| letter.is_ascii_uppercase())
    })
}

/// Returns the expressions of the alerts of each name.
fn alerts() -> BTreeMap<String, Vec<String>> {
    let rules = fs::read_to_string(in_repository("alerts/redis.rules.yml"));
    let rules = rules.unwrap_or_else(|error| panic!("alerts/redis.rules.yml: {error}"));
    let rules: serde_yaml::Value = serde_yaml::from_str(&rules).expect("the rules are YAML");
    let mut alerts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let list = |value: &serde_yaml::Value, key| {
        let list = value.get(key).and_then(serde_yaml::Value::as_sequence);
        list.cloned().unwrap_or_default()
    };
    for rule in list(&rules, "groups")
        .iter()
        .flat_map(|group| list(group, "rules"))
    {
        let text = |key| rule.get(key).and_then(serde_yaml::Value::as_str);
        if let (Some(name), Some(expression)) = (text("alert"), text("expr")) {
            let expressions = alerts.entry(name.to_owned()).or_default();
            expressions.push(expression.to_owned());
        }
    }
    alerts
}

/// Returns the numbers in an expression, and the values of products.
fn numbers(expression: &str) -> Vec<f64> {
    let mut numbers = Vec::new();
    let mut product: Option<f64> = None;
    for word in expression.split(|letter: char| letter.is_whitespace() || "(){}".contains(letter)) {
        if let Ok(number) = word.parse::<f64>() {
            let whole = product.map_or(number, |product| product * number);
            numbers.extend([number, whole]);
            product = Some(whole);
        } else if word != "*" {
            product = None;
        }
    }
    numbers
}

#[test]
fn numbers_include_products() {
    assert_eq!(
        numbers("a > 0.5 and time() - b{x=\"7\"} > 24 * 3600"),
        [0.5, 0.5, 24.0, 24.0, 3600.0, 86400.0]
    );
}

/// Panels with thresholds that name no alert.
const THRESHOLDS_OF_NO_ALERT: &[&str] = &["redis-overview/Do any alerts fire?"];

#[test]
fn panel_thresholds_match_the_named_alerts() {
    let alerts = alerts();
    let mut seen = 0;
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard, false) {
            let place = format!("{name}/{}", text(panel, "/title"));
            let named = named_alerts(text(panel, "/description"));
            let expressions: Vec<&String> = named
                .filter_map(|alert| alerts.get(alert))
                .flatten()
                .collect();
            let numbers: Vec<f64> = expressions.iter().flat_map(|text| numbers(text)).collect();
            let equal = |one: f64, other: f64| (one - other).abs() < 1e-9;
            let unit = text(panel, "/fieldConfig/defaults/unit");
            let kind = text(panel, "/type");
            let steps = list(panel, "/fieldConfig/defaults/thresholds/steps");
            for step in steps.iter().filter_map(|step| step["value"].as_f64()) {
                if THRESHOLDS_OF_NO_ALERT.contains(&place.as_str()) {
                    continue;
                }
                seen += 1;
                // For counts and states, thresholds between 0.5 and 1 are equivalent. The threshold
                // of a good ratio is one minus that of the bad one.
                let is_state = unit != "percentunit"
                    && (0.5..=1.0).contains(&step)
                    && (numbers.contains(&0.0) || kind == "state-timeline");
                let is_alert = numbers
                    .iter()
                    .any(|number| equal(*number, step) || equal(1.0 - number, step));
                let is_limit = equal(step, 1.0) && expressions.iter().any(|text| is_metric(text));
                assert!(
                    is_state || is_alert || is_limit,
                    "{place} has a threshold of {step}, its alerts have {numbers:?}"
                );
            }
        }
    }
    assert!(seen > 50, "only {seen} thresholds were found");
}

/// Returns whether an alert compares two metrics. A panel with their ratio has the threshold 1.
fn is_metric(expression: &str) -> bool {
    ["> redis_", "> on ("]
        .iter()
        .any(|sign| expression.contains(sign))
}

#[test]
fn panels_link_to_runbooks_of_named_alerts() {
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard, false) {
            let place = format!("{name}/{}", text(panel, "/title"));
            let named: BTreeSet<String> = named_alerts(text(panel, "/description"))
                .map(|alert| format!("http://localhost:9121/runbooks/{alert}"))
                .collect();
            let links: BTreeSet<String> = list(panel, "/links")
                .iter()
                .map(|link| text(link, "/url").to_owned())
                .collect();
            assert_eq!(links, named, "{place}");
        }
    }
}

#[test]
fn panels_name_all_alerts_and_no_others() {
    let alerts = alerts();
    let alerts: BTreeSet<&str> = alerts.keys().map(String::as_str).collect();
    let dashboards = dashboards();
    let named: BTreeSet<&str> = dashboards
        .values()
        .flat_map(|dashboard| panels(dashboard, false))
        .flat_map(|panel| named_alerts(text(panel, "/description")))
        .collect();
    assert!(!alerts.is_empty(), "there are alerts");
    assert_eq!(named, alerts);
}
