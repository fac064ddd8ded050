//! The options of `redis_exporter`: its own list, our table, and the README must agree.

use std::fmt::Write as _;
use std::fs;

use redis_namespace_exporter::collector;
use redis_namespace_exporter::config::redis_exporter::OPTIONS;

use crate::support::{assert_golden, in_repository};

/// Where the table stands in the README.
const BEGIN: &str = "<!-- options: written by UPDATE_GOLDEN=1 cargo test --test repository -->\n";
const END: &str = "<!-- end of options -->\n";

#[test]
fn every_option_of_redis_exporter_has_its_row() {
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
fn the_table_of_options_in_the_readme_is_the_one_that_is_held() {
    let readme = fs::read_to_string(in_repository("README.md")).expect("there is a README");
    let (before, rest) = readme.split_once(BEGIN).expect("the table begins");
    let (_, after) = rest.split_once(END).expect("the table ends");
    let mut rows = String::new();
    for option in OPTIONS {
        let here = option.here();
        assert!(!here.is_empty(), "--{} says nothing", option.flag);
        let variable = match option.variable {
            "" => String::new(),
            variable => format!("`{variable}`"),
        };
        let _ = writeln!(rows, "| `{}` | {variable} | {here} |", option.flag);
    }
    let fresh = format!(
        "{before}{BEGIN}| flag | environment | here |\n| --- | --- | --- |\n{rows}{END}{after}"
    );
    assert_golden(&in_repository("README.md"), &fresh);
}

#[test]
fn every_collector_that_an_option_names_exists() {
    let known = collector::names();
    for option in OPTIONS {
        let here = option.here();
        for name in here.split("`collectors.").skip(1) {
            let name = name.split('`').next().unwrap_or_default();
            assert!(known.contains(&name), "--{} names {name}", option.flag);
        }
    }
}
