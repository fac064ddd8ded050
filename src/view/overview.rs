//! All targets, the worst first, in pages. Pure.

use serde::Serialize;

use super::card::{Card, TargetState};
use super::condition::{AlertSeverity, TargetProblem, service};
use super::exporter_state::ExporterState;

/// Number of targets in one response, unless the request has a limit.
pub(super) const PER_PAGE: usize = 30;

/// Maximum number of targets whose cards show their namespaces.
pub const FEW_TARGETS: usize = 3;

/// Maximum number of targets in one response.
pub const LIMIT_MAX: u32 = 1_000;

/// Which targets are requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Part of the name or the address, in any case.
    pub query: String,
    /// Number of targets to skip.
    pub offset: usize,
    /// Maximum number of targets.
    pub limit: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            query: String::new(),
            offset: 0,
            limit: PER_PAGE,
        }
    }
}

impl Filter {
    fn matches(&self, card: &Card) -> bool {
        let wanted = self.query.to_lowercase();
        [&card.name, &card.address]
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted))
    }
}

/// How many targets are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StateCounts {
    /// All targets.
    pub total: usize,
    /// Targets whose last poll succeeded.
    pub up: usize,
    /// Targets whose last poll failed.
    pub down: usize,
    /// Targets without a poll.
    pub waiting: usize,
    /// Targets with a critical problem.
    pub critical: usize,
    /// Targets whose most severe problem is a warning.
    pub warning: usize,
}

/// All targets, the worst first.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// Version of the exporter.
    pub exporter_version: &'static str,
    /// Time of the response, in seconds since the epoch.
    pub time: f64,
    /// Time of the last successful load of the configuration, in seconds since the epoch.
    pub config_loaded_at: Option<f64>,
    /// Problems of the exporter itself, which may concern all targets.
    pub problems: Vec<TargetProblem>,
    /// The numbers of all targets, whether they match or not.
    pub summary: StateCounts,
    /// Number of targets that match the filter.
    pub matching: usize,
    /// Number of matching targets before the first one of the list.
    pub offset: usize,
    /// Maximum length of the list.
    pub limit: usize,
    /// Number of matching targets after the last one of the list.
    pub remaining: usize,
    /// The targets.
    pub targets: Vec<Card>,
    /// The filter, for the search field.
    #[serde(skip)]
    pub query: String,
}

impl Overview {
    /// Sorts the targets and selects those of the filter.
    #[must_use]
    pub fn new(mut cards: Vec<Card>, filter: &Filter, state: &ExporterState, now: f64) -> Self {
        let summary = summary(&cards);
        cards.retain(|card| filter.matches(card));
        cards.sort_by(|one, other| {
            rank(one)
                .cmp(&rank(other))
                .then_with(|| one.name.cmp(&other.name))
        });
        let matching = cards.len();
        let offset = filter.offset.min(matching);
        let targets: Vec<Card> = cards.into_iter().skip(offset).take(filter.limit).collect();
        Self {
            exporter_version: env!("CARGO_PKG_VERSION"),
            time: now,
            config_loaded_at: state.config_loaded_at,
            problems: service::problems(state),
            summary,
            matching,
            offset,
            limit: filter.limit,
            remaining: matching - offset - targets.len(),
            targets,
            query: filter.query.clone(),
        }
    }
}

fn summary(cards: &[Card]) -> StateCounts {
    let mut summary = StateCounts {
        total: cards.len(),
        ..StateCounts::default()
    };
    for card in cards {
        match card.state {
            TargetState::Up => summary.up += 1,
            TargetState::Down => summary.down += 1,
            TargetState::Waiting => summary.waiting += 1,
        }
        match card.severity {
            Some(AlertSeverity::Critical) => summary.critical += 1,
            Some(AlertSeverity::Warning) => summary.warning += 1,
            Some(AlertSeverity::Info) | None => {}
        }
    }
    summary
}

/// Returns the place of a target in the list: lower is worse.
fn rank(card: &Card) -> (u8, u8) {
    let state = match card.state {
        TargetState::Down => 0,
        TargetState::Up | TargetState::Waiting => 1,
    };
    let severity = match card.severity {
        Some(AlertSeverity::Critical) => 0,
        Some(AlertSeverity::Warning) => 1,
        // Information is not a reason to come first.
        Some(AlertSeverity::Info) | None => 2,
    };
    (state, severity)
}
