//! The pure modules: no clock, no I/O, no state that lasts from one call to the next.

use crate::layers::source_of;

/// Modules that only make values of values.
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

/// What reaches outside a call: clocks, files, sockets, tasks, and state that can change.
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
