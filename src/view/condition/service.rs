//! The exporter itself: its configuration, its sources of targets, and its tasks. Pure.

use super::super::exporter_state::ExporterState;
use super::{AlertSeverity, NONE, TargetProblem, Thresholds, limits};

/// Maximum number of names in a sentence.
const NAMES_MAX: usize = 5;

/// A condition of the exporter.
pub(in super::super) struct ServiceCondition {
    pub(super) alert: &'static str,
    pub(super) severity: AlertSeverity,
    pub(super) limits: Thresholds,
    problem: fn(&ExporterState, Thresholds) -> Option<String>,
}

const fn warning(
    alert: &'static str,
    limits: Thresholds,
    problem: fn(&ExporterState, Thresholds) -> Option<String>,
) -> ServiceCondition {
    ServiceCondition {
        alert,
        severity: AlertSeverity::Warning,
        limits,
        problem,
    }
}

pub(super) const CONDITIONS: &[ServiceCondition] = &[
    warning("RedisExporterConfigReloadFailed", NONE, |state, _| {
        let text = "The changed configuration has an error, so the previous one stays in effect. \
                    The log has the place.";
        (!state.is_config_loaded).then(|| text.to_owned())
    }),
    warning("RedisDiscoveryFailed", NONE, |state, _| {
        let sources = names(&state.failed_sources)?;
        Some(format!(
            "Sources of targets cannot be read, so their last lists stay in effect: {sources}."
        ))
    }),
    warning(
        "RedisExporterTaskPanicked",
        limits([900.0]),
        |state, [window, ..]| {
            let recent = state.panics.iter().filter(|(_, age)| *age <= window);
            let recent: Vec<String> = recent.map(|(task, _)| task.clone()).collect();
            let tasks = names(&recent)?;
            Some(format!(
                "Tasks of the exporter panicked and were restarted: {tasks}. The log has the place; \
             please report it."
            ))
        },
    ),
];

/// Lists the first names; `None` if there are none.
fn names(names: &[String]) -> Option<String> {
    let more = names.len().saturating_sub(NAMES_MAX);
    let mut shown: Vec<String> = names.iter().take(NAMES_MAX).cloned().collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    (!shown.is_empty()).then(|| shown.join(", "))
}

/// Returns the problems of the exporter.
pub(in super::super) fn problems(state: &ExporterState) -> Vec<TargetProblem> {
    let found = CONDITIONS.iter().filter_map(|condition| {
        let text = (condition.problem)(state, condition.limits)?;
        Some(TargetProblem::new(
            condition.alert,
            condition.severity,
            text,
        ))
    });
    found.collect()
}
