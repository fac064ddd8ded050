//! Checks `rust-version` of `Cargo.toml`: every dependency builds with it, it is older than the
//! compiler of a release, and documents and workflows name the same version.
//!
//! Whether the program itself needs a newer compiler is found by the lint `incompatible_msrv`, and by
//! the workflow, which builds with this version.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::in_repository;

/// Major and minor number of a compiler.
type Version = (u64, u64);

fn version(text: &str) -> Version {
    let mut numbers = text.split('.').map(|number| {
        let number = number.parse();
        number.unwrap_or_else(|error| panic!("the version {text}: {error}"))
    });
    let major = numbers.next().expect("split returns at least one part");
    (major, numbers.next().unwrap_or_default())
}

fn ours() -> &'static str {
    env!("CARGO_PKG_RUST_VERSION")
}

fn content(path: &str) -> String {
    fs::read_to_string(in_repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the text between two others in the first line that has both.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (_, rest) = line.split_once(before)?;
        rest.split_once(after).map(|(found, _)| found)
    })
}

/// Returns name and `rust-version` of all packages in `Cargo.lock` for this platform.
fn packages() -> Vec<(String, Option<String>)> {
    let cargo = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(arguments)
            .output()
            .expect("cargo starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo {arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("cargo writes UTF-8")
    };
    let about = cargo(&["--version", "--verbose"]);
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    let metadata = cargo(&[
        "metadata",
        "--format-version=1",
        "--locked",
        "--offline",
        "--filter-platform",
        host.expect("cargo reports its host"),
    ]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo writes JSON");
    let packages = metadata.get("packages").and_then(Value::as_array);
    let packages = packages.expect("a list of packages");
    packages
        .iter()
        .map(|package| {
            let text = |key: &str| package.get(key).and_then(Value::as_str);
            let name = [text("name"), text("version")].map(Option::unwrap_or_default);
            (name.join(" "), text("rust_version").map(str::to_owned))
        })
        .collect()
}

#[test]
fn dependencies_build_with_the_minimum_compiler() {
    let packages = packages();
    assert!(packages.len() > 100, "only {} packages", packages.len());
    let known = packages.iter().filter(|(_, needed)| needed.is_some());
    assert!(known.count() > 50, "packages have no rust_version");
    let too_new: Vec<_> = packages
        .iter()
        .filter_map(|(name, needed)| Some((name, needed.as_deref()?)))
        .filter(|(_, needed)| version(needed) > version(ours()))
        .collect();
    assert!(
        too_new.is_empty(),
        "need a newer compiler than {}: {too_new:?}",
        ours()
    );
}

#[test]
fn minimum_compiler_is_older_than_that_of_a_release() {
    for path in ["Dockerfile", "deploy/workload.Dockerfile"] {
        let text = content(path);
        let released = between(&text, "FROM rust:", "-").expect("an image with a compiler");
        assert!(
            version(ours()) < version(released),
            "{path} has the compiler {released}, and rust-version is {}",
            ours()
        );
    }
}

#[test]
fn documents_and_workflows_name_the_minimum_compiler() {
    for (path, before, after) in [
        ("README.md", "(https://rustup.rs) ", " or later"),
        ("docs/install.md", "(https://rustup.rs) ", " or later"),
        (
            "docs/develop/contributing.md",
            "(https://rustup.rs) ",
            " or later",
        ),
        (".github/workflows/test.yml", "toolchain: \"", "\""),
    ] {
        let text = content(path);
        assert_eq!(between(&text, before, after), Some(ours()), "{path}");
    }
}
