//! Access to files of the repository, for tests that compare them with the program.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Returns a path in the repository.
pub fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the repository paths of all files with this extension below a folder.
pub fn files(folder: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![in_repository(folder)];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == extension) {
                let path = path
                    .strip_prefix(env!("CARGO_MANIFEST_DIR"))
                    .unwrap_or(&path);
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// Compares a text with a file. With `UPDATE_GOLDEN=1` the file is written instead.
pub fn assert_golden(path: &Path, text: &str) {
    let place = path.display();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        // Other tests read the file at the same time.
        let new = path.with_extension("new");
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, path));
        written.unwrap_or_else(|error| panic!("{place}: {error}"));
        return;
    }
    let golden = fs::read_to_string(path).unwrap_or_else(|error| panic!("{place}: {error}"));
    let differs = golden
        .lines()
        .zip(text.lines())
        .enumerate()
        .find(|(_, (was, is))| was != is);
    if let Some((at, (was, is))) = differs {
        panic!(
            "{place} line {}:\n was {was}\n is  {is}\nIf that is right: UPDATE_GOLDEN=1 cargo test",
            at + 1
        );
    }
    assert_eq!(
        golden.len(),
        text.len(),
        "{place}: one is longer; UPDATE_GOLDEN=1 cargo test"
    );
}
