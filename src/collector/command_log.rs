//! Logs of commands with numbered entries, such as SLOWLOG and COMMANDLOG. Counts how often each
//! command entered the log. Never keeps the arguments of a command. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Command, Query, Remembered, Replies};
use crate::config::CLIENT_NAME;
use crate::label::OTHER;
use crate::reply::Reply;

/// Maximum number of new entries read in one poll. Limits the reply to about half a megabyte.
const MOST_NEW_ENTRIES: u64 = 128;

/// Extra entries to request. Commands logged between the two queries of a poll, such as the poll's
/// own, come first in the reply.
const MARGIN: u64 = 16;

/// Maximum number of distinct commands. Servers have fewer.
const MOST_COMMANDS: usize = 1024;

/// One of the logs of a server.
#[derive(Debug)]
pub(super) struct CommandLog {
    /// The query for new entries.
    pub(super) entries: &'static Query,
    /// Distinguishes this log from others with the same query.
    pub(super) at: usize,
    /// The word after the number of entries, if the query needs one.
    pub(super) kind: Option<&'static str>,
    /// Returns the newest entry, or an empty slice if the log is empty; `None` if unknown.
    pub(super) newest: fn(&Replies) -> Option<&[Reply]>,
    /// Returns the counts of earlier polls.
    pub(super) counted_before: fn(&Remembered) -> Option<&LogCounts>,
}

/// The counts of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogCounts {
    /// The number of the next entry, if the log was read before.
    next: Option<u64>,
    /// Whether the log has always been empty so far. The next number is then unknown, because
    /// resetting a log keeps its numbering.
    was_empty: bool,
    /// The run id of the server that has the log, if the server reports it.
    run_id: Option<String>,
    /// Time of the last read, in seconds since the epoch.
    seen_at: f64,
    /// Number of entries per command, and the sum of their measurements.
    pub(super) by_command: BTreeMap<String, (u64, u64)>,
    /// The part of these entries that connections of an exporter caused.
    pub(super) own: BTreeMap<String, u64>,
    /// Number of entries that left the log unread.
    pub(super) unseen: u64,
}

/// One entry of a log.
struct LogEntry {
    id: u64,
    /// Microseconds or bytes.
    measured: u64,
    command: String,
    /// The second word, which is an argument unless the server knows it as a subcommand.
    second: Option<String>,
    /// Whether a connection of an exporter sent the command.
    is_own: bool,
}

/// Parses id, time, measurement, and words. Redis Enterprise inserts a text about complexity before
/// the words, so the first array is taken as the words. Later versions of Redis append elements.
/// Only the first two words are read, because the others are arguments. The words are followed by the
/// address and the name of the client, since Redis 4.
fn entry(reply: &Reply) -> Option<LogEntry> {
    let [id, _, measured, rest @ ..] = reply.items() else {
        return None;
    };
    let mut rest = rest.iter();
    let words = rest
        .find(|element| matches!(element, Reply::List(_)))?
        .items();
    let client = rest.nth(1).and_then(Reply::text);
    let word = |at: usize| Some(words.get(at)?.text()?.to_ascii_lowercase());
    Some(LogEntry {
        id: u64::try_from(id.integer()?).ok()?,
        measured: u64::try_from(measured.integer()?).ok()?,
        command: word(0)?,
        second: word(1),
        is_own: client.is_some_and(|name| name.starts_with(CLIENT_NAME)),
    })
}

impl CommandLog {
    /// Returns the query for the entries since the last poll; for all entries in the first poll.
    pub(super) fn new_entries<'a>(&self, replies: &'a Replies) -> Option<Command<'a>> {
        let newest = (self.newest)(replies)?.first().and_then(entry)?;
        let count = match self.first_new(replies) {
            Some(next) if next <= newest.id + 1 => newest.id + 1 - next,
            _ => newest.id + 1,
        };
        let requested = (count + MARGIN).min(MOST_NEW_ENTRIES);
        (count > 0).then(|| self.latest(self.entries, requested))
    }

    /// Returns the query for this many of the newest entries.
    pub(super) fn latest<'a>(&self, query: &'static Query, count: u64) -> Command<'a> {
        let count = count.to_string().into_bytes();
        let kind = self.kind.map(|kind| kind.as_bytes().into());
        query.with::<Cow<'a, [u8]>>(self.at, [count.into()].into_iter().chain(kind))
    }

    /// Returns the number of the first uncounted entry; `None` if the log was never read. A
    /// restarted server numbers from 0 again.
    fn first_new(&self, replies: &Replies) -> Option<u64> {
        let before = (self.counted_before)(&replies.circumstances.remembered)?;
        let next = before.next?;
        let known = before.run_id.as_ref();
        let is_same_run = known.is_none_or(|known| replies.info.get("run_id") == Some(known));
        if is_same_run {
            return Some(next);
        }
        // A different run id means a restart, which starts a new log, or another server behind the
        // same address, which has an older log.
        let since = replies.circumstances.polled_at - before.seen_at;
        let uptime = replies.info.number("uptime_in_seconds");
        let is_restart = uptime.is_none_or(|uptime| uptime <= since + 1.0);
        is_restart.then_some(0)
    }

    /// Returns the counts of earlier polls plus those of this one.
    pub(super) fn counted(&self, replies: &Replies) -> LogCounts {
        let before = (self.counted_before)(&replies.circumstances.remembered);
        let mut counted = before.cloned().unwrap_or_default();
        counted.next = self.first_new(replies);
        counted.run_id = replies.info.get("run_id").map(str::to_owned);
        let Some(log) = (self.newest)(replies) else {
            return counted;
        };
        counted.seen_at = replies.circumstances.polled_at;
        let reply = replies.reply(self.entries.ticket(self.at));
        let entries: Vec<LogEntry> = reply
            .map(Reply::items)
            .unwrap_or_default()
            .iter()
            .filter_map(entry)
            .map(|entry| named(entry, replies))
            .collect();
        match entries.iter().map(|entry| entry.id).max() {
            Some(newest) => counted.add(&entries, newest),
            // Counting can start from an empty log.
            None if log.is_empty() && counted.next.is_none() => counted.was_empty = true,
            None => {}
        }
        counted
    }
}

/// Adds the subcommand, and replaces the command by `other` unless the server itself knows it. Clients
/// can write anything into a log.
fn named(entry: LogEntry, replies: &Replies) -> LogEntry {
    let knows = |is_it: &dyn Fn(&str) -> bool| {
        let mut known = replies.info.named("cmdstat_");
        known.any(|(name, _)| is_it(name))
    };
    let whole = entry.second.as_ref();
    let whole = whole.map(|second| format!("{}|{second}", entry.command));
    let command = if let Some(whole) = whole.filter(|whole| knows(&|name| name == whole)) {
        whole
    } else if knows(&|name| name.split('|').next() == Some(&entry.command)) {
        entry.command.clone()
    } else {
        // For example, a secret name from `rename-command`.
        OTHER.to_owned()
    };
    LogEntry { command, ..entry }
}

impl LogCounts {
    /// Returns whether the log was ever read. The counts are meaningless before.
    pub(super) const fn is_known(&self) -> bool {
        self.next.is_some() || self.was_empty
    }

    fn add(&mut self, entries: &[LogEntry], newest: u64) {
        let first = match self.next {
            Some(next) if next <= newest + 1 => next,
            Some(_) => 0,
            None if self.was_empty => entries.iter().map(|entry| entry.id).min().unwrap_or(0),
            None => newest + 1,
        };
        let mut seen = 0;
        for entry in entries {
            let is_new = entry.id >= first;
            // Commands logged before the exporter started begin at 0, so that their next entry is
            // an increase.
            self.count(entry, is_new);
            seen += u64::from(is_new);
        }
        self.unseen += (newest + 1 - first).saturating_sub(seen);
        self.next = Some(newest + 1);
        self.was_empty = false;
    }

    fn count(&mut self, entry: &LogEntry, is_new: bool) {
        if self.by_command.len() >= MOST_COMMANDS && !self.by_command.contains_key(&entry.command) {
            self.unseen += u64::from(is_new);
            return;
        }
        let (count, sum) = self.by_command.entry(entry.command.clone()).or_default();
        if is_new {
            *count += 1;
            *sum = sum.saturating_add(entry.measured);
        }
        if entry.is_own {
            *self.own.entry(entry.command.clone()).or_default() += u64::from(is_new);
        }
    }
}
