//! Pure modules have no clock, no I/O, and no state that outlives a call.

use crate::layers::source_of;

/// Modules that only compute values from values.
const PURE: &[&str] = &[
    "label",
    "pattern",
    "metric",
    "reply",
    "query",
    "info",
    "failure",
    "collector",
    "encode",
    "outcome",
];

/// Names of clocks, files, sockets, tasks, and mutable state.
const IMPURE: &[&str] = &[
    "Instant",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "tokio",
    "fastrand",
    "tracing::",
    "Mutex",
    "RwLock",
    "RefCell",
    "Cell<",
    "Atomic",
    "OnceLock",
    "static mut",
    "thread_local",
];

#[test]
fn pure_modules_name_nothing_that_is_not() {
    for module in PURE {
        let source = source_of(module);
        assert!(!source.is_empty(), "{module} has no source");
        for word in IMPURE {
            assert!(!source.contains(word), "{module} uses {word}");
        }
    }
}
