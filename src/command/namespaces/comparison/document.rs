//! Writes a comparison as a part of the JSON document. Pure.

use serde_json::{Value, json};

use super::super::json::number;
use super::{Comparison, Difference, NamespaceChange, Presence};

/// Returns the value of the field `compared`.
#[must_use]
pub fn compared(comparison: &Comparison) -> Value {
    json!({
        "target": comparison.target,
        "seconds": comparison.seconds.map(number),
        "was_complete": comparison.was_complete,
        "unchanged": comparison.unchanged,
        "skipped_databases": comparison.skipped,
        "changes": comparison.changes.iter().map(change).collect::<Vec<_>>(),
    })
}

fn change(change: &NamespaceChange) -> Value {
    let presence = match change.presence {
        Presence::Both => "both",
        Presence::New => "new",
        Presence::Gone => "gone",
    };
    json!({
        "name": change.name,
        "database": change.database,
        "presence": presence,
        "keys": difference(&change.keys),
        "memory_bytes": change.memory.as_ref().map(difference),
        "share": difference(&change.share),
        "keys_without_ttl": change.without_ttl.as_ref().map(difference),
    })
}

fn difference(difference: &Difference) -> Value {
    json!({
        "before": number(difference.before),
        "now": number(difference.now),
        "change": number(difference.change()),
        "error": number(difference.error),
        "is_beyond_error": difference.is_beyond_error(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::comparison;
    use super::*;

    #[test]
    fn document_has_both_numbers_and_the_error() {
        let compared = compared(&comparison());
        assert_eq!(compared["seconds"], 7_200);
        let session = &compared["changes"][0];
        assert_eq!(
            session["keys"],
            json!({ "before": 1_000, "now": 1_200, "change": 200, "error": 50, "is_beyond_error": true })
        );
        assert_eq!(session["keys_without_ttl"], Value::Null);
        assert_eq!(compared["changes"][1]["presence"], "gone");
        assert_eq!(compared["changes"][2]["presence"], "new");
    }
}
