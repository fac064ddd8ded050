//! One connection for key events, from its start to its end.

mod flags;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::info;

use super::{EventFeed, StreamEnd};
use crate::clock::monotonic;
use crate::collector::Server;
use crate::config::Target;
use crate::connection::{Message, MessageStream, refused};
use crate::failure::{Failure, Reason};
use crate::footprint::Footprint;
use crate::info::Info;
use crate::keyspace::events::{Duty, EventReading, KeyEvent, KeyEvents, StreamState};
use crate::reply::{Refusal, Reply};

/// Time from one reading of INFO to the next one.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The same while there are no events to receive.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// Time without a reply to INFO, and without other data, after which the stream is behind.
const BEHIND_AFTER: Duration = Duration::from_secs(1);

/// The same while events arrive before the reply.
const BEHIND_MAX: Duration = Duration::from_secs(10);

/// Pause between two reads, so that events are received together. It saves CPU time.
const READS_APART: Duration = Duration::from_millis(20);

/// Number of databases of a server that hides it. It is the default.
const DATABASES: u32 = 16;

/// Maximum number of databases to subscribe to.
const DATABASES_MAX: u32 = 1_024;

/// An open stream.
pub(super) struct EventStream<'a> {
    target: &'a Target,
    stream: MessageStream,
    feed: &'a EventFeed,
    footprint: Arc<Footprint>,
    /// Replies that have arrived.
    replies: Vec<Reply>,
    databases: u32,
    duty: &'a mut Duty,
    /// Time of the last check of the flags.
    checked_flags: Option<Instant>,
    /// Whether the server rejects CONFIG GET.
    hides_flags: bool,
    /// Whether the server rejects CONFIG SET.
    keeps_flags: bool,
}

impl<'a> EventStream<'a> {
    /// Connects to a target and receives its events until something fails.
    pub(super) async fn follow(
        target: &'a Target,
        feed: &'a EventFeed,
        footprint: Arc<Footprint>,
        duty: &'a mut Duty,
    ) -> Result<Infallible, StreamEnd> {
        let (mut stream, is_primary) = Self::open(target, feed, footprint, duty).await?;
        if is_primary {
            stream.follow_primary().await
        } else {
            stream.wait_for_promotion().await
        }
    }

    /// Connects to a target. Returns whether it is a primary.
    pub(super) async fn open(
        target: &'a Target,
        feed: &'a EventFeed,
        footprint: Arc<Footprint>,
        duty: &'a mut Duty,
    ) -> Result<(Self, bool), StreamEnd> {
        let endpoint = target.endpoint.clone().for_events();
        let deadline = Instant::now() + target.poll.timeout;
        let counted = Arc::clone(&footprint);
        let dialed = MessageStream::dial(&endpoint, counted, deadline).await?;
        let Ok(stream) = dialed else {
            return Err(StreamEnd::Unsupported);
        };
        let mut stream = Self {
            target,
            stream,
            feed,
            footprint,
            replies: Vec::new(),
            databases: DATABASES,
            duty,
            checked_flags: None,
            hides_flags: false,
            keeps_flags: false,
        };
        let info = stream
            .info(&[["INFO", "server"], ["INFO", "replication"]])
            .await?;
        if !Server::from_info(&info).holds_keys() {
            return Err(StreamEnd::Unsupported);
        }
        Ok((stream, EventReading::read(&info).is_primary))
    }

    /// Waits until a replica becomes a primary.
    async fn wait_for_promotion(&mut self) -> Result<Infallible, StreamEnd> {
        self.feed
            .with(|events| events.set_state(StreamState::Replica));
        loop {
            sleep(CHECK_EVERY / 2).await;
            let info = self.info(&[["INFO", "replication"]]).await?;
            if EventReading::read(&info).is_primary {
                return Err(StreamEnd::RoleChanged);
            }
        }
    }

    async fn follow_primary(&mut self) -> Result<Infallible, StreamEnd> {
        let info = self.subscribe(0..self.databases).await?;
        if !EventReading::read(&info).is_primary {
            return Err(StreamEnd::RoleChanged);
        }
        self.feed.with(KeyEvents::attach);
        self.observe(&info);
        self.check_flags().await?;
        self.subscribe_further().await?;
        info!(name = self.target.name, "subscribed to key events");
        loop {
            let events = self.read().await?;
            self.check_flags_if_due().await?;
            let is_off = self.feed.with(|events| events.are_off());
            let state = if is_off {
                StreamState::Off
            } else {
                StreamState::Listening
            };
            self.feed.with(|events| events.set_state(state));
            match self.duty.spend(monotonic(), events) {
                Some(pause) => self.pause(Duration::from_secs_f64(pause)).await?,
                None if is_off => self.receive(CHECK_EVERY).await?,
                None => self.receive(READ_EVERY).await?,
            }
        }
    }

    /// Stops receiving events for a while, and then receives them for the time of one reading.
    async fn pause(&mut self, pause: Duration) -> Result<(), StreamEnd> {
        let mut unsubscribe = vec!["UNSUBSCRIBE".to_owned()];
        unsubscribe.extend(channels(0..self.databases));
        // Only a rejection is a reply; the confirmation is a message.
        let commands = [unsubscribe, words(["INFO", "replication"])];
        text(&self.request(&commands, 1).await?)?;
        self.feed.with(|events| {
            events.pause();
            events.set_state(StreamState::Paused);
        });
        // Notices at once if the connection is closed.
        self.receive(pause).await?;
        // The counters of this reading do not matter: they are those of the time without events.
        self.subscribe(0..self.databases).await?;
        self.receive(READ_EVERY).await
    }

    /// Subscribes to the events of databases. Returns the INFO right after that.
    pub(super) async fn subscribe(
        &mut self,
        databases: std::ops::Range<u32>,
    ) -> Result<Info, StreamEnd> {
        let mut subscribe = vec!["SUBSCRIBE".to_owned()];
        subscribe.extend(channels(databases));
        let sections = ["server", "replication", "stats"];
        let mut commands = vec![subscribe];
        commands.extend(sections.map(|section| words(["INFO", section])));
        let replies = self.request(&commands, sections.len()).await?;
        // Only a rejection is a reply; the confirmations are messages.
        text(&replies)
    }

    /// Subscribes to the remaining databases, if the server has more than is usual.
    async fn subscribe_further(&mut self) -> Result<(), StreamEnd> {
        if self.hides_flags {
            return Ok(());
        }
        let replies = self
            .request(&[words3("CONFIG", "GET", "databases")], 1)
            .await?;
        let known = replies
            .first()
            .and_then(|reply| reply.value_of("databases"));
        let number = known
            .and_then(Reply::text)
            .and_then(|text| text.parse().ok());
        let number: u32 = number.unwrap_or(DATABASES).min(DATABASES_MAX);
        if number > self.databases {
            self.subscribe(self.databases..number).await?;
            self.databases = number;
        }
        Ok(())
    }

    /// Reads INFO in order with the events. Returns their numbers since the last time.
    async fn read(&mut self) -> Result<[f64; 2], StreamEnd> {
        let info = self
            .info(&[["INFO", "replication"], ["INFO", "stats"]])
            .await?;
        if !EventReading::read(&info).is_primary {
            return Err(StreamEnd::RoleChanged);
        }
        Ok(self.observe(&info))
    }

    fn observe(&self, info: &Info) -> [f64; 2] {
        let reading = EventReading::read(info);
        self.feed.with(|events| {
            let since = events.since_reading();
            events.observe(monotonic(), &reading);
            since
        })
    }

    async fn info(&mut self, commands: &[[&str; 2]]) -> Result<Info, StreamEnd> {
        let commands: Vec<_> = commands.iter().copied().map(words).collect();
        let replies = self.request(&commands, commands.len()).await?;
        text(&replies)
    }

    /// Sends commands and waits for this many replies. Events before them are recorded.
    async fn request(
        &mut self,
        commands: &[Vec<String>],
        replies: usize,
    ) -> Result<Vec<Reply>, StreamEnd> {
        self.replies.clear();
        let passage = self.footprint.enter().await;
        let started = Instant::now();
        self.stream.send(commands, started + BEHIND_MAX).await?;
        while self.replies.len() < replies {
            let due = (Instant::now() + BEHIND_AFTER).min(started + BEHIND_MAX);
            let read = timeout_at(due, receive(&mut self.stream, self.feed, &mut self.replies));
            read.await.map_err(|_| StreamEnd::Behind)??;
            if started.elapsed() > BEHIND_MAX {
                return Err(StreamEnd::Behind);
            }
        }
        let rejected = |reply: &&Reply| reply.refusal().is_some_and(Refusal::is_before_execution);
        let rejected = self.replies.iter().filter(rejected).count();
        self.stream
            .count(commands.len().saturating_sub(rejected) as u64);
        drop(passage);
        let lag = started.elapsed().as_secs_f64();
        self.feed.with(|events| events.record_lag(lag));
        Ok(std::mem::take(&mut self.replies))
    }

    /// Receives events for this long.
    async fn receive(&mut self, time: Duration) -> Result<(), StreamEnd> {
        let end = Instant::now() + time;
        loop {
            let read = receive(&mut self.stream, self.feed, &mut self.replies);
            match timeout_at(end, read).await {
                Err(_) => return Ok(()),
                Ok(result) => result?,
            }
            if let Some(reply) = self.replies.pop() {
                drop(reply);
                let detail = "the server sent a reply without a query";
                return Err(Failure::new(Reason::Protocol, detail).into());
            }
            sleep_until((Instant::now() + READS_APART).min(end)).await;
        }
    }
}

/// Waits for data. Records events and keeps replies.
async fn receive(
    stream: &mut MessageStream,
    feed: &EventFeed,
    replies: &mut Vec<Reply>,
) -> Result<(), Failure> {
    let mut handle = |message| match message {
        Message::Push(push) => {
            feed.with(|events| events.record(&push));
        }
        Message::Reply(reply) => {
            feed.with(KeyEvents::record_reply);
            replies.push(reply);
        }
    };
    stream.read(&mut handle).await
}

fn channels(databases: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    databases.flat_map(|database| KeyEvent::ALL.map(|event| event.channel(database)))
}

fn words(words: [&str; 2]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn words3(first: &str, second: &str, third: &str) -> Vec<String> {
    [first, second, third].map(str::to_owned).to_vec()
}

/// Returns the text of all replies as one INFO.
fn text(replies: &[Reply]) -> Result<Info, StreamEnd> {
    let mut all = String::new();
    for reply in replies {
        if let Some(refusal) = reply.refusal() {
            return Err(if refusal.is_passing() {
                StreamEnd::Failed(refused(refusal))
            } else {
                StreamEnd::Denied(refusal.clone())
            });
        }
        all.push_str(&reply.text().unwrap_or_default());
        all.push('\n');
    }
    Ok(Info::parse(all))
}
