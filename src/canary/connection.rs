//! One connection of the canary, from its start to its end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::info;

use super::families::CanaryState;
use super::tally::{CanaryTally, LOST_AFTER};
use super::{CanaryEnd, CanaryFeed, channel};
use crate::clock::monotonic;
use crate::config::Target;
use crate::connection::{Message, MessageStream, refused};
use crate::failure::{Failure, Reason};
use crate::footprint::Footprint;
use crate::reply::{Refusal, Reply};

/// Number of lost messages in a row after which another connection may work better.
const LOST_MAX: u32 = 3;

/// An open connection.
pub(super) struct CanaryConnection {
    stream: MessageStream,
    channel: String,
    /// Maximum time until a reply to PUBLISH.
    timeout: Duration,
    /// The time of the oldest PUBLISH without a reply, and their number.
    unreplied: Option<(Instant, u32)>,
}

/// What has arrived.
#[derive(Default)]
struct Arrived {
    is_subscribed: bool,
    replies: u32,
    refusal: Option<Refusal>,
}

impl CanaryConnection {
    /// Connects to a target, and publishes messages until something fails.
    pub(super) async fn follow(
        target: &Target,
        feed: &mut CanaryFeed,
        footprint: Arc<Footprint>,
    ) -> Result<Infallible, CanaryEnd> {
        let mut connection = Self::open(target, footprint).await?;
        info!(name = target.name, "the canary is connected");
        loop {
            let tally = feed.tally.get_or_insert_default();
            let started = Instant::now();
            connection.publish(tally).await?;
            connection.receive(tally, started + lost(), true).await?;
            tally.expire(monotonic());
            if tally.lost_in_a_row() >= LOST_MAX {
                let detail = "published messages do not come back";
                return Err(Failure::new(Reason::Other, detail).into());
            }
            feed.show(CanaryState::Connected);
            let tally = feed.tally.get_or_insert_default();
            let next = started + target.canary.interval;
            connection.receive(tally, next, false).await?;
        }
    }

    /// Sends one message. Returns how long it took, or `None` if it is lost.
    pub(super) async fn examine(target: &Target) -> Result<Option<Duration>, CanaryEnd> {
        let mut connection = Self::open(target, Arc::default()).await?;
        let mut tally = CanaryTally::default();
        let started = Instant::now();
        connection.publish(&mut tally).await?;
        connection
            .receive(&mut tally, started + lost(), true)
            .await?;
        let took = started.elapsed();
        let [_, received] = tally.sent_and_received();
        Ok((received > 0).then_some(took))
    }

    /// Connects to a target and subscribes.
    async fn open(target: &Target, footprint: Arc<Footprint>) -> Result<Self, CanaryEnd> {
        let timeout = target.poll.timeout.max(lost());
        let deadline = Instant::now() + timeout;
        let endpoint = target.endpoint.clone().for_canary();
        let dialed = MessageStream::dial(&endpoint, footprint, deadline).await?;
        let stream = dialed.map_err(|_| CanaryEnd::Unsupported)?;
        let channel = channel(target);
        let mut connection = Self {
            stream,
            channel,
            timeout,
            unreplied: None,
        };
        let subscribe = [["SUBSCRIBE", &*connection.channel]];
        connection.stream.send(&subscribe, deadline).await?;
        let mut tally = CanaryTally::default();
        loop {
            match connection.read(&mut tally, deadline).await? {
                Some(arrived) if arrived.is_subscribed => break,
                Some(_) => {}
                None => return Err(no_reply().into()),
            }
        }
        connection.stream.count(1);
        Ok(connection)
    }

    async fn publish(&mut self, tally: &mut CanaryTally) -> Result<(), CanaryEnd> {
        let now = Instant::now();
        let number = tally.publish(monotonic()).to_string();
        let publish = [["PUBLISH", &*self.channel, &*number]];
        self.stream.send(&publish, now + self.timeout).await?;
        let (oldest, count) = self.unreplied.unwrap_or((now, 0));
        self.unreplied = Some((oldest, count + 1));
        Ok(())
    }

    /// Receives messages until `end`, or until none is expected if `only_expected`.
    async fn receive(
        &mut self,
        tally: &mut CanaryTally,
        end: Instant,
        only_expected: bool,
    ) -> Result<(), CanaryEnd> {
        while Instant::now() < end && (tally.is_waiting() || !only_expected) {
            let limit = self.unreplied.map(|(oldest, _)| oldest + self.timeout);
            let due = limit.map_or(end, |limit| limit.min(end));
            match self.read(tally, due).await? {
                Some(arrived) => self.settle(arrived.replies)?,
                None if limit.is_some_and(|limit| limit <= due) => return Err(no_reply().into()),
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Records replies to PUBLISH.
    fn settle(&mut self, replies: u32) -> Result<(), Failure> {
        if replies == 0 {
            return Ok(());
        }
        self.stream.count(u64::from(replies));
        let open = self.unreplied.map_or(0, |(_, count)| count);
        let Some(open) = open.checked_sub(replies) else {
            let detail = "the server sent a reply without a query";
            return Err(Failure::new(Reason::Protocol, detail));
        };
        // Newer ones get the time of a new one.
        self.unreplied = (open > 0).then(|| (Instant::now(), open));
        Ok(())
    }

    /// Waits for data, and records what has arrived. Returns `None` after `deadline`.
    async fn read(
        &mut self,
        tally: &mut CanaryTally,
        deadline: Instant,
    ) -> Result<Option<Arrived>, CanaryEnd> {
        let mut arrived = Arrived::default();
        let channel = self.channel.as_bytes();
        let mut handle = |message| match message {
            Message::Push(push) => arrived.push(&push, channel, tally),
            Message::Reply(reply) => match reply.refusal() {
                Some(refusal) => arrived.refusal = Some(refusal.clone()),
                None => arrived.replies += 1,
            },
        };
        match timeout_at(deadline, self.stream.read(&mut handle)).await {
            Err(_) => return Ok(None),
            Ok(result) => result?,
        }
        match arrived.refusal.take() {
            Some(refusal) if refusal.is_passing() => Err(refused(&refusal).into()),
            Some(refusal) => Err(CanaryEnd::Rejected(refusal)),
            None => Ok(Some(arrived)),
        }
    }
}

/// Returns the time after which a message is lost.
fn lost() -> Duration {
    Duration::from_secs_f64(LOST_AFTER)
}

fn no_reply() -> Failure {
    Failure::new(Reason::Timeout, "timed out waiting for the reply")
}

impl Arrived {
    fn push(&mut self, push: &Reply, channel: &[u8], tally: &mut CanaryTally) {
        let [kind, name, content] = push.items() else {
            return;
        };
        if name.bytes() != Some(channel) {
            return;
        }
        match (kind.bytes(), content.bytes()) {
            (Some(b"subscribe"), _) => self.is_subscribed = true,
            (Some(b"message"), Some(content)) => tally.receive(content, monotonic()),
            _ => {}
        }
    }
}
