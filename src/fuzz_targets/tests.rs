//! Replays the seeds of all fuzz targets, and changed copies of them.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::{FuzzTarget, TARGETS};

/// Number of changed copies of each seed.
const COPIES: usize = 40;

/// Maximum size of a changed copy, in bytes.
const COPY_BYTES_MAX: usize = 2048;

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the seeds of a target, in order.
fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = in_repository("fuzz/seeds").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{name}: {error}"));
    let read = |file: std::io::Result<fs::DirEntry>| {
        let path = file.unwrap().path();
        (path.display().to_string(), fs::read(&path).unwrap())
    };
    let mut seeds: Vec<_> = files.map(read).collect();
    seeds.sort();
    seeds
}

/// Removes, repeats, replaces or inserts a few bytes.
fn change(random: &mut fastrand::Rng, bytes: &mut Vec<u8>, others: &[(String, Vec<u8>)]) {
    const SPECIAL: &[u8] = b"\0\n\r :,=*?[]{}\\\"'-+$%@/&#<>~!|^\x7f\xff\xc3\xed09azAZ";
    for _ in 0..random.usize(1..6) {
        let at = random.usize(0..=bytes.len());
        let end = bytes.len().min(at + random.usize(0..8));
        match random.u8(0..5) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            2 => bytes.insert(at, *random.choice(SPECIAL).unwrap()),
            3 if at < end => bytes[at] = *random.choice(SPECIAL).unwrap(),
            _ => {
                let (_, other) = random.choice(others).unwrap();
                let from = random.usize(0..=other.len());
                let until = other.len().min(from + random.usize(0..40));
                bytes.splice(at..at, other[from..until].iter().copied());
            }
        }
    }
    bytes.truncate(COPY_BYTES_MAX);
}

/// Runs a target on the seeds and on changed copies. Returns the first bytes that fail.
fn failure(name: &str, target: FuzzTarget) -> Option<String> {
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    // The same copies in each run: `scripts/fuzz` is what looks for new ones.
    let mut random = fastrand::Rng::with_seed(1);
    for (file, seed) in &seeds {
        if catch_unwind(|| target(seed)).is_err() {
            return Some(file.clone());
        }
        for _ in 0..COPIES {
            let mut copy = seed.clone();
            copy.truncate(COPY_BYTES_MAX);
            change(&mut random, &mut copy, &seeds);
            if catch_unwind(AssertUnwindSafe(|| target(&copy))).is_err() {
                return Some(format!("{name}: b\"{}\"", copy.escape_ascii()));
            }
        }
    }
    None
}

#[test]
fn seeds_and_changed_copies_break_no_promise() {
    let targets = TARGETS.iter();
    let failures: Vec<_> = targets
        .filter_map(|(name, target)| failure(name, *target))
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn every_target_has_a_binary_and_seeds() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names.len(), TARGETS.len());
    let listed = |folder: &str| -> BTreeSet<String> {
        let files = fs::read_dir(in_repository(folder)).unwrap();
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        files.map(|file| stem(file.unwrap().path())).collect()
    };
    assert_eq!(listed("fuzz/fuzz_targets"), names);
    assert_eq!(listed("fuzz/seeds"), names);
    let manifest = fs::read_to_string(in_repository("fuzz/Cargo.toml")).unwrap();
    for name in &names {
        let binary = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(
            manifest.contains(&binary),
            "{name} is not in fuzz/Cargo.toml"
        );
        let source = in_repository(&format!("fuzz/fuzz_targets/{name}.rs"));
        let calls = format!("fuzz_target!(|data: &[u8]| {name}(data));\n");
        assert!(
            fs::read_to_string(source).unwrap().contains(&calls),
            "{name}"
        );
    }
}

#[test]
fn broken_promise_is_seen() {
    let found = failure("glob", |data| assert!(data.len() > 100_000));
    assert!(found.is_some_and(|file| file.contains("seeds")));
}
