//! Logs of commands with numbered entries, such as SLOWLOG and COMMANDLOG: how often each command
//! entered the log. Pure. It never keeps the arguments of a command.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Command, Query, Remembered, Replies};
use crate::label::OTHER;
use crate::reply::Reply;

/// The most new entries that one poll reads. It bounds the reply to about half a megabyte.
const MOST_NEW_ENTRIES: u64 = 128;

/// Entries that are requested on top of the new ones: some come between the two queries of a poll,
/// if only those about what the poll itself sent, and a reply begins with the newest.
const MARGIN: u64 = 16;

/// The most commands that are told apart. Servers have fewer than this.
const MOST_COMMANDS: usize = 1024;

/// One of the logs of a server.
#[derive(Debug)]
pub(super) struct Log {
    /// Queries new entries.
    pub(super) entries: &'static Query,
    /// Tells this log apart from others with the same query.
    pub(super) at: usize,
    /// The word after the number of entries, if the query needs one.
    pub(super) kind: Option<&'static str>,
    /// Returns the newest entry or none; `None` if that is unknown.
    pub(super) newest: fn(&Replies) -> Option<&[Reply]>,
    /// What earlier polls counted.
    pub(super) counted_before: fn(&Remembered) -> Option<&Counted>,
}

/// What was counted of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// The number of the entry that comes next, if the log was seen before.
    next: Option<u64>,
    /// Whether the log was seen empty, and nothing before. Resetting a log keeps the numbers, so
    /// that of the entry that comes next is not known.
    was_empty: bool,
    /// The run of the server that has the log, if the server reports it.
    run_id: Option<String>,
    /// When the log was last seen, in seconds since the epoch.
    seen_at: f64,
    /// How often each command entered the log, and the sum of what the entries measure.
    pub(super) by_command: BTreeMap<String, (u64, u64)>,
    /// How many entries were gone before they could be read.
    pub(super) unseen: u64,
}

/// One entry of a log, as far as it is used.
struct Entry {
    id: u64,
    /// Microseconds or bytes.
    measured: u64,
    command: String,
}

/// Reads id, time, measured number and words. Later versions of Redis add elements, and Redis
/// Enterprise puts a text about the complexity before the words, so that the words are the first
/// array. Only the first of them is read: the others are arguments.
fn entry(reply: &Reply) -> Option<Entry> {
    let [id, _, measured, rest @ ..] = reply.items() else {
        return None;
    };
    let mut rest = rest.iter();
    let words = rest.find(|element| matches!(element, Reply::List(_)))?;
    Some(Entry {
        id: u64::try_from(id.integer()?).ok()?,
        measured: u64::try_from(measured.integer()?).ok()?,
        command: words.items().first()?.text()?.to_ascii_lowercase(),
    })
}

impl Log {
    /// The query for the entries that came since the last poll; the first time for all.
    pub(super) fn new_entries<'a>(&self, replies: &'a Replies) -> Option<Command<'a>> {
        let newest = (self.newest)(replies)?.first().and_then(entry)?;
        let count = match self.first_new(replies) {
            Some(next) if next <= newest.id + 1 => newest.id + 1 - next,
            _ => newest.id + 1,
        };
        let requested = (count + MARGIN).min(MOST_NEW_ENTRIES);
        (count > 0).then(|| self.latest(self.entries, requested))
    }

    /// Queries this many of the newest entries.
    pub(super) fn latest<'a>(&self, query: &'static Query, count: u64) -> Command<'a> {
        let count = count.to_string().into_bytes();
        let kind = self.kind.map(|kind| kind.as_bytes().into());
        query.with::<Cow<'a, [u8]>>(self.at, [count.into()].into_iter().chain(kind))
    }

    /// The number of the first entry that was not counted yet; none if the log was never seen.
    /// After a restart the server counts from 0 again.
    fn first_new(&self, replies: &Replies) -> Option<u64> {
        let before = (self.counted_before)(&replies.circumstances.remembered)?;
        let next = before.next?;
        let known = before.run_id.as_ref();
        let is_same_run = known.is_none_or(|known| replies.info.get("run_id") == Some(known));
        if is_same_run {
            return Some(next);
        }
        // Another run is a restart, with a log of its own, or another server behind the same
        // address, with a log from before.
        let since = replies.circumstances.polled_at - before.seen_at;
        let uptime = replies.info.number("uptime_in_seconds");
        let is_restart = uptime.is_none_or(|uptime| uptime <= since + 1.0);
        is_restart.then_some(0)
    }

    /// Counts of earlier polls and of this one.
    pub(super) fn counted(&self, replies: &Replies) -> Counted {
        let before = (self.counted_before)(&replies.circumstances.remembered);
        let mut counted = before.cloned().unwrap_or_default();
        counted.next = self.first_new(replies);
        counted.run_id = replies.info.get("run_id").map(str::to_owned);
        let Some(log) = (self.newest)(replies) else {
            return counted;
        };
        counted.seen_at = replies.circumstances.polled_at;
        let reply = replies.reply(self.entries.ticket(self.at));
        let entries: Vec<Entry> = reply
            .map(Reply::items)
            .unwrap_or_default()
            .iter()
            .filter_map(entry)
            .map(|entry| named(entry, replies))
            .collect();
        match entries.iter().map(|entry| entry.id).max() {
            Some(newest) => counted.add(&entries, newest),
            // An empty log is where counting can begin.
            None if log.is_empty() && counted.next.is_none() => counted.was_empty = true,
            None => {}
        }
        counted
    }
}

/// A log has the words of clients. Only a name that the server itself gives to a command is shown.
fn named(entry: Entry, replies: &Replies) -> Entry {
    let is_known = replies
        .info
        .named("cmdstat_")
        .any(|(name, _)| name.split('|').next() == Some(&entry.command));
    let command = if is_known {
        entry.command
    } else {
        // Such as one with a secret name of `rename-command`.
        OTHER.to_owned()
    };
    Entry { command, ..entry }
}

impl Counted {
    /// Whether the log was ever seen, so that its counts mean something.
    pub(super) const fn is_known(&self) -> bool {
        self.next.is_some() || self.was_empty
    }

    fn add(&mut self, entries: &[Entry], newest: u64) {
        let first = match self.next {
            Some(next) if next <= newest + 1 => next,
            Some(_) => 0,
            None if self.was_empty => entries.iter().map(|entry| entry.id).min().unwrap_or(0),
            None => newest + 1,
        };
        let mut seen = 0;
        for entry in entries {
            let is_new = entry.id >= first;
            // What was there before the exporter starts at 0, so that its next entry is an
            // increase.
            self.count(entry, is_new);
            seen += u64::from(is_new);
        }
        self.unseen += (newest + 1 - first).saturating_sub(seen);
        self.next = Some(newest + 1);
        self.was_empty = false;
    }

    fn count(&mut self, entry: &Entry, is_new: bool) {
        if self.by_command.len() >= MOST_COMMANDS && !self.by_command.contains_key(&entry.command) {
            self.unseen += u64::from(is_new);
            return;
        }
        let (count, sum) = self.by_command.entry(entry.command.clone()).or_default();
        if is_new {
            *count += 1;
            *sum = sum.saturating_add(entry.measured);
        }
    }
}
