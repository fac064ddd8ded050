//! The queries of a target that the server rejects, and the command that permits them. Pure.

use serde::Serialize;

use super::facts::Seen;

/// The queries of a collector that the server rejects.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct RejectedRow {
    /// The collector, or `sweep`.
    pub collector: String,
    /// The command.
    pub command: String,
    /// The reason, and the permission to grant if that helps.
    pub remedy: String,
}

/// The command that gives the user of the target the missing permissions.
#[derive(Debug, Serialize)]
pub struct MissingPermissions {
    /// The command, without a password.
    pub command: String,
    /// Whether it replaces the permissions of the user, and does not only add some.
    pub replaces: bool,
    /// Address of another server that needs it too, from which keys are read.
    pub also_at: Option<String>,
}

/// The queries of the sweep that the label `question` names, with their commands and permissions.
const SWEEP_QUERIES: [[&str; 3]; 5] = [
    ["scan", "SCAN", "+scan"],
    ["memory", "MEMORY USAGE", "+memory|usage"],
    ["ttl", "PTTL", "+pttl"],
    ["type", "TYPE", "+type"],
    ["idle", "OBJECT IDLETIME", "+object|idletime"],
];

/// Yields the commands of the sweep that the server rejects, with their permissions.
pub(super) fn of_sweep<'a>(seen: &Seen<'a>) -> impl Iterator<Item = [&'static str; 2]> + use<'a> {
    let samples = seen.swept_samples("redis_exporter_sweep_question_success");
    let rejected = samples.filter(|sample| sample.number() == Some(0.0));
    rejected.filter_map(|sample| {
        let mut queries = SWEEP_QUERIES.iter();
        let [_, command, permission] =
            queries.find(|[name, ..]| sample.label("question") == Some(name))?;
        Some([*command, *permission])
    })
}

/// Returns the rejected queries of the collectors and of the sweep.
pub(super) fn rejected(seen: &Seen<'_>) -> Vec<RejectedRow> {
    let of_poll = seen.poll.into_iter().flat_map(|poll| &poll.trace.rejected);
    let of_poll = of_poll.map(|rejected| RejectedRow {
        collector: rejected.collector.to_owned(),
        command: rejected.command.clone(),
        remedy: rejected.remedy.clone(),
    });
    let mut rows: Vec<RejectedRow> = Vec::new();
    // Collectors share queries with the same permission.
    for row in of_poll {
        let is_known =
            |known: &RejectedRow| known.remedy == row.remedy && known.collector == row.collector;
        if !rows.iter().any(is_known) {
            rows.push(row);
        }
    }
    rows.extend(of_sweep(seen).map(|[command, permission]| RejectedRow {
        collector: "sweep".to_owned(),
        command: command.to_owned(),
        remedy: format!("rejected: grant the user {permission}"),
    }));
    rows
}

/// Returns the command that permits them; `None` if no permission is known to be missing.
pub(super) fn grant(seen: &Seen<'_>) -> Option<MissingPermissions> {
    let grant = seen.poll?.trace.grant.as_ref()?;
    Some(MissingPermissions {
        command: grant.command.clone(),
        replaces: grant.replaces,
        also_at: grant.also_at.clone(),
    })
}
