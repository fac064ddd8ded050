//! A connection over which replies are in order with the messages of the server.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::config::Target;
use crate::connection::{Message, MessageStream, Whereabouts, refused};
use crate::failure::{Failure, Reason};
use crate::footprint::Footprint;
use crate::info::Info;
use crate::reply::{Refusal, Reply};

/// Time without a reply after which the stream is behind. A server that runs a slow command or script
/// sends nothing until its end, and no events either, so hanging up earlier would only lose later
/// ones. Its limit of output buffers protects it from an exporter that does not read.
const BEHIND_AFTER: Duration = Duration::from_secs(10);

/// Pause between two reads, so that messages are received together. It saves CPU time.
const READS_APART: Duration = Duration::from_millis(100);

/// Why a stream ended.
#[derive(Debug)]
pub enum StreamEnd {
    /// The connection failed.
    Failed(Failure),
    /// INFO took too long over the connection.
    Behind,
    /// The server changed its role.
    RoleChanged,
    /// The host name of the target belongs to another server now.
    Moved,
    /// The server rejected a command that the stream needs.
    Denied(Refusal),
    /// The server does not support RESP3, or has no keys.
    Unsupported,
}

impl From<Failure> for StreamEnd {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Records a message, or that a reply has arrived.
pub type Record<'a> = dyn FnMut(Option<&Reply>) + Send + 'a;

/// An open connection.
pub struct OrderedStream {
    stream: MessageStream,
    footprint: Arc<Footprint>,
    /// Replies that have arrived.
    replies: Vec<Reply>,
    /// How long the last request took.
    lag: Duration,
}

impl OrderedStream {
    /// Connects to a target.
    pub async fn open(
        target: &Target,
        whereabouts: &Whereabouts,
        footprint: Arc<Footprint>,
    ) -> Result<Self, StreamEnd> {
        let endpoint = target.endpoint.clone().for_events();
        let deadline = Instant::now() + target.poll.timeout;
        let counted = Arc::clone(&footprint);
        let dialed = MessageStream::dial(&endpoint, whereabouts, counted, deadline).await?;
        let Ok(stream) = dialed else {
            return Err(StreamEnd::Unsupported);
        };
        Ok(Self {
            stream,
            footprint,
            replies: Vec::new(),
            lag: Duration::ZERO,
        })
    }

    /// Returns how long the last request took.
    pub const fn lag(&self) -> Duration {
        self.lag
    }

    /// Sends commands and waits for this many replies. Messages before them are recorded. Ends if the
    /// target has moved.
    pub async fn request(
        &mut self,
        commands: &[Vec<String>],
        replies: usize,
        record: &mut Record<'_>,
    ) -> Result<Vec<Reply>, StreamEnd> {
        if self.stream.has_moved() {
            return Err(StreamEnd::Moved);
        }
        self.replies.clear();
        let passage = self.footprint.enter().await;
        let started = Instant::now();
        let due = started + BEHIND_AFTER;
        self.stream.send(commands, due).await?;
        while self.replies.len() < replies {
            let read = timeout_at(due, receive(&mut self.stream, &mut self.replies, record));
            read.await.map_err(|_| StreamEnd::Behind)??;
            if started.elapsed() > BEHIND_AFTER {
                return Err(StreamEnd::Behind);
            }
        }
        let rejected = |reply: &&Reply| reply.refusal().is_some_and(Refusal::is_before_execution);
        let rejected = self.replies.iter().filter(rejected).count();
        self.stream
            .count(commands.len().saturating_sub(rejected) as u64);
        drop(passage);
        self.lag = started.elapsed();
        Ok(std::mem::take(&mut self.replies))
    }

    /// Reads INFO from replies. Ends if a new connection may lead to another server.
    pub fn info(&mut self, replies: &[Reply]) -> Result<Info, StreamEnd> {
        let info = text(replies)?;
        if self.stream.has_changed_role(&info) {
            return Err(StreamEnd::RoleChanged);
        }
        Ok(info)
    }

    /// Receives messages for this long, or until `is_enough`.
    pub async fn receive(
        &mut self,
        time: Duration,
        record: &mut Record<'_>,
        is_enough: impl Fn() -> bool,
    ) -> Result<(), StreamEnd> {
        let end = Instant::now() + time;
        while !is_enough() {
            let read = receive(&mut self.stream, &mut self.replies, record);
            let is_all = match timeout_at(end, read).await {
                Err(_) => return Ok(()),
                Ok(result) => result?,
            };
            if let Some(reply) = self.replies.pop() {
                drop(reply);
                let detail = "the server sent a reply without a query";
                return Err(Failure::new(Reason::Protocol, detail).into());
            }
            if is_all {
                self.stream.quiet();
                sleep_until((Instant::now() + READS_APART).min(end)).await;
            } else {
                yield_now().await;
            }
        }
        Ok(())
    }
}

/// Waits for data. Records messages and keeps replies. Returns whether there are no more now.
async fn receive(
    stream: &mut MessageStream,
    replies: &mut Vec<Reply>,
    record: &mut Record<'_>,
) -> Result<bool, Failure> {
    let mut handle = |message| match message {
        Message::Push(push) => record(Some(&push)),
        Message::Reply(reply) => {
            record(None);
            replies.push(reply);
        }
    };
    stream.read(&mut handle).await
}

/// Returns a command.
pub fn command<const WORDS: usize>(words: [&str; WORDS]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
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

/// Returns a parameter of CONFIG, or `None` if the server hides it.
pub fn parameter(replies: &[Reply], name: &str) -> Option<String> {
    let known = replies.first().and_then(|reply| reply.value_of(name))?;
    known.text().map(std::borrow::Cow::into_owned)
}
