//! A wall clock of processes under test that can be set. Their clock for durations stays right.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

/// The folder in which Debian and Ubuntu install libfaketime, by architecture.
const LIBRARIES: &str = "/usr/lib";

/// The clock of all processes that were started with its variables.
#[derive(Debug)]
pub struct WallClock(TempDir);

impl WallClock {
    /// Returns a clock that is right.
    pub fn new() -> Self {
        let clock = Self(tempfile::tempdir().unwrap());
        clock.set(0);
        clock
    }

    /// Sets it to this many seconds ahead of the true time. Processes notice within a second.
    pub fn set(&self, ahead: i64) {
        let new = self.0.path().join("new");
        fs::write(&new, format!("{ahead:+}\n")).unwrap();
        // A process must not read a part of it.
        fs::rename(new, self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("ahead")
    }

    /// Returns the variables for a process with this clock.
    ///
    /// # Panics
    ///
    /// If libfaketime is missing.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        let folders = fs::read_dir(LIBRARIES).unwrap();
        let mut found = folders
            .map(|folder| folder.unwrap().path().join("faketime/libfaketimeMT.so.1"))
            .filter(|library| library.exists());
        let library = found
            .next()
            .expect("libfaketime is missing: run scripts/install-tools faketime");
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        [
            ("LD_PRELOAD", text(library)),
            ("FAKETIME_TIMESTAMP_FILE", text(self.file())),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}
