//! Adding a metric, collector, option or alert touches the files that the guide names, and no
//! others.

use std::collections::BTreeSet;
use std::fs;

use crate::documents::{document, quoted, table};
use crate::support::{files, in_repository};

const GUIDE: &str = "docs/develop/contributing.md";

/// Places that may mention anything: none of them has to.
const MENTIONS: &[&str] = &[
    "docs/develop/",
    "docs/guides/",
    "docs/migrate.md",
    "docs/operate/",
    "grafana/",
];

/// The folder of the metric pages, and their index, which has the number of metrics of each.
const PAGES: &str = "docs/reference/metrics/";
const INDEX: &str = "docs/reference/metrics.md";

/// Folders and files in which every mention counts, with their extensions.
const PLACES: &[(&str, &str)] = &[
    ("alerts", "yml"),
    ("deploy", "yaml"),
    ("deploy", "yml"),
    ("docs", "md"),
    ("examples", "rs"),
    ("grafana", "json"),
    ("src", "rs"),
];

/// The files that contain a word, except those that may mention anything, and tests.
fn files_with(word: &str, listed: &BTreeSet<String>) -> BTreeSet<String> {
    let in_folders = PLACES.iter().flat_map(|(folder, end)| files(folder, end));
    let alone = ["README.md", "config.example.yaml"].map(str::to_owned);
    let is_mention = |file: &str| MENTIONS.iter().any(|place| file.starts_with(place));
    let is_test = |file: &str| file.ends_with("/tests.rs") || file.contains("/tests/");
    in_folders
        .chain(alone)
        .filter(|file| listed.contains(file) || !(is_mention(file) || is_test(file)))
        .filter(|file| {
            let text = fs::read_to_string(in_repository(file)).unwrap_or_default();
            has_word(&text, word)
        })
        .collect()
}

fn has_word(text: &str, word: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.split(word)
        .collect::<Vec<_>>()
        .windows(2)
        .any(|around| {
            let (before, after) = (around.first(), around.last());
            !before.is_some_and(|before| before.ends_with(is_letter))
                && !after.is_some_and(|after| after.starts_with(is_letter))
        })
}

#[test]
fn additions_touch_only_the_files_in_the_table() {
    let guide = document(GUIDE);
    let rows = table(&guide, "| to add | such as | edit | generated |");
    assert_eq!(rows.len(), 5, "{rows:?}");
    for row in rows {
        let [what, example, by_hand, generated] = row.as_slice() else {
            unreachable!("a row has as many cells as the header");
        };
        let listed: BTreeSet<String> = [by_hand, generated]
            .into_iter()
            .flat_map(|cell| quoted(cell))
            .map(str::to_owned)
            .collect();
        let word = quoted(example).concat();
        // A flag has dashes.
        let spellings = [word.replace('_', "-"), word];
        let mut found: BTreeSet<String> = spellings
            .iter()
            .flat_map(|word| files_with(word, &listed))
            .collect();
        if found.iter().any(|file| file.starts_with(PAGES)) {
            found.insert(INDEX.to_owned());
        }
        assert_eq!(found, listed, "{what}: {spellings:?}");
    }
}

#[test]
fn words_are_whole() {
    assert!(has_word("a acl_log b", "acl_log") && has_word("acl_log", "acl_log"));
    assert!(has_word("has_acl_log or acl_log", "acl_log"));
    assert!(!has_word("has_acl_log, acl_logs", "acl_log"));
}
