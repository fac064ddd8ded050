//! The book in `docs/`: its table of contents, its links, and the names that documents use.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Component, Path};

use clap::CommandFactory as _;
use redis_namespace_exporter::catalogue;
use redis_namespace_exporter::config::{Arguments, rows};
use serde_yaml::Value;

use crate::documents::{self, BOOK, blocks, document, quoted};
use crate::metric_pages;
use crate::support::{assert_golden, files, in_repository};

const SUMMARY: &str = "docs/SUMMARY.md";

/// The entries of the table of contents whose children are generated.
const METRICS: &str = "- [Metrics](reference/metrics.md)\n";
const RUNBOOKS: &str = "- [Runbooks](operate/runbooks.md)\n";

/// The page that contains the example configuration.
const CONFIGURATION: &str = "docs/reference/configuration.md";
const OPTIONS_BEGIN: &str =
    "<!-- options: written by UPDATE_GOLDEN=1 cargo test --test repository -->\n";
const OPTIONS_END: &str = "<!-- end of options -->\n";
const EXAMPLE_BEGIN: &str =
    "<!-- example: written by UPDATE_GOLDEN=1 cargo test --test repository -->\n";

/// The index of the runbooks.
const RUNBOOK_INDEX: &str = "docs/operate/runbooks.md";
const RUNBOOK_INDEX_BEGIN: &str =
    "<!-- runbooks: written by UPDATE_GOLDEN=1 cargo test --test repository -->\n";

/// Flags of other programs and of scripts that documents mention.
const FOREIGN_FLAGS: &[&str] = &[
    "--cliff",
    "--help",
    "--leak",
    "--pictures",
    "--pressure",
    "--version",
];

/// Names that look like a metric of the exporter but are not.
const FOREIGN_NAMES: &[&str] = &["redis_exporter", "redis_targets"];

/// Returns the names of all runbooks.
fn runbooks() -> Vec<String> {
    let found = files("docs/operate/runbooks", "md");
    let names = found.iter().filter_map(|path| Path::new(path).file_stem());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// Replaces the more deeply indented entries below an entry of the table of contents.
fn with_children(summary: &str, entry: &str, children: &[(String, String)]) -> String {
    let (before, after) = summary
        .split_once(entry)
        .unwrap_or_else(|| panic!("{SUMMARY} has no {entry}"));
    let last = before.rsplit('\n').next().unwrap_or_default();
    let indent = last.len();
    let kept: Vec<&str> = after
        .lines()
        .skip_while(|line| line.len() - line.trim_start().len() > indent)
        .collect();
    let mut fresh = format!("{before}{entry}");
    for (title, path) in children {
        let _ = writeln!(fresh, "{:indent$}  - [{title}]({path})", "");
    }
    for line in kept {
        let _ = writeln!(fresh, "{line}");
    }
    fresh
}

#[test]
fn summary_lists_every_metric_page_and_runbook() {
    let metrics: Vec<_> = metric_pages::titles()
        .into_iter()
        .map(|(title, name)| (title, format!("reference/metrics/{name}.md")))
        .collect();
    let runbooks: Vec<_> = runbooks()
        .into_iter()
        .map(|name| (name.clone(), format!("operate/runbooks/{name}.md")))
        .collect();
    let summary = document(SUMMARY);
    let summary = with_children(&summary, METRICS, &metrics);
    let summary = with_children(&summary, RUNBOOKS, &runbooks);
    assert_golden(&in_repository(SUMMARY), &summary);
}

#[test]
fn summary_has_every_page_once() {
    let summary = document(SUMMARY);
    let mut listed: Vec<String> = links(&summary)
        .map(|link| format!("{BOOK}/{link}"))
        .collect();
    listed.push(SUMMARY.to_owned());
    listed.sort();
    assert_eq!(listed, files(BOOK, "md"));
}

/// Returns the meaning of an alert, which is the first paragraph of its runbook.
fn meaning(runbook: &str) -> String {
    let page = document(&format!("docs/operate/runbooks/{runbook}.md"));
    let (_, rest) = page
        .split_once("## Meaning\n\n")
        .expect("a runbook has a meaning");
    let paragraph = rest.split("\n\n").next().unwrap_or_default();
    let end = paragraph.find(". ").map_or(paragraph.len(), |dot| dot + 1);
    paragraph[..end].to_owned()
}

#[test]
fn runbook_index_is_fresh() {
    let text = document(RUNBOOK_INDEX);
    let (before, _) = text
        .split_once(RUNBOOK_INDEX_BEGIN)
        .expect("the table begins");
    let mut fresh =
        format!("{before}{RUNBOOK_INDEX_BEGIN}\n| runbook | meaning |\n| --- | --- |\n");
    for name in runbooks() {
        let _ = writeln!(
            fresh,
            "| [{name}](runbooks/{name}.md) | {} |",
            meaning(&name)
        );
    }
    assert_golden(&in_repository(RUNBOOK_INDEX), &fresh);
}

#[test]
fn configuration_page_lists_every_option() {
    let text = document(CONFIGURATION);
    let (before, rest) = text.split_once(OPTIONS_BEGIN).expect("the table begins");
    let (_, after) = rest.split_once(OPTIONS_END).expect("the table ends");
    let options = rows::reference();
    let text = format!("{before}{OPTIONS_BEGIN}\n{options}{OPTIONS_END}{after}");
    let (before, _) = text.split_once(EXAMPLE_BEGIN).expect("the example begins");
    let example = document("config.example.yaml");
    let fresh = format!("{before}{EXAMPLE_BEGIN}\n```yaml\n{example}```\n");
    assert_golden(&in_repository(CONFIGURATION), &fresh);
}

#[test]
fn readme_is_at_most_150_lines() {
    let lines = document("README.md").lines().count();
    assert!(lines <= 150, "README.md has {lines} lines");
}

/// Returns the targets of the links in a text, except those in code blocks.
fn links(text: &str) -> impl Iterator<Item = &str> {
    documents::prose(text).flat_map(|line| {
        let links = line.split("](").skip(1);
        links.map(|link| link.split(')').next().unwrap_or_default())
    })
}

/// Returns the anchors of the headings of a page, in the form of mdBook and Git hosts.
fn anchors(text: &str) -> BTreeSet<String> {
    let heading = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
        title.chars().filter(kept).collect::<String>()
    };
    documents::prose(text)
        .filter(|line| line.starts_with('#'))
        .map(|line| heading(line).replace(' ', "-"))
        .collect()
}

/// Resolves a link relative to the page that contains it. `None` if it leaves the repository.
fn resolve(page: &str, link: &str) -> Option<String> {
    let folder = Path::new(page).parent()?;
    let mut parts: Vec<_> = folder.components().collect();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::CurDir => {}
            other => parts.push(other),
        }
    }
    let path: std::path::PathBuf = parts.into_iter().collect();
    Some(path.display().to_string())
}

#[test]
fn every_relative_link_resolves() {
    let mut seen = 0;
    for name in documents::all() {
        let text = document(&name);
        for link in links(&text).filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if path.is_empty() {
                name.clone()
            } else {
                resolve(&name, path).unwrap_or_else(|| panic!("{name} links to {link}"))
            };
            assert!(in_repository(&path).exists(), "{name} links to {link}");
            // The built book contains nothing but its own pages.
            if name.starts_with(BOOK) {
                let is_page = path.starts_with(BOOK) && !in_repository(&path).is_dir();
                assert!(is_page, "{name} links to {link}, which is not in the book");
            }
            if !anchor.is_empty() {
                let found = anchors(&document(&path)).contains(anchor);
                assert!(found, "{name} links to {link}");
            }
            seen += 1;
        }
    }
    assert!(seen > 80, "only {seen} links were found");
}

#[test]
fn documents_name_existing_metrics() {
    let mut known: BTreeSet<&str> = FOREIGN_NAMES.iter().copied().collect();
    for family in catalogue::families() {
        known.insert(family.name);
        known.extend(family.legacy.map(|legacy| legacy.name));
        known.extend(family.labels);
    }
    let mut seen = 0;
    for name in documents::all() {
        let text = document(&name);
        for word in quoted(&text) {
            let metric = word.split('{').next().unwrap_or_default();
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            if metric.starts_with("redis_") && metric.chars().all(is_name) {
                // INFO fields whose names look like metrics.
                let is_field = name.ends_with("metrics/left-out.md") || name.contains("/metrics/");
                assert!(is_field || known.contains(metric), "{name} names {metric}");
                seen += 1;
            }
        }
    }
    assert!(seen > 300, "only {seen} metrics are named");
}

#[test]
fn documents_name_existing_flags() {
    let command = Arguments::command();
    let of_subcommands = command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments);
    let known: BTreeSet<String> = command
        .get_arguments()
        .chain(of_subcommands)
        .filter_map(|argument| Some(format!("--{}", argument.get_long()?)))
        .chain(FOREIGN_FLAGS.iter().map(ToString::to_string))
        .collect();
    for name in documents::all() {
        let text = document(&name);
        for word in quoted(&text)
            .into_iter()
            .filter(|word| word.starts_with("--"))
        {
            let flag = word.split(['=', ' ']).next().unwrap_or_default();
            assert!(known.contains(flag), "{name} names {word}");
        }
    }
}

/// Returns the dotted names of all options in the example configuration. The options of a target
/// are included without `targets.` too.
fn options() -> BTreeSet<String> {
    let mut options = BTreeSet::new();
    let mut parents: Vec<(usize, String)> = Vec::new();
    for line in document("config.example.yaml").lines() {
        let indent = line.len() - line.trim_start().len();
        let rest = line.trim_start();
        let rest = rest.strip_prefix('#').unwrap_or(rest);
        let (rest, indent) = match rest.strip_prefix("- ") {
            Some(rest) => (rest, indent + 2),
            None => (rest, indent),
        };
        let Some((key, value)) = rest.split_once(':') else {
            continue;
        };
        if !is_key(key) {
            continue;
        }
        parents.retain(|(at, _)| *at < indent);
        let path = |key: &str, parents: &[(usize, String)]| {
            let parents = parents.iter().map(|(_, name)| name.as_str());
            parents.chain([key]).collect::<Vec<_>>().join(".")
        };
        options.insert(path(key, &parents));
        parents.push((indent, key.to_owned()));
        for inner in value.split(['{', ',']).skip(1) {
            if let Some((inner, _)) = inner.trim().split_once(':').filter(|(key, _)| is_key(key)) {
                options.insert(path(inner, &parents));
            }
        }
    }
    let of_targets = options
        .iter()
        .filter_map(|name| name.strip_prefix("targets."));
    let of_targets: Vec<_> = of_targets.map(ToOwned::to_owned).collect();
    options.extend(of_targets);
    options
}

fn is_key(key: &str) -> bool {
    let is_letter =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    !key.is_empty() && key.chars().all(is_letter)
}

#[test]
fn documents_name_existing_options() {
    let options = options();
    let tops: BTreeSet<String> = options
        .iter()
        .filter_map(|name| name.split('.').next())
        .map(ToOwned::to_owned)
        .collect();
    let mut seen = 0;
    for name in documents::all() {
        let text = document(&name);
        for word in quoted(&text) {
            let word = word.replace("[]", "");
            let word = word.strip_prefix("targets.").unwrap_or(&word);
            let word = word.split(':').next().unwrap_or_default();
            let parts: Vec<_> = word.split('.').collect();
            let is_file = parts
                .last()
                .is_some_and(|end| ["rs", "md", "yaml"].contains(end));
            if parts.len() < 2 || is_file || !parts.iter().all(|part| is_key(part)) {
                continue;
            }
            if parts.first().is_some_and(|top| tops.contains(*top)) {
                assert!(
                    options.contains(word),
                    "{name} names {word}, which config.example.yaml does not have"
                );
                seen += 1;
            }
        }
        for block in blocks(&text, "yaml") {
            seen += check_block(&name, block, &options, &tops);
        }
    }
    assert!(seen > 100, "only {seen} options are named");
}

/// Checks the keys of a YAML block if it is part of a configuration.
fn check_block(
    name: &str,
    block: &str,
    options: &BTreeSet<String>,
    tops: &BTreeSet<String>,
) -> usize {
    let value: Value =
        serde_yaml::from_str(block).unwrap_or_else(|error| panic!("{name}: {error}\n{block}"));
    let Value::Mapping(map) = &value else {
        return 0;
    };
    if !map
        .keys()
        .all(|key| key.as_str().is_some_and(|key| tops.contains(key)))
    {
        return 0;
    }
    let mut paths = Vec::new();
    paths_of(&value, "", &mut paths);
    for path in &paths {
        let path = path.strip_prefix("targets.").unwrap_or(path);
        assert!(options.contains(path), "{name} names the option {path}");
    }
    paths.len()
}

fn paths_of(value: &Value, parent: &str, paths: &mut Vec<String>) {
    match value {
        Value::Mapping(map) => {
            for (key, value) in map {
                let key = key.as_str().unwrap_or_default();
                let path = match parent {
                    "" => key.to_owned(),
                    parent => format!("{parent}.{key}"),
                };
                paths_of(value, &path, paths);
                paths.push(path);
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| paths_of(item, parent, paths)),
        _ => {}
    }
}

#[test]
fn documents_name_existing_alerts() {
    let known: BTreeSet<String> = runbooks().into_iter().collect();
    for name in documents::all() {
        let text = document(&name);
        for word in quoted(&text) {
            let is_alert = word.starts_with("Redis")
                && word.len() > "RedisXx".len()
                && word.chars().all(|letter| letter.is_ascii_alphanumeric());
            assert!(!is_alert || known.contains(word), "{name} names {word}");
        }
    }
}

fn sources(path: &Path, text: &mut String) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder can be read") {
            sources(&entry.expect("an entry can be read").path(), text);
        }
    } else if path.extension().is_some_and(|end| end == "rs") {
        text.push_str(&fs::read_to_string(path).expect("a source can be read"));
    }
}

/// Folders whose files documents name in backticks.
const FOLDERS: &[&str] = &[
    "src/",
    "tests/",
    "scripts/",
    "examples/",
    "benches/",
    "alerts/",
    "grafana/",
    "deploy/",
    "docs/",
    ".ci/",
];

#[test]
fn documents_name_existing_files_and_tests() {
    let mut code = String::new();
    sources(&in_repository("src"), &mut code);
    sources(&in_repository("tests"), &mut code);
    let mut tests = 0;
    for name in documents::all() {
        let text = document(&name);
        for word in quoted(&text) {
            let is_path = FOLDERS.iter().any(|folder| word.starts_with(folder));
            if is_path && !word.contains(['<', '*', ' ']) {
                assert!(in_repository(word).exists(), "{name} names {word}");
            }
            // Test names have many words. Other quoted names have fewer.
            let is_test = word.matches('_').count() >= 4
                && !word.starts_with("redis_")
                && !name.contains("/metrics/")
                && word
                    .chars()
                    .all(|letter| letter.is_ascii_lowercase() || letter == '_');
            if is_test {
                assert!(code.contains(&format!("fn {word}(")), "{name} names {word}");
                tests += 1;
            }
        }
    }
    assert!(tests > 10, "only {tests} tests are named");
}

/// Checks the pages that the program, its rules and its examples name.
#[test]
fn other_files_name_existing_pages() {
    let mut seen = 0;
    let folders = ["src", "alerts", "grafana", "deploy", "scripts"];
    let ends = ["rs", "yml", "yaml", "json", "bash"];
    let found = folders
        .iter()
        .flat_map(|folder| ends.iter().flat_map(move |end| files(folder, end)));
    for path in found.chain(["Dockerfile".to_owned(), "config.example.yaml".to_owned()]) {
        let text = document(&path);
        for rest in text.split("docs/").skip(1) {
            let is_end =
                |letter: char| !letter.is_ascii_alphanumeric() && !"/-_.#".contains(letter);
            let link = rest.split(is_end).next().unwrap_or_default();
            let link = link.trim_end_matches('.');
            let (page, anchor) = link.split_once('#').unwrap_or((link, ""));
            if Path::new(page).extension().is_none_or(|end| end != "md") {
                continue;
            }
            let page = format!("{BOOK}/{page}");
            assert!(in_repository(&page).exists(), "{path} names {page}");
            let found = anchor.is_empty() || anchors(&document(&page)).contains(anchor);
            assert!(found, "{path} names {page}#{anchor}");
            seen += 1;
        }
        for rest in text.split("http://localhost:9121/runbooks/").skip(1) {
            let is_end = |letter: char| !letter.is_ascii_alphanumeric();
            let name = rest.split(is_end).next().unwrap_or_default();
            // Documents and templates also name the address without a runbook.
            if name.is_empty() {
                continue;
            }
            let page = format!("docs/operate/runbooks/{name}.md");
            assert!(in_repository(&page).exists(), "{path} names {name}");
            seen += 1;
        }
        for gone in ["METRICS.md", "alerts/runbooks/"] {
            assert!(!text.contains(gone), "{path} names {gone}");
        }
    }
    assert!(seen > 100, "only {seen} pages are named");
}
