//! One connection for the watches of one stream, from its start to its end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::WatchFeed;
use crate::clock::monotonic;
use crate::collector::Server;
use crate::collector::info::keyspace::Listed;
use crate::config::Target;
use crate::connection::Whereabouts;
use crate::footprint::Footprint;
use crate::info::Info;
use crate::keyspace::event_flags::sends_misses;
use crate::keyspace::sweep::flags::{FlagAccess, FlagKeeper, KnownFlags, read_flags};
use crate::keyspace::sweep::ordered::{OrderedStream, StreamEnd, command, parameter};
use crate::keyspace::watches::{WatchReading, WatchedStream, miss_channel};
use crate::number::to_float;
use crate::reply::Reply;

/// Time in which there is one watch of misses, and its duration.
const MISSES_EVERY: Duration = Duration::from_secs(60);
const MISSES_FOR: Duration = Duration::from_secs(2);

/// The same for changes, which cost the server more.
const CHANGES_EVERY: Duration = Duration::from_secs(30);
const CHANGES_FOR: Duration = Duration::from_secs(1);

/// A channel without messages. A subscriber has a limit of its output buffer.
const NO_MESSAGES: &str = "redis-namespace-exporter:none";

/// The sections of INFO with the counters of all streams, the databases and the role.
const SECTIONS: [&str; 5] = ["server", "replication", "stats", "persistence", "keyspace"];

/// Number of messages after which a watch ends early.
const MESSAGES_MAX: f64 = 100_000.0;

/// Number of databases of a server that hides it. It is the default.
const DATABASES: u32 = 16;

/// Maximum number of databases to subscribe to.
const DATABASES_MAX: u32 = 1_024;

/// Maximum time without a command. The server closes idle connections after its `timeout`.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// An open connection.
pub(super) struct WatchConnection<'a> {
    target: &'a Target,
    feed: &'a WatchFeed,
    stream: WatchedStream,
    footprint: Arc<Footprint>,
    ordered: OrderedStream,
    databases: u32,
    access: FlagAccess,
}

impl<'a> WatchConnection<'a> {
    /// Connects to a target and watches a stream until something fails.
    pub(super) async fn follow(
        target: &'a Target,
        feed: &'a WatchFeed,
        stream: WatchedStream,
        keeper: &'a FlagKeeper,
        whereabouts: &Whereabouts,
        footprint: Arc<Footprint>,
    ) -> Result<Infallible, StreamEnd> {
        let mut connection = Self::open(target, feed, stream, whereabouts, footprint).await?;
        let (every, lasts) = match stream {
            WatchedStream::Misses => (MISSES_EVERY, MISSES_FOR),
            WatchedStream::Changes => (CHANGES_EVERY, CHANGES_FOR),
        };
        // The first watch comes at once. Later ones must not coincide with what happens regularly.
        let mut turn = Instant::now();
        loop {
            match stream {
                WatchedStream::Misses => connection.misses(keeper).await?,
                WatchedStream::Changes => connection.changes().await?,
            }
            // A turn without time for it is left out.
            turn = (turn + every).max(Instant::now());
            let due = turn + every.saturating_sub(lasts).mul_f64(fastrand::f64());
            connection.rest(due).await?;
        }
    }

    /// Subscribes once. Returns the flags of the server.
    pub(super) async fn examine(
        target: &'a Target,
        feed: &'a WatchFeed,
    ) -> Result<KnownFlags, StreamEnd> {
        let (misses, whereabouts) = (WatchedStream::Misses, Whereabouts::default());
        let mut connection = Self::open(target, feed, misses, &whereabouts, Arc::default()).await?;
        connection.subscribe("SUBSCRIBE").await?;
        let mut record = |message: Option<&Reply>| record(feed, misses, message);
        read_flags(&mut connection.ordered, &mut record).await
    }

    pub(super) async fn open(
        target: &'a Target,
        feed: &'a WatchFeed,
        stream: WatchedStream,
        whereabouts: &Whereabouts,
        footprint: Arc<Footprint>,
    ) -> Result<Self, StreamEnd> {
        let mut connection = Self {
            target,
            feed,
            stream,
            ordered: OrderedStream::open(target, whereabouts, Arc::clone(&footprint)).await?,
            footprint,
            databases: DATABASES,
            access: FlagAccess::default(),
        };
        connection.begin().await?;
        Ok(connection)
    }

    /// Checks the server, and reads the counter from which on messages count.
    async fn begin(&mut self) -> Result<(), StreamEnd> {
        let lull = self.feed.lull.begin().await;
        let info = self.info().await?;
        if !Server::from_info(&info).holds_keys() {
            return Err(StreamEnd::Unsupported);
        }
        let (stream, reading) = (self.stream, self.reading(&info));
        self.feed.with(|watches| watches.advance(stream, &reading));
        drop(lull);
        if stream != WatchedStream::Misses {
            return Ok(());
        }
        let databases = command(["CONFIG", "GET", "databases"]);
        let replies = self.request(&[databases], 1).await?;
        let number = parameter(&replies, "databases");
        let refusal = replies.first().and_then(Reply::refusal);
        self.access.hides = refusal.is_some_and(|refusal| !refusal.is_passing());
        let number = number.and_then(|text| text.parse().ok());
        self.databases = number.unwrap_or(DATABASES).min(DATABASES_MAX);
        Ok(())
    }

    /// Watches lookups that find no key, if the server sends them.
    async fn misses(&mut self, keeper: &FlagKeeper) -> Result<(), StreamEnd> {
        let misses = WatchedStream::Misses;
        let (target, feed, access) = (self.target, self.feed, &mut self.access);
        let mut record = |message: Option<&Reply>| record(feed, misses, message);
        let checked = keeper.check(target, &mut self.ordered, access, &mut record);
        if let KnownFlags::Known(flags) = checked.await?
            && !sends_misses(&flags)
        {
            feed.with(|watches| watches.turn_off(misses));
            return Ok(());
        }
        // The server reports the lookups of the sweep too.
        let lull = self.feed.lull.begin().await;
        let info = self.subscribe("SUBSCRIBE").await?;
        let reading = self.reading(&info);
        feed.with(|watches| watches.begin(misses, reading));
        let is_enough = || feed.with(|watches| watches.messages(misses)) >= MESSAGES_MAX;
        self.receive(MISSES_FOR, is_enough).await?;
        let info = self.info().await?;
        let reading = self.reading(&info);
        drop(lull);
        let is_sent = !self.access.hides;
        feed.with(|watches| watches.end(misses, &reading, is_sent));
        self.subscribe("UNSUBSCRIBE").await?;
        Ok(())
    }

    /// Subscribes to all databases, or ends that. Returns the INFO right after it.
    async fn subscribe(&mut self, verb: &str) -> Result<Info, StreamEnd> {
        let mut subscribe = vec![verb.to_owned()];
        subscribe.extend((0..self.databases).map(miss_channel));
        // Only a rejection is a reply; the confirmations are messages.
        let commands: Vec<_> = std::iter::once(subscribe).chain(info()).collect();
        let replies = self.request(&commands, SECTIONS.len()).await?;
        self.ordered.info(&replies)
    }

    /// Watches changes of keys.
    async fn changes(&mut self) -> Result<(), StreamEnd> {
        let changes = WatchedStream::Changes;
        let info = self.track(true).await?;
        let reading = self.reading(&info);
        let databases = Listed::read(&info).keys.into_keys().collect();
        self.feed.with(|watches| {
            watches.set_databases(databases);
            watches.begin(changes, reading);
        });
        let feed = self.feed;
        let is_enough = || feed.with(|watches| watches.messages(changes)) >= MESSAGES_MAX;
        self.receive(CHANGES_FOR, is_enough).await?;
        let info = self.info().await?;
        let reading = self.reading(&info);
        // Redis sends names only to users that may access the keys.
        self.feed
            .with(|watches| watches.end(changes, &reading, false));
        self.track(false).await?;
        Ok(())
    }

    /// Starts or ends messages about all changes. Returns the INFO right after it.
    pub(super) async fn track(&mut self, is_on: bool) -> Result<Info, StreamEnd> {
        let own = if is_on {
            [
                command(["SUBSCRIBE", NO_MESSAGES]),
                command(["CLIENT", "TRACKING", "ON", "BCAST"]),
            ]
        } else {
            [
                command(["CLIENT", "TRACKING", "OFF"]),
                command(["UNSUBSCRIBE", NO_MESSAGES]),
            ]
        };
        let commands: Vec<_> = own.into_iter().chain(info()).collect();
        // The confirmation of a subscription is a message, that of tracking a reply.
        let replies = self.request(&commands, SECTIONS.len() + 1).await?;
        self.ordered.info(&replies)
    }

    fn reading(&self, info: &Info) -> WatchReading {
        let own = match self.stream {
            WatchedStream::Misses => to_float(self.footprint.caused().misses),
            WatchedStream::Changes => 0.0,
        };
        self.stream.reading(info, monotonic(), own)
    }

    async fn info(&mut self) -> Result<Info, StreamEnd> {
        let commands: Vec<_> = info().collect();
        let replies = self.request(&commands, commands.len()).await?;
        self.ordered.info(&replies)
    }

    async fn request(
        &mut self,
        commands: &[Vec<String>],
        replies: usize,
    ) -> Result<Vec<Reply>, StreamEnd> {
        let (feed, stream) = (self.feed, self.stream);
        let mut record = |message: Option<&Reply>| record(feed, stream, message);
        self.ordered.request(commands, replies, &mut record).await
    }

    async fn receive(
        &mut self,
        time: Duration,
        is_enough: impl Fn() -> bool,
    ) -> Result<(), StreamEnd> {
        let (feed, stream) = (self.feed, self.stream);
        let mut record = |message: Option<&Reply>| record(feed, stream, message);
        self.ordered.receive(time, &mut record, is_enough).await
    }

    /// Waits, and notices at once if the connection is closed.
    async fn rest(&mut self, until: Instant) -> Result<(), StreamEnd> {
        loop {
            let time = until.saturating_duration_since(Instant::now());
            self.receive(time.min(IDLE_MAX), || false).await?;
            if time <= IDLE_MAX {
                return Ok(());
            }
            // Behind a virtual address, only new connections reach a new primary.
            let info = command(["INFO", "replication"]);
            let replies = self.request(&[info], 1).await?;
            drop(self.ordered.info(&replies)?);
        }
    }
}

/// Returns the commands that read all sections.
fn info() -> impl Iterator<Item = Vec<String>> {
    SECTIONS
        .into_iter()
        .map(|section| command(["INFO", section]))
}

fn record(feed: &WatchFeed, stream: WatchedStream, message: Option<&Reply>) {
    if let Some(push) = message {
        feed.with(|watches| watches.record(stream, push));
    }
}
