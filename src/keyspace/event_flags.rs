//! The flags of `notify-keyspace-events`, and those that streams of key events need. Pure.

use crate::config::{EventUse, Sweep};

/// The flag that includes most kinds of events, but not [`MISSES`].
const ALL_KINDS: char = 'A';

/// Events by key, and lookups that found no key. `A` does not include them.
const KEY_EVENTS: char = 'E';
const MISSES: char = 'm';

/// Evicted and expired keys.
const LOST: [char; 2] = ['e', 'x'];

/// The flags that all streams of a target need together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeededFlags {
    lost: bool,
    misses: bool,
}

impl NeededFlags {
    /// Returns the flags of the streams that are enabled.
    #[must_use]
    pub fn of_enabled(sweep: &Sweep) -> Self {
        Self {
            lost: sweep.events != EventUse::Off,
            misses: sweep.misses != EventUse::Off,
        }
    }

    /// Returns the flags of the streams for which the exporter configures the server.
    #[must_use]
    pub fn of_configured(sweep: &Sweep) -> Self {
        Self {
            lost: sweep.events == EventUse::Configure,
            misses: sweep.misses == EventUse::Configure,
        }
    }

    fn flags(self) -> impl Iterator<Item = char> {
        let key_events = (self.lost || self.misses).then_some(KEY_EVENTS);
        let lost = LOST.into_iter().filter(move |_| self.lost);
        let misses = self.misses.then_some(MISSES);
        key_events.into_iter().chain(lost).chain(misses)
    }

    /// Returns the flags as the value of the parameter.
    #[must_use]
    pub fn text(self) -> String {
        self.flags().collect()
    }

    /// Returns these flags of a server with those that are missing; `None` if none is.
    #[must_use]
    pub fn completed(self, flags: &str) -> Option<String> {
        let is_missing = |flag: &char| {
            let is_included = LOST.contains(flag) && flags.contains(ALL_KINDS);
            !flags.contains(*flag) && !is_included
        };
        let missing: String = self.flags().filter(is_missing).collect();
        (!missing.is_empty()).then(|| [flags, &missing].concat())
    }
}

/// Returns whether these flags include evicted and expired keys.
#[must_use]
pub fn sends_lost(flags: &str) -> [bool; 2] {
    LOST.map(|kind| flags.contains(KEY_EVENTS) && flags.contains([kind, ALL_KINDS]))
}

/// Returns whether these flags include lookups that found no key.
#[must_use]
pub fn sends_misses(flags: &str) -> bool {
    flags.contains(KEY_EVENTS) && flags.contains(MISSES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_understood() {
        for (flags, lost, misses) in [
            ("", [false, false], false),
            ("Ex", [false, true], false),
            ("AKE", [true, true], false),
            ("AK", [false, false], false),
            ("Kex", [false, false], false),
            ("xE", [false, true], false),
            ("Km", [false, false], false),
            ("g$eExm", [true, true], true),
        ] {
            assert_eq!(sends_lost(flags), lost, "{flags}");
            assert_eq!(sends_misses(flags), misses, "{flags}");
        }
    }

    #[test]
    fn missing_flags_of_all_streams_are_added() {
        let [lost, misses, both, none] =
            [(true, false), (false, true), (true, true), (false, false)]
                .map(|(lost, misses)| NeededFlags { lost, misses });
        assert_eq!(both.text(), "Eexm");
        for (flags, of_lost, of_misses, of_both) in [
            ("", Some("Eex"), Some("Em"), Some("Eexm")),
            ("Ex", Some("Exe"), Some("Exm"), Some("Exem")),
            ("AKE", None, Some("AKEm"), Some("AKEm")),
            ("AK", Some("AKE"), Some("AKEm"), Some("AKEm")),
            ("Kex", Some("KexE"), Some("KexEm"), Some("KexEm")),
            ("Km", Some("KmEex"), Some("KmE"), Some("KmEex")),
            ("mg$xE", Some("mg$xEe"), None, Some("mg$xEe")),
            ("g$eExm", None, None, None),
        ] {
            assert_eq!(lost.completed(flags).as_deref(), of_lost, "{flags}");
            assert_eq!(misses.completed(flags).as_deref(), of_misses, "{flags}");
            assert_eq!(both.completed(flags).as_deref(), of_both, "{flags}");
            assert_eq!(none.completed(flags), None, "{flags}");
        }
    }
}
