//! One connection for key events, from its start to its end.

mod flags;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::info;

use super::EventFeed;
use crate::clock::monotonic;
use crate::collector::Server;
use crate::config::Target;
use crate::connection::Whereabouts;
use crate::footprint::Footprint;
use crate::info::Info;
use crate::keyspace::events::{Duty, EventReading, KeyEvent, KeyEvents, StreamState};
use crate::keyspace::sweep::flags::{FlagAccess, FlagKeeper, KnownFlags, read_flags};
use crate::keyspace::sweep::ordered::{OrderedStream, StreamEnd, command, parameter};
use crate::reply::Reply;

/// Time from one reading of INFO to the next one.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The same while there are no events to receive.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// Number of databases of a server that hides it. It is the default.
const DATABASES: u32 = 16;

/// Maximum number of databases to subscribe to.
const DATABASES_MAX: u32 = 1_024;

/// An open stream.
pub(super) struct EventStream<'a> {
    target: &'a Target,
    ordered: OrderedStream,
    feed: &'a EventFeed,
    databases: u32,
    duty: &'a mut Duty,
    /// Time of the last check of the flags.
    checked_flags: Option<Instant>,
    keeper: &'a FlagKeeper,
    access: FlagAccess,
}

impl<'a> EventStream<'a> {
    /// Connects to a target and receives its events until something fails.
    pub(super) async fn follow(
        target: &'a Target,
        feed: &'a EventFeed,
        keeper: &'a FlagKeeper,
        whereabouts: &Whereabouts,
        footprint: Arc<Footprint>,
        duty: &'a mut Duty,
    ) -> Result<Infallible, StreamEnd> {
        let (mut stream, is_primary) =
            Self::open(target, feed, keeper, whereabouts, footprint, duty).await?;
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
        keeper: &'a FlagKeeper,
        whereabouts: &Whereabouts,
        footprint: Arc<Footprint>,
        duty: &'a mut Duty,
    ) -> Result<(Self, bool), StreamEnd> {
        let mut stream = Self {
            target,
            ordered: OrderedStream::open(target, whereabouts, footprint).await?,
            feed,
            databases: DATABASES,
            duty,
            checked_flags: None,
            keeper,
            access: FlagAccess::default(),
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
        let commands = [unsubscribe, command(["INFO", "replication"])];
        let replies = self.request(&commands, 1).await?;
        self.ordered.info(&replies)?;
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
        commands.extend(sections.map(|section| command(["INFO", section])));
        let replies = self.request(&commands, sections.len()).await?;
        // Only a rejection is a reply; the confirmations are messages.
        self.ordered.info(&replies)
    }

    /// Subscribes to the remaining databases, if the server has more than is usual.
    async fn subscribe_further(&mut self) -> Result<(), StreamEnd> {
        if self.access.hides {
            return Ok(());
        }
        let replies = self
            .request(&[command(["CONFIG", "GET", "databases"])], 1)
            .await?;
        let number = parameter(&replies, "databases");
        let number = number.and_then(|text| text.parse().ok());
        let number: u32 = number.unwrap_or(DATABASES).min(DATABASES_MAX);
        if number > self.databases {
            self.subscribe(self.databases..number).await?;
            self.databases = number;
        }
        Ok(())
    }

    /// Returns the flags of the server.
    pub(super) async fn flags(&mut self) -> Result<KnownFlags, StreamEnd> {
        let feed = self.feed;
        let mut record = |message: Option<&Reply>| record(feed, message);
        read_flags(&mut self.ordered, &mut record).await
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
        let commands: Vec<_> = commands.iter().copied().map(command).collect();
        let replies = self.request(&commands, commands.len()).await?;
        self.ordered.info(&replies)
    }

    /// Sends commands and waits for this many replies. Events before them are recorded.
    async fn request(
        &mut self,
        commands: &[Vec<String>],
        replies: usize,
    ) -> Result<Vec<Reply>, StreamEnd> {
        let feed = self.feed;
        let mut record = |message: Option<&Reply>| record(feed, message);
        let requested = self.ordered.request(commands, replies, &mut record);
        let replies = requested.await?;
        let lag = self.ordered.lag().as_secs_f64();
        self.feed.with(|events| events.record_lag(lag));
        Ok(replies)
    }

    /// Receives events for this long.
    async fn receive(&mut self, time: Duration) -> Result<(), StreamEnd> {
        let feed = self.feed;
        let mut record = |message: Option<&Reply>| record(feed, message);
        self.ordered.receive(time, &mut record, || false).await
    }
}

/// Records an event, or that a reply has arrived.
fn record(feed: &EventFeed, message: Option<&Reply>) {
    feed.with(|events| match message {
        Some(push) => {
            events.record(push);
        }
        None => events.record_reply(),
    });
}

fn channels(databases: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    databases.flat_map(|database| KeyEvent::ALL.map(|event| event.channel(database)))
}
