//! What a collector reads: the replies of one poll, and what is known beside them. Pure.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::clients::groups::{self, ClientTotals};
use super::clients::list::{self, KnownClients};
use super::command_log::Counted;
use super::commandlog::LargeCommands;
use super::info::traffic::Traffic;
use super::{Collector, Question, commandlog, info, slowlog};
use crate::config::CollectorOptions;
use crate::footprint::Caused;
use crate::info::Info;
use crate::reply::Reply;

/// When a server that does not say its own time was first seen to start.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownStart {
    /// The run that it belongs to.
    pub run_id: String,
    /// Seconds since the epoch.
    pub seconds: f64,
}

/// What one poll leaves for the next one of the same target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remembered {
    /// The start time that was found.
    pub known_start: Option<KnownStart>,
    /// The slow commands that were counted.
    pub slow_commands: Counted,
    /// The commands with large requests and replies that were counted.
    pub large_commands: LargeCommands,
    /// The totals of groups of clients.
    pub client_totals: ClientTotals,
    /// The clients that were shown.
    pub known_clients: KnownClients,
    /// What others have asked.
    pub traffic: Option<Traffic>,
}

impl Remembered {
    /// What a poll leaves in which these collectors read, itself made of what it was left.
    #[must_use]
    pub fn after(answers: &Answers<'_>, read: &[&'static Collector]) -> Self {
        // Groups of clients share the reply, and have no use for the times.
        let reads = |collector: &Collector| read.iter().any(|one| one.name == collector.name);
        let shows_clients = reads(&list::COLLECTOR);
        Self {
            known_start: info::instance::known_start(answers),
            slow_commands: slowlog::counted(answers),
            large_commands: commandlog::counted(answers),
            client_totals: if reads(&groups::COLLECTOR) {
                groups::totals(answers)
            } else {
                ClientTotals::default()
            },
            known_clients: if shows_clients {
                list::known_clients(answers)
            } else {
                KnownClients::new()
            },
            traffic: Traffic::after(answers),
        }
    }
}

/// What the poller knows beside the replies.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// The memory limit that the configuration declares for the target, in bytes.
    pub declared_memory_limit: Option<u64>,
    /// Whether the configuration declares that the target's memory is meant to be full.
    pub expect_full: bool,
    /// The time of the poll by the exporter's clock, in seconds since the epoch.
    pub polled_at: f64,
    /// What the exporter had caused on the server before it was asked INFO; none where what it asks
    /// is not followed from poll to poll, and the counters are shown as INFO reports them.
    pub caused: Option<Caused>,
    /// The selected database.
    pub database: u32,
    /// What the configuration says to the collectors of the target.
    pub options: Arc<CollectorOptions>,
    /// The size of the RDB file as the exporter sees it, in bytes. It is known only after the
    /// questions are answered, for they may tell where the file is.
    pub rdb_file_size: Option<u64>,
    /// Scripts that are not to be run for now, because they broke the connection or took too long.
    pub resting: Vec<FollowUp>,
    /// What the poll before left.
    pub remembered: Remembered,
}

/// A question that is known only once others are answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FollowUp {
    /// The words of the command.
    pub words: Vec<Vec<u8>>,
    /// What an ACL user needs for it, as `+slowlog|get`.
    pub permission: &'static str,
    /// Whether a refusal says nothing of other questions that need the same permission: a script
    /// may pass on the refusal of what it does itself.
    pub stands_alone: bool,
}

impl FollowUp {
    /// A question of these words.
    #[must_use]
    pub fn new<Word: AsRef<[u8]>>(
        permission: &'static str,
        words: impl IntoIterator<Item = Word>,
    ) -> Self {
        let words = words.into_iter().map(|word| word.as_ref().to_vec());
        Self {
            words: words.collect(),
            permission,
            stands_alone: false,
        }
    }

    /// A question of these words, whose refusal says nothing of others.
    #[must_use]
    pub fn alone<Word: AsRef<[u8]>>(
        permission: &'static str,
        words: impl IntoIterator<Item = Word>,
    ) -> Self {
        Self {
            stands_alone: true,
            ..Self::new(permission, words)
        }
    }
}

/// The replies of one poll, ready to be read.
#[derive(Clone, Debug)]
pub struct Answers<'a> {
    /// The reply to [`INFO`](super::INFO).
    pub info: Arc<Info>,
    /// What is known beside the replies.
    pub circumstances: &'a Circumstances,
    replies: Vec<(&'static Question, &'a Reply)>,
    follow_ups: HashMap<&'a FollowUp, &'a Reply>,
}

impl<'a> Answers<'a> {
    /// Puts the replies to the questions together. `info` is the text of the reply to
    /// [`INFO`](super::INFO).
    #[must_use]
    pub fn new(
        info: &'a str,
        circumstances: &'a Circumstances,
        replies: Vec<(&'static Question, &'a Reply)>,
    ) -> Self {
        Self {
            info: Arc::new(Info::parse(info)),
            circumstances,
            replies,
            follow_ups: HashMap::new(),
        }
    }

    /// Adds the replies to what followed from the first ones.
    #[must_use]
    pub fn with_follow_ups(
        self,
        answered: impl IntoIterator<Item = (&'a FollowUp, &'a Reply)>,
    ) -> Self {
        Self {
            follow_ups: answered.into_iter().collect(),
            ..self
        }
    }

    /// The reply to a question; none where it was not asked or was refused.
    #[must_use]
    pub fn reply(&self, question: &'static Question) -> Option<&'a Reply> {
        let found = self.replies.iter().find(|(asked, _)| *asked == question);
        found
            .map(|(_, reply)| *reply)
            .filter(|reply| reply.refusal().is_none())
    }

    /// The reply to a question that followed, a refusal too; none where it was not asked.
    #[must_use]
    pub fn follow_up(&self, question: &FollowUp) -> Option<&'a Reply> {
        self.follow_ups.get(question).copied()
    }

    /// The value of one parameter out of the reply to its `CONFIG GET` question. Some servers
    /// return more parameters than that one.
    #[must_use]
    pub fn parameter(&self, question: &'static Question) -> Option<Cow<'a, str>> {
        let name = question.commands.first()?.last()?;
        let mut pairs = self.reply(question)?.items().chunks(2);
        pairs.find_map(|pair| match pair {
            [key, value] if key.text()?.eq_ignore_ascii_case(name) => value.text(),
            _ => None,
        })
    }
}
