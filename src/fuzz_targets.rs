//! The fuzz targets: each takes any bytes, and panics if the code breaks one of its promises.
//!
//! Only tests and fuzzers compile this module. `scripts/fuzz` searches for bytes that break a
//! promise, and the tests replay the seeds in `fuzz/seeds`.

#![expect(
    clippy::missing_panics_doc,
    reason = "a fuzz target fails by panicking"
)]

mod exposition;
mod glob_model;
mod replies;
mod requests;
mod settings;
#[cfg(test)]
mod tests;

pub use exposition::exposition;
pub use replies::{client_list, cluster_nodes, collectors, info, reply, sentinel};
pub use requests::{dns, request, target_list};
pub use settings::{configuration, url};

use crate::glob::{Glob, escape};

/// A fuzz target.
pub type FuzzTarget = fn(&[u8]);

/// All fuzz targets, by the names of their binaries and of their folders of seeds.
pub const TARGETS: &[(&str, FuzzTarget)] = &[
    ("client_list", client_list),
    ("cluster_nodes", cluster_nodes),
    ("collectors", collectors),
    ("configuration", configuration),
    ("dns", dns),
    ("exposition", exposition),
    ("glob", glob),
    ("info", info),
    ("reply", reply),
    ("request", request),
    ("sentinel", sentinel),
    ("target_list", target_list),
    ("url", url),
];

/// Compares a glob with the reference. The first byte is the length of the pattern, and the key
/// follows the pattern.
pub fn glob(data: &[u8]) {
    let Some((length, rest)) = data.split_first() else {
        return;
    };
    let Some((pattern, key)) = rest.split_at_checked(usize::from(*length)) else {
        return;
    };
    let glob = Glob::new(pattern);
    let matches = glob.matches(key);
    // The reference takes exponential time.
    let parts = pattern.split(|byte| *byte == b'*').count();
    if parts <= 6 && key.len() <= 40 {
        let expected = glob_model::matches(pattern, key);
        assert_eq!(
            matches,
            expected,
            "pattern {} on key {}",
            pattern.escape_ascii(),
            key.escape_ascii()
        );
    }
    assert!(!matches || key.starts_with(glob.prefix()));
    assert!(!matches || !glob.is_literal() || key == glob.prefix());
    let escaped = Glob::new(escape(pattern));
    assert!(escaped.is_literal() && escaped.matches(pattern));
    assert_eq!(escaped.matches(key), key == pattern);
    for sample in glob.samples() {
        let is_reached = sample.is_empty() || glob.matches(&sample);
        assert!(is_reached || has_empty_class(pattern), "{sample:?}");
    }
}

/// Returns whether a pattern may have a class without members, which no key matches.
fn has_empty_class(pattern: &[u8]) -> bool {
    pattern.contains(&b'[')
}
