//! One way to do each thing: the program has one module for each of these.

use regex::Regex;

use crate::documents::document;
use crate::program::program;
use crate::support::files;

/// Texts of source code, and the module or folder that alone contains them.
const PLACES: &[(&str, &str, &str)] = &[
    ("counts as floats", " as f64", "src/number.rs"),
    (
        "the length of a collection as a float",
        "f64::from(u32::try_from(",
        "src/number.rs",
    ),
    ("the wall clock", "SystemTime::now(", "src/clock.rs"),
    ("doubled delays", "_pow(doublings", "src/backoff.rs"),
    ("opened files", "File::open(", "src/bounded_file.rs"),
    ("unbounded reads", "read_to_end(", "src/bounded_file.rs"),
    ("YAML", "saphyr_parser::", "src/config/document"),
    (
        "regular expressions",
        "RegexBuilder::new(",
        "src/pattern.rs",
    ),
    ("paths of the HTTP server", "\"/-/", "src/config/route.rs"),
    (
        "the largest number of segments",
        "const SEGMENTS_MAX",
        "src/keyspace/segment.rs",
    ),
];

#[test]
fn each_concern_has_one_module() {
    let program = program();
    let mut elsewhere = Vec::new();
    for (concern, text, place) in PLACES {
        for source in &program {
            let lines = source
                .text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let count = lines.filter(|line| line.contains(text)).count();
            if count > 0 && !source.file.starts_with(place) {
                elsewhere.push(format!("{}: {concern} belong to {place}", source.file));
            }
        }
    }
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
}

#[test]
fn modules_of_concerns_exist() {
    let program = program();
    for (concern, text, place) in PLACES {
        let mut places = program
            .iter()
            .filter(|source| source.file.starts_with(place));
        // A text that is in no module anymore would check nothing.
        let is_used = places.any(|source| source.text.contains(text));
        assert!(
            is_used || *text == "f64::from(u32::try_from(",
            "{concern}: {place} lacks {text}"
        );
    }
}

#[test]
fn public_modules_are_used_by_other_targets() {
    let folders = ["src", "tests", "benches", "examples", "fuzz/fuzz_targets"];
    let paths = folders.iter().flat_map(|folder| files(folder, "rs"));
    let others: String = paths.map(|path| document(&path)).collect();
    let root = document("src/lib.rs");
    let public = root
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod "));
    let mut unused = Vec::new();
    for module in public.map(|name| name.trim_end_matches(';')) {
        let uses = format!(r"redis_namespace_exporter::(?:\{{[^}}]*\b)?{module}\b");
        let uses = Regex::new(&uses).expect("the pattern compiles");
        if !uses.is_match(&others) {
            unused.push(module);
        }
    }
    assert!(unused.is_empty(), "only this crate uses {unused:?}");
}
