//! Sweeps the keyspace of a target continuously, over its own connection and at its own pace.
//!
//! The pure sibling modules decide what to query, how fast, and what the replies mean. This module
//! has the clock, the connection and the order of events. A failure here never affects the poll.

mod batch;
pub mod census;
mod glimpse;
mod inspect;
mod inspect_stream;
mod key_reader;
mod load;
mod news;
mod visit;
mod vitals;

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::cost::{Costs, SweepQuery};
use super::history::Replaced;
use super::lookups::Allowance;
use super::pace::{DetailShares, Forecast, Pace};
use super::segment::{
    PROOF_STEPS, Segment, has_outgrown, has_segments, has_table_per_slot, proves_redis_cursors,
    segments,
};
use super::single_pass::{KeySample, Lookups, default_lookups, is_small};
use super::traffic::Traffic;
use crate::backoff;
use crate::clock::now;
use crate::collector::Server;
use crate::config::{Namespace, Share, Sweep, Target};
use crate::connection::{OnReconnect, Spacing};
use crate::failure::{Failure, Reason};
use crate::footprint::Footprint;
use crate::number::to_float;
use crate::publish::Slot;
use crate::reply::Refusal;
use batch::Ahead;
use census::Census;
pub use key_reader::Found;
use key_reader::{KEYS_PER_PIPELINE, KeyReader, Wanted};
use news::Slowdowns;
use vitals::Vitals;

/// Maximum delay after a failure.
const RETRY_MAX: Duration = Duration::from_mins(1);

/// Delay after a denied command. It is long because each attempt counts as an error of the server,
/// and permissions rarely change.
const RETRY_DENIED: Duration = Duration::from_hours(1);

/// Delay of the first estimate, however few keys it is based on.
const FIRST_ESTIMATE_AFTER: Duration = Duration::from_millis(500);

/// Minimum and maximum interval between published estimates.
const PUBLISH_LEAST: Duration = Duration::from_secs(1);
const PUBLISH_MOST: Duration = Duration::from_secs(15);

/// Interval between checks whether the server has finished an operation that the sweep waits for,
/// or whether there is anything to sweep.
const CHECK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Maximum interval between checks whether the server's data are still the same.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Cost of MEMORY USAGE with many sampled elements, in microseconds.
const MANY_ELEMENTS_MICROSECONDS: f64 = 200.0;

/// Maximum number of aggregates per pipeline whose memory is measured with many elements, largest
/// first.
const CLOSE_PER_PIPELINE: usize = 4;

/// Maximum number of such aggregates per pass, in addition to the largest of each pipeline.
const CLOSE_PER_PASS: u32 = 1_000;

/// Maximum number of attempts of a single pass, which starts again if the data are replaced during
/// it.
const ATTEMPTS_MAX: u32 = 3;

/// Factor of growth after which the shares of keys with details are chosen again during a pass.
const GROWTH_FOLLOWED: u64 = 2;

/// An event of a running sweep, sent to its listener.
#[derive(Debug)]
pub enum Event<'a> {
    /// A single pass connected to this server.
    Opened(&'a Server),
    /// The sweep visited this key, with these details.
    Key(&'a [u8], &'a Found),
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

/// Sweeps a target's keyspace forever, after `delay`.
pub async fn run(
    target: Target,
    namespaces: Arc<[Namespace]>,
    slot: Arc<Slot>,
    on_reconnect: OnReconnect,
    footprint: Arc<Footprint>,
    delay: Duration,
) {
    if !target.sweep.enabled {
        return;
    }
    sleep(delay).await;
    let address = target.sweep_endpoint().address;
    let mut census = Census::new(&namespaces, &target.sweep, &target.keys);
    let footprint = if address == target.endpoint.address {
        footprint
    } else {
        census.note_other_server();
        Arc::default()
    };
    let mut failures = 0;
    let mut reason = None;
    loop {
        let visited = census.keys_visited();
        let mut publish = |event: Event<'_>| {
            if let Event::Estimate(census) = event {
                slot.publish_namespaces(census.snapshot(now()));
            }
        };
        let on_reconnect = Arc::clone(&on_reconnect);
        let counted = Arc::clone(&footprint);
        let Err(failure) =
            sweep_until_failure(&target, on_reconnect, counted, &mut census, &mut publish).await;
        if census.keys_visited() > visited {
            failures = 0;
            reason = None;
        }
        let (name, address) = (&target.name, address.to_string());
        if reason.replace(failure.reason) == Some(failure.reason) {
            debug!(name, address, %failure, "the sweep failed again");
        } else {
            warn!(name, address, %failure, "the sweep failed");
        }
        census.note_break(failure.reason);
        slot.publish_namespaces(census.snapshot(now()));
        failures += 1;
        sleep(match failure.reason {
            Reason::Denied => backoff::jittered(RETRY_DENIED),
            _ => backoff::delay(failures, RETRY_MAX),
        })
        .await;
    }
}

/// Sweeps the keyspace of a target once, even if its sweep is disabled. The results are in
/// `census`, also if this fails or is canceled.
///
/// # Errors
///
/// The connection failed, or the server refused SCAN or INFO.
pub async fn once(
    target: &Target,
    lookups: Lookups,
    census: &mut Census,
    listener: &mut Listener<'_>,
) -> Result<(), Failure> {
    let mut target = target.clone();
    // A user waits for the result, and the pass is finite.
    target.sweep.commands_per_second.get_or_insert(u32::MAX);
    // `lookups` limits them.
    target.sweep.lookup_share = Some(Share::WHOLE);
    let reader = KeyReader::open(&target, Arc::new(|_| ()), Arc::default()).await?;
    listener(Event::Opened(reader.server()));
    if !reader.server().holds_keys() {
        return Ok(());
    }
    let mut sweeper = Sweeper::start(reader, &target, census, listener).await?;
    let lookups = sweeper.lookups(lookups).await?;
    sweeper.sample = Some(KeySample::new(lookups));
    for _ in 0..ATTEMPTS_MAX {
        if sweeper.sweep_once().await? {
            break;
        }
    }
    let reader = &sweeper.reader;
    sweeper
        .census
        .note_success(|query| reader.replies_to(query));
    Ok(())
}

/// The expected refusals and cost of a sweep.
#[derive(Debug, Default)]
pub struct Examined {
    /// Queries that the server rejects.
    pub refused: Vec<(SweepQuery, Refusal)>,
    /// Reason why no random keys of a cluster node can be drawn.
    pub random_keys: Option<Refusal>,
    /// Expected cost of a pass; `None` if there is nothing to sweep.
    pub forecast: Option<Forecast>,
}

/// Sends each query of a sweep. Returns what the server rejects and the expected cost of a pass.
///
/// It causes two lookups of a key: only MEMORY USAGE, which the server does not count, is sent for
/// several keys.
///
/// # Errors
///
/// The dial failed, or the server refused INFO or SCAN.
pub async fn examine(target: &Target) -> Result<Examined, Failure> {
    let mut reader = KeyReader::open(target, Arc::new(|_| ()), Arc::default()).await?;
    if !reader.server().holds_keys() {
        return Ok(Examined::default());
    }
    let vitals = reader.vitals().await?;
    let (_, keys) = reader.scan(0, target.sweep.count).await?;
    let keys = keys.iter().take(KEYS_PER_PIPELINE).enumerate();
    let wanted = keys.map(|(at, key)| Wanted {
        key,
        memory: true,
        expiry: at == 0,
        data_type: at == 0,
    });
    let wanted: Vec<_> = wanted.collect();
    reader.details(&wanted, None, Spacing::NONE).await?;
    let random_keys = if has_table_per_slot(reader.server()) {
        reader.random_keys(1).await?.err()
    } else {
        None
    };
    let sweep = &target.sweep;
    let others = reader.others_since(&vitals, sweep).await?;
    let costs = Costs::default();
    let forecast = load::forecast(sweep, &costs, &vitals, reader.server(), others);
    Ok(Examined {
        random_keys,
        refused: reader.refused(),
        forecast: Some(forecast),
    })
}

/// Sweeps over one connection, pass after pass, until something fails.
async fn sweep_until_failure(
    target: &Target,
    on_reconnect: OnReconnect,
    footprint: Arc<Footprint>,
    census: &mut Census,
    listener: &mut Listener<'_>,
) -> Result<std::convert::Infallible, Failure> {
    let reader = KeyReader::open(target, on_reconnect, footprint).await?;
    if !reader.server().holds_keys() {
        // A Sentinel never has keys to sweep.
        drop(reader);
        return std::future::pending().await;
    }
    let mut sweeper = Sweeper::start(reader, target, census, listener).await?;
    sweeper.is_unannounced = true;
    sweeper.announce();
    loop {
        sweeper.pass().await?;
    }
}

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
    reader: KeyReader,
    sweep: &'a Sweep,
    pace: Pace,
    census: &'a mut Census,
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
    slowdowns: Slowdowns,
    /// Whether an earlier connection visited the first keys.
    is_resumed: bool,
    /// Whether the expected cost has yet to be logged.
    is_unannounced: bool,
    /// Time of the last draw of random keys of a cluster node.
    glimpsed: Option<Instant>,
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
        census.note_connection();
        let mut pace = Pace::new(&target.sweep);
        pace.resume(census.keys_visited());
        let is_resumed = !pace.is_starting();
        let mut sweeper = Self {
            name: &target.name,
            reader,
            sweep: &target.sweep,
            pace,
            census,
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
            slowdowns: Slowdowns::default(),
            is_resumed,
            is_unannounced: false,
            glimpsed: None,
            paused: Instant::now(),
            started: Instant::now(),
        };
        sweeper.check().await?;
        if sweeper.census.keys_visited() > 0 {
            sweeper.allowance.resume();
        }
        Ok(sweeper)
    }

    /// Sweeps all databases once, and rests.
    async fn pass(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        if !self.sweep_once().await? {
            return Ok(());
        }
        self.log_pass(started.elapsed());
        self.publish().await?;
        let generation = self.census.generation();
        let end = Instant::now() + load::rest(started.elapsed(), self.sweep.min_pass_interval);
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            sleep(left.min(CHECK_EVERY)).await;
            self.check_if_due().await?;
            self.visit().await?;
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
        self.census.start_pass();
        if let Some(sample) = &mut self.sample {
            sample.start(keys);
        }
        self.set_shares();
        for (database, keys) in databases {
            if !self.database(database, keys).await? {
                return Ok(false);
            }
        }
        self.census.end_pass(started.elapsed(), now());
        Ok(true)
    }

    /// Returns how many lookups a single pass may cause. The default depends on the lookups of
    /// other clients, measured for a second, unless there are few keys.
    async fn lookups(&mut self, wanted: Lookups) -> Result<u64, Failure> {
        let keys = self.databases().into_iter().map(|(_, keys)| keys).sum();
        match wanted {
            Lookups::All => Ok(u64::MAX),
            Lookups::AtMost(lookups) => Ok(lookups),
            Lookups::Default if is_small(keys) => Ok(default_lookups(0.0)),
            Lookups::Default => {
                let (before, started) = (self.vitals.traffic.lookups, Instant::now());
                sleep(CHECK_EVERY).await;
                self.check().await?;
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

    /// Sweeps one database. Starts again with more segments if the database outgrows them. Returns
    /// false if its data were replaced.
    async fn database(&mut self, database: u32, keys: u64) -> Result<bool, Failure> {
        let mut keys = keys;
        loop {
            match self.visit_database(database, keys).await? {
                Visited::Whole => return Ok(true),
                Visited::Replaced => return Ok(false),
                Visited::Outgrown => keys = self.keys_of(database),
            }
            debug!(
                name = self.name,
                database, keys, "the database has outgrown its segments; its pass starts again"
            );
        }
    }

    fn keys_of(&self, database: u32) -> u64 {
        self.vitals.keys.get(&database).copied().unwrap_or(0)
    }

    /// Sweeps one database, segment by segment.
    async fn visit_database(&mut self, database: u32, keys: u64) -> Result<Visited, Failure> {
        let generation = self.census.generation();
        self.reader.select(database).await?;
        self.prove_cursors(keys).await?;
        let order = if self.census.sweeps_in_random_order() {
            let in_use = self.census.segments_in_use(database);
            segments(keys, in_use, |below| fastrand::usize(..below))
        } else {
            vec![Segment::WHOLE]
        };
        self.census.start_database(database, order.len());
        if self.glimpse_is_due() {
            // Publish the first estimate before the sweep starts.
            self.publish().await?;
        }
        for segment in order {
            self.census.open(database, segment, now());
            match self.segment(database, segment, generation).await {
                Ok(Visited::Whole) => {
                    if segment.start() != 0 {
                        self.census.note_accepted_cursor();
                    }
                }
                Ok(early) => return Ok(early),
                // A server that accepts only its own cursors, or the passing error of a proxy.
                Err(failure) if failure.reason == Reason::Other && segment.start() != 0 => {
                    if self.census.note_refused_cursor() {
                        warn!(name = self.name, %failure, "the server refused a cursor; sweeping in the order of the server from now on");
                    } else {
                        info!(name = self.name, %failure, "the server refused a cursor; the pass starts again");
                    }
                    return Ok(Visited::Replaced);
                }
                Err(failure) => return Err(failure),
            }
            self.census.close(database, now());
        }
        self.check().await?;
        if self.census.generation() != generation {
            return Ok(Visited::Replaced);
        }
        if !self.census.check_pass(database) {
            warn!(
                database,
                "two passes in random order missed keys or saw some twice; sweeping in the order of the server from now on"
            );
        }
        Ok(Visited::Whole)
    }

    /// Sweeps one segment, batch by batch. Ends early if the data were replaced since `generation`.
    async fn segment(
        &mut self,
        database: u32,
        segment: Segment,
        generation: u64,
    ) -> Result<Visited, Failure> {
        let mut cursor = segment.start();
        loop {
            cursor = self.batch(database, segment, cursor).await?;
            self.check_if_due().await?;
            self.publish_if_due().await?;
            if self.census.generation() != generation {
                return Ok(Visited::Replaced);
            }
            if !segment.has_more(cursor) {
                return Ok(Visited::Whole);
            }
            if self.has_outgrown_segments(database) {
                return Ok(Visited::Outgrown);
            }
        }
    }

    /// Returns whether a pass in random order should start again with more segments.
    fn has_outgrown_segments(&self, database: u32) -> bool {
        let segments = self.census.segments_in_use(database);
        self.census.sweeps_in_random_order()
            && segments.is_some_and(|segments| has_outgrown(self.keys_of(database), segments))
    }

    /// Waits while checking the server and publishing. Ends early if the data were replaced.
    async fn wait(&mut self, pause: Duration) -> Result<(), Failure> {
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
    async fn wait_unpublished(&mut self, pause: Duration) -> Result<(), Failure> {
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

    async fn publish_if_due(&mut self) -> Result<(), Failure> {
        let is_due = match self.published {
            Some(published) => published.elapsed() >= self.publish_every,
            None => !self.pace.is_starting() || self.started.elapsed() >= FIRST_ESTIMATE_AFTER,
        };
        if is_due { self.publish().await } else { Ok(()) }
    }

    /// Checks the server, waits while it is busy if so configured, and publishes the findings.
    async fn publish(&mut self) -> Result<(), Failure> {
        let debt = self.glimpse_if_due().await?;
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
    async fn check_if_due(&mut self) -> Result<(), Failure> {
        if self.checked.elapsed() < CHECK_EVERY {
            return Ok(());
        }
        self.check().await
    }

    /// Reads the vitals of the server, repeatedly while it loads its data or runs a save that the
    /// sweep must not slow down.
    async fn check(&mut self) -> Result<(), Failure> {
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
}

impl Sweeper<'_> {
    /// Scans the first steps to find out whether the cursors are those of Redis, unless that is
    /// known. If every slot has its own table, the steps prove nothing.
    async fn prove_cursors(&mut self, keys: u64) -> Result<(), Failure> {
        let server = *self.reader.server();
        if self.census.knows_cursors() || has_table_per_slot(&server) {
            return Ok(());
        }
        let mut steps = Vec::new();
        let mut cursor = 0;
        while steps.len() < PROOF_STEPS {
            let (next, found) = self.scan(cursor).await?;
            let microseconds = self.cost_of_scan(found.len());
            self.census.note_batch(0, microseconds);
            if next == 0 {
                return Ok(());
            }
            steps.push((next, found.len()));
            cursor = next;
        }
        if proves_redis_cursors(&steps, keys) {
            self.census.note_cursors(has_segments(&server));
        } else {
            self.census.note_other_cursors();
        }
        Ok(())
    }

    /// Measures the largest aggregates of a pipeline with more of their elements. Returns the cost
    /// to the server, in microseconds.
    async fn measure_closely(
        &mut self,
        wanted: &[Wanted<'_>],
        found: &mut [Found],
    ) -> Result<f64, Failure> {
        let pairs = wanted.iter().zip(found);
        let large = pairs.filter(|(_, found)| found.may_be_large_aggregate());
        let mut large: Vec<_> = large.collect();
        large.sort_by_key(|(_, found)| Reverse(found.details.memory));
        let mut microseconds = 0.0;
        for (place, (wanted, found)) in large.into_iter().take(CLOSE_PER_PIPELINE).enumerate() {
            if place > 0 {
                let Some(left) = self.close_left.checked_sub(1) else {
                    break;
                };
                self.close_left = left;
            }
            // One at a time, so that other clients are served in between.
            let bytes = self.reader.memory_of_many_elements(wanted.key).await?;
            if bytes.is_none() {
                break;
            }
            found.details.memory = bytes;
            microseconds += MANY_ELEMENTS_MICROSECONDS;
        }
        Ok(microseconds)
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
        self.glimpsed = None;
        self.ahead = None;
    }
}

/// Returns the time left until `end`; `None` if it has passed.
fn left(end: Instant) -> Option<Duration> {
    let left = end.checked_duration_since(Instant::now())?;
    (!left.is_zero()).then_some(left)
}
