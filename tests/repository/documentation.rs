//! The documents for people against the program: flags, permissions, names, links, the example.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use redis_namespace_exporter::catalogue;
use redis_namespace_exporter::collector;
use redis_namespace_exporter::config::redis_exporter::OPTIONS;
use redis_namespace_exporter::config::{Arguments, load};

use crate::layers::LAYERS;
use crate::support::{assert_golden, in_repository};

/// Documents written by hand.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
];

/// Permissions that no question needs, but the connection.
const CONNECTION_PERMISSIONS: &[&str] = &["+ping", "+client|setname", "+select"];

/// Permissions that only servers which know the command take: a line with them fails elsewhere.
const SOME_SERVERS_PERMISSIONS: &[&str] = &["+commandlog|len", "+commandlog|get"];

fn document(name: &str) -> String {
    fs::read_to_string(in_repository(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The texts between single backticks, code blocks aside.
fn quoted(text: &str) -> Vec<&str> {
    let mut in_block = false;
    let prose = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        !in_block && !fence
    });
    prose
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

/// The cells of each row of the table that starts with this header.
fn table<'a>(text: &'a str, header: &str) -> Vec<Vec<&'a str>> {
    let (_, rest) = text
        .split_once(header)
        .unwrap_or_else(|| panic!("no table starts with {header}"));
    rest.lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// What stands after `[name: ` in the help of a flag.
fn note<'a>(help: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!("[{name}: ");
    let found = help.split_once(&start).and_then(|(_, rest)| {
        let (found, _) = rest.split_once(']')?;
        Some(found.split(", ").collect())
    });
    found.unwrap_or_default()
}

fn flag_rows(readme: &str) -> Vec<Vec<&str>> {
    table(readme, "| flag | environment | default |")
}

#[test]
fn the_table_of_flags_is_what_the_program_takes() {
    let readme = document("README.md");
    let mut rows: BTreeMap<String, (Vec<&str>, Vec<&str>)> = flag_rows(&readme)
        .into_iter()
        .filter_map(|row| {
            let [flag, variables, default, ..] = row[..] else {
                panic!("{row:?} has too few cells")
            };
            let flag = flag.strip_prefix("`--")?.strip_suffix('`')?;
            Some((flag.to_owned(), (quoted(variables), quoted(default))))
        })
        .collect();
    let command = Arguments::command();
    // Those that are hidden are in the table of redis_exporter's options.
    for argument in command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set())
    {
        let flag = argument.get_long().expect("every flag has a long name");
        let help = argument.get_help().map(ToString::to_string);
        let help = help.unwrap_or_else(|| panic!("--{flag} has no help"));
        let (variables, default) = rows
            .remove(flag)
            .unwrap_or_else(|| panic!("README.md has no --{flag}"));
        assert_eq!(variables, note(&help, "env"), "environment of --{flag}");
        assert_eq!(default, note(&help, "default"), "default of --{flag}");
    }
    assert!(rows.is_empty(), "no such flags: {:?}", rows.keys());
}

#[test]
fn the_program_reads_the_variables_of_the_table_and_no_others() {
    let readme = document("README.md");
    let rows = flag_rows(&readme);
    let named: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| row.get(1).copied().map(quoted).unwrap_or_default())
        .map(str::to_owned)
        .chain(OPTIONS.iter().map(|option| option.variable.to_owned()))
        .filter(|variable| !variable.is_empty())
        .collect();
    let asked = RefCell::new(BTreeSet::new());
    let environment = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        None
    };
    load(&Arguments::default(), &environment, &collector::names())
        .expect("nothing set is a good configuration");
    assert_eq!(named, asked.into_inner());
}

#[test]
fn the_subcommands_of_the_readme_are_the_real_ones() {
    let readme = document("README.md");
    let rows = table(&readme, "| command |");
    let named: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row.first().copied().map(quoted).unwrap_or_default())
        .collect();
    let command = Arguments::command();
    let real: BTreeSet<&str> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    assert_eq!(named, real);
}

#[test]
fn the_arguments_of_namespaces_are_those_of_its_table() {
    let readme = document("README.md");
    let named: BTreeSet<&str> = table(&readme, "| argument | meaning |")
        .iter()
        .flat_map(|row| row.first().copied().map(quoted).unwrap_or_default())
        .collect();
    let command = Arguments::command();
    let command = command
        .find_subcommand("namespaces")
        .expect("the command is there");
    let real: BTreeSet<String> = command
        .get_arguments()
        .map(|argument| match argument.get_long() {
            Some(flag) => format!("--{flag}"),
            None => argument.get_id().as_str().to_uppercase(),
        })
        .collect();
    assert_eq!(named, real.iter().map(String::as_str).collect());
}

/// What a line of README.md grants.
fn granted(start: &str) -> BTreeSet<String> {
    let readme = document("README.md");
    let line = readme.lines().find(|line| line.starts_with(start));
    let line = line.unwrap_or_else(|| panic!("README.md has no line {start}"));
    line.split_ascii_whitespace()
        .map(|word| word.trim_matches('\''))
        .filter(|word| word.starts_with('+'))
        .map(ToOwned::to_owned)
        .collect()
}

/// What the questions of these collectors need, on a sentinel or on all other servers.
fn needed(is_on: bool, is_sentinel: bool) -> BTreeSet<String> {
    let collectors = collector::ALL
        .iter()
        .filter(|collector| collector.on_by_default == is_on);
    collectors
        .flat_map(|collector| collector::permissions(collector))
        .map(ToOwned::to_owned)
        .filter(|permission| permission.starts_with("+sentinel") == is_sentinel)
        .collect()
}

fn owned(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(ToString::to_string).collect()
}

#[test]
fn the_line_of_permissions_grants_what_the_questions_need_and_no_more() {
    let needed = &needed(true, false) | &owned(CONNECTION_PERMISSIONS);
    let needed = &needed - &owned(SOME_SERVERS_PERMISSIONS);
    assert_eq!(granted("ACL SETUSER exporter on "), needed);
}

#[test]
fn the_line_of_a_sentinel_grants_what_it_is_asked_and_no_more() {
    let further = owned(&[
        "+ping",
        "+info",
        "+client|setname",
        "+sentinel|sentinels",
        "+sentinel|replicas",
    ]);
    let needed = &needed(true, true) | &further;
    assert_eq!(granted("ACL SETUSER watcher on "), needed);
}

#[test]
fn every_permission_is_named_in_the_readme() {
    let readme = document("README.md");
    let mut named: BTreeSet<String> = quoted(&readme)
        .iter()
        .map(|text| text.replace("\\|", "|"))
        .collect();
    named.extend(granted("ACL SETUSER exporter on "));
    named.extend(granted("ACL SETUSER watcher on "));
    for (is_on, is_sentinel) in [(true, true), (true, false), (false, true), (false, false)] {
        for permission in needed(is_on, is_sentinel) {
            assert!(
                named.contains(&permission),
                "{permission} is not in README.md"
            );
        }
    }
}

#[test]
fn the_example_loads_and_names_every_collector_with_its_default() {
    let arguments = Arguments {
        config: Some(in_repository("config.example.yaml")),
        ..Arguments::default()
    };
    let config = load(&arguments, &|_| None, &collector::names());
    let config = config.unwrap_or_else(|problems| panic!("{problems:#?}"));
    let target = config.targets.first().expect("the example has a target");
    for collector in collector::ALL {
        let name = collector.name;
        let default = collector::is_on_by_default(collector, &target.options);
        // Were the name missing, the opposite default would come back.
        let written = target.collectors.is_on(name, !default);
        assert_eq!(written, default, "collectors.{name}");
    }
}

#[test]
fn every_metric_that_a_document_names_exists() {
    let mut known = BTreeSet::new();
    for family in catalogue::families() {
        known.insert(family.name);
        known.extend(family.legacy.map(|legacy| legacy.name));
        known.extend(family.labels);
    }
    // The program that this one stands in for.
    known.insert("redis_exporter");
    for name in DOCUMENTS {
        let text = document(name);
        for word in quoted(&text) {
            let metric = word.split('{').next().unwrap_or_default();
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            if metric.starts_with("redis_") && metric.chars().all(is_name) {
                assert!(known.contains(metric), "{name} names {metric}");
            }
        }
    }
}

/// Where a link in a Markdown text may lead, as GitHub makes it of a heading.
fn anchors(text: &str) -> BTreeSet<String> {
    let heading = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
        title.chars().filter(kept).collect::<String>()
    };
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| heading(line).replace(' ', "-"))
        .collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    for name in DOCUMENTS.iter().chain(&["METRICS.md"]) {
        let text = document(name);
        for link in text.split("](").skip(1) {
            let (link, _) = link.split_once(')').expect("a link is closed");
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if path.is_empty() { name } else { path };
            assert!(in_repository(path).exists(), "{name} links to {path}");
            if !anchor.is_empty() {
                let there = anchors(&document(path)).contains(anchor);
                assert!(there, "{name} links to {link}");
            }
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

#[test]
fn every_file_and_every_test_that_a_document_names_exists() {
    let mut code = String::new();
    sources(&in_repository("src"), &mut code);
    sources(&in_repository("tests"), &mut code);
    let mut tests = 0;
    for name in DOCUMENTS {
        let text = document(name);
        for word in quoted(&text) {
            let is_path = ["src/", "tests/", "scripts/", "examples/", ".ci/"]
                .iter()
                .any(|folder| word.starts_with(folder));
            if is_path && !word.contains(['<', '*', ' ']) {
                assert!(in_repository(word).exists(), "{name} names {word}");
            }
            // Names of tests are sentences; nothing else that is quoted has so many words.
            let is_test = word.matches('_').count() >= 4
                && !word.starts_with("redis_")
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

#[test]
fn the_map_of_the_code_has_every_module() {
    let map = document("ARCHITECTURE.md");
    for (module, _) in LAYERS {
        let is_there = map.contains(&format!("`src/{module}.rs`"))
            || map.contains(&format!("`src/{module}/`"));
        assert!(is_there, "{module} is not on the map");
    }
}

/// Where the table of layers stands in ARCHITECTURE.md.
const LAYERS_BEGIN: &str =
    "<!-- layers: written by UPDATE_GOLDEN=1 cargo test --test repository -->\n";
const LAYERS_END: &str = "<!-- end of layers -->\n";

#[test]
fn the_table_of_layers_is_the_one_that_is_held() {
    let text = document("ARCHITECTURE.md");
    let (before, rest) = text.split_once(LAYERS_BEGIN).expect("the table begins");
    let (_, after) = rest.split_once(LAYERS_END).expect("the table ends");
    let mut rows = String::new();
    for (module, allowed) in LAYERS {
        let allowed: Vec<_> = allowed.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(rows, "| `{module}` | {} |", allowed.join(", "));
    }
    let fresh = format!(
        "{before}{LAYERS_BEGIN}| module | may use |\n| --- | --- |\n{rows}{LAYERS_END}{after}"
    );
    assert_golden(&in_repository("ARCHITECTURE.md"), &fresh);
}

#[test]
fn documents_tell_how_many_series_a_command_has() {
    let page = document("tests/golden/redis-7.0.15/standalone.prom");
    let series = page.lines().filter(|line| line.contains("{cmd=\"get\""));
    let told = format!("{} series each", series.count());
    for name in ["README.md", "config.example.yaml"] {
        assert!(document(name).contains(&told), "{name}: not {told}");
    }
}
