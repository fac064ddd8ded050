//! Finds the metrics and labels in a `PromQL` expression.
//!
//! It is not a parser: it splits expressions that promtool accepts into words.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use regex::Regex;

/// The names in an expression.
#[derive(Debug, Default, PartialEq)]
pub struct Names {
    /// The selectors: metric, and labels of its matchers.
    pub selectors: Vec<(String, Vec<String>)>,
    /// The labels in `by`, `without`, `on` and `group_left`.
    pub grouping: Vec<String>,
}

const GROUPING: &[&str] = &[
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
const OPERATORS: &[&str] = &["and", "or", "unless", "offset", "bool"];

/// Returns the names in an expression.
pub fn names(expression: &str) -> Names {
    let word = Regex::new(r#""[^"]*"|[A-Za-z_:][\w:]*|[0-9][\w.]*|[{}()\[\]]"#)
        .expect("the pattern is right");
    let words: Vec<&str> = word
        .find_iter(expression)
        .map(|found| found.as_str())
        .collect();
    let mut names = Names::default();
    let mut at = 0;
    while let Some(&word) = words.get(at) {
        let next = words.get(at + 1).copied().unwrap_or_default();
        at += 1;
        if GROUPING.contains(&word) {
            names.grouping.extend(identifiers(&words, &mut at, ")"));
            continue;
        }
        let called = next == "(" || GROUPING.contains(&next);
        if !is_identifier(word) || OPERATORS.contains(&word) || called {
            continue;
        }
        let labels = match next {
            "{" => identifiers(&words, &mut at, "}"),
            _ => Vec::new(),
        };
        names.selectors.push((word.to_owned(), labels));
    }
    names
}

fn is_identifier(word: &str) -> bool {
    word.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
}

/// Returns the identifiers up to a closing bracket, and moves `at` behind it.
fn identifiers(words: &[&str], at: &mut usize, end: &str) -> Vec<String> {
    let rest = words.get(*at..).unwrap_or_default();
    let inside = rest.iter().take_while(|word| **word != end);
    let found = inside.clone().filter(|word| is_identifier(word));
    let found = found.map(|word| (*word).to_owned()).collect();
    *at += inside.count() + 1;
    found
}

#[test]
fn metrics_and_labels_are_found_in_an_expression() {
    let expression = r#"sum without (cmd) (rate(a_total{cmd!~"get|set",x="{y}"}[5m])) / (b:c > 0)
        and on (job, instance) d{role="master"} == 1 unless time() - e offset 15m > 24 * 3600"#;
    let selectors = names(expression).selectors;
    let selectors: Vec<_> = selectors
        .iter()
        .map(|(metric, labels)| (metric.as_str(), labels.join(" ")))
        .collect();
    let expected = [
        ("a_total", "cmd x".to_owned()),
        ("b:c", String::new()),
        ("d", "role".to_owned()),
        ("e", String::new()),
    ];
    assert_eq!(selectors, expected);
    assert_eq!(names(expression).grouping, ["cmd", "job", "instance"]);
}
