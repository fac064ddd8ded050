//! The thresholds of the conditions against the rules.

use regex::Regex;
use serde_yaml::Value;

use super::*;

const RULES: &str = include_str!("../../../alerts/redis.rules.yml");

/// A part of a rule that the page does not judge. Its guide names it.
const NOT_JUDGED: &str = "or rate(redis_expired_time_cap_reached_total[5m]) > 1";

/// Returns the expression of the rule with this name and severity.
fn expression(rules: &Value, alert: &str, severity: AlertSeverity) -> String {
    let severity = serde_json::to_value(severity).unwrap();
    let groups = rules["groups"].as_sequence().unwrap().iter();
    let mut rules = groups.flat_map(|group| group["rules"].as_sequence().unwrap());
    let rule = rules.find(|rule| {
        rule.get("alert").and_then(Value::as_str) == Some(alert)
            && rule["labels"]["severity"].as_str() == severity.as_str()
    });
    let rule = rule.unwrap_or_else(|| panic!("no rule {alert} {severity}"));
    rule["expr"].as_str().unwrap().replace(NOT_JUDGED, "")
}

/// Returns the numbers of an expression in their order, each once: those that are not compared for
/// being 0 or 1, windows in seconds, and labels that are numbers.
fn thresholds(expression: &str) -> Vec<f64> {
    let replaced = |text: &str, pattern: &str, by: &str| {
        let pattern = Regex::new(pattern).unwrap();
        pattern.replace_all(text, by).into_owned()
    };
    // The last known value is the present one.
    let text = replaced(expression, r"last_over_time\([^()]*\)", "");
    let text = replaced(&text, r#"\w+="([0-9]+)""#, "$1");
    let text = replaced(&text, r#"\w+\s*[=!]~?\s*"[^"]*""#, "");
    let text = replaced(&text, r"\[([0-9]+)m\]", "( 60 * $1 )");
    let text = replaced(&text, r"\[([0-9]+)h\]", "( 3600 * $1 )");
    let text = replaced(&text, r"[a-zA-Z_][\w:]*", "");
    let text = replaced(&text, r"==\s*1\b", "");
    let product = Regex::new(r"[0-9.]+(\s*\*\s*[0-9.]+)*").unwrap();
    let mut numbers = Vec::new();
    for product in product.find_iter(&text) {
        let factors = product.as_str().split('*');
        let number: f64 = factors
            .map(|factor| factor.trim().parse::<f64>().unwrap())
            .product();
        if number > 0.0 && !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    numbers
}

#[test]
fn numbers_of_expressions_are_found() {
    let of = thresholds;
    assert_eq!(
        of("a:b:rate5m > 10 and 60 * c > 0.01 * d"),
        [10.0, 60.0, 0.01]
    );
    assert_eq!(
        of("rate(a{b=\"OOM|5\",c=~\"7.+\"}[5m]) > 24 * 3600"),
        [300.0, 86_400.0]
    );
    assert_eq!(
        of("a{idle=\"60\"} > 0 and last_over_time(b[5m]) == 1"),
        [60.0]
    );
    assert_eq!(of("a > 1 and min_over_time(b[1h]) == 1"), [1.0, 3_600.0]);
}

#[test]
fn limits_are_the_numbers_of_the_rules() {
    assert!(RULES.contains(NOT_JUDGED));
    let rules: Value = serde_yaml::from_str(RULES).unwrap();
    let known = |limits: Thresholds| limits.into_iter().filter(|limit| limit.is_finite());
    let mut count = 0;
    let rows = ALL.iter().copied().flatten();
    let rows = rows.map(|row| (row.alert, row.severity, row.limits));
    let own = service::CONDITIONS.iter();
    let own = own.map(|row| (row.alert, row.severity, row.limits));
    for (alert, severity, limits) in rows.chain(own) {
        let found: Vec<f64> = known(limits).collect();
        let expected = thresholds(&expression(&rules, alert, severity));
        assert_eq!(found, expected, "{alert} {severity:?}");
        count += found.len();
    }
    assert!(count > 40, "{count}");
}
