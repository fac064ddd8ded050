//! The options of `redis_exporter`: its own list, our table, and the migration guide must agree.

use std::fmt::Write as _;
use std::fs;

use redis_namespace_exporter::collector;
use redis_namespace_exporter::config::redis_exporter::OPTIONS;

use crate::documents::MIGRATE;
use crate::support::{assert_golden, in_repository};

/// The lines around the table in the migration guide.
const BEGIN: &str = "<!-- options: written by UPDATE_GOLDEN=1 cargo test --test repository -->\n";
const END: &str = "<!-- end of options -->\n";

#[test]
fn every_redis_exporter_option_has_a_row() {
    let list = in_repository("tests/golden/redis_exporter-options.tsv");
    let list = fs::read_to_string(list).expect("the list is there");
    let theirs: Vec<Vec<&str>> = list
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect())
        .collect();
    let or = |text: &'static str, empty| if text.is_empty() { empty } else { text };
    let ours: Vec<Vec<&str>> = OPTIONS
        .iter()
        .map(|option| {
            vec![
                option.flag,
                or(option.variable, "—"),
                or(option.default, "\"\""),
            ]
        })
        .collect();
    assert_eq!(theirs, ours);
}

#[test]
fn migration_guide_lists_every_option_of_redis_exporter() {
    let page = fs::read_to_string(in_repository(MIGRATE)).expect("the guide is there");
    let (before, rest) = page.split_once(BEGIN).expect("the table begins");
    let (_, after) = rest.split_once(END).expect("the table ends");
    let mut rows = String::new();
    for option in OPTIONS {
        let here = option.here();
        assert!(!here.is_empty(), "--{} has no description", option.flag);
        let variable = match option.variable {
            "" => String::new(),
            variable => format!("`{variable}`"),
        };
        let _ = writeln!(rows, "| `{}` | {variable} | {here} |", option.flag);
    }
    let fresh = format!(
        "{before}{BEGIN}| flag | environment | here |\n| --- | --- | --- |\n{rows}{END}{after}"
    );
    assert_golden(&in_repository(MIGRATE), &fresh);
}

#[test]
fn options_name_existing_collectors() {
    let known = collector::names();
    for option in OPTIONS {
        let here = option.here();
        for name in here.split("`collectors.").skip(1) {
            let name = name.split('`').next().unwrap_or_default();
            assert!(known.contains(&name), "--{} names {name}", option.flag);
        }
    }
}
