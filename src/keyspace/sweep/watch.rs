//! Checks the server about once a second, and publishes the findings.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::info;

use super::vitals::{Scope, Vitals};
use super::{CHECK_AGAIN_AFTER, Event, Sweeper};
use crate::clock::{monotonic, now};
use crate::collector::Mode;
use crate::failure::Failure;
use crate::keyspace::history::Replaced;
use crate::keyspace::wall_clock::TimeReading;

/// Delay of the first estimate, however few keys it is based on.
const FIRST_ESTIMATE_AFTER: Duration = Duration::from_millis(500);

/// Maximum interval between readings of commandstats that only correct the costs, or confirm that
/// nothing was flushed. It starts at half a second and doubles, because the costs of a server
/// hardly change.
const COMMANDS_EVERY: Duration = Duration::from_secs(16);

/// Cost of a check, in microseconds of CPU time. Measured on Redis 7.0.
const CHECK_MICROSECONDS: f64 = 125.0;

/// The extent of a check before a publication.
const OF_PUBLICATION: Scope = Scope {
    memory: true,
    commands: false,
};

impl Sweeper<'_> {
    /// Waits while checking the server and publishing. Ends early if the data were replaced.
    pub(super) async fn wait(&mut self, pause: Duration) -> Result<(), Failure> {
        let generation = self.census.generation();
        let end = Instant::now() + pause;
        while let Some(left) = left(end) {
            sleep(left.min(self.running.check_every())).await;
            self.publish_if_due().await?;
            self.check_if_due().await?;
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
            sleep(left.min(self.running.check_every())).await;
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
        if is_due {
            Box::pin(self.publish()).await
        } else {
            Ok(())
        }
    }

    /// Checks the server, waits while it is busy if so configured, and publishes the findings.
    pub(super) async fn publish(&mut self) -> Result<(), Failure> {
        let debt = self.draw_if_due().await?;
        self.check(OF_PUBLICATION).await?;
        self.inspect().await?;
        let reader = &self.reader;
        self.census.record_success(|query| reader.replies_to(query));
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
        self.census.record_inspection(inspection);
        Ok(())
    }

    /// Checks the server if a check is due, and the keys of the panel that
    /// are due.
    pub(super) async fn check_if_due(&mut self) -> Result<(), Failure> {
        if self.checked.elapsed() >= self.running.check_every() {
            Box::pin(self.check(Scope::SHORT)).await?;
        }
        self.sample_idle_if_due().await?;
        self.follow_ghosts_if_due().await?;
        self.follow_if_due().await
    }

    /// Notices a wall clock that was set. The server was read since `requested`.
    fn check_clocks(&mut self, requested: f64) {
        let (arrived, time) = (monotonic(), now());
        let own = TimeReading {
            time,
            between: [arrived, monotonic()],
        };
        let server = self.vitals.changes.time().map(|time| TimeReading {
            time,
            between: [requested, arrived],
        });
        self.census.check_clocks(own, server);
    }

    /// Reads the vitals of the server, repeatedly while it loads its data or runs a save that the
    /// sweep must not slow down. Reads more than `scope` if necessary.
    pub(super) async fn check(&mut self, scope: Scope) -> Result<(), Failure> {
        loop {
            let requested = monotonic();
            self.vitals = self.read_vitals(scope).await?;
            self.checked = Instant::now();
            self.check_clocks(requested);
            self.census.set_sweeps(self.running.of_all());
            self.census.record_batch(0, CHECK_MICROSECONDS);
            let generation = self.census.generation();
            if let Some(replaced) = self.census.record_vitals(&self.vitals, now()) {
                self.publish_replacement(replaced);
                if self.census.generation() != generation {
                    self.start_over();
                }
            }
            self.feeds.pass_on(self.census);
            let vitals = &self.vitals;
            self.census.record_vanished(requested, monotonic(), vitals);
            self.census.record_idle_reading(monotonic(), &self.vitals);
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

    /// Reads the vitals of the server. Includes commandstats if the costs should be corrected, or if
    /// the rest does not prove that nothing was flushed.
    async fn read_vitals(&mut self, scope: Scope) -> Result<Vitals, Failure> {
        let is_due = self.commands_read.elapsed() >= self.commands_every
            && (scope.memory || self.census.can_correct_costs());
        let scope = Scope {
            commands: scope.commands || is_due || self.is_suspicious,
            ..scope
        };
        let mut vitals = self.reader.vitals(scope).await?;
        self.is_suspicious = self.may_be_replaced(&vitals);
        if self.is_suspicious && !scope.commands {
            vitals = self.reader.vitals(Scope::WHOLE).await?;
        }
        if vitals.spent.is_some() {
            self.commands_read = Instant::now();
            self.commands_every = (self.commands_every * 2).min(COMMANDS_EVERY);
        }
        Ok(vitals)
    }

    /// Returns whether the data may have been replaced since the last check.
    fn may_be_replaced(&mut self, vitals: &Vitals) -> bool {
        let is_cluster = self.reader.server().mode == Mode::Cluster;
        let (before, after) = (self.vitals.counted(), vitals.counted());
        self.proofs.may_be_flushed(before, after, is_cluster)
            || self.census.replaced(vitals, now()).is_some()
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
pub(super) fn left(end: Instant) -> Option<Duration> {
    let left = end.checked_duration_since(Instant::now())?;
    (!left.is_zero()).then_some(left)
}
