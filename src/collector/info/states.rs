//! INFO fields whose value is one of a few words. Each word is a gauge: 1 if it is the current
//! value, else 0. Unknown words publish nothing.

use crate::info::Info;
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};

/// A field and its possible words.
struct StateField {
    family: Family<1>,
    words: &'static [&'static str],
}

static STATES: &[StateField] = &[
    StateField {
        family: Family::gauge(
            "redis_master_failover_state",
            &["state"],
            source("INFO", "master_failover_state"),
            Unit::One,
            "Whether a failover started by FAILOVER is in this state.",
        ),
        words: &["no-failover", "failover-in-progress", "waiting-for-sync"],
    },
    StateField {
        family: Family::gauge(
            "redis_clients_paused",
            &["actions"],
            source("INFO", "paused_actions"),
            Unit::One,
            "Whether these commands of clients are paused, on Valkey.",
        ),
        words: &["none", "write", "all"],
    },
];

/// Returns the families of all states.
pub(super) fn families() -> impl Iterator<Item = &'static Descriptor> {
    STATES.iter().map(|state| state.family.descriptor())
}

/// Publishes every state that INFO reports.
pub(super) fn read(info: &Info, snapshot: &mut Snapshot) {
    for state in STATES {
        let reported = info.get(state.family.field());
        let Some(reported) = reported.filter(|reported| state.words.contains(reported)) else {
            continue;
        };
        for word in state.words {
            let holds = if *word == reported { 1.0 } else { 0.0 };
            snapshot.push(&state.family, [word], holds);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::collector::info::COLLECTOR;
    use crate::collector::reading;

    #[test]
    fn current_word_is_1_and_others_are_0() {
        let primary = "master_failover_state:waiting-for-sync\r\n";
        let expected = [
            "redis_master_failover_state{failover-in-progress} 0",
            "redis_master_failover_state{no-failover} 0",
            "redis_master_failover_state{waiting-for-sync} 1",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, primary), expected);
    }

    #[test]
    fn unknown_word_publishes_nothing() {
        let later = "master_failover_state:thinking\r\npaused_actions:some\r\n";
        assert!(reading::of_info(&COLLECTOR, later).is_empty());
    }
}
