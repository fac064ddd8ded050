//! Queries to Redis, and the memory of what one server rejected. Pure; `connection::Session` sends
//! them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use crate::reply::{ErrorKind, Refusal};

/// A command that the exporter sends, with or without further words. Every query is a `static`:
/// two of them are the same if they are at the same place in memory.
#[derive(Debug)]
pub struct Query {
    /// The spellings of the command, best first. The next one is tried if the server does not know
    /// one or returns nothing for it.
    pub commands: &'static [&'static [&'static str]],
    /// The ACL permission that it needs, such as `+slowlog|len`; empty for servers without ACL.
    pub permission: &'static str,
    scope: Scope,
}

/// What the rejection of one command of a query is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// All commands of the query.
    Query,
    /// That command alone.
    Command,
    /// Nothing that lasts.
    Nothing,
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Query {}

impl Hash for Query {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::hash(self, state);
    }
}

impl Query {
    /// Declares a query.
    #[must_use]
    pub const fn new(
        commands: &'static [&'static [&'static str]],
        permission: &'static str,
    ) -> Self {
        Self {
            commands,
            permission,
            scope: Scope::Query,
        }
    }

    /// Has the rejection of one command say nothing about the others: a script can pass on the
    /// rejection of what it does itself.
    #[must_use]
    pub const fn alone(self) -> Self {
        Self {
            scope: Scope::Command,
            ..self
        }
    }

    /// Has the query sent again although it was rejected.
    #[must_use]
    pub const fn retried(self) -> Self {
        Self {
            scope: Scope::Nothing,
            ..self
        }
    }

    /// Returns whether the rejection of one command says nothing about the others.
    #[must_use]
    pub fn stands_alone(&self) -> bool {
        self.scope == Scope::Command
    }

    /// Returns the ticket of one of the commands that this query is sent as.
    #[must_use]
    pub const fn ticket(&'static self, at: usize) -> Ticket {
        Ticket { query: self, at }
    }

    /// Returns the query with further words. `at` tells its commands apart, and finds the reply.
    pub fn with<'a, Word: Into<Cow<'a, [u8]>>>(
        &'static self,
        at: usize,
        words: impl IntoIterator<Item = Word>,
    ) -> Command<'a> {
        Command {
            ticket: self.ticket(at),
            words: words.into_iter().map(Into::into).collect(),
        }
    }
}

/// Pairs a reply with its query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The query.
    pub query: &'static Query,
    /// Tells the commands of the query apart.
    pub at: usize,
}

impl Ticket {
    /// Returns the query with further words.
    pub fn with<'a, Word: Into<Cow<'a, [u8]>>>(
        self,
        words: impl IntoIterator<Item = Word>,
    ) -> Command<'a> {
        self.query.with(self.at, words)
    }
}

impl From<&'static Query> for Ticket {
    fn from(query: &'static Query) -> Self {
        query.ticket(0)
    }
}

/// A query as it is sent once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// What the reply is found by.
    pub ticket: Ticket,
    /// The words after those of the query.
    pub words: Vec<Cow<'a, [u8]>>,
}

impl<T: Into<Ticket>> From<T> for Command<'_> {
    fn from(ticket: T) -> Self {
        Self {
            ticket: ticket.into(),
            words: Vec::new(),
        }
    }
}

/// A rejection that will not change over this connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The query.
    pub query: &'static Query,
    /// What the server replied.
    pub refusal: Refusal,
    /// The only command that is meant; `None` if all commands of the query are.
    only: Option<Ticket>,
}

/// What a rejection means for the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be sent again in another spelling.
    Respelled,
    /// It is not sent again over this connection.
    Rejected,
    /// It may be sent again: the server cannot reply now, or the error is about its words.
    Open,
}

/// What one server rejected for good, which commands it was sent, and in which spelling. Every
/// rejection counts as an error of the server, so nothing is sent again that was rejected.
#[derive(Debug, Default)]
pub struct Rejections {
    all: Vec<Rejected>,
    tried: HashSet<&'static Query>,
    /// Queries whose best spelling did not do, with the number of the one in use.
    spellings: HashMap<&'static Query, usize>,
}

impl Rejections {
    /// Everything that was rejected for good.
    #[must_use]
    pub fn all(&self) -> &[Rejected] {
        &self.all
    }

    /// Returns whether a command is not to be sent.
    #[must_use]
    pub fn covers(&self, ticket: Ticket) -> bool {
        let covers = |rejected: &Rejected| {
            rejected.query == ticket.query && rejected.only.is_none_or(|only| only == ticket)
        };
        self.all.iter().any(covers)
    }

    /// Returns whether a query was sent.
    #[must_use]
    pub fn has_tried(&self, query: &'static Query) -> bool {
        self.tried.contains(query)
    }

    /// Forgets everything but the spellings: another server may answer otherwise.
    pub fn forget(&mut self) {
        self.all.clear();
        self.tried.clear();
    }

    /// Returns the words to send for a command; `None` if its query has no spelling.
    #[must_use]
    pub fn words<'a>(&self, command: &'a Command<'_>) -> Option<Vec<&'a [u8]>> {
        let spelling = self.spellings.get(command.ticket.query).unwrap_or(&0);
        let spelled = command.ticket.query.commands.get(*spelling)?;
        let first = spelled.iter().map(|word| word.as_bytes());
        Some(
            first
                .chain(command.words.iter().map(|word| &**word))
                .collect(),
        )
    }

    /// Chooses the next spelling of a query. Returns whether there is one.
    pub fn try_next_spelling(&mut self, query: &'static Query) -> bool {
        let spelling = self.spellings.entry(query).or_default();
        let has_next = *spelling + 1 < query.commands.len();
        *spelling += usize::from(has_next);
        has_next
    }

    /// Takes one command of each query that was never sent and has several: it is sent alone, so
    /// that a denial costs one error and not hundreds. One of plain text is preferred: a server that
    /// does not know a command repeats its words, and other bytes would not be the protocol.
    pub fn take_first<'a>(&mut self, commands: &mut Vec<Command<'a>>) -> Vec<Command<'a>> {
        let mut first: HashMap<&'static Query, (Ticket, bool, bool)> = HashMap::new();
        for command in commands.iter() {
            let query = command.ticket.query;
            if self.tried.contains(query) {
                continue;
            }
            let is_text = command.words.iter().all(|word| word.is_ascii());
            first
                .entry(query)
                .and_modify(|(ticket, was_text, has_several)| {
                    *has_several = true;
                    if is_text && !*was_text {
                        (*ticket, *was_text) = (command.ticket, true);
                    }
                })
                .or_insert((command.ticket, is_text, false));
        }
        self.tried.extend(first.keys());
        let is_first = |command: &mut Command<'a>| {
            let found = first.get(command.ticket.query);
            found.is_some_and(|(ticket, _, has_several)| *has_several && *ticket == command.ticket)
        };
        commands.extract_if(.., is_first).collect()
    }

    /// Records an error reply. `has_words` is whether the command has words of its own: an error
    /// of an unknown kind may be about these.
    pub fn record(&mut self, ticket: Ticket, has_words: bool, refusal: &Refusal) -> Verdict {
        let query = ticket.query;
        let is_for_good = match refusal.kind() {
            ErrorKind::Passing => false,
            ErrorKind::Permission | ErrorKind::UnknownCommand | ErrorKind::TooLarge => true,
            ErrorKind::KeyPermission | ErrorKind::Redirect | ErrorKind::Other => !has_words,
        };
        if !is_for_good || query.scope == Scope::Nothing {
            return Verdict::Open;
        }
        if refusal.code == "ERR" && self.try_next_spelling(query) {
            return Verdict::Respelled;
        }
        self.reject(ticket, refusal);
        Verdict::Rejected
    }

    /// Records an error reply as one that will not change, for callers that know what it is about.
    pub fn reject(&mut self, ticket: Ticket, refusal: &Refusal) {
        if !self.covers(ticket) {
            self.all.push(Rejected {
                query: ticket.query,
                refusal: refusal.clone(),
                only: ticket.query.stands_alone().then_some(ticket),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static KEYS: Query = Query::new(&[&["KEYS"]], "+keys");
    static OTHER: Query = Query::new(&[&["OTHER", "1"], &["OTHER"]], "+other");
    static SCRIPT: Query = Query::new(&[&["EVAL"]], "+eval").alone();

    fn refusal(code: &str, message: &str) -> Refusal {
        Refusal {
            code: code.into(),
            message: message.into(),
        }
    }

    fn keys() -> Vec<Command<'static>> {
        let key = |at| KEYS.with(at, [b"a"]);
        (0..3).map(key).collect()
    }

    #[test]
    fn a_denial_costs_one_error() {
        let mut rejections = Rejections::default();
        let mut commands = keys();
        commands.push((&OTHER).into());
        let first = rejections.take_first(&mut commands);
        assert_eq!(first, [KEYS.with(0, [b"a"])]);
        assert_eq!(commands.len(), 3);
        let denied = refusal("NOPERM", "no");
        let verdict = rejections.record(KEYS.ticket(0), true, &denied);
        assert_eq!(verdict, Verdict::Rejected);
        assert!(
            commands[..2]
                .iter()
                .all(|command| rejections.covers(command.ticket))
        );
        assert!(!rejections.covers((&OTHER).into()));
        rejections.forget();
        assert_eq!(rejections.take_first(&mut keys()).len(), 1);
        assert!(rejections.take_first(&mut keys()).is_empty());
    }

    #[test]
    fn a_denied_script_says_nothing_about_others() {
        let mut rejections = Rejections::default();
        rejections.record(SCRIPT.ticket(0), true, &refusal("NOPERM", "no"));
        assert!(rejections.covers(SCRIPT.ticket(0)));
        assert!(!rejections.covers(SCRIPT.ticket(1)));
    }

    #[test]
    fn an_error_about_the_words_or_the_moment_rejects_nothing() {
        let mut rejections = Rejections::default();
        for (code, has_words) in [("LOADING", false), ("BUSY", true), ("ERR", true)] {
            let verdict = rejections.record(KEYS.ticket(0), has_words, &refusal(code, "no"));
            assert_eq!(verdict, Verdict::Open, "{code}");
        }
        let verdict = rejections.record(KEYS.ticket(0), false, &refusal("ERR", "no"));
        assert_eq!(verdict, Verdict::Rejected);
    }

    #[test]
    fn an_unknown_spelling_is_followed_by_the_next() {
        let mut rejections = Rejections::default();
        let command = Command::from(&OTHER);
        let spelled = |rejections: &Rejections| rejections.words(&command).map(|words| words.len());
        assert_eq!(spelled(&rejections), Some(2));
        let unknown = refusal("ERR", "syntax error");
        let mut record = || rejections.record((&OTHER).into(), false, &unknown);
        assert_eq!(
            [record(), record()],
            [Verdict::Respelled, Verdict::Rejected]
        );
        assert_eq!(spelled(&rejections), Some(1));
        assert!(rejections.covers((&OTHER).into()));
    }
}
