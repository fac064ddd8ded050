//! A connection together with what was learnt over it: which server it is, what it refuses.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::plan::{Denial, Plan};
use crate::collector::function_stats::{self, Running};
use crate::collector::{Answers, Circumstances, Collector, FollowUp, INFO, Question, Server};
use crate::config::Target;
use crate::connection::{Link, OnReconnect, Setup, refused};
use crate::failure::{Cause, Failure, Reason};
use crate::footprint::{Answered, Caused, Footprint};
use crate::info::Info;
use crate::reply::{Refusal, Reply};

/// The name under which CLIENT LIST shows the connection.
const CLIENT_NAME: &str = "redis-namespace-exporter";

/// Replies of an ordinary poll have 30 to 200 KB, which are read in a few milliseconds.
const LARGE_BYTES: usize = 512 << 10;

/// What follows from replies is asked in so many pipelines: what follows from the first questions,
/// and what follows from these.
const FOLLOWING_ROUNDS: usize = 2;

/// A poll waits for commands of the sweep that are under way for this part of its timeout at most.
const HOLD_SHARE: u32 = 4;

/// For so many polls in a row, but not the first, it may be unknown what the exporter has caused,
/// because commands of the sweep were under way. Then INFO's counts of calls must do.
const UNHELD_POLLS: u32 = 3;

/// A connection together with what was learnt over it.
#[derive(Debug)]
pub struct Session {
    link: Link,
    /// What the exporter causes on the server, the sweep included.
    footprint: Arc<Footprint>,
    /// Polls in a row in which commands of the sweep were under way while INFO was asked.
    unheld: u32,
    plan: Plan,
    may_ping: bool,
    /// PING was refused for now. It is asked again once INFO says that what stood in its way is
    /// over, for every refusal counts as an error at the server.
    ping_rests: bool,
    /// Whether the server refused INFO because it is busy with a script.
    is_busy: bool,
    /// The questions that broke the connection, or had no answer in time.
    broken_by: Vec<FollowUp>,
    role: Role,
    /// The replies to the scripts of this poll. A poll that is repeated over a new connection must
    /// not run them twice.
    script_replies: Vec<(FollowUp, Reply)>,
    /// Bytes of all replies of this poll so far.
    wire_bytes: usize,
}

/// The role of the server over one connection, such as `master`.
#[derive(Debug, Default)]
struct Role {
    last: Option<String>,
    has_changed: bool,
}

impl Role {
    fn record(&mut self, role: Option<&str>) {
        let Some(role) = role else { return };
        let before = self.last.replace(role.to_owned());
        self.has_changed |= before.is_some_and(|before| before != role);
    }
}

/// The replies of one poll.
#[derive(Debug)]
pub struct Round {
    /// How long a PING took; none where the user may not ask it.
    pub ping: Option<Duration>,
    /// The collectors whose questions were asked or are known to be refused.
    pub collectors: Vec<&'static Collector>,
    /// The collectors that were refused for good what they ask after their first questions.
    pub refused: Vec<&'static str>,
    /// Commands and lookups of the exporter up to that INFO; none if commands of the sweep were under
    /// way.
    pub caused: Option<Caused>,
    replies: Vec<(&'static Question, Reply)>,
    follow_ups: Vec<(FollowUp, Reply)>,
    /// Bytes of all replies.
    wire_bytes: usize,
}

impl Round {
    /// Whether reading the replies takes so long that nobody else may wait for it.
    #[must_use]
    pub const fn is_large(&self) -> bool {
        self.wire_bytes > LARGE_BYTES
    }

    /// All replies, ready to be read. `info` is what [`Round::info_text`] gives.
    #[must_use]
    pub fn answers<'a>(&'a self, info: &'a str, circumstances: &'a Circumstances) -> Answers<'a> {
        let following = self.follow_ups.iter();
        Answers::new(info, circumstances, borrowed(&self.replies))
            .with_follow_ups(following.map(|(question, reply)| (question, reply)))
    }

    /// Whether what followed from other questions has an answer.
    #[must_use]
    pub fn has_answered(&self, question: &FollowUp) -> bool {
        self.follow_ups.iter().any(|(asked, _)| asked == question)
    }

    /// The text of INFO.
    #[must_use]
    pub fn info_text(&self) -> Cow<'_, str> {
        info_text(&self.replies)
    }
}

fn borrowed<'a>(replies: &'a [(&'static Question, Reply)]) -> Vec<(&'static Question, &'a Reply)> {
    let pairs = replies.iter();
    pairs.map(|(question, reply)| (*question, reply)).collect()
}

fn info_text<'a>(replies: &'a [(&'static Question, Reply)]) -> Cow<'a, str> {
    let found = replies.iter().find(|(question, _)| **question == INFO);
    found
        .and_then(|(_, reply)| reply.text())
        .unwrap_or_default()
}

impl Session {
    /// Dials a target. `on_reconnect` is told of each later connection.
    ///
    /// # Errors
    ///
    /// See [`Link::dial`].
    pub async fn open(
        target: &Target,
        on_reconnect: OnReconnect,
        footprint: Arc<Footprint>,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let counted = Arc::clone(&footprint);
        Ok(Self {
            link: Link::dial(target, CLIENT_NAME, on_reconnect, counted, deadline).await?,
            footprint,
            unheld: 0,
            plan: Plan::default(),
            may_ping: true,
            ping_rests: false,
            is_busy: false,
            broken_by: Vec::new(),
            role: Role::default(),
            script_replies: Vec::new(),
            wire_bytes: 0,
        })
    }

    /// How long dialling took.
    #[must_use]
    pub const fn connect_time(&self) -> Duration {
        self.link.connect_time()
    }

    /// Records that the replies of the last round are dropped.
    pub fn release(&mut self) {
        self.link.release();
    }

    /// The questions that broke the connection, or had no answer in time, since this was asked last.
    pub fn take_broken_by(&mut self) -> Vec<FollowUp> {
        std::mem::take(&mut self.broken_by)
    }

    /// What answers, as `redis 7.0 standalone`; empty where that is not known yet.
    #[must_use]
    pub fn server_text(&self) -> String {
        self.plan
            .server()
            .map(Server::to_string)
            .unwrap_or_default()
    }

    /// Queries which function keeps the server busy, if it refused INFO for that. The error is the
    /// refusal of this query, which is not to be sent again.
    ///
    /// # Errors
    ///
    /// The server refused it for good.
    pub async fn running_function(
        &mut self,
        deadline: Instant,
    ) -> Result<Option<Running>, Refusal> {
        if !self.is_busy {
            return Ok(None);
        }
        let replies = self.link.ask_once(&[function_stats::COMMAND], deadline);
        let Ok(replies) = replies.await else {
            return Ok(None);
        };
        match replies.first() {
            Some(Reply::Error(refusal)) if !refusal.is_passing() => Err(refusal.clone()),
            reply => Ok(reply.and_then(function_stats::running)),
        }
    }

    /// Whether the server knows FUNCTION STATS.
    #[must_use]
    pub fn knows_function_stats(&self) -> bool {
        self.plan.server().is_some_and(function_stats::applies)
    }

    /// What the server refused over this connection.
    #[must_use]
    pub fn refusals(&self) -> &[(&'static Question, Refusal)] {
        self.plan.refusals()
    }

    /// What the server refused over this connection of what follows from other questions.
    #[must_use]
    pub fn refused_follow_ups(&self) -> &[Denial] {
        self.plan.refused_follow_ups()
    }

    /// Asks whether the server still answers. Any answer will do.
    ///
    /// # Errors
    ///
    /// None came before the deadline.
    pub async fn check(&mut self, deadline: Instant) -> Result<(), Failure> {
        if self.may_ping && !self.ping_rests {
            self.ping(deadline).await.map(drop)
        } else {
            // Whoever is polled may ask INFO, and one section of it costs little.
            self.ask_first(&[["INFO", "server"]], deadline)
                .await
                .map(drop)
        }
    }

    /// Asks what comes first after a pause, in which the connection may have broken.
    async fn ask_first<Word: AsRef<[u8]>>(
        &mut self,
        commands: &[impl AsRef<[Word]>],
        deadline: Instant,
    ) -> Result<Vec<Reply>, Failure> {
        let received = self.link.ask(commands, &Setup::default(), deadline).await?;
        self.wire_bytes += self.link.wire_bytes();
        if received.is_new {
            self.connect_anew();
        }
        Ok(received.replies)
    }

    /// Asks over the connection that has just replied.
    async fn ask_next<Word: AsRef<[u8]>>(
        &mut self,
        commands: &[impl AsRef<[Word]>],
        deadline: Instant,
    ) -> Result<Vec<Reply>, Failure> {
        let replies = self.link.ask_once(commands, deadline).await;
        self.wire_bytes += self.link.wire_bytes();
        replies
    }

    async fn ping(&mut self, deadline: Instant) -> Result<Duration, Failure> {
        let started = Instant::now();
        let replies = self.ask_first(&[["PING"]], deadline).await?;
        let took = started.elapsed();
        let refusal = replies.first().and_then(Reply::refusal);
        match refusal.map(|refusal| (refused(refusal), refusal.is_passing())) {
            Some((failure, _)) if failure.reason == Reason::Auth => Err(failure),
            // An answer all the same; only one that stays a refusal is not asked for again.
            Some((_, passing)) => {
                self.may_ping = passing;
                self.ping_rests = passing;
                Ok(took)
            }
            None => Ok(took),
        }
    }

    /// Asks everything that this server is asked, in one pipeline, and what follows from the
    /// replies in a second and a third one, scripts apart. The first time over a connection INFO
    /// goes ahead, because it tells what else the server understands. If the connection breaks, it
    /// is dialed again and all but the scripts is asked again, once. The same if the server has
    /// changed its role: behind a name or a virtual address another one may have its place.
    ///
    /// # Errors
    ///
    /// The connection broke twice or could not be dialed again, time ran out, or the server refused
    /// INFO.
    pub async fn ask(
        &mut self,
        target: &Target,
        circumstances: &Circumstances,
        deadline: Instant,
    ) -> Result<Round, Failure> {
        self.script_replies.clear();
        let failure = match self.attempt(target, circumstances, deadline).await {
            Ok(round) if std::mem::take(&mut self.role.has_changed) => {
                let redialed = self.redial(Cause::RoleChanged, deadline).await;
                if let Err(failure) = redialed {
                    let name = &target.name;
                    debug!(name, %failure, "the server changed its role; no other one answers");
                    return Ok(round);
                }
                return self.attempt(target, circumstances, deadline).await;
            }
            Ok(round) => return Ok(round),
            Err(failure) => failure,
        };
        let Some(cause) = self.link.broken().await else {
            return Err(failure);
        };
        self.redial(cause, deadline).await?;
        self.attempt(target, circumstances, deadline).await
    }

    async fn redial(&mut self, cause: Cause, deadline: Instant) -> Result<(), Failure> {
        self.link.redial(&Setup::default(), cause, deadline).await?;
        self.connect_anew();
        Ok(())
    }

    fn connect_anew(&mut self) {
        let retries_refused = self.link.take_retries_refused();
        self.may_ping |= retries_refused;
        self.role = Role::default();
        self.plan.connect_anew(retries_refused);
    }

    async fn attempt(
        &mut self,
        target: &Target,
        circumstances: &Circumstances,
        deadline: Instant,
    ) -> Result<Round, Failure> {
        self.wire_bytes = 0;
        let ping = if self.may_ping && !self.ping_rests {
            Some(self.ping(deadline).await?)
        } else {
            None
        };
        let was_answered = self.may_ping && !self.ping_rests;
        let on = super::collectors(target);
        let mut replies: Vec<(&'static Question, Reply)> = Vec::new();
        let mut caused = None;
        let mut answered = Answered::default();
        loop {
            let questions = self.plan.next(&on, &replies);
            if questions.is_empty() {
                break;
            }
            // One list of pairs, so that no reply can meet another question.
            let (questions, commands): (Vec<_>, Vec<_>) = questions
                .into_iter()
                .filter_map(|question| Some((question, self.plan.command(question)?)))
                .unzip();
            if commands.is_empty() {
                break;
            }
            // No command of the sweep is under way while INFO is asked.
            let asks_info = questions.iter().any(|question| **question == INFO);
            let hold = if asks_info {
                let hold = self.footprint.hold(target.poll.timeout / HOLD_SHARE).await;
                answered = self.footprint.answered();
                self.unheld = hold.as_ref().map_or(self.unheld.saturating_add(1), |_| 0);
                hold
            } else {
                None
            };
            let asked = if ping.is_none() && replies.is_empty() {
                self.ask_first(&commands, deadline).await?
            } else {
                self.ask_next(&commands, deadline).await?
            };
            for (question, reply) in questions.iter().zip(&asked) {
                if **question == INFO && reply.refusal().is_none() {
                    let text = reply.text().unwrap_or_default();
                    let as_of = self.footprint.as_of(answered, &Info::parse(text.as_ref()));
                    let must_do = circumstances.remembered.traffic.is_none();
                    let is_held = !(1..=UNHELD_POLLS).contains(&self.unheld);
                    caused = (is_held || must_do).then_some(as_of);
                }
            }
            drop(hold);
            for (question, reply) in questions.into_iter().zip(asked) {
                self.take(target, question, reply, &mut replies)?;
            }
        }
        let (follow_ups, refused) = self
            .ask_follow_ups(target, &replies, circumstances, deadline)
            .await?;
        Ok(Round {
            ping: ping.filter(|_| was_answered),
            collectors: self.plan.applicable(&on),
            refused,
            caused,
            replies,
            follow_ups,
            wire_bytes: self.wire_bytes,
        })
    }

    /// Asks what follows from the replies. The second part names the collectors that were refused
    /// some of it.
    async fn ask_follow_ups(
        &mut self,
        target: &Target,
        replies: &[(&'static Question, Reply)],
        circumstances: &Circumstances,
        deadline: Instant,
    ) -> Result<(Vec<(FollowUp, Reply)>, Vec<&'static str>), Failure> {
        let info = info_text(replies);
        let answers = Answers::new(&info, circumstances, borrowed(replies));
        let on = super::collectors(target);
        let mut answered: Vec<(FollowUp, Reply)> = Vec::new();
        for _ in 0..FOLLOWING_ROUNDS {
            let known = answered.iter().map(|(question, reply)| (question, reply));
            let answers = answers.clone().with_follow_ups(known);
            let questions = self.plan.follow_ups(&on, &answers);
            // What broke the connection in the round before has no answer either.
            let (alone, questions): (Vec<_>, Vec<_>) = questions
                .into_iter()
                .filter(|(_, question)| !self.broken_by.contains(question))
                .partition(|(_, question)| question.stands_alone);
            if alone.is_empty() && questions.is_empty() {
                break;
            }
            answered.extend(self.ask_together(target, questions, deadline).await?);
            for (collector, question) in alone {
                let reply = self.ask_alone(target, &question, deadline).await?;
                if let Some(refusal) = reply.as_ref().and_then(Reply::refusal) {
                    self.note_denial(target, collector, &question, refusal);
                }
                answered.extend(reply.map(|reply| (question, reply)));
            }
        }
        let known = answered.iter().map(|(question, reply)| (question, reply));
        let answers = answers.with_follow_ups(known);
        let refused = self.plan.refused_collectors(&on, &answers);
        Ok((answered, refused))
    }

    async fn ask_together(
        &mut self,
        target: &Target,
        questions: Vec<(&'static Collector, FollowUp)>,
        deadline: Instant,
    ) -> Result<Vec<(FollowUp, Reply)>, Failure> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        let commands: Vec<&[Vec<u8>]> = questions
            .iter()
            .map(|(_, question)| question.words.as_slice())
            .collect();
        let asked = self.ask_next(&commands, deadline).await?;
        let mut answered = Vec::new();
        for ((collector, question), reply) in questions.into_iter().zip(asked) {
            if let Some(refusal) = reply.refusal() {
                self.note_denial(target, collector, &question, refusal);
            }
            answered.push((question, reply));
        }
        Ok(answered)
    }

    /// Asks one question in a pipeline of its own. Where its answer breaks the connection, another
    /// one takes its place and there is no answer, so that the other questions have theirs.
    async fn ask_alone(
        &mut self,
        target: &Target,
        question: &FollowUp,
        deadline: Instant,
    ) -> Result<Option<Reply>, Failure> {
        let mut known = self.script_replies.iter();
        if let Some((_, reply)) = known.find(|(script, _)| script == question) {
            return Ok(Some(reply.clone()));
        }
        match self.ask_next(&[&question.words], deadline).await {
            Ok(replies) => {
                let reply = replies.into_iter().next();
                let known = reply.iter().map(|reply| (question.clone(), reply.clone()));
                self.script_replies.extend(known);
                Ok(reply)
            }
            Err(failure) => {
                let name = &target.name;
                warn!(name, %failure, "a script broke the connection or took too long, and rests");
                self.broken_by.push(question.clone());
                self.redial(Cause::Script, deadline).await?;
                Ok(None)
            }
        }
    }

    fn note_denial(
        &mut self,
        target: &Target,
        collector: &'static Collector,
        question: &FollowUp,
        refusal: &Refusal,
    ) {
        let known = self.plan.refused_follow_ups().len();
        let is_denied = self.plan.follow_up_refused(collector, question, refusal);
        if is_denied && self.plan.refused_follow_ups().len() > known {
            let (name, code) = (&target.name, &refusal.code);
            let permission = question.permission;
            info!(name, code, permission, "a question was refused");
        }
    }

    fn take(
        &mut self,
        target: &Target,
        question: &'static Question,
        reply: Reply,
        replies: &mut Vec<(&'static Question, Reply)>,
    ) -> Result<(), Failure> {
        let is_info = *question == INFO;
        if let Some(refusal) = reply.refusal() {
            if self.plan.refused(question, refusal) {
                return Ok(());
            }
            if is_info {
                self.is_busy = refusal.code == "BUSY";
                return Err(refused(refusal));
            }
            let same = |(other, _): &&(&Question, Refusal)| other.permission == question.permission;
            let is_news = self.plan.refusals().iter().filter(same).count() == 1;
            if !refusal.is_passing() && is_news {
                let (code, permission) = (&refusal.code, question.permission);
                info!(
                    name = target.name,
                    code, permission, "a question was refused"
                );
            }
        } else if is_info && reply.is_empty() && self.plan.try_next_spelling(question) {
            return Ok(());
        } else if is_info {
            let text = reply.text().unwrap_or_default();
            let info = Info::parse(beginning(&text));
            if info.is_empty() {
                return Err(Failure::new(
                    Reason::Protocol,
                    "the reply to INFO holds no field",
                ));
            }
            self.ping_rests &= answers_few_questions(&info);
            self.role.record(info.get("role"));
            self.plan
                .learn(Server::from_info(&info), info.get("run_id"));
        }
        replies.push((question, reply));
        Ok(())
    }
}

/// The part of INFO that reports what answers. Real servers have it there, and a text without end
/// must not keep other targets waiting.
fn beginning(info: &str) -> &str {
    let end = info.floor_char_boundary(LARGE_BYTES);
    info.get(..end).unwrap_or_default()
}

/// Whether the server says that it is loading its data, or is a replica without its primary.
fn answers_few_questions(info: &Info) -> bool {
    info.get("loading") == Some("1") || info.get("master_link_status") == Some("down")
}
