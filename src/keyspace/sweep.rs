//! Sweeps the keyspace of a target continuously, over its own connection and at its own pace.
//!
//! The pure sibling modules decide what to query, how fast, and what the replies mean. This module
//! has the clock, the connection and the order of events. A failure here never affects the poll.

mod batch;
pub mod census;
mod database;
mod draw;
mod examine;
mod feeds;
mod flags;
mod follow;
mod ghosts;
mod idle;
mod inspect;
mod inspect_stream;
mod key_reader;
mod listen;
mod load;
mod lull;
mod news;
mod ordered;
mod preview;
mod run;
mod running;
mod visit;
mod vitals;
mod watch;
mod watches;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::NamespaceId;
use super::history::flush::Proofs;
use super::idle::IdleSample;
use super::lookups::Allowance;
use super::pace::{DetailShares, Pace};
use super::single_pass::{KeySample, LookupBudget, default_lookups, is_small};
use super::traffic::Traffic;
use crate::clock::now;
use crate::collector::Server;
use crate::config::{Sweep, Target, TtlPolicy};
use crate::failure::Failure;
use crate::number::to_float;
use batch::Ahead;
use census::Census;
pub use examine::{Examined, examine};
use feeds::Feeds;
pub use key_reader::KeyDetails;
use key_reader::KeyReader;
pub use listen::{ExaminedEvents, examine_events};
use news::Slowdowns;
use preview::Previews;
pub use run::{once, run};
use running::RunningSweep;
use vitals::{Scope, Vitals};
pub use watches::{CHANGES_PERMISSIONS, EVENT_PERMISSIONS, examine_changes, examine_misses};

/// Minimum and maximum interval between published estimates.
const PUBLISH_LEAST: Duration = Duration::from_secs(1);
const PUBLISH_MOST: Duration = Duration::from_secs(15);

/// Interval between checks whether the server has finished an operation that the sweep waits for,
/// or whether there is anything to sweep.
const CHECK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Interval between checks whether the server's data are still the same, unless there are hundreds
/// of sweeps.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Maximum number of such aggregates per pass, in addition to the largest of each pipeline.
const CLOSE_PER_PASS: u32 = 1_000;

/// Factor of growth after which the shares of keys with details are chosen again during a pass.
const GROWTH_FOLLOWED: u64 = 2;

/// An event of a running sweep, sent to its listener.
#[derive(Debug)]
pub enum Event<'a> {
    /// A single pass connected to this server.
    Opened(&'a Server),
    /// The sweep visited a key.
    Key {
        /// The database.
        database: u32,
        /// The namespace.
        namespace: NamespaceId,
        /// The policy of the namespace.
        policy: TtlPolicy,
        /// The bytes of the name.
        name: &'a [u8],
        /// The details.
        found: &'a KeyDetails,
    },
    /// A single pass queried the idle times of these keys.
    Idle {
        /// The keys that exist, with the number of seconds since each was last used.
        keys: &'a [(&'a [u8], IdleSample)],
        /// The lookups that the server counted for these queries.
        lookups: u64,
    },
    /// A SCAN with the details of its keys is complete.
    Progress {
        /// Key names seen in this pass.
        seen: u64,
        /// Number of keys when the pass began.
        keys: u64,
    },
    /// The findings should be published now.
    Estimate(&'a Census),
}

/// Receives the events of a sweep.
type Listener<'a> = dyn FnMut(Event<'_>) + Send + 'a;

/// The basis for the progress of a pass.
#[derive(Clone, Copy, Debug, Default)]
struct PassSize {
    /// Number of keys when the pass began.
    keys: u64,
    /// Key names seen before the pass.
    visited_before: u64,
}

/// How the visit of a segment or database ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visited {
    /// At its end.
    Whole,
    /// Early, because its keys were replaced, or the server refused a cursor.
    Replaced,
    /// Early, because the database has outgrown its segments.
    Outgrown,
}

/// The state of a sweep over one connection.
struct Sweeper<'a> {
    name: &'a str,
    running: RunningSweep,
    reader: KeyReader,
    sweep: &'a Sweep,
    pace: Pace,
    census: &'a mut Census,
    /// The streams of messages about keys that are configured.
    feeds: Feeds,
    listener: &'a mut Listener<'a>,
    shares: DetailShares,
    /// The budget of commands that `shares` is based on.
    shares_for: Option<f64>,
    ahead: Option<Ahead>,
    traffic: Traffic,
    allowance: Allowance,
    /// The keys of a single pass whose TTL and type are queried.
    sample: Option<KeySample>,
    /// The database and the cursor of the next visit between two passes.
    visited: (u32, u64),
    vitals: Vitals,
    pass: PassSize,
    /// Remaining number of aggregates of this pass that may be measured with many elements.
    close_left: u32,
    publish_every: Duration,
    /// Time of the last published estimate over this connection.
    published: Option<Instant>,
    /// Time of the last check of the server.
    checked: Instant,
    /// Time of the last check that included commandstats.
    commands_read: Instant,
    /// Time from that check to the next one that includes it.
    commands_every: Duration,
    /// The knowledge about counters that prove that nothing was flushed.
    proofs: Proofs,
    /// Whether the last check could not prove that.
    is_suspicious: bool,
    slowdowns: Slowdowns,
    /// Whether an earlier connection visited the first keys.
    is_resumed: bool,
    /// Whether the expected cost has yet to be logged.
    is_unannounced: bool,
    previews: Previews,
    /// Time of the last draw of random keys of a cluster node.
    drawn: Option<Instant>,
    /// Time when keys of the panel were last checked.
    followed: Option<Instant>,
    /// Time when evicted keys were last looked for.
    ghosts_followed: Option<Instant>,
    /// Time when idle times were last queried, and the cursor for the next ones on servers that
    /// accept only their own.
    idle: idle::IdleTurn,
    /// End of the pause after the last batch.
    paused: Instant,
    started: Instant,
}

impl<'a> Sweeper<'a> {
    /// Prepares a sweep, and checks the server once.
    async fn start(
        reader: KeyReader,
        target: &'a Target,
        census: &'a mut Census,
        listener: &'a mut Listener<'_>,
    ) -> Result<Self, Failure> {
        census.record_connection();
        let mut pace = Pace::new(&target.sweep);
        pace.resume(census.keys_visited());
        let is_resumed = !pace.is_starting();
        let mut sweeper = Self {
            name: &target.name,
            running: RunningSweep::start(),
            reader,
            sweep: &target.sweep,
            pace,
            census,
            feeds: Feeds::default(),
            listener,
            shares: DetailShares {
                memory: 1.0,
                expiry: 1.0,
            },
            shares_for: None,
            ahead: None,
            traffic: Traffic::default(),
            allowance: Allowance::new(&target.sweep),
            sample: None,
            visited: (0, 0),
            vitals: Vitals::default(),
            pass: PassSize::default(),
            close_left: CLOSE_PER_PASS,
            publish_every: target.poll.interval.clamp(PUBLISH_LEAST, PUBLISH_MOST),
            published: None,
            checked: Instant::now(),
            commands_read: Instant::now(),
            commands_every: CHECK_EVERY / 2,
            proofs: Proofs::default(),
            is_suspicious: false,
            slowdowns: Slowdowns::default(),
            is_resumed,
            is_unannounced: false,
            previews: Previews::From(Instant::now()),
            drawn: None,
            followed: None,
            ghosts_followed: None,
            idle: idle::IdleTurn::default(),
            paused: Instant::now(),
            started: Instant::now(),
        };
        sweeper.check(Scope::WHOLE).await?;
        if sweeper.census.keys_visited() > 0 {
            sweeper.allowance.resume();
        }
        Ok(sweeper)
    }

    /// Sweeps all databases once, and rests.
    async fn pass(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        // On the heap, like other long steps, so that a resting sweep takes no memory for it.
        if !Box::pin(self.sweep_once()).await? {
            return Ok(());
        }
        self.log_pass(started.elapsed());
        Box::pin(self.publish()).await?;
        let generation = self.census.generation();
        let end = Instant::now() + load::rest(started.elapsed(), self.sweep.min_pass_interval);
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            sleep(left.min(self.running.check_every())).await;
            self.check_if_due().await?;
            Box::pin(self.visit()).await?;
            self.publish_if_due().await?;
            if self.census.generation() != generation {
                return Ok(());
            }
            let mut databases = self.databases().into_iter();
            if databases.any(|(database, keys)| !self.census.still_fits(database, keys)) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sweeps all databases once. Returns false if it ended early because the data were replaced.
    async fn sweep_once(&mut self) -> Result<bool, Failure> {
        let started = Instant::now();
        let databases = self.databases();
        let keys: u64 = databases.iter().map(|(_, keys)| keys).sum();
        self.pass = PassSize {
            keys,
            visited_before: self.census.keys_visited(),
        };
        self.close_left = CLOSE_PER_PASS;
        self.paused = started;
        self.census.start_pass(now());
        if let Some(sample) = &mut self.sample {
            sample.start(keys);
        }
        self.set_shares();
        self.preview_databases().await?;
        for (database, keys) in self.databases() {
            let is_finished = self.census.is_finished(database);
            if !is_finished && !self.database(database, keys).await? {
                return Ok(false);
            }
        }
        self.census.end_pass(started.elapsed(), now());
        Ok(true)
    }

    /// Returns how many lookups a single pass may cause. The default depends on the lookups of
    /// other clients, measured for a second, unless there are few keys.
    async fn lookups(&mut self, wanted: LookupBudget) -> Result<u64, Failure> {
        let keys = self.databases().into_iter().map(|(_, keys)| keys).sum();
        match wanted {
            LookupBudget::All => Ok(u64::MAX),
            LookupBudget::AtMost(lookups) => Ok(lookups),
            LookupBudget::Default if is_small(keys) => Ok(default_lookups(0.0)),
            LookupBudget::Default => {
                let (before, started) = (self.vitals.traffic.lookups, Instant::now());
                sleep(CHECK_EVERY).await;
                self.check(Scope::SHORT).await?;
                let lookups = (self.vitals.traffic.lookups - before).max(0.0);
                Ok(default_lookups(lookups / started.elapsed().as_secs_f64()))
            }
        }
    }

    /// Returns the databases to sweep, each with its number of keys.
    fn databases(&self) -> Vec<(u32, u64)> {
        load::databases(self.sweep, &self.vitals)
    }

    /// Queries details for fewer keys if there are many more than when the pass began. Otherwise,
    /// the pass would take much longer than planned.
    fn follow_growth(&mut self) {
        let keys = self.databases().into_iter().map(|(_, keys)| keys).sum();
        if keys > self.pass.keys.saturating_mul(GROWTH_FOLLOWED) {
            self.pass.keys = keys;
            self.set_shares();
        }
    }

    fn keys_of(&self, database: u32) -> u64 {
        self.vitals.keys.get(&database).copied().unwrap_or(0)
    }
}
