//! Plain English: counts idioms that a native technical writer would not use.
//!
//! Each kind of text has a recorded ceiling that may only fall. New idioms fail the test.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use clap::CommandFactory as _;
use redis_namespace_exporter::collector::info::left_out::LEFT_OUT;
use redis_namespace_exporter::config::Arguments;
use redis_namespace_exporter::config::redis_exporter::OPTIONS;
use redis_namespace_exporter::{catalogue, collector};
use regex::Regex;

use crate::documents::{self, document, prose};
use crate::support::{files, in_repository};

/// Kinds of text with the number of idioms that each may contain.
const CEILINGS: &str = "tests/repository/style-ceilings.tsv";

/// Patterns of idioms, each with the plain English to use.
const IDIOMS: &[(&str, &str)] = &[
    (
        r"\b(?:stands?|stood|standing)\b",
        "is, maps to, comes before",
    ),
    (r"\bin (?:the )?place of\b", "instead of"),
    (r"\bgo(?:es)? before\b", "overrides, takes precedence over"),
    (
        r"\bholds?(?: good| for| true| too| while| everywhere|[.;:])",
        "applies, stays in effect",
    ),
    (r"\b(?:says?|said|saying)\b", "reports, returns, contains"),
    (r"\b(?:tells?|told|telling)\b", "reports, returns, shows"),
    (r"\bWhoever\b", "clients that, users who"),
    (
        r"\bWhat (?:the|is|was|are|were|it|they|no|not|a|an|follows|comes|came|each|one|every|this|INFO|Redis|clients|servers?)\b",
        "a noun: the value of, commands that",
    ),
    (r"\bso (?:many|few|seldom|often)\b", "that many, rarely"),
    (r"\bno good\b", "invalid"),
    (r"\banew\b", "again"),
    (r"\b[Mm]eanwhile\b", "in the meantime, until then"),
    (r"\b(?:takes?|taken|took) note\b", "records"),
    (
        r"\blook(?:s|ed|ing)? (?:at|after)\b",
        "checks, inspects, scans",
    ),
    (r"\ba look\b", "a check, a scan"),
    (r"\b(?:[Aa]sks?|asked|asking)\b", "queries, requests, sends"),
    (
        r"\b(?:Where|[Ww]here (?:it|they|there|none|nobody|nothing|one|that|this|no|we))\b",
        "if, when, for targets that",
    ),
    (r"\bwalk(?:s|ed|ing)?\b", "sweep, scan"),
    (r"\b[Qq]uestions?\b", "query"),
    (
        r"\b[Aa]nswer(?:s|ed|ing)?\b",
        "reply (Redis), response (HTTP)",
    ),
    (r"\b[Pp]eers?\b", "redis_exporter"),
    (r"\b[Ff]ollow-ups?\b", "dependent query"),
    (r"\bstretch(?:es)?\b", "segment"),
    (
        r"(?i)\b(?:dialled|labelled|licences?|\w*(?:honour|colour|favour|flavour|behaviour|neighbour|recognis|synchronis|initialis|normalis|serialis|summaris)\w*)\b",
        "American spelling",
    ),
];

/// Words after `, as` that are good English: a reason or a comparison, not an example.
const AFTER_AS: &[&str] = &[
    "a", "an", "are", "does", "each", "every", "far", "if", "is", "it", "its", "long", "many",
    "much", "of", "opposed", "soon", "the", "their", "there", "these", "they", "this", "was", "we",
    "well", "you",
];

/// A text with its place.
type Text = (String, String);

/// Returns the idioms in texts, each with its place and the replacement.
fn idioms(texts: &[Text]) -> Vec<String> {
    let patterns: Vec<(Regex, &str)> = IDIOMS
        .iter()
        .map(|(pattern, instead)| (Regex::new(pattern).expect("a pattern compiles"), *instead))
        .collect();
    let example = Regex::new(r", as ([^ ,.;:)]+)").expect("a pattern compiles");
    let is_no =
        Regex::new(r"\b(\w+) (?:is|are) (?:no|none)\b(?: (\w+))?").expect("a pattern compiles");
    let mut found = Vec::new();
    for (place, text) in texts {
        let text = without_code(text);
        for (pattern, instead) in &patterns {
            for word in pattern.find_iter(&text) {
                found.push(format!("{place}: \"{}\"; write: {instead}", word.as_str()));
            }
        }
        for word in example.captures_iter(&text) {
            if !AFTER_AS.contains(&&word[1]) {
                found.push(format!("{place}: \"{}\"; write: such as", &word[0]));
            }
        }
        for word in is_no.captures_iter(&text) {
            let next = word.get(2).map_or("", |next| next.as_str());
            if !["there", "There"].contains(&&word[1]) && next != "longer" {
                found.push(format!("{place}: \"{}\"; write: is not, has no", &word[0]));
            }
        }
    }
    found
}

/// Replaces code in backticks by a placeholder.
fn without_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(at, part)| if at % 2 == 0 { part } else { "CODE" });
    parts.collect()
}

/// Returns the prose of a document by line. Headings may end in `?`.
fn lines_of(name: &str) -> Vec<Text> {
    let text = document(name);
    let is_link = |line: &&str| !line.starts_with("<!--");
    prose(&text)
        .filter(is_link)
        .map(|line| (name.to_owned(), line.to_owned()))
        .collect()
}

/// Returns the comments of a file, by line.
fn comments(path: &str, marks: &[&str]) -> Vec<Text> {
    let text = document(path);
    let lines = text.lines().zip(1..).filter_map(|(line, number)| {
        let line = line.trim_start();
        let mark = marks.iter().find(|mark| line.starts_with(**mark))?;
        Some((format!("{path}:{number}"), line[mark.len()..].to_owned()))
    });
    lines.collect()
}

/// Returns the values of these keys in a YAML or JSON file, by line.
fn values(path: &str, keys: &[&str]) -> Vec<Text> {
    let text = document(path);
    let lines = text.lines().zip(1..).filter_map(|(line, number)| {
        let line = line.trim().trim_start_matches('"');
        let value = keys.iter().find_map(|key| line.strip_prefix(key))?;
        let value = value.trim_start_matches('"').strip_prefix(": ")?;
        Some((format!("{path}:{number}"), value.to_owned()))
    });
    lines.collect()
}

/// Returns all texts by kind.
fn kinds() -> BTreeMap<&'static str, Vec<Text>> {
    let mut kinds: BTreeMap<&str, Vec<Text>> = BTreeMap::new();
    for name in documents::all() {
        // Metric pages consist of HELP texts and collector descriptions.
        let kind = match name.as_str() {
            name if name.starts_with("docs/reference/metrics/") => continue,
            "CHANGELOG.md" => "changelog",
            _ => "readme and book",
        };
        kinds.entry(kind).or_default().extend(lines_of(&name));
    }
    let help = catalogue::families();
    let help = help
        .iter()
        .map(|family| (family.name.to_owned(), family.help.to_owned()));
    let left_out = LEFT_OUT
        .iter()
        .map(|left_out| (left_out.field.to_owned(), left_out.reason.to_owned()));
    kinds.insert("metric help", help.chain(left_out).collect());
    let about = collector::ALL
        .iter()
        .map(|collector| (collector.name.to_owned(), collector.about.to_owned()));
    kinds.insert("collectors", about.collect());
    let help = Arguments::command().render_long_help().to_string();
    let help = help
        .lines()
        .map(|line| ("--help".to_owned(), line.to_owned()));
    let remarks = OPTIONS
        .iter()
        .map(|option| (option.flag.to_owned(), option.here()));
    kinds.insert("command line", help.chain(remarks).collect());
    kinds.insert(
        "config.example.yaml",
        comments("config.example.yaml", &["#"]),
    );
    let rules = "alerts/redis.rules.yml";
    let mut alerts = comments(rules, &["#"]);
    alerts.extend(values(rules, &["summary", "description"]));
    kinds.insert("alerts", alerts);
    let dashboards = files("grafana", "json");
    let dashboards = dashboards
        .iter()
        .flat_map(|path| values(path, &["description", "title"]));
    kinds.insert("dashboards", dashboards.collect());
    kinds.insert("comments", rust_comments(&["src"]));
    kinds.insert("comments in tests", rust_comments(&["tests"]));
    let mut around = rust_comments(&["benches", "examples"]);
    around.extend(scripts().iter().flat_map(|path| comments(path, &["#"])));
    kinds.insert("comments in benches, examples and scripts", around);
    kinds
}

/// Returns the comments of the Rust files in these folders, by line.
fn rust_comments(folders: &[&str]) -> Vec<Text> {
    let paths = folders.iter().flat_map(|folder| files(folder, "rs"));
    paths
        .flat_map(|path| comments(&path, &["///", "//!", "//"]))
        .collect()
}

/// Returns the paths of all scripts.
fn scripts() -> Vec<String> {
    let entries = fs::read_dir(in_repository("scripts")).expect("there are scripts");
    let names = entries.map(|entry| entry.expect("an entry can be read").file_name());
    names
        .map(|name| format!("scripts/{}", name.display()))
        .collect()
}

fn ceilings() -> BTreeMap<String, usize> {
    let text = document(CEILINGS);
    let rows = text.lines().filter_map(|line| line.split_once('\t'));
    rows.map(|(kind, count)| {
        (
            kind.to_owned(),
            count.parse().expect("a ceiling is a number"),
        )
    })
    .collect()
}

#[test]
fn texts_have_no_more_idioms_than_recorded() {
    let ceilings = ceilings();
    let mut fresh = String::new();
    let mut failures = String::new();
    for (kind, texts) in kinds() {
        assert!(!texts.is_empty(), "there are no texts of the kind {kind}");
        let found = idioms(&texts);
        let ceiling = ceilings.get(kind).copied().unwrap_or(0);
        if found.len() > ceiling {
            let _ = writeln!(
                failures,
                "{kind}: {} idioms, at most {ceiling} are allowed:\n{}",
                found.len(),
                found.join("\n")
            );
        }
        let _ = writeln!(fresh, "{kind}\t{}", found.len().min(ceiling));
    }
    assert!(failures.is_empty(), "{failures}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(in_repository(CEILINGS), fresh).expect("the ceilings can be written");
        return;
    }
    assert!(
        fresh == document(CEILINGS),
        "there are fewer idioms than recorded: UPDATE_GOLDEN=1 cargo test --test repository\n{fresh}"
    );
}

#[test]
fn readme_and_book_have_no_idioms() {
    assert_eq!(ceilings().get("readme and book"), Some(&0));
}

#[test]
fn idioms_are_found_and_plain_english_passes() {
    for text in [
        "A flag goes before its variable",
        "a command, as BLPOP",
        "an error, as one of a proxy",
        "that is no limit",
        "what the server says",
        "Where it is not set",
        "the question is asked anew",
        "The program looks at the keys",
    ] {
        assert!(
            !idioms(&[(String::new(), text.to_owned())]).is_empty(),
            "{text}"
        );
    }
    for text in [
        "A flag overrides its variable",
        "a command such as BLPOP",
        "the database, as the server counts it",
        "there is no limit",
        "the server is no longer monitored",
        "the file where Redis saves its data",
        "`ask` is code",
        "a database that holds keys",
    ] {
        let found = idioms(&[(String::new(), text.to_owned())]);
        assert!(found.is_empty(), "{text}: {found:?}");
    }
}

#[test]
fn module_files_are_named_after_their_modules() {
    let sources = files("src", "rs").into_iter();
    let all = sources.chain(files("tests", "rs"));
    let named_mod: Vec<_> = all.filter(|file| file.ends_with("/mod.rs")).collect();
    assert!(
        named_mod.is_empty(),
        "name them like their folders: {named_mod:?}"
    );
}
