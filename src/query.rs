//! Queries to Redis, and the memory of rejected ones. Pure; `connection::Session` sends them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use crate::reply::{ErrorKind, Refusal};

/// A command that the exporter sends, optionally with further words.
///
/// Every query is a `static`. Two queries are equal if they have the same address in memory.
#[derive(Debug)]
pub struct Query {
    /// The spellings of the command, best first. The next one is tried if the server does not know
    /// one, or returns nothing for it.
    pub commands: &'static [&'static [&'static str]],
    /// The required ACL permission, such as `+slowlog|len`. Empty for servers without ACL.
    pub permission: &'static str,
    scope: RejectionScope,
}

/// The commands of a query that a rejection affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RejectionScope {
    /// All commands of the query.
    Query,
    /// Only the rejected command.
    Command,
    /// None. The query is sent again.
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
            scope: RejectionScope::Query,
        }
    }

    /// Limits a rejection to the rejected command. For example, a script can return the rejection
    /// of one of its own commands.
    #[must_use]
    pub const fn alone(self) -> Self {
        Self {
            scope: RejectionScope::Command,
            ..self
        }
    }

    /// Sends the query again even if it was rejected.
    #[must_use]
    pub const fn retried(self) -> Self {
        Self {
            scope: RejectionScope::Nothing,
            ..self
        }
    }

    /// Returns whether a rejection only affects the rejected command.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.scope == RejectionScope::Command
    }

    /// Returns the ticket of one of the commands of this query.
    #[must_use]
    pub const fn ticket(&'static self, at: usize) -> Ticket {
        Ticket { query: self, at }
    }

    /// Returns the query with further words. `at` distinguishes its commands and pairs them with
    /// replies.
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
    /// Distinguishes the commands of the query.
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

/// A command to send: a query with its further words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// The ticket that pairs it with its reply.
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

/// A rejection that is permanent for this connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The query.
    pub query: &'static Query,
    /// The error reply of the server.
    pub refusal: Refusal,
    /// The only affected command; `None` if all commands of the query are.
    only: Option<Ticket>,
}

/// Returns why a query was rejected, and which permission to grant if that helps.
#[must_use]
pub fn describe(refusal: &Refusal, permission: &str) -> String {
    match refusal.kind() {
        ErrorKind::Permission => format!("denied: grant the user {permission}"),
        ErrorKind::KeyPermission => {
            "denied: grant the user read access to the keys, such as %R~* or ~*".to_owned()
        }
        ErrorKind::ChannelPermission => {
            "denied: grant the user access to the channels, such as &*".to_owned()
        }
        _ => {
            // Without the arguments, one line is enough for a command that the server does not have.
            let message = refusal.message.split(", with args").next();
            format!("rejected: {} {}", refusal.code, message.unwrap_or_default())
        }
    }
}

/// The consequence of an error reply for the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The query is sent again with another spelling.
    Respelled,
    /// The query is not sent again over this connection.
    Rejected,
    /// The query may be sent again: the server cannot reply now, or the error is about its words.
    Open,
}

/// The permanently rejected queries of one server, the queries that were sent, and their spellings.
///
/// Every rejection counts as an error in the server's statistics. Therefore rejected queries are
/// not sent again.
#[derive(Debug, Default)]
pub struct Rejections {
    all: Vec<Rejected>,
    tried: HashSet<&'static Query>,
    /// The spelling in use for queries whose best spelling was rejected, as an index.
    spellings: HashMap<&'static Query, usize>,
}

impl Rejections {
    /// Returns all permanent rejections.
    #[must_use]
    pub fn all(&self) -> &[Rejected] {
        &self.all
    }

    /// Returns whether a command must not be sent.
    #[must_use]
    pub fn covers(&self, ticket: Ticket) -> bool {
        let covers = |rejected: &Rejected| {
            rejected.query == ticket.query && rejected.only.is_none_or(|only| only == ticket)
        };
        self.all.iter().any(covers)
    }

    /// Returns whether a query was sent before.
    #[must_use]
    pub fn has_tried(&self, query: &'static Query) -> bool {
        self.tried.contains(query)
    }

    /// Forgets everything except the spellings: another server may accept the queries.
    pub fn forget(&mut self) {
        self.all.clear();
        self.tried.clear();
    }

    /// Returns the words to send for a command, or `None` if the spellings of its query are
    /// exhausted.
    #[must_use]
    pub fn words<'a>(
        &self,
        command: &'a Command<'_>,
    ) -> Option<impl Iterator<Item = &'a [u8]> + Clone + use<'a>> {
        let spelling = self.spellings.get(command.ticket.query).unwrap_or(&0);
        let spelled = command.ticket.query.commands.get(*spelling)?;
        let first = spelled.iter().map(|word| word.as_bytes());
        Some(first.chain(command.words.iter().map(|word| &**word)))
    }

    /// Selects the next spelling of a query. Returns whether there is one.
    pub fn try_next_spelling(&mut self, query: &'static Query) -> bool {
        let spelling = self.spellings.entry(query).or_default();
        let has_next = *spelling + 1 < query.commands.len();
        *spelling += usize::from(has_next);
        has_next
    }

    /// Removes one command of each new query with several commands, and returns them.
    ///
    /// They are sent first, so that a denial costs one error instead of hundreds. Plain text is
    /// preferred: a server that does not know a command repeats its words in the error, and other
    /// bytes would break the protocol.
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

    /// Records an error reply.
    ///
    /// `has_words` is whether the command has further words: an unclassified error may
    /// be about those.
    pub fn record(&mut self, ticket: Ticket, has_words: bool, refusal: &Refusal) -> Verdict {
        let query = ticket.query;
        let is_for_good = match refusal.kind() {
            // Without authentication every query is rejected, whatever the permissions are.
            ErrorKind::Passing | ErrorKind::Authentication => false,
            ErrorKind::Permission | ErrorKind::UnknownCommand | ErrorKind::TooLarge => true,
            ErrorKind::KeyPermission
            | ErrorKind::ChannelPermission
            | ErrorKind::Redirect
            | ErrorKind::Other => !has_words,
        };
        if !is_for_good || query.scope == RejectionScope::Nothing {
            return Verdict::Open;
        }
        if refusal.code == "ERR" && self.try_next_spelling(query) {
            return Verdict::Respelled;
        }
        self.reject(ticket, refusal);
        Verdict::Rejected
    }

    /// Records an error reply as permanent, for callers that know its cause.
    pub fn reject(&mut self, ticket: Ticket, refusal: &Refusal) {
        if !self.covers(ticket) {
            self.all.push(Rejected {
                query: ticket.query,
                refusal: refusal.clone(),
                only: ticket.query.is_alone().then_some(ticket),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(code: &str, message: &str) -> String {
        describe(&refusal(code, message), "+type")
    }

    #[test]
    fn each_kind_of_rejection_has_its_own_remedy() {
        for (message, expected) in [
            (
                "User w has no permissions to run the 'type' command",
                "+type",
            ),
            ("No permissions to access a key", "%R~*"),
            ("No permissions to access a channel", "&*"),
        ] {
            let text = described("NOPERM", message);
            assert!(text.starts_with("denied: grant the user "), "{text}");
            assert!(text.contains(expected), "{text}");
        }
        let text = described(
            "ERR",
            "unknown command 'TYPE', with args beginning with: 'k' ",
        );
        assert_eq!(text, "rejected: ERR unknown command 'TYPE'");
    }

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
    fn denied_query_costs_one_error() {
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
    fn denied_script_does_not_affect_others() {
        let mut rejections = Rejections::default();
        rejections.record(SCRIPT.ticket(0), true, &refusal("NOPERM", "no"));
        assert!(rejections.covers(SCRIPT.ticket(0)));
        assert!(!rejections.covers(SCRIPT.ticket(1)));
    }

    #[test]
    fn a_missing_password_rejects_no_query() {
        let mut rejections = Rejections::default();
        for code in ["NOAUTH", "WRONGPASS"] {
            let verdict = rejections.record(KEYS.ticket(0), false, &refusal(code, "no"));
            assert_eq!(verdict, Verdict::Open, "{code}");
        }
        assert_eq!(rejections.all(), []);
    }

    #[test]
    fn passing_error_rejects_nothing() {
        let mut rejections = Rejections::default();
        for (code, has_words) in [("LOADING", false), ("BUSY", true), ("ERR", true)] {
            let verdict = rejections.record(KEYS.ticket(0), has_words, &refusal(code, "no"));
            assert_eq!(verdict, Verdict::Open, "{code}");
        }
        let verdict = rejections.record(KEYS.ticket(0), false, &refusal("ERR", "no"));
        assert_eq!(verdict, Verdict::Rejected);
    }

    #[test]
    fn unknown_spelling_is_replaced_by_the_next() {
        let mut rejections = Rejections::default();
        let command = Command::from(&OTHER);
        let spelled = |rejections: &Rejections| rejections.words(&command).map(Iterator::count);
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
