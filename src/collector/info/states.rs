//! Fields of INFO whose value is one of a few words: a gauge for each word, 1 for the one that
//! holds. A word that is not known here gives nothing.

use crate::info::Info;
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};

/// One field and the words that it may have.
struct State {
    family: Family<1>,
    words: &'static [&'static str],
}

static STATES: &[State] = &[
    State {
        family: Family::gauge(
            "redis_master_failover_state",
            &["state"],
            source("INFO", "master_failover_state"),
            Unit::One,
            "Whether a failover started by FAILOVER is in this state.",
        ),
        words: &["no-failover", "failover-in-progress", "waiting-for-sync"],
    },
    State {
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

/// The families of all states.
pub(super) fn families() -> impl Iterator<Item = &'static Descriptor> {
    STATES.iter().map(|state| state.family.descriptor())
}

/// Adds the samples of every state that INFO says.
pub(super) fn read(info: &Info, snapshot: &mut Snapshot) {
    for state in STATES {
        let said = info.get(state.family.descriptor().source.field);
        let Some(said) = said.filter(|said| state.words.contains(said)) else {
            continue;
        };
        for word in state.words {
            let holds = if *word == said { 1.0 } else { 0.0 };
            snapshot.push(&state.family, [word], holds);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::collector::info::COLLECTOR;
    use crate::collector::reading;

    #[test]
    fn one_word_holds_and_the_others_do_not() {
        let primary = "master_failover_state:waiting-for-sync\r\n";
        let expected = [
            "redis_master_failover_state{failover-in-progress} 0",
            "redis_master_failover_state{no-failover} 0",
            "redis_master_failover_state{waiting-for-sync} 1",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, primary), expected);
    }

    #[test]
    fn a_word_that_is_not_known_gives_nothing() {
        let later = "master_failover_state:thinking\r\npaused_actions:some\r\n";
        assert!(reading::of_info(&COLLECTOR, later).is_empty());
    }
}
