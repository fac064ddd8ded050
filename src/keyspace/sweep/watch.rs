//! Checks the server at least once a second, and publishes the findings.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::info;

use super::{CHECK_AGAIN_AFTER, CHECK_EVERY, Event, Sweeper};
use crate::clock::now;
use crate::failure::Failure;
use crate::keyspace::history::Replaced;

/// Delay of the first estimate, however few keys it is based on.
const FIRST_ESTIMATE_AFTER: Duration = Duration::from_millis(500);

impl Sweeper<'_> {
    /// Waits while checking the server and publishing. Ends early if the data were replaced.
    pub(super) async fn wait(&mut self, pause: Duration) -> Result<(), Failure> {
        let generation = self.census.generation();
        let end = Instant::now() + pause;
        while let Some(left) = left(end) {
            sleep(left.min(CHECK_EVERY)).await;
            self.check_if_due().await?;
            self.publish_if_due().await?;
            if self.census.generation() != generation {
                break;
            }
        }
        Ok(())
    }

    /// Waits while checking the server. Ends early if the data were replaced.
    pub(super) async fn wait_unpublished(&mut self, pause: Duration) -> Result<(), Failure> {
        let generation = self.census.generation();
        let end = Instant::now() + pause;
        while let Some(left) = left(end) {
            sleep(left.min(CHECK_EVERY)).await;
            self.check_if_due().await?;
            if self.census.generation() != generation {
                break;
            }
        }
        Ok(())
    }

    pub(super) async fn publish_if_due(&mut self) -> Result<(), Failure> {
        let is_due = match self.published {
            Some(published) => published.elapsed() >= self.publish_every,
            None => !self.pace.is_starting() || self.started.elapsed() >= FIRST_ESTIMATE_AFTER,
        };
        if is_due { self.publish().await } else { Ok(()) }
    }

    /// Checks the server, waits while it is busy if so configured, and publishes the findings.
    pub(super) async fn publish(&mut self) -> Result<(), Failure> {
        let debt = self.draw_if_due().await?;
        self.check().await?;
        self.inspect().await?;
        let reader = &self.reader;
        self.census.note_success(|query| reader.replies_to(query));
        self.census.update_visible(now());
        (self.listener)(Event::Estimate(self.census));
        self.published = Some(Instant::now());
        match debt {
            Some(debt) => self.pay(debt).await,
            None => Ok(()),
        }
    }

    /// Queries the single keys and streams that are configured.
    async fn inspect(&mut self) -> Result<(), Failure> {
        let inquiry = self.census.ledger().inquiry();
        let inspection = self.reader.inspect(inquiry).await?;
        self.census.note_inspection(inspection);
        Ok(())
    }

    /// Checks the server if the last check is at least a second ago.
    pub(super) async fn check_if_due(&mut self) -> Result<(), Failure> {
        if self.checked.elapsed() < CHECK_EVERY {
            return Ok(());
        }
        self.check().await
    }

    /// Reads the vitals of the server, repeatedly while it loads its data or runs a save that the
    /// sweep must not slow down.
    pub(super) async fn check(&mut self) -> Result<(), Failure> {
        loop {
            self.vitals = self.reader.vitals().await?;
            self.checked = Instant::now();
            let generation = self.census.generation();
            if let Some(replaced) = self.census.note_vitals(&self.vitals, now()) {
                self.publish_replacement(replaced);
                if self.census.generation() != generation {
                    self.start_over();
                }
            }
            self.observe_traffic();
            self.announce();
            self.follow_growth();
            self.log_slowdown();
            let waits =
                self.vitals.is_loading || (self.vitals.is_saving && !self.sweep.while_saving);
            if !waits {
                return Ok(());
            }
            // The findings age during the wait, and their age is published.
            (self.listener)(Event::Estimate(self.census));
            sleep(CHECK_AGAIN_AFTER).await;
        }
    }

    /// Publishes immediately that the namespaces were forgotten.
    fn publish_replacement(&mut self, replaced: Replaced) {
        let reason = replaced.as_str();
        info!(
            name = self.name,
            reason, "forgetting the namespaces: the data were replaced"
        );
        (self.listener)(Event::Estimate(self.census));
    }

    /// Schedules the next estimate as early as after a start.
    fn start_over(&mut self) {
        let wait = self.publish_every.saturating_sub(FIRST_ESTIMATE_AFTER);
        self.published = Instant::now().checked_sub(wait);
        self.drawn = None;
        self.ahead = None;
    }
}

/// Returns the time left until `end`; `None` if it has passed.
fn left(end: Instant) -> Option<Duration> {
    let left = end.checked_duration_since(Instant::now())?;
    (!left.is_zero()).then_some(left)
}
