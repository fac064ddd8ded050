//! What reading a configuration needs from outside, and what it reports.

use std::path::Path;

use super::expand::Environment;
use super::problem::{Invalid, Place, Problem};
use super::recorded::Recorder;
use super::redis_exporter::Notice;

/// Checks the content of a file. This and [`ReadFile`] are the only file accesses of the parser.
pub(crate) type CheckFile<'a> = dyn Fn(&Path, FileUse<'_>) -> Result<(), Invalid> + 'a;

/// The expected content of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FileUse<'a> {
    /// Trusted certificates, in PEM format.
    Authorities,
    /// Certificates of the authorities that issue client certificates, in PEM format.
    ClientAuthorities,
    /// Certificates in PEM format.
    Certificates,
    /// The private key of the first certificate in that file.
    Key { certificate: &'a Path },
}

/// Reads a file of at most this many bytes.
pub(crate) type ReadFile<'a> = dyn Fn(&Path, u64) -> Result<Vec<u8>, Invalid> + 'a;

/// The environment of the reader, and the problems that it finds.
pub(crate) struct Context<'a> {
    /// The name of the file, for problems.
    pub(crate) file: &'a str,
    pub(crate) environment: &'a Environment<'a>,
    pub(crate) check_file: &'a CheckFile<'a>,
    pub(crate) read_file: &'a ReadFile<'a>,
    pub(crate) collector_names: &'a [&'a str],
    /// Top-level keys that a flag or a variable overrides.
    pub(crate) masked: Vec<&'static str>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) recorder: Recorder,
}

impl Context<'_> {
    pub(crate) fn reject(&mut self, place: &Place, invalid: Invalid) {
        self.problems.push(place.problem(self.file, invalid));
    }

    pub(crate) fn report(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.reject(place, Invalid::new(what, remedy));
    }

    /// Adds a warning. The configuration is still used.
    pub(crate) fn warn(&mut self, place: &Place, text: impl Into<String>) {
        let notice = Notice::warning(&place.shown(self.file), text);
        self.notices.push(notice);
    }
}
