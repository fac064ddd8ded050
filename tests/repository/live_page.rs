//! The conditions of the live page against the alerts, and against its guide.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;

use regex::Regex;

use crate::alerts::rules;
use crate::documents::document;
use crate::support::{files, in_repository};

const GUIDE: &str = "docs/guides/page.md";

/// Returns the alerts and severities that the page judges.
fn judged() -> BTreeSet<(String, String)> {
    let row = Regex::new(r#"(critical|warning|info)\(\s*"(\w+)""#).expect("the pattern compiles");
    let mut judged = BTreeSet::new();
    for file in files("src/view/condition", "rs") {
        let text = fs::read_to_string(in_repository(&file)).expect("the file is there");
        let rows = row.captures_iter(&text);
        judged.extend(rows.map(|row| (row[2].to_owned(), row[1].to_owned())));
    }
    judged
}

/// Returns all alerts with their severities.
fn all() -> BTreeSet<(String, String)> {
    let rules = rules();
    let alerts = rules.iter().filter_map(|rule| {
        let name = rule.get("alert")?.as_str()?;
        let severity = rule.get("labels")?.get("severity")?.as_str()?;
        Some((name.to_owned(), severity.to_owned()))
    });
    alerts.collect()
}

#[test]
fn conditions_have_the_severities_of_the_alerts() {
    let judged = judged();
    assert!(judged.len() > 40, "{judged:?}");
    let unknown: Vec<_> = judged.difference(&all()).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn guide_lists_the_alerts_that_the_page_cannot_judge() {
    let judged: BTreeSet<String> = judged().into_iter().map(|(name, _)| name).collect();
    let guide = document(GUIDE);
    for (name, _) in all() {
        let is_listed = guide
            .lines()
            .any(|line| line.starts_with('|') && line.contains(&format!("`{name}`")));
        assert_ne!(is_listed, judged.contains(&name), "{name}");
    }
}
