//! ACL LOG: denials, counted by reason. User names and objects are never published.

use std::collections::BTreeMap;

use super::{Collector, Query, Read, Replies, Server};
use crate::label::OTHER;
use crate::metric::{Family, Snapshot, Unit, source};
use crate::number::length;
use crate::reply::Reply;

/// Queries the newest entries: the default of `acllog-max-len`.
pub static NEWEST: Query = Query::new(&[&["ACL", "LOG", "128"]], "+acl|log");

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static ENTRIES: Family<0> = Family::gauge("redis_acl_log_entries", &[], source("ACL LOG", ""), Unit::One, "Number of ACL log entries that were read: the newest, at most 128.");
    pub(super) static DENIALS: Family<2> = Family::gauge("redis_acl_log_denials", &["reason", "context"], source("ACL LOG", "count"), Unit::One, "Denied commands, keys, channels and logins in the current ACL log.");
}

/// Known denial reasons.
const REASONS: &[&str] = &["auth", "command", "key", "channel", "database", "tls-cert"];

/// Known contexts of a denied command.
const CONTEXTS: &[&str] = &["toplevel", "multi", "lua", "script", "module"];

/// Counts denials.
pub static COLLECTOR: Collector = Collector {
    name: "acl_log",
    about: "Entries of the ACL log by reason, without users, keys and addresses. ACL LOG is a command for administrators.",
    queries: &[&NEWEST],
    applies: Server::has_acl_log,
    families: || vec![rows::ENTRIES.descriptor(), rows::DENIALS.descriptor()],
    read: Read::Samples(read),
    ..Collector::OFF
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let Some(entries) = replies.reply(&NEWEST).map(Reply::items) else {
        return;
    };
    snapshot.push(&rows::ENTRIES, [], length(entries.len()));
    let mut denials: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for entry in entries {
        if let Some(count) = entry.value_of("count").and_then(Reply::number) {
            let reason = known(entry, "reason", REASONS);
            let context = known(entry, "context", CONTEXTS);
            *denials.entry((reason, context)).or_default() += count;
        }
    }
    for ((reason, context), count) in denials {
        snapshot.push(&rows::DENIALS, [reason, context], count);
    }
}

/// Returns the field of an entry if it is one of the known words, else `other`.
fn known(entry: &Reply, name: &str, words: &[&'static str]) -> &'static str {
    let word = entry.value_of(name).and_then(Reply::bytes);
    let found = words.iter().find(|known| word == Some(known.as_bytes()));
    found.copied().unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};

    fn entry(count: i64, reason: &str, context: &str) -> Reply {
        let fields = [
            ("count", Reply::Integer(count)),
            ("reason", reading::bytes(reason)),
            ("context", reading::bytes(context)),
            ("object", reading::bytes("private-key")),
            ("username", reading::bytes("alice")),
            ("client-info", reading::bytes("addr=10.0.0.1:1 cmd=get")),
        ];
        let pairs = fields.into_iter();
        Reply::List(
            pairs
                .flat_map(|(name, value)| [reading::bytes(name), value])
                .collect(),
        )
    }

    fn seen(entries: Vec<Reply>) -> Vec<String> {
        let replies = [(&NEWEST, Reply::List(entries))];
        reading::of(&COLLECTOR, "", Circumstances::default(), &replies)
    }

    #[test]
    fn denials_are_summed_by_reason_and_context_only() {
        let entries = vec![
            entry(2, "key", "toplevel"),
            entry(3, "key", "toplevel"),
            entry(1, "auth", "toplevel"),
            entry(4, "command", "lua"),
        ];
        let expected = [
            "redis_acl_log_denials{auth,toplevel} 1",
            "redis_acl_log_denials{command,lua} 4",
            "redis_acl_log_denials{key,toplevel} 5",
            "redis_acl_log_entries{} 4",
        ];
        assert_eq!(seen(entries), expected);
    }

    #[test]
    fn unknown_words_are_other_and_entries_without_count_skipped() {
        let entries = vec![entry(1, "new", "\u{fffd}"), Reply::Nil];
        let expected = [
            "redis_acl_log_denials{other,other} 1",
            "redis_acl_log_entries{} 2",
        ];
        assert_eq!(seen(entries), expected);
    }

    #[test]
    fn empty_log_has_no_entries() {
        assert_eq!(seen(Vec::new()), ["redis_acl_log_entries{} 0"]);
    }
}
