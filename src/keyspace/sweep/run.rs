//! Runs sweeps: continuously, or a single pass.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::census::Census;
use super::feeds::Feeds;
use super::flags::FlagKeeper;
use super::key_reader::KeyReader;
use super::listen::listen;
use super::watch::left;
use super::watches::watch;
use super::{Event, Listener, PUBLISH_MOST, Sweeper};
use crate::backoff;
use crate::clock::now;
use crate::config::{Namespace, Share, Target};
use crate::connection::{OnReconnect, Whereabouts};
use crate::failure::{Failure, Reason};
use crate::footprint::Footprint;
use crate::keyspace::single_pass::{KeySample, LookupBudget};
use crate::publish::Slot;

/// Maximum delay after a failure.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Delay after a denied command. It is long because each attempt counts as an error of the server,
/// and permissions rarely change.
const RETRY_DENIED: Duration = Duration::from_secs(60 * 60);

/// Maximum number of attempts of a single pass, which starts again if the data are replaced during
/// it.
const ATTEMPTS_MAX: u32 = 3;

/// Sweeps a target's keyspace forever, after `delay`.
pub async fn run(
    target: Arc<Target>,
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
    let feeds = Feeds::of(&target.sweep, &namespaces);
    let keeper = FlagKeeper::of(&target.sweep);
    let counted = || Arc::clone(&footprint);
    let events = listen(&target, feeds.events.as_ref(), &keeper, counted());
    let watches = watch(&target, feeds.watches.as_ref(), &keeper, counted());
    let sweep = sweep_forever(
        &target,
        &namespaces,
        &slot,
        on_reconnect,
        counted(),
        feeds.clone(),
    );
    // Boxed: the task would keep a copy of each while it waits for all.
    tokio::join!(Box::pin(events), Box::pin(watches), Box::pin(sweep));
}

/// Sweeps the target forever.
async fn sweep_forever(
    target: &Target,
    namespaces: &[Namespace],
    slot: &Slot,
    on_reconnect: OnReconnect,
    footprint: Arc<Footprint>,
    feeds: Feeds,
) {
    let address = target.sweep_endpoint().address;
    let mut census = Census::new(namespaces, &target.sweep, &target.keys);
    let footprint = if address == target.endpoint.address {
        footprint
    } else {
        census.record_other_server();
        Arc::default()
    };
    let whereabouts = Whereabouts::default();
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
        let Err(failure) = sweep_until_failure(
            target,
            &whereabouts,
            on_reconnect,
            counted,
            &mut census,
            feeds.clone(),
            &mut publish,
        )
        .await;
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
        census.record_break(failure.reason);
        feeds.pass_on(&mut census);
        slot.publish_namespaces(census.snapshot(now()));
        failures += 1;
        let delay = match failure.reason {
            Reason::Denied => backoff::jittered(RETRY_DENIED),
            _ => backoff::delay(failures, RETRY_MAX),
        };
        rest(delay, &feeds, &mut census, slot).await;
    }
}

/// Waits. In the meantime, publishes what the streams of messages count, which work without the sweep.
async fn rest(delay: Duration, feeds: &Feeds, census: &mut Census, slot: &Slot) {
    let publish_every = if feeds.are_none() {
        delay
    } else {
        PUBLISH_MOST
    };
    let end = Instant::now() + delay;
    while let Some(left) = left(end) {
        sleep(left.min(publish_every)).await;
        feeds.pass_on(census);
        slot.publish_namespaces(census.snapshot(now()));
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
    lookups: LookupBudget,
    census: &mut Census,
    listener: &mut Listener<'_>,
) -> Result<(), Failure> {
    census.list_all();
    if target.sweep_endpoint().address != target.endpoint.address {
        census.record_other_server();
    }
    let mut target = target.clone();
    // A user waits for the result, and the pass is finite.
    target.sweep.commands_per_second.get_or_insert(u32::MAX);
    // `lookups` limits them.
    target.sweep.lookup_share = Some(Share::WHOLE);
    let reader = KeyReader::open(
        &target,
        &Whereabouts::default(),
        Arc::new(|_| ()),
        Arc::default(),
    )
    .await?;
    listener(Event::Opened(reader.server()));
    if !reader.server().holds_keys() {
        return Ok(());
    }
    let mut sweeper = Sweeper::start(reader, &target, census, listener).await?;
    let lookups = sweeper.lookups(lookups).await?;
    let for_idle = sweeper.lookups_for_idle(lookups);
    sweeper.sample = Some(KeySample::new(lookups.saturating_sub(for_idle)));
    for _ in 0..ATTEMPTS_MAX {
        if sweeper.sweep_once().await? {
            break;
        }
    }
    sweeper.sample_idle_of_pass(for_idle).await?;
    let reader = &sweeper.reader;
    sweeper
        .census
        .record_success(|query| reader.replies_to(query));
    Ok(())
}

/// Sweeps over one connection, pass after pass, until something fails.
async fn sweep_until_failure(
    target: &Target,
    whereabouts: &Whereabouts,
    on_reconnect: OnReconnect,
    footprint: Arc<Footprint>,
    census: &mut Census,
    feeds: Feeds,
    listener: &mut Listener<'_>,
) -> Result<std::convert::Infallible, Failure> {
    let opened = open(
        target,
        whereabouts,
        on_reconnect,
        footprint,
        census,
        feeds,
        listener,
    );
    // Boxed: the task would keep a copy of the connection of its own while it sweeps.
    let Some(mut sweeper) = Box::pin(opened).await? else {
        return std::future::pending().await;
    };
    loop {
        sweeper.pass().await?;
    }
}

/// Connects, and prepares a sweep. Returns `None` if the server never has keys.
async fn open<'a>(
    target: &'a Target,
    whereabouts: &Whereabouts,
    on_reconnect: OnReconnect,
    footprint: Arc<Footprint>,
    census: &'a mut Census,
    feeds: Feeds,
    listener: &'a mut Listener<'_>,
) -> Result<Option<Sweeper<'a>>, Failure> {
    let mut reader = KeyReader::open(target, whereabouts, on_reconnect, footprint).await?;
    if !reader.server().holds_keys() {
        // A Sentinel.
        return Ok(None);
    }
    if target.sweep.from.is_none() {
        reader.lull = feeds.lull();
    }
    let mut sweeper = Sweeper::start(reader, target, census, listener).await?;
    sweeper.is_unannounced = true;
    sweeper.feeds = feeds;
    sweeper.announce();
    Ok(Some(sweeper))
}
