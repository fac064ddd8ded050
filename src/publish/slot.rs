//! The state of one target: its publications, its page, and whether its poller is alive.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::pages::{PageReaders, Pages, Served, Unwritten};
use super::scrapes::{Scrape, Scrapes};
use super::{Attributes, Publication};
use crate::clock;
use crate::encode::{Form, Page};
use crate::history::LastHour;
use crate::metric::Snapshot;

/// Maximum time without a poller, for example while a reload replaces it.
pub(super) const GONE_MAX: Duration = Duration::from_secs(2);

/// Liveness of a target's poller.
#[derive(Clone, Copy, Debug)]
struct Pulse {
    /// Time between the starts of two polls.
    interval: Duration,
    /// Maximum time between two publications of a healthy poller.
    due_within: Duration,
    /// Start of the poller, or its last publication.
    last: Instant,
    /// End of the poller, if it ended.
    ended: Option<Instant>,
}

/// A guard held by the task that polls a target. Dropping it records that the target has no poller.
#[derive(Debug)]
pub struct PolledSlot(Arc<Slot>);

impl Drop for PolledSlot {
    fn drop(&mut self) {
        self.0.change_pulse(|pulse| Pulse {
            ended: Some(Instant::now()),
            ..pulse
        });
    }
}

/// Shared state of one target: its publications and its page.
#[derive(Debug)]
pub struct Slot {
    /// Target name, the `target` label.
    pub name: String,
    /// Address without credentials.
    pub address: String,
    attributes: ArcSwap<Attributes>,
    latest: ArcSwapOption<Publication>,
    namespaces: ArcSwapOption<Snapshot>,
    canary: ArcSwapOption<Snapshot>,
    /// `None` if there never was a poller.
    pulse: ArcSwapOption<Pulse>,
    pages: ArcSwapOption<Pages>,
    readers: PageReaders,
    /// The last hour; empty if it is not remembered.
    history: Mutex<LastHour>,
    keeps_history: Arc<AtomicBool>,
    /// Scrapes that showed this target.
    scrapes: Scrapes,
    /// Recent time from a poll to a page that shows it, in microseconds.
    page_lag: AtomicU64,
    /// Whether there are publications since the page was renewed.
    is_stale: AtomicBool,
    /// Whether the last poll is not on a page yet.
    is_poll_hidden: AtomicBool,
    changed: Arc<Notify>,
}

impl Slot {
    /// Creates the state of a target without publications.
    pub(super) fn new(
        name: &str,
        address: &str,
        keeps_history: Arc<AtomicBool>,
        changed: Arc<Notify>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            address: address.to_owned(),
            attributes: ArcSwap::default(),
            latest: ArcSwapOption::empty(),
            namespaces: ArcSwapOption::empty(),
            canary: ArcSwapOption::empty(),
            pulse: ArcSwapOption::empty(),
            pages: ArcSwapOption::empty(),
            readers: PageReaders::default(),
            history: Mutex::default(),
            keeps_history,
            scrapes: Scrapes::default(),
            page_lag: AtomicU64::new(0),
            is_stale: AtomicBool::new(false),
            is_poll_hidden: AtomicBool::new(false),
            changed,
        }
    }

    /// Replaces what the source of the target reports about it.
    pub fn describe(&self, attributes: Attributes) {
        if **self.attributes.load() != attributes {
            self.attributes.store(Arc::new(attributes));
            self.mark_stale();
        }
    }

    /// Returns what the source of the target reports about it.
    #[must_use]
    pub fn attributes(&self) -> Arc<Attributes> {
        self.attributes.load_full()
    }

    /// Returns whether requests name the target, and not the configuration.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.attributes.load().is_requested
    }

    /// Replaces the previous poll.
    pub fn publish(&self, publication: Publication) {
        self.change_pulse(|pulse| Pulse {
            last: Instant::now(),
            ..pulse
        });
        self.publish_for_poller(publication);
    }

    /// Publishes on behalf of a poller that does not. The poller stays overdue.
    pub fn publish_for_poller(&self, publication: Publication) {
        self.remember(&publication);
        let is_down = publication.failure.is_some();
        let before = self.latest.swap(Some(Arc::new(publication)));
        self.is_poll_hidden.store(true, Ordering::Release);
        self.mark_stale();
        if is_down && before.is_some_and(|before| before.failure.is_none()) {
            let attributes = self.attributes.load();
            let source = attributes.on_failure.as_ref();
            source.inspect(|source| source.0.notify_one());
        }
    }

    /// Adds a poll to the last hour, or forgets that if it is not to be remembered.
    fn remember(&self, publication: &Publication) {
        let mut history = self.locked_history();
        let keeps_history = self.keeps_history.load(Ordering::Acquire);
        if !keeps_history {
            history.clear();
        }
        let polled_at = publication.ended_at();
        if publication.failure.is_some() {
            history.record_failure(polled_at);
        } else if keeps_history {
            history.record(polled_at, &publication.snapshot);
        }
    }

    /// Returns the last hour.
    #[must_use]
    pub fn history(&self) -> LastHour {
        self.locked_history().clone()
    }

    fn locked_history(&self) -> MutexGuard<'_, LastHour> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a poller with this interval, which publishes within `due_within`.
    pub fn start_poller(self: &Arc<Self>, interval: Duration, due_within: Duration) -> PolledSlot {
        self.pulse.store(Some(Arc::new(Pulse {
            interval,
            due_within,
            last: Instant::now(),
            ended: None,
        })));
        PolledSlot(Arc::clone(self))
    }

    /// Returns whether the registered poller is gone or overdue.
    #[must_use]
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.pulse.load().as_ref().is_some_and(|pulse| {
            let is_gone = |ended| now.saturating_duration_since(ended) > GONE_MAX;
            pulse.ended.is_some_and(is_gone)
                || now.saturating_duration_since(pulse.last) > pulse.due_within
        })
    }

    /// Returns the interval of the registered poller.
    #[must_use]
    pub fn poll_interval(&self) -> Option<Duration> {
        self.pulse.load().as_ref().map(|pulse| pulse.interval)
    }

    pub(super) fn published_at(&self) -> Option<Instant> {
        self.latest.load().as_ref()?;
        self.pulse.load().as_ref().map(|pulse| pulse.last)
    }

    fn change_pulse(&self, change: impl Fn(Pulse) -> Pulse) {
        self.pulse
            .rcu(|pulse| pulse.as_deref().map(|pulse| Arc::new(change(*pulse))));
    }

    /// Replaces the samples of the sweep.
    pub fn publish_namespaces(&self, namespaces: Snapshot) {
        if self.keeps_history.load(Ordering::Acquire) {
            self.locked_history()
                .record_namespaces(clock::now(), &namespaces);
        }
        self.namespaces.store(Some(Arc::new(namespaces)));
        self.mark_stale();
    }

    /// Publishes a complete pass in which a namespace has one byte.
    #[cfg(test)]
    pub(crate) fn publish_one_byte(&self, namespace: &str) {
        use crate::metric::{Family, Unit, source};

        static MEMORY: Family<2> = Family::gauge(
            "redis_key_namespace_memory_bytes",
            &["db", "key_namespace"],
            source("", ""),
            Unit::Bytes,
            "",
        );
        static PASS: Family<0> = Family::gauge(
            "redis_exporter_sweep_last_pass_timestamp_seconds",
            &[],
            source("", ""),
            Unit::Seconds,
            "",
        );
        let mut snapshot = Snapshot::default();
        snapshot.push(&MEMORY, ["db0", namespace], 1.0);
        snapshot.push(&PASS, [], 1.0);
        self.publish_namespaces(snapshot.finish());
    }

    /// Forgets earlier sizes of namespaces, because their names have other meanings now.
    pub fn forget_sizes(&self) {
        self.locked_history().clear_namespaces();
    }

    /// Removes the results of the sweep, because it ended.
    pub fn clear_namespaces(&self) {
        self.forget_sizes();
        self.namespaces.store(None);
        self.mark_stale();
    }

    /// Replaces the samples of the canary. The page shows them from the next publication on, which
    /// saves a page for each message.
    pub fn set_canary(&self, canary: Snapshot) {
        self.canary.store(Some(Arc::new(canary)));
    }

    /// Returns the samples of the canary; `None` before the first, or without a canary.
    #[must_use]
    pub fn canary(&self) -> Option<Arc<Snapshot>> {
        self.canary.load_full()
    }

    pub(super) fn mark_stale(&self) {
        self.is_stale.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Returns the last poll; `None` before the first has ended.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Publication>> {
        self.latest.load_full()
    }

    /// Returns the samples of the sweep; `None` before the first.
    #[must_use]
    pub fn namespaces(&self) -> Option<Arc<Snapshot>> {
        self.namespaces.load_full()
    }

    /// Returns the page of this target alone, without the `target` label; `None` before the first
    /// poll. Records a scrape of this client.
    #[must_use]
    pub fn page(&self, form: Form, client: u64) -> Option<Served> {
        let at = Instant::now().into_std();
        let pages = self.pages.load_full()?;
        if let Some(latest) = self.latest() {
            let poll = latest.polled_at;
            self.scrapes.record(Scrape { at, poll, client });
        }
        Some(self.readers.page(pages, form, client))
    }

    /// Returns the scrapes that showed this target.
    #[must_use]
    pub const fn scrapes(&self) -> &Scrapes {
        &self.scrapes
    }

    /// Records that a page shows the last publication.
    pub fn record_shown(&self) {
        if !self.is_poll_hidden.swap(false, Ordering::AcqRel) {
            return;
        }
        let Some(published) = self.published_at() else {
            return;
        };
        let lag = u64::try_from(published.elapsed().as_micros()).unwrap_or(u64::MAX);
        // The lag after a slow page decays slowly, because the next page may be as slow.
        let before = self.page_lag.load(Ordering::Relaxed);
        let lag = lag.max(before - before / 8);
        self.page_lag.store(lag, Ordering::Relaxed);
    }

    /// Returns the time from a poll to a page that shows it.
    #[must_use]
    pub fn page_lag(&self) -> Duration {
        Duration::from_micros(self.page_lag.load(Ordering::Relaxed))
    }

    /// Removes the page.
    pub(super) fn clear_page(&self) {
        self.pages.store(None);
    }

    /// Replaces the page. It is encoded before or when it is read: see [`Slot::due`].
    pub fn set_page(&self, write: impl Fn(Form) -> Page + Send + Sync + 'static) {
        self.pages
            .store(Some(Arc::new(Pages::new(write, Vec::new))));
    }

    /// Returns the pages that will probably be read soon and are not encoded.
    #[must_use]
    pub fn due(&self, now: Instant) -> Vec<Unwritten> {
        let pages = self.pages.load_full();
        pages.map_or_else(Vec::new, |pages| self.readers.due(&pages, now))
    }

    /// Returns whether there were publications since the last call.
    #[must_use]
    pub fn take_stale(&self) -> bool {
        self.is_stale.swap(false, Ordering::AcqRel)
    }
}
