//! Follows the failovers that a sentinel reports, over a connection of its own.
//!
//! Polling finds every failover too. A message only makes the next query come at once.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info};

use crate::backoff;
use crate::config::Endpoint;
use crate::connection::{Message, MessageStream, Whereabouts, refused};
use crate::failure::{Failure, Reason};
use crate::reply::Reply;

/// The channel on which a sentinel reports a new primary.
const CHANNEL: &str = "+switch-master";

/// Maximum delay after a failure.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Delay after a rejected command. Each attempt counts as an error of the sentinel.
const RETRY_DENIED: Duration = Duration::from_secs(60 * 60);

/// What to do about a rejected subscription, and about a sentinel without RESP3.
const GRANT: &str = "grant the user of the sentinel +subscribe &+switch-master";
const UPGRADE: &str = "messages need Redis 6.0 or later";

/// A subscription to the failovers of one primary or of all.
#[derive(Debug)]
pub(super) struct FailoverFeed<'a> {
    /// The name of the source.
    pub source: &'a str,
    /// The name of the primary, or `None` for all.
    pub primary: Option<&'a str>,
    /// Maximum time for connecting, and for the reply to SUBSCRIBE.
    pub timeout: Duration,
    /// Notified about each failover.
    pub wake: &'a Notify,
}

/// Why a subscription ended.
#[derive(Debug)]
enum FeedEnd {
    Failed(Failure),
    /// The sentinel rejects the subscription or HELLO, with the remedy.
    Unavailable(Failure, &'static str),
}

impl From<Failure> for FeedEnd {
    fn from(failure: Failure) -> Self {
        match failure.reason {
            Reason::Denied => Self::Unavailable(failure, GRANT),
            _ => Self::Failed(failure),
        }
    }
}

impl FailoverFeed<'_> {
    /// Subscribes at the sentinel that was last read, again and again. Never returns.
    pub(super) async fn follow(&self, mut sentinel: watch::Receiver<Option<Endpoint>>) {
        let (mut failures, mut is_logged) = (0, false);
        loop {
            let Some(endpoint) = sentinel.borrow_and_update().clone() else {
                changed(&mut sentinel).await;
                continue;
            };
            let started = Instant::now();
            let end = tokio::select! {
                () = changed(&mut sentinel) => continue,
                Err(end) = self.listen(&endpoint) => end,
            };
            // A subscription that is cut soon after each begin must not be opened again at once.
            let has_lasted = started.elapsed() >= RETRY_MAX;
            failures = if has_lasted { 1 } else { failures + 1 };
            let delay = match &end {
                FeedEnd::Failed(failure) => {
                    debug!(self.source, %failure, "no messages about failovers");
                    backoff::delay(failures, RETRY_MAX)
                }
                FeedEnd::Unavailable(failure, remedy) => {
                    if !std::mem::replace(&mut is_logged, true) {
                        info!(
                            self.source,
                            %failure,
                            remedy,
                            "the sentinel sends no messages about failovers; only polling finds them"
                        );
                    }
                    backoff::jittered(RETRY_DENIED)
                }
            };
            tokio::select! {
                () = changed(&mut sentinel) => {}
                () = sleep(delay) => {}
            }
        }
    }

    /// Subscribes, and wakes the queries at the confirmation and at each message.
    async fn listen(&self, sentinel: &Endpoint) -> Result<Infallible, FeedEnd> {
        let endpoint = sentinel.clone().for_events();
        let deadline = Instant::now() + self.timeout;
        let dialed =
            MessageStream::dial(&endpoint, &Whereabouts::default(), Arc::default(), deadline)
                .await?;
        let unsupported = |refusal| FeedEnd::Unavailable(refused(&refusal), UPGRADE);
        let mut stream = dialed.map_err(unsupported)?;
        stream.send(&[["SUBSCRIBE", CHANNEL]], deadline).await?;
        // Includes the confirmation: a failover before it was not reported.
        let confirmed = timeout(self.timeout, self.receive(&mut stream)).await;
        confirmed.map_err(|_| {
            let detail = "timed out waiting for the subscription";
            Failure::new(Reason::Timeout, detail)
        })??;
        debug!(self.source, "subscribed to failovers");
        loop {
            self.receive(&mut stream).await?;
        }
    }

    async fn receive(&self, stream: &mut MessageStream) -> Result<(), FeedEnd> {
        let (mut is_news, mut rejected) = (false, None);
        let mut handle = |message| match message {
            Message::Push(push) => is_news |= concerns(&push, self.primary),
            Message::Reply(reply) => rejected = reply.refusal().cloned(),
        };
        stream.read(&mut handle).await?;
        if is_news {
            self.wake.notify_one();
        }
        match rejected {
            Some(refusal) if refusal.is_passing() => Err(FeedEnd::Failed(refused(&refusal))),
            Some(refusal) => Err(FeedEnd::Unavailable(refused(&refusal), GRANT)),
            None => Ok(()),
        }
    }
}

/// Waits until another sentinel was read.
async fn changed(sentinel: &mut watch::Receiver<Option<Endpoint>>) {
    if sentinel.changed().await.is_err() {
        // The source is stopping.
        std::future::pending::<()>().await;
    }
}

/// Returns whether a message confirms the subscription, or reports a new address of this primary, or
/// without a name of any.
fn concerns(push: &Reply, primary: Option<&str>) -> bool {
    let [kind, channel, rest] = push.items() else {
        return false;
    };
    if channel.text().as_deref() != Some(CHANNEL) {
        return false;
    }
    match kind.text().as_deref() {
        Some("subscribe") => true,
        Some("message") => {
            let text = rest.text().unwrap_or_default();
            primary.is_none_or(|primary| text.split(' ').next() == Some(primary))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(words: &[&str]) -> Reply {
        let word = |word: &&str| Reply::Bytes(word.as_bytes().into());
        Reply::List(words.iter().map(word).collect())
    }

    #[test]
    fn only_messages_about_the_primary_matter() {
        let message = |text| concerns(&push(&["message", CHANNEL, text]), Some("main"));
        let any = push(&["message", CHANNEL, "other 10.0.0.1 6379 10.0.0.2 6379"]);
        assert!(concerns(&any, None));
        assert!(message("main 10.0.0.1 6379 10.0.0.2 6379"));
        assert!(!message("other 10.0.0.1 6379 10.0.0.2 6379"));
        assert!(!message("main2 10.0.0.1 6379 10.0.0.2 6379"));
        assert!(concerns(&push(&["subscribe", CHANNEL, "1"]), Some("main")));
        for words in [
            &["message", "+sdown", "main 1"][..],
            &["pmessage", CHANNEL, "main 1"],
            &["message"],
            &[],
        ] {
            assert!(!concerns(&push(words), Some("main")), "{words:?}");
        }
    }
}
