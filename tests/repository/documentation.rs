//! Compares the documents with the program: flags, permissions, names, links, and the example.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::CommandFactory as _;
use redis_namespace_exporter::collector;
use redis_namespace_exporter::config::redis_exporter::OPTIONS;
use redis_namespace_exporter::config::{Arguments, CollectorOptions, ROUTES, load};

use crate::documents::{ARCHITECTURE, COMMAND_LINE, PERMISSIONS, document, quoted, table};
use crate::layers::LAYERS;
use crate::purity::pure_modules;
use crate::support::{assert_golden, in_repository};

/// Permissions that connections need, not queries.
const CONNECTION_PERMISSIONS: &[&str] = &["+ping", "+client|setname", "+select"];

/// Permissions that only some servers, or some options, need. A rule with a command that a server
/// does not know fails.
const SOME_SERVERS_PERMISSIONS: &[&str] = &[
    "+commandlog|len",
    "+commandlog|get",
    "+dbsize",
    "+eval",
    "+eval_ro",
];

/// Returns the text after `[name: ` in the help of a flag.
fn note<'a>(help: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!("[{name}: ");
    let found = help.split_once(&start).and_then(|(_, rest)| {
        let (found, _) = rest.split_once(']')?;
        Some(found.split(", ").collect())
    });
    found.unwrap_or_default()
}

/// A flag of the command line.
struct Flag {
    name: String,
    variables: Vec<String>,
    default: Vec<String>,
    meaning: String,
}

/// Returns the flags that `--help` lists. The options of `redis_exporter` have their own table.
fn flags() -> Vec<Flag> {
    let command = Arguments::command();
    let arguments = command.get_arguments();
    let shown = arguments.filter(|argument| !argument.is_hide_set());
    shown
        .map(|argument| {
            let name = argument.get_long().expect("every flag has a long name");
            let help = argument.get_help().map(ToString::to_string);
            let help = help.unwrap_or_else(|| panic!("--{name} has no help"));
            let meaning = help.split(" [").next().unwrap_or_default();
            let owned = |words: Vec<&str>| words.into_iter().map(ToOwned::to_owned).collect();
            Flag {
                name: name.to_owned(),
                variables: owned(note(&help, "env")),
                default: owned(note(&help, "default")),
                meaning: meaning.replace('|', "\\|"),
            }
        })
        .collect()
}

/// The lines around the table of flags.
const FLAGS_BEGIN: &str =
    "<!-- flags: written by UPDATE_GOLDEN=1 cargo test --test repository -->\n";
const FLAGS_END: &str = "<!-- end of flags -->\n";

#[test]
fn command_line_page_lists_every_flag() {
    let text = document(COMMAND_LINE);
    let (before, rest) = text.split_once(FLAGS_BEGIN).expect("the table begins");
    let (_, after) = rest.split_once(FLAGS_END).expect("the table ends");
    let code = |words: &[String]| {
        let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
        words.join(", ")
    };
    let mut rows = String::new();
    for flag in flags() {
        let _ = writeln!(
            rows,
            "| `--{}` | {} | {} | {} |",
            flag.name,
            code(&flag.variables),
            code(&flag.default),
            flag.meaning
        );
    }
    let fresh = format!(
        "{before}{FLAGS_BEGIN}\n| flag | environment | default | description |\n\
         | --- | --- | --- | --- |\n{rows}{FLAGS_END}{after}"
    );
    assert_golden(&in_repository(COMMAND_LINE), &fresh);
}

#[test]
fn the_program_reads_the_documented_variables_and_no_others() {
    let named: BTreeSet<String> = flags()
        .into_iter()
        .flat_map(|flag| flag.variables)
        .chain(OPTIONS.iter().map(|option| option.variable.to_owned()))
        .filter(|variable| !variable.is_empty())
        .collect();
    let read = RefCell::new(BTreeSet::new());
    let environment = |name: &str| {
        read.borrow_mut().insert(name.to_owned());
        None
    };
    load(&Arguments::default(), &environment, &collector::names())
        .expect("nothing set is a good configuration");
    assert_eq!(named, read.into_inner());
}

#[test]
fn documented_commands_match_the_program() {
    let readme = document(COMMAND_LINE);
    let rows = table(&readme, "| command |");
    let named: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| row.first().copied().map(quoted).unwrap_or_default())
        .map(str::to_owned)
        .collect();
    let command = Arguments::command();
    let mut real = BTreeSet::new();
    for command in command.get_subcommands() {
        let name = command.get_name();
        let parts: Vec<_> = command.get_subcommands().collect();
        if parts.is_empty() {
            real.insert(name.to_owned());
        }
        real.extend(
            parts
                .iter()
                .map(|part| format!("{name} {}", part.get_name())),
        );
    }
    assert_eq!(named, real);
}

#[test]
fn documented_arguments_of_commands_match() {
    assert_arguments("namespaces", "| argument | description |");
    assert_arguments("top", "| argument of `top` | description |");
}

/// Compares the arguments of a command with the table that starts with this line.
fn assert_arguments(command_name: &str, heading: &str) {
    let readme = document(COMMAND_LINE);
    let named: BTreeSet<&str> = table(&readme, heading)
        .iter()
        .flat_map(|row| row.first().copied().map(quoted).unwrap_or_default())
        .collect();
    let command = Arguments::command();
    let command = command
        .find_subcommand(command_name)
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

/// Returns the permissions that the line with this start grants.
fn granted(start: &str) -> BTreeSet<String> {
    let readme = document(PERMISSIONS);
    let line = readme.lines().find(|line| line.starts_with(start));
    let line = line.unwrap_or_else(|| panic!("{PERMISSIONS} has no line {start}"));
    line.split_ascii_whitespace()
        .map(|word| word.trim_matches('\''))
        .filter(|word| word.starts_with('+'))
        .map(ToOwned::to_owned)
        .collect()
}

/// Returns the permissions for the queries of these collectors, on a sentinel or on all other
/// servers.
fn needed(is_on: bool, is_sentinel: bool) -> BTreeSet<String> {
    let collectors = collector::ALL
        .iter()
        .filter(|collector| collector.is_on_by_default() == is_on);
    collectors
        .flat_map(|collector| collector.permissions())
        .map(ToOwned::to_owned)
        .filter(|permission| permission.starts_with("+sentinel") == is_sentinel)
        .collect()
}

fn owned(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(ToString::to_string).collect()
}

#[test]
fn documented_acl_rule_grants_the_needed_permissions() {
    let needed = &needed(true, false) | &owned(CONNECTION_PERMISSIONS);
    let needed = &needed - &owned(SOME_SERVERS_PERMISSIONS);
    assert_eq!(granted("ACL SETUSER exporter on "), needed);
}

#[test]
fn sentinel_acl_rule_grants_exactly_the_needed_permissions() {
    let further = owned(&["+ping", "+info", "+client|setname"]);
    let needed = &needed(true, true) | &further;
    assert_eq!(granted("ACL SETUSER watcher on "), needed);
}

#[test]
fn every_permission_is_documented() {
    let readme = document(PERMISSIONS);
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
                "{permission} is not in {PERMISSIONS}"
            );
        }
    }
}

/// Returns the example with its list of collectors replaced by that of the rows.
fn example_with_collectors(options: &CollectorOptions) -> String {
    let example = document("config.example.yaml");
    let start = "\n    collectors:\n";
    let (before, rest) = example.split_once(start).expect("it has the list");
    let is_of_list = |line: &&str| line.starts_with("      ");
    let after = rest.split_inclusive('\n').skip_while(is_of_list);
    let rows = collector::ALL.iter().map(|collector| {
        let is_on = (collector.default)(options);
        format!("      {}: {is_on}\n", collector.name)
    });
    let rows: String = rows.collect();
    format!("{before}{start}{rows}{}", after.collect::<String>())
}

#[test]
fn the_example_loads_and_lists_every_collector() {
    let path = in_repository("config.example.yaml");
    let arguments = Arguments {
        config: Some(path.clone()),
        ..Arguments::default()
    };
    let config = load(&arguments, &|_| None, &collector::names());
    let config = config.unwrap_or_else(|problems| panic!("{problems:#?}"));
    let target = config.targets.first().expect("the example has a target");
    assert_golden(&path, &example_with_collectors(&target.options));
}

#[test]
fn every_path_is_documented() {
    let page = document("docs/reference/http.md");
    for (path, _) in ROUTES {
        let is_there = [format!("`{path}`"), format!("`{path}?")];
        let is_there = is_there.iter().any(|cell| page.contains(cell));
        assert!(is_there, "{path} is not documented");
    }
}

#[test]
fn map_of_the_code_has_every_module() {
    let map = document(ARCHITECTURE);
    for (module, _) in LAYERS {
        let is_there = map.contains(&format!("`src/{module}.rs`"))
            || map.contains(&format!("`src/{module}/`"));
        assert!(is_there, "{module} is not on the map");
    }
}

/// The lines around the table of layers.
const LAYERS_BEGIN: &str =
    "<!-- layers: written by UPDATE_GOLDEN=1 cargo test --test repository -->\n";
const LAYERS_END: &str = "<!-- end of layers -->\n";

/// The lines around the list of pure modules.
const PURE_BEGIN: &str =
    "<!-- pure modules: written by UPDATE_GOLDEN=1 cargo test --test repository -->\n";
const PURE_END: &str = "<!-- end of pure modules -->\n";

#[test]
fn table_of_layers_matches_the_test() {
    let text = document(ARCHITECTURE);
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
    let (before, rest) = fresh.split_once(PURE_BEGIN).expect("the list begins");
    let (_, after) = rest.split_once(PURE_END).expect("the list ends");
    let pure: Vec<_> = pure_modules()
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    let fresh = format!("{before}{PURE_BEGIN}{}\n{PURE_END}{after}", pure.join(", "));
    assert_golden(&in_repository(ARCHITECTURE), &fresh);
}

#[test]
fn documents_name_the_series_of_a_command() {
    let page = document("tests/golden/redis-7.0.15/standalone.prom");
    let series = page.lines().filter(|line| line.contains("{cmd=\"get\""));
    let expected = format!("{} series each", series.count());
    for name in ["docs/reference/limits.md", "config.example.yaml"] {
        assert!(document(name).contains(&expected), "{name}: not {expected}");
    }
}
