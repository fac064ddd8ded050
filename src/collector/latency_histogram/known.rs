//! Selects the histograms to query. A histogram cannot change while the statistics of its command
//! do not.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::{HISTOGRAM, histogram, is_of_monitoring};
use crate::collector::by_name::ByName;
use crate::collector::info::commandstats::Usage;
use crate::collector::{Command, Replies};
use crate::metric::Histogram;
use crate::reply::Reply;

/// Index of the query for all histograms.
pub(super) const ALL: usize = 0;

/// Index of the query for the histograms of some commands.
pub(super) const NAMED: usize = 1;

/// Interval for histograms of monitoring commands, which change with each poll and are not
/// published by default. Slightly less than a minute, so that polls every 15 seconds query them
/// every fourth time.
const MONITORING_EVERY_SECONDS: f64 = 55.0;

/// The histograms as of the last poll.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownHistograms {
    /// The run id of the server.
    run_id: Option<String>,
    /// Time of the last read of monitoring commands' histograms.
    monitoring_read_at: f64,
    /// Whether some commands cannot be queried by name, such as renamed ones.
    hides_names: bool,
    commands: ByName<KnownHistogram>,
}

/// The histograms while they are read, by command.
type HistogramsRead<'a> = BTreeMap<Cow<'a, str>, KnownHistogram>;

/// The last known state of one command.
#[derive(Clone, Debug)]
struct KnownHistogram {
    /// Statistics at the time of the query.
    usage: Usage,
    /// The histogram; `None` if the server has none.
    histogram: Option<Arc<Histogram>>,
}

/// Returns the query for the histograms that may have changed. If the server could not find a
/// command by name, returns the query for all histograms.
pub(super) fn query(replies: &Replies) -> Vec<Command<'_>> {
    let used = replies.usage();
    if used.is_empty() {
        return Vec::new();
    }
    let all = || vec![HISTOGRAM.with(ALL, Vec::<&[u8]>::new())];
    let Some(known) = KnownHistograms::of(replies) else {
        return all();
    };
    let names = known.changed(replies, used);
    let received = replies.received(HISTOGRAM.ticket(NAMED));
    if names.is_empty() {
        Vec::new()
    } else if known.hides_names || received.is_some_and(|reply| known.is_hidden(&names, reply)) {
        all()
    } else {
        vec![HISTOGRAM.with(NAMED, names.into_iter().map(str::as_bytes))]
    }
}

impl KnownHistograms {
    /// Returns the histograms of earlier polls if they are of the same run of the server.
    fn of(replies: &Replies) -> Option<&Self> {
        let known = replies.circumstances.remembered.get::<Self>()?;
        (known.run_id.as_deref() == replies.info.get("run_id")).then_some(known)
    }

    /// Updates the histograms of earlier polls with the replies of this one.
    pub(super) fn after(replies: &Replies) -> Self {
        let used = replies.usage();
        let (all, named) = (HISTOGRAM.ticket(ALL), HISTOGRAM.ticket(NAMED));
        if let Some(reply) = replies.reply(all) {
            let mut now = Self {
                run_id: replies.info.get("run_id").map(str::to_owned),
                monitoring_read_at: replies.circumstances.polled_at,
                hides_names: replies.received(named).is_some(),
                commands: ByName::default(),
            };
            now.hides_names |= Self::of(replies).is_some_and(|known| known.hides_names);
            let mut commands = HistogramsRead::new();
            now.hides_names |= record(&mut commands, used, used.keys().map(String::as_str), reply);
            now.commands = ByName::new(commands);
            return now;
        }
        let Some(known) = Self::of(replies) else {
            return Self::default();
        };
        let mut now = Self {
            run_id: known.run_id.clone(),
            commands: ByName::default(),
            ..*known
        };
        let is_used = |name: &str| used_by(used, name).is_some();
        let before = known.commands.iter().filter(|(name, _)| is_used(name));
        let mut commands: HistogramsRead<'_> = before
            .map(|(name, entry)| (name.into(), entry.clone()))
            .collect();
        let changed = known.changed(replies, used);
        for name in &changed {
            commands.remove(*name);
        }
        if let Some(reply) = replies.reply(named) {
            now.hides_names |= record(&mut commands, used, changed.into_iter(), reply);
            let polled_at = replies.circumstances.polled_at;
            if known.is_monitoring_due(polled_at) {
                now.monitoring_read_at = polled_at;
            }
        }
        now.commands = ByName::new(commands);
        now
    }

    /// Yields the histograms by the name of the command, in order.
    pub(super) fn histograms(&self) -> impl Iterator<Item = (&str, &Arc<Histogram>)> {
        let commands = self.commands.iter();
        commands.filter_map(|(name, entry)| Some((name, entry.histogram.as_ref()?)))
    }

    /// Returns the commands whose histograms may have changed, in order.
    fn changed<'a>(&self, replies: &Replies, used: &'a HashMap<String, Usage>) -> Vec<&'a str> {
        let is_due = self.is_monitoring_due(replies.circumstances.polled_at);
        let shown = &replies.circumstances.options.commands;
        let is_current = |name: &str, usage: &Usage| {
            let entry = self.commands.get(name);
            let may_wait = || !is_due && is_of_monitoring(name);
            entry.is_some_and(|entry| entry.usage == *usage || may_wait())
        };
        let changed = used.iter();
        let changed = changed.filter(|(name, usage)| shown.has(name) && !is_current(name, usage));
        let mut names: Vec<_> = changed.map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    fn is_monitoring_due(&self, now: f64) -> bool {
        // Absolute, because a clock that was set back must not delay the query.
        (now - self.monitoring_read_at).abs() >= MONITORING_EVERY_SECONDS
    }

    /// Returns whether a reply lacks a command that has had a histogram.
    fn is_hidden(&self, names: &[&str], reply: &Reply) -> bool {
        let listed = reply.items().iter().step_by(2).filter_map(Reply::bytes);
        let listed: HashSet<&[u8]> = listed.collect();
        let had_histogram = |name: &str| {
            let entry = self.commands.get(name);
            entry.is_some_and(|entry| entry.histogram.is_some())
        };
        let mut names = names.iter();
        names.any(|name| had_histogram(name) && !listed.contains(name.as_bytes()))
    }
}

/// Records the reply to a query for the histograms of some commands. Returns whether some commands
/// cannot be queried by name.
fn record<'a>(
    commands: &mut HistogramsRead<'a>,
    used: &HashMap<String, Usage>,
    queried: impl Iterator<Item = &'a str>,
    reply: &'a Reply,
) -> bool {
    for name in queried {
        let usage = used.get(name).copied().unwrap_or_default();
        let histogram = None;
        commands.insert(name.into(), KnownHistogram { usage, histogram });
    }
    let mut hides_names = false;
    for pair in reply.items().chunks(2) {
        let [name, body] = pair else { break };
        let Some(name) = name.text() else { continue };
        let Some(usage) = used_by(used, &name) else {
            continue;
        };
        // A name that is not in the statistics is not queried later.
        hides_names |= !used.contains_key(&*name);
        let only_full = is_of_monitoring(&name);
        let histogram = histogram(body, usage.microseconds);
        let histogram = histogram.map(|read| Arc::new(Histogram { only_full, ..read }));
        commands.insert(name, KnownHistogram { usage, histogram });
    }
    hides_names
}

/// Returns the statistics of a command, including subcommands. Servers list subcommands under names
/// such as `config|get`, both here and in INFO. If INFO lists only the subcommands of a command,
/// returns their sum.
fn used_by(used: &HashMap<String, Usage>, command: &str) -> Option<Usage> {
    if let Some(usage) = used.get(command) {
        return Some(*usage);
    }
    let is_of_command = |name: &str| {
        name.strip_prefix(command)
            .is_some_and(|rest| rest.starts_with('|'))
    };
    let of_subcommands = used.iter().filter(|(name, _)| is_of_command(name));
    let of_subcommands = of_subcommands.map(|(_, usage)| *usage);
    of_subcommands.reduce(|sum, more| Usage {
        calls: sum.calls.saturating_add(more.calls),
        microseconds: sum.microseconds + more.microseconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::reading::{bytes, words};
    use crate::collector::{Circumstances, Memo};

    const BEFORE: &str = "run_id:a\r\ncmdstat_get:calls=2,usec=9\r\ncmdstat_set:calls=1,usec=4\r\n\
        cmdstat_info:calls=1,usec=99\r\n";

    fn histograms(commands: &[(&str, i64)]) -> Reply {
        let pair = |(name, calls): &(&str, i64)| {
            let buckets = Reply::List(vec![Reply::Integer(16), Reply::Integer(*calls)]);
            let calls = Reply::Integer(*calls);
            let body = vec![bytes("calls"), calls, bytes("histogram_usec"), buckets];
            [bytes(name), Reply::List(body)]
        };
        Reply::List(commands.iter().flat_map(pair).collect())
    }

    fn replies(info: &str, polled_at: f64, known: Option<&KnownHistograms>) -> Replies {
        let remembered = known.cloned().map(Memo::new).into_iter().collect();
        let circumstances = Circumstances {
            polled_at,
            remembered,
            ..Circumstances::default()
        };
        Replies::new(info, circumstances)
    }

    /// Returns the histograms after the first poll of a server.
    fn first() -> KnownHistograms {
        let reply = histograms(&[("get", 2), ("set", 1), ("info", 1)]);
        let replies = replies(BEFORE, 0.0, None).with(HISTOGRAM.ticket(ALL), &reply);
        KnownHistograms::after(&replies)
    }

    fn queried(replies: &Replies) -> Vec<String> {
        query(replies).iter().flat_map(words).collect()
    }

    fn counts(known: &KnownHistograms) -> Vec<(&str, u64)> {
        let histograms = known.histograms();
        histograms
            .map(|(name, histogram)| (name, histogram.count))
            .collect()
    }

    #[test]
    fn only_possibly_changed_histograms_are_queried() {
        let known = first();
        assert_eq!(
            queried(&replies(BEFORE, 0.0, None)),
            ["LATENCY", "HISTOGRAM"]
        );
        assert!(queried(&replies(BEFORE, 15.0, Some(&known))).is_empty());
        let info = BEFORE.replace("get:calls=2,usec=9", "get:calls=3,usec=10");
        let info = format!("{info}cmdstat_del:calls=1,usec=1\r\n");
        let replies = replies(&info, 15.0, Some(&known));
        assert_eq!(queried(&replies), ["LATENCY", "HISTOGRAM", "del", "get"]);
        let reply = histograms(&[("del", 1), ("get", 3)]);
        let now = KnownHistograms::after(&replies.with(HISTOGRAM.ticket(NAMED), &reply));
        let expected = [("del", 1), ("get", 3), ("info", 1), ("set", 1)];
        assert_eq!(counts(&now), expected);
    }

    #[test]
    fn end_of_a_blocked_call_changes_only_the_time() {
        let info = BEFORE.replace("get:calls=2,usec=9", "get:calls=2,usec=10");
        let replies = replies(&info, 15.0, Some(&first()));
        assert_eq!(queried(&replies), ["LATENCY", "HISTOGRAM", "get"]);
    }

    #[test]
    fn changed_histogram_without_reply_is_skipped() {
        let info = BEFORE.replace("get:calls=2,usec=9", "get:calls=3,usec=10");
        let now = KnownHistograms::after(&replies(&info, 15.0, Some(&first())));
        assert_eq!(counts(&now), [("info", 1), ("set", 1)]);
        let again = replies(&info, 30.0, Some(&now));
        assert_eq!(queried(&again), ["LATENCY", "HISTOGRAM", "get"]);
    }

    #[test]
    fn command_without_histogram_is_not_queried_again() {
        let info = format!("{BEFORE}cmdstat_blpop:calls=1,usec=1\r\n");
        let replies_before = replies(&info, 15.0, Some(&first()));
        let none = Reply::List(Vec::new());
        let now = KnownHistograms::after(&replies_before.with(HISTOGRAM.ticket(NAMED), &none));
        assert!(queried(&replies(&info, 30.0, Some(&now))).is_empty());
    }

    #[test]
    fn monitoring_commands_are_queried_once_a_minute() {
        let info = BEFORE.replace("info:calls=1", "info:calls=2");
        let known = first();
        let at = |seconds| queried(&replies(&info, seconds, Some(&known)));
        assert!(at(45.0).is_empty());
        assert_eq!(at(60.0), ["LATENCY", "HISTOGRAM", "info"]);
        let replies = replies(&info, 60.0, Some(&known));
        let reply = histograms(&[("info", 2)]);
        let now = KnownHistograms::after(&replies.with(HISTOGRAM.ticket(NAMED), &reply));
        assert_eq!(now.monitoring_read_at.to_string(), "60");
    }

    #[test]
    fn renamed_commands_are_found_by_the_query_for_all() {
        let info = BEFORE.replace("get:calls=2,usec=9", "get:calls=3,usec=10");
        let known = first();
        let replies_now = replies(&info, 15.0, Some(&known));
        let none = Reply::List(Vec::new());
        let replies_now = replies_now.with(HISTOGRAM.ticket(NAMED), &none);
        assert_eq!(queried(&replies_now), ["LATENCY", "HISTOGRAM"]);
        let all = histograms(&[("get", 3), ("set", 1)]);
        let now = KnownHistograms::after(&replies_now.with(HISTOGRAM.ticket(ALL), &all));
        assert_eq!(counts(&now), [("get", 3), ("set", 1)]);
        let info = info.replace("get:calls=3", "get:calls=4");
        let later = replies(&info, 30.0, Some(&now));
        assert_eq!(queried(&later), ["LATENCY", "HISTOGRAM"]);
    }

    #[test]
    fn new_run_of_the_server_starts_over() {
        let info = BEFORE.replace("run_id:a", "run_id:b");
        let replies = replies(&info, 15.0, Some(&first()));
        assert_eq!(queried(&replies), ["LATENCY", "HISTOGRAM"]);
        assert!(counts(&KnownHistograms::after(&replies)).is_empty());
    }

    #[test]
    fn command_with_reset_statistics_is_skipped() {
        let info = "run_id:a\r\ncmdstat_get:calls=2,usec=9\r\n";
        let now = KnownHistograms::after(&replies(info, 15.0, Some(&first())));
        assert_eq!(counts(&now), [("get", 2)]);
    }
}
