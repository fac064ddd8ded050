//! The documents of the repository: README, the book in `docs/`, and the pages in other folders.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::fs;

use crate::support::{files, in_repository};

/// Documents outside of the book.
const OUTSIDE: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "alerts/README.md",
    "grafana/README.md",
    "deploy/helm/redis-namespace-exporter/README.md",
];

/// The folder of the book.
pub const BOOK: &str = "docs";

/// Page of the book with all flags and commands.
pub const COMMAND_LINE: &str = "docs/reference/command-line.md";

/// Page of the book with the ACL rules.
pub const PERMISSIONS: &str = "docs/guides/permissions.md";

/// Page of the book for people who come from `redis_exporter`.
pub const MIGRATE: &str = "docs/migrate.md";

/// Page of the book that explains the structure of the code.
pub const ARCHITECTURE: &str = "docs/develop/architecture.md";

/// Reads a document.
pub fn document(name: &str) -> String {
    fs::read_to_string(in_repository(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns the paths of all documents.
pub fn all() -> Vec<String> {
    let mut all: Vec<_> = OUTSIDE.iter().map(ToString::to_string).collect();
    all.extend(files(BOOK, "md"));
    all
}

/// Returns the lines of a text outside of fenced code blocks.
pub fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    })
}

/// Returns the texts between single backticks outside of fenced code blocks.
pub fn quoted(text: &str) -> Vec<&str> {
    prose(text)
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

/// Returns the fenced code blocks of a language.
pub fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let blocks = text.split(fence.as_str()).skip(1);
    blocks.filter_map(|rest| rest.split("```").next()).collect()
}

/// Returns the cells of each row of the table that starts with this header.
pub fn table<'a>(text: &'a str, header: &str) -> Vec<Vec<&'a str>> {
    let (_, rest) = text
        .split_once(header)
        .unwrap_or_else(|| panic!("no table starts with {header}"));
    rest.lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}
