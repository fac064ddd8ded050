//! Checks the Helm chart: its copies of rules and dashboards are up to date, and its values, their
//! schema and its documents name the same things.
//!
//! Helm does not run here. `scripts/check-chart` renders the chart and validates the objects.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;

use redis_namespace_exporter::config::rows;
use serde_json::Value;

use crate::documents::{document, quoted, table};
use crate::support::{assert_golden, files, in_repository};

const CHART: &str = "deploy/helm/redis-namespace-exporter";
const PAGE: &str = "docs/operate/helm.md";
const README: &str = "deploy/helm/redis-namespace-exporter/README.md";

/// All values of the chart prometheus-redis-exporter 6.29.
const OTHER_CHART: &str = "tests/golden/redis_exporter-chart-values.txt";

/// Options of the file that the chart sets by values of its own, or that are fixed.
const NOT_IN_CONFIG: &[&str] = &["listen", "targets", "tls"];

/// Values of charts that include this one.
const OF_PARENTS: &[&str] = &["enabled", "global"];

fn in_chart(path: &str) -> String {
    format!("{CHART}/{path}")
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&document(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn schema() -> Value {
    let text = document(&in_chart("values.schema.json"));
    serde_json::from_str(&text).expect("the schema is JSON")
}

/// Returns the names of the fields of an object.
fn keys(object: &Value) -> BTreeSet<String> {
    let object = object.as_object().expect("it is an object");
    object.keys().cloned().collect()
}

/// Returns the text of a dashboard with a line for each panel. Without blanks, it is small enough
/// for the annotation in which kubectl keeps objects.
fn compact(dashboard: &Value) -> String {
    let mut rest = dashboard.clone();
    let panels = rest.as_object_mut().and_then(|rest| rest.remove("panels"));
    let panels = panels.expect("a dashboard has panels");
    let panels = panels.as_array().expect("the panels are a list");
    let panels: Vec<String> = panels.iter().map(ToString::to_string).collect();
    let rest = rest.to_string();
    let rest = rest.strip_suffix('}').expect("it is an object");
    format!("{rest},\"panels\":[\n{}\n]}}\n", panels.join(",\n"))
}

#[test]
fn chart_has_copies_of_the_rules_and_dashboards() {
    let rules = document("alerts/redis.rules.yml");
    assert_golden(&in_repository(&in_chart("files/redis.rules.yml")), &rules);
    let originals = files("grafana", "json");
    for original in &originals {
        let name = original
            .strip_prefix("grafana/")
            .expect("it is in the folder");
        let dashboard: Value = serde_json::from_str(&document(original)).expect("it is JSON");
        let path = in_repository(&in_chart(&format!("files/dashboards/{name}")));
        assert_golden(&path, &compact(&dashboard));
        let copy = fs::read_to_string(&path).expect("the copy can be read");
        let copy: Value = serde_json::from_str(&copy).expect("the copy is JSON");
        assert_eq!(copy, dashboard, "{name}");
    }
    assert_eq!(originals.len(), 4);
    let copies = files(&in_chart("files/dashboards"), "json");
    assert_eq!(copies.len(), originals.len(), "{copies:?}");
}

#[test]
fn chart_has_the_version_of_the_exporter() {
    let chart = yaml(&in_chart("Chart.yaml"));
    for key in ["version", "appVersion"] {
        assert_eq!(chart[key], env!("CARGO_PKG_VERSION"), "{key}");
    }
}

/// Compares the fields of the values with those in their schema, and calls itself for objects.
fn compare(place: &str, values: &Value, schema: &Value, seen: &mut usize) {
    let (Some(fields), Some(properties)) = (values.as_object(), schema.get("properties")) else {
        return;
    };
    // Kubernetes or the exporter defines the fields.
    if fields.is_empty() {
        return;
    }
    let known = keys(properties);
    let expected: BTreeSet<String> = known
        .into_iter()
        .filter(|key| !place.is_empty() || !OF_PARENTS.contains(&key.as_str()))
        .collect();
    assert_eq!(keys(values), expected, "{place}");
    assert_eq!(schema["additionalProperties"], false, "{place}");
    *seen += expected.len();
    for (key, value) in fields {
        compare(&format!("{place}.{key}"), value, &properties[key], seen);
    }
}

#[test]
fn schema_has_exactly_the_values() {
    let mut seen = 0;
    compare("", &yaml(&in_chart("values.yaml")), &schema(), &mut seen);
    assert!(seen > 80, "only {seen} values");
}

/// Returns the first parts of the names of options.
fn tops<'a>(options: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let tops = options.filter_map(|key| key.split(['.', '[']).next());
    tops.map(str::to_owned).collect()
}

#[test]
fn schema_accepts_the_options_of_the_file() {
    let properties = &schema()["properties"];
    let mut options = tops(rows::ROWS.iter().map(|row| row.key));
    options.retain(|option| !NOT_IN_CONFIG.contains(&option.as_str()));
    assert_eq!(keys(&properties["config"]["properties"]), options);
}

#[test]
fn schema_accepts_the_options_of_targets() {
    let shared = rows::ROWS.iter().filter(|row| row.is_of_each);
    let own = rows::ROWS.iter().map(|row| row.key);
    let own = own.filter_map(|key| key.strip_prefix("targets[]."));
    let mut options = tops(shared.map(|row| row.key).chain(own));
    // Passwords only come from Secrets.
    for secret in ["password", "password_file"] {
        assert!(options.remove(secret), "{secret}");
    }
    options.insert("passwordSecret".to_owned());
    let items = &schema()["properties"]["targets"]["items"];
    assert_eq!(keys(&items["properties"]), options);
    assert_eq!(items["additionalProperties"], false);
}

#[test]
fn readme_of_the_chart_names_every_value() {
    let readme = document(README);
    let named: BTreeSet<&str> = table(&readme, "| value | contents |")
        .iter()
        .filter_map(|row| row.first().copied())
        .flat_map(quoted)
        .collect();
    let values = keys(&yaml(&in_chart("values.yaml")));
    let values: BTreeSet<&str> = values.iter().map(String::as_str).collect();
    assert_eq!(named, values);
}

#[test]
fn helm_page_maps_every_value_of_the_other_chart() {
    let page = document(PAGE);
    let rows = table(&page, "| value of redis_exporter | value here |");
    let mapped: Vec<&str> = rows
        .iter()
        .filter_map(|row| row.first().copied())
        .flat_map(quoted)
        .collect();
    let other = document(OTHER_CHART);
    let other: Vec<&str> = other.lines().collect();
    for value in &other {
        let times = mapped.iter().filter(|mapped| *mapped == value).count();
        assert_eq!(times, 1, "{PAGE} must map {value} once");
    }
    for value in mapped {
        assert!(other.contains(&value), "{value} is not in the other chart");
    }
}

/// Whether a path leads to a value of the chart. Paths end at values whose contents are free.
fn exists(path: &str, values: &Value) -> bool {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match values.get(first) {
        Some(value) if !rest.is_empty() => exists(rest, value),
        found => found.is_some(),
    }
}

#[test]
fn helm_page_names_existing_values() {
    let values = yaml(&in_chart("values.yaml"));
    let tops = keys(&values);
    let page = document(PAGE);
    let (text, _) = page
        .split_once("## Values of the redis_exporter chart")
        .expect("the page has a table");
    let rows = table(&page, "| value of redis_exporter | value here |");
    let here = rows.iter().filter_map(|row| row.get(1).copied());
    let mut seen = 0;
    for word in quoted(text).into_iter().chain(here.flat_map(quoted)) {
        let is_value = |word: &str| {
            let mut letters = word.chars();
            letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '.')
        };
        let top = word.split('.').next().unwrap_or_default();
        if is_value(word) && word.contains('.') && tops.contains(top) && word != "values.yaml" {
            // `sweep.from` is an option of the file.
            assert!(exists(word, &values), "{PAGE} names {word}");
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} values are named");
}
