//! Reads the configuration file, and checks the files that it names.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Arguments;
use super::context::FileUse;
use super::expand::Environment;
use super::problem::Invalid;
use crate::bounded_file;

/// Maximum size of the file, in bytes. It has room for thousands of targets.
const LARGEST_FILE: u64 = 1 << 20;

/// Time between two reads of a file that may still be written to.
const SETTLE_TIME: Duration = Duration::from_millis(250);

/// Maximum number of reads of a file that keeps changing: five seconds.
const SETTLE_READINGS: u32 = 20;

pub(super) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

pub(super) fn path(arguments: &Arguments, environment: &Environment<'_>) -> Option<PathBuf> {
    let variable = || environment("REDIS_EXPORTER_CONFIG").filter(|path| !path.is_empty());
    arguments
        .config
        .clone()
        .or_else(|| variable().map(PathBuf::from))
}

/// Extensions of configuration files.
const ENDINGS: &[&str] = &["yaml", "yml", "json", "conf", "cfg", "txt"];

/// Returns the path for problems, if it looks like one. Otherwise it may be a password, or a URL
/// with one, that was passed to the wrong flag.
pub(super) fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if text == "-" {
        return "standard input".to_owned();
    }
    let ending = path.extension().and_then(std::ffi::OsStr::to_str);
    let is_path = text.contains('/') || ending.is_some_and(|ending| ENDINGS.contains(&ending));
    if text.contains("://") || text.contains('@') || !is_path {
        return "the file of --config".to_owned();
    }
    text
}

pub(super) fn read(path: &Path) -> Result<String, Invalid> {
    Ok(bounded_file::utf8(read_bytes(path, LARGEST_FILE)?)?)
}

pub(super) fn read_standard_input() -> Result<String, Invalid> {
    static WAS_READ: AtomicBool = AtomicBool::new(false);
    if WAS_READ.swap(true, Ordering::Relaxed) {
        return Err(Invalid::new(
            "was read at the start and cannot be read again",
            "restart with the new configuration, or name a file to reload it",
        ));
    }
    let bytes = bounded_file::read_all(std::io::stdin().lock(), LARGEST_FILE)?;
    Ok(bounded_file::utf8(bytes)?)
}

pub(super) fn read_settled(path: &Path) -> Result<String, Invalid> {
    let mut before = read(path);
    for _ in 0..SETTLE_READINGS {
        std::thread::sleep(SETTLE_TIME);
        let now = read(path);
        if now == before {
            return now;
        }
        before = now;
    }
    Err(Invalid::new(
        "keeps changing",
        "reload when it is written, or write another file and rename it",
    ))
}

pub(super) fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, Invalid> {
    bounded_file::read(path, most).map_err(Invalid::from)
}

pub(super) fn check(path: &Path, wanted: FileUse<'_>) -> Result<(), Invalid> {
    let good = match wanted {
        FileUse::Authorities => crate::tls::authorities(path).map(drop),
        FileUse::ClientAuthorities => crate::tls::client_authorities(path).map(drop),
        FileUse::Certificates => crate::tls::certificates(path),
        FileUse::Key { certificate } => crate::tls::key(path, certificate),
    };
    good.map_err(|fault| Invalid::new(fault.what, fault.remedy))
}
