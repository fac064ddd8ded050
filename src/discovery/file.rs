//! The source `file`: files in the format of Prometheus's `file_sd`.
//!
//! A file that changed is read again. While it cannot be read, its last good content stays in
//! effect.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::{fs, io};

use tokio::time::timeout;

use super::error::{FileError, SourceError};
use super::groups::listing;
use super::{Listing, Reporter, pause};
use crate::config::{TargetGroup, TargetSource, target_groups};
use crate::glob::Glob;
use crate::threads::Lane;
use crate::{bounded_file, clock};

/// Maximum size of a file, in bytes: room for tens of thousands of targets.
const FILE_MAX: u64 = 4 << 20;

/// Maximum number of files that a glob finds.
const MOST_FILES: usize = 100;

/// Time in which a file that was just written must not change again.
const SETTLE_TIME: Duration = Duration::from_millis(200);

/// Time after which a read is reported as a failure.
const READ_MAX: Duration = Duration::from_secs(10);

/// Threads that read files. A mount may hang.
static FILES: Lane = Lane::new("sources", 8);

/// The state of a file on disk. If it is the same, so is the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileStamp {
    modified: Option<SystemTime>,
    size: u64,
    /// The file itself, and its last change of any kind, in seconds and nanoseconds. Tools that copy
    /// files may preserve the time of modification.
    inode: u64,
    changed: (i64, i64),
}

/// The last good content of each file.
type Contents = BTreeMap<PathBuf, (FileStamp, Arc<[TargetGroup]>)>;

/// The result of reading all files.
struct Reading {
    contents: Contents,
    /// The first error.
    error: Option<SourceError>,
}

/// Reads the files whenever they change. Never returns.
pub(super) async fn run(source: &TargetSource, path: &Path, mut reporter: Reporter) {
    let mut contents = Contents::new();
    loop {
        let (wanted, before) = (path.to_owned(), contents.clone());
        let mut reading = pin!(FILES.run(move || read(&wanted, before)));
        let read = loop {
            match timeout(READ_MAX, &mut reading).await {
                Ok(read) => break read,
                // Another thread would hang as well.
                Err(_) => reporter.fail(&too_slow()),
            }
        };
        match read {
            Ok(Reading {
                contents: now,
                error,
            }) => {
                contents = now;
                let groups = contents.values().flat_map(|(_, groups)| &**groups);
                let listing = listing(source, groups);
                match error {
                    None => reporter.list(listing).await,
                    // Without any good content, there is no list yet.
                    Some(error) if contents.is_empty() => reporter.fail(&error),
                    Some(error) => reporter.list_in_part(listing, &error).await,
                }
            }
            Err(_) => reporter.fail(&SourceError::NoThread),
        }
        pause(source.interval).await;
    }
}

/// Reads all files once.
pub(super) async fn read_once(source: &TargetSource, path: &Path) -> Result<Listing, SourceError> {
    let wanted = path.to_owned();
    let read = FILES.run(move || read(&wanted, Contents::new()));
    let Ok(read) = timeout(READ_MAX, read).await else {
        return Err(too_slow());
    };
    match read {
        Ok(Reading {
            error: Some(error), ..
        }) => Err(error),
        Ok(Reading { contents, .. }) => {
            let groups = contents.values().flat_map(|(_, groups)| &**groups);
            Ok(listing(source, groups))
        }
        Err(_) => Err(SourceError::NoThread),
    }
}

/// Returns the error of a mount that hangs.
const fn too_slow() -> SourceError {
    SourceError::SlowFiles(READ_MAX.as_secs())
}

/// Reads the files that changed.
fn read(wanted: &Path, mut before: Contents) -> Reading {
    let paths = match paths(wanted) {
        Ok(paths) => paths,
        Err(error) => {
            return Reading {
                contents: before,
                error: Some(error),
            };
        }
    };
    let mut reading = Reading {
        contents: Contents::new(),
        error: None,
    };
    for path in paths {
        let old = before.remove(&path);
        let problem = match read_file(&path, old.as_ref()) {
            Ok(content) => {
                reading.contents.insert(path, content);
                continue;
            }
            Err(problem) => problem,
        };
        if let Some(old) = old {
            reading.contents.insert(path.clone(), old);
        }
        reading
            .error
            .get_or_insert(SourceError::File { path, problem });
    }
    reading
}

fn read_file(
    path: &Path,
    old: Option<&(FileStamp, Arc<[TargetGroup]>)>,
) -> Result<(FileStamp, Arc<[TargetGroup]>), FileError> {
    let stamp = stamp(path)?;
    if let Some(old) = old.filter(|old| old.0 == stamp) {
        return Ok(old.clone());
    }
    let age = |time: SystemTime| clock::time().duration_since(time).ok();
    let is_new = |time: SystemTime| age(time).is_some_and(|age| age < SETTLE_TIME);
    if stamp.modified.is_some_and(is_new) {
        std::thread::sleep(SETTLE_TIME);
    }
    let text = bounded_file::utf8(bounded_file::read(path, FILE_MAX)?)?;
    let is_json = path.extension().and_then(OsStr::to_str) == Some("json");
    let groups = target_groups(&text, is_json)?;
    if self::stamp(path)? != stamp {
        return Err(FileError::Changing);
    }
    Ok((stamp, groups.into()))
}

fn stamp(path: &Path) -> io::Result<FileStamp> {
    let metadata = fs::metadata(path)?;
    Ok(FileStamp {
        modified: metadata.modified().ok(),
        size: metadata.len(),
        inode: metadata.ino(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

/// Returns the files that a path names, sorted. A glob may find none; a file must exist.
fn paths(wanted: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let name = wanted.file_name().and_then(OsStr::to_str);
    let Some(pattern) = name.filter(|name| name.contains(['*', '?', '['])) else {
        return Ok(vec![wanted.to_owned()]);
    };
    let folder = match wanted.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let failed = |error: io::Error| SourceError::File {
        path: folder.to_owned(),
        problem: error.into(),
    };
    let pattern = Glob::new(pattern);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if pattern.matches(name.as_encoded_bytes()) {
            found.push(folder.join(name));
        }
        if found.len() > MOST_FILES {
            return Err(SourceError::TooManyFiles(MOST_FILES));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_of_the_same_size_and_time_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("t.json");
        let write = |name: &str, target: &str| {
            let path = folder.path().join(name);
            fs::write(&path, format!("[{{\"targets\": [\"{target}\"]}}]")).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            path
        };
        write("t.json", "a:1");
        let reading = read(&wanted, Contents::new());
        fs::rename(write("new", "b:1"), &wanted).unwrap();
        let reading = read(&wanted, reading.contents);
        let groups = reading.contents.values().flat_map(|(_, groups)| &**groups);
        let targets: Vec<_> = groups.flat_map(|group| group.targets.clone()).collect();
        assert_eq!(targets, ["b:1"]);
    }

    #[test]
    fn broken_file_of_a_glob_keeps_its_targets() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let targets = |reading: &Reading| -> Vec<String> {
            let groups = reading.contents.values().flat_map(|(_, groups)| &**groups);
            groups.flat_map(|group| group.targets.clone()).collect()
        };
        let wanted = folder.path().join("t-*.json");
        write("t-1.json", "[{\"targets\": [\"a:1\"]}]");
        write("t-2.json", "[{\"targets\": [\"b:1\"]}]");
        write("other.json", "[{\"targets\": [\"c:1\"]}]");
        let reading = read(&wanted, Contents::new());
        assert_eq!(targets(&reading), ["a:1", "b:1"]);
        assert!(reading.error.is_none());
        write("t-1.json", "[{\"targets\": [");
        write("t-2.json", "[{\"targets\": [\"b:1\", \"b:2\"]}]");
        let reading = read(&wanted, reading.contents);
        assert_eq!(targets(&reading), ["a:1", "b:1", "b:2"]);
        let problem = reading.error.unwrap().to_string();
        assert!(problem.contains("t-1.json: is not valid JSON"), "{problem}");
        fs::remove_file(folder.path().join("t-1.json")).unwrap();
        let reading = read(&wanted, reading.contents);
        assert_eq!(targets(&reading), ["b:1", "b:2"]);
        assert!(reading.error.is_none());
    }
}
