//! The files for the hosting service: every place with versions of others is kept up to date.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::Value;

use crate::documents::document;
use crate::support::in_repository;

const UPDATES: &str = ".github/dependabot.yml";

/// The image that this repository builds itself.
const OWN_IMAGE: &str = "redis-namespace-exporter";

/// Folders that are not a part of the repository, or that the updater finds from elsewhere.
const SKIPPED: [&str; 3] = [".git", "target", "dist"];

/// A kind of dependencies, and the folder with their versions.
type Place = (String, String);

/// Returns all files of the repository.
fn all_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![in_repository("")];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).expect("the folder is there");
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            let is_skipped = path
                .file_name()
                .is_some_and(|name| SKIPPED.iter().any(|skipped| name == *skipped));
            if path.is_dir() && !is_skipped {
                folders.push(path);
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    found
}

/// Returns the kind of dependencies whose versions a file contains.
fn kind(name: &str, text: &str) -> Option<&'static str> {
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, ""));
    let is_yaml = ["yaml", "yml"].contains(&end);
    let is_recipe = name == "Dockerfile" || end == "Dockerfile";
    let values = |key: &'static str| {
        let lines = text
            .lines()
            .map(|line| line.trim().trim_start_matches("- "));
        lines.filter_map(move |line| line.strip_prefix(key))
    };
    let has_image = |key| {
        values(key).any(|image| {
            let image = image.trim_matches(['"', ' ']);
            let is_own = image.starts_with(OWN_IMAGE) || image == "scratch";
            // A template has its image from the values.
            !image.is_empty() && !image.starts_with("{{") && !is_own
        })
    };
    match name {
        "Cargo.toml" => Some("cargo"),
        _ if is_recipe && has_image("FROM ") => Some("docker"),
        _ if is_yaml && stem == "compose" && has_image("image: ") => Some("docker-compose"),
        _ if is_yaml && values("uses: ").next().is_some() => Some("github-actions"),
        _ if is_yaml && has_image("image: ") => Some("docker"),
        _ => None,
    }
}

/// Returns the folder of a file, as the updater names it.
fn folder(path: &Path, kind: &str) -> String {
    let root = in_repository("");
    let folder = path.parent().and_then(|path| path.strip_prefix(&root).ok());
    let folder = folder.expect("a file of the repository").display();
    match format!("/{folder}") {
        // The updater finds workflows from the root.
        workflows if kind == "github-actions" && workflows == "/.github/workflows" => {
            "/".to_owned()
        }
        folder => folder,
    }
}

#[test]
fn files_with_versions_of_others_are_recognized() {
    for (name, text, expected) in [
        ("Cargo.toml", "[package]", Some("cargo")),
        (
            "Dockerfile",
            "FROM rust:1 AS build\nFROM scratch",
            Some("docker"),
        ),
        ("workload.Dockerfile", "FROM debian:12", Some("docker")),
        ("Dockerfile", "FROM scratch", None),
        ("compose.yaml", "    image: redis:8", Some("docker-compose")),
        ("compose.yaml", "    image: redis-namespace-exporter", None),
        ("pod.yml", "  - image: \"redis:8\"", Some("docker")),
        (
            "pod.yaml",
            "    image: redis-namespace-exporter:0.1.0",
            None,
        ),
        ("pod.yaml", "    image: \"{{ .repository }}\"", None),
        ("values.yaml", "image:\n  tag: \"\"", None),
        (
            "test.yml",
            "      - uses: actions/checkout@v4",
            Some("github-actions"),
        ),
        ("notes.md", "image: redis:8", None),
    ] {
        assert_eq!(kind(name, text), expected, "{name}: {text}");
    }
}

#[test]
fn every_place_with_versions_of_others_is_updated() {
    let settings: Value = serde_yaml::from_str(&document(UPDATES)).expect("it is YAML");
    let updates = settings["updates"].as_sequence().expect("a list").iter();
    let listed: BTreeSet<Place> = updates
        .map(|update| {
            let text = |key: &str| update[key].as_str().expect("a text").to_owned();
            (text("package-ecosystem"), text("directory"))
        })
        .collect();
    let files = all_files();
    let needed: BTreeSet<Place> = files
        .iter()
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            let kind = kind(name, &fs::read_to_string(path).ok()?)?;
            Some((kind.to_owned(), folder(path, kind)))
        })
        .collect();
    assert_eq!(listed, needed, "{UPDATES} on the left, files on the right");
}
