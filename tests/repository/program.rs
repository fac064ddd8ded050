//! The source files of the program, without their tests.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::source_paths::{Path, Source, sources};

/// Reads the source files of the program, without tests.
pub fn program() -> Vec<Source> {
    let sources = sources();
    let tests = test_modules(&sources);
    let is_test = |source: &Source| tests.iter().any(|test| source.module.starts_with(test));
    let program = sources.into_iter().filter(|source| !is_test(source));
    program
        .map(|source| Source {
            text: without_tests(&source.text),
            ..source
        })
        .collect()
}

/// Returns the modules that only exist in tests.
fn test_modules(sources: &[Source]) -> BTreeSet<Path> {
    let mut modules = BTreeSet::new();
    for Source { module, text, .. } in sources {
        for after in text.split("#[cfg(test)]\nmod ").skip(1) {
            let name = after.split_once(';').map(|(name, _)| name);
            if let Some(name) = name.filter(|name| !name.contains(' ')) {
                modules.insert([module.as_slice(), &[name.to_owned()]].concat());
            }
        }
    }
    modules
}

/// The tests of a file, which are its end, or the declaration of their module.
static TESTS: LazyLock<Regex> = LazyLock::new(|| {
    let tests = r"(?s)#\[cfg\(test\)\]\n(?:(?:pub\(super\) )?mod \w+ \{.*|mod \w+;\n)";
    Regex::new(tests).expect("the pattern compiles")
});

/// Returns the text of a file without its tests.
pub fn without_tests(text: &str) -> String {
    TESTS.replace_all(text, "").into_owned()
}

#[test]
fn tests_are_left_out() {
    let source = |module: &str, text: &str| Source {
        file: String::new(),
        module: module.split("::").map(str::to_owned).collect(),
        text: text.to_owned(),
    };
    let sources = [source("a", "#[cfg(test)]\nmod tests;\nmod b;\n")];
    let tests: Vec<Path> = test_modules(&sources).into_iter().collect();
    assert_eq!(tests, [["a", "tests"]]);
    for (text, program) in [
        ("fn a() {}\n#[cfg(test)]\nmod tests {\n}\n", "fn a() {}\n"),
        ("#[cfg(test)]\npub(super) mod tests {\n}\n", ""),
        ("#[cfg(test)]\nmod tests;\nmod b;\n", "mod b;\n"),
    ] {
        assert_eq!(without_tests(text), program);
    }
}
