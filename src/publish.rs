//! The last publications and their pages: one writer each, many readers, last value only.
//!
//! Readers never wait for writers. This module does not poll, encode, or serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use thiserror::Error;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

mod attributes;
mod pages;
mod reads;
mod scrapes;
mod slot;

pub use attributes::{Attributes, ClusterMember, SourceWake};
use pages::{PageReaders, Pages};
pub use pages::{Served, ShownPolls, Unwritten};
pub use scrapes::Scrape;
pub use slot::Slot;

use crate::clock;
use crate::encode::{Form, Page};
use crate::failure::Reason;
use crate::metric::Snapshot;
use crate::quantity::whole_counted;
use crate::trace::Trace;

/// The result of one poll of one target.
#[derive(Clone, Debug)]
pub struct Publication {
    pub snapshot: Snapshot,
    /// The reason if the poll failed.
    pub failure: Option<Reason>,
    /// The end of the poll.
    pub polled_at: SystemTime,
    /// The kind of server, such as `redis 7.0 standalone`; empty if unknown.
    pub server: String,
    /// Collectors with a query that the server rejected.
    pub refused: Vec<&'static str>,
    /// The record of the poll.
    pub trace: Trace,
}

impl Publication {
    /// Returns the end of the poll, in seconds since the epoch.
    #[must_use]
    pub fn ended_at(&self) -> f64 {
        clock::seconds(self.polled_at)
    }

    /// Returns a successful poll without samples.
    #[cfg(test)]
    pub fn empty() -> Self {
        Self {
            snapshot: Snapshot::default(),
            failure: None,
            polled_at: clock::time(),
            server: String::new(),
            refused: Vec::new(),
            trace: Trace::default(),
        }
    }
}

/// Maximum time from a publication to a page that shows it, even on a busy machine.
const PAGE_MAX: Duration = Duration::from_secs(30);

/// Number of targets up to which the text of their page is kept. The text of more, tens of megabytes,
/// is decompressed for each of the rare clients that want it.
const TEXT_TARGETS_MAX: usize = 100;

/// A defect of the exporter: polls or pages are overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unhealthy {
    /// Some targets are not polled.
    #[error("polls of {overdue} of {} are overdue", whole_counted(*.total as u64, "target", "targets"))]
    Overdue {
        /// Number of overdue targets.
        overdue: usize,
        /// Number of all targets.
        total: usize,
    },
    /// Publications do not reach the page.
    #[error("the page of all targets is no longer written")]
    NoPages,
}

/// All targets, in the order of the configuration.
type TargetSlots = Vec<Arc<Slot>>;

/// All targets with their last publications, and the page of all targets.
#[derive(Clone, Debug)]
pub struct Board {
    slots: Arc<ArcSwap<TargetSlots>>,
    /// Time at which the page was renewed.
    written_at: Arc<ArcSwap<Instant>>,
    pages: Arc<ArcSwapOption<Pages>>,
    readers: Arc<PageReaders>,
    /// The targets with a poll on the page.
    shown: Arc<ArcSwap<TargetSlots>>,
    /// For each source of targets, whether it was read.
    sources: Arc<ArcSwap<Vec<Arc<AtomicBool>>>>,
    /// Whether targets remember their last hour.
    keeps_history: Arc<AtomicBool>,
    changed: Arc<Notify>,
    renewed: Arc<Notify>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            // Not the same list: without targets, there is no page at first either.
            shown: Arc::default(),
            slots: Arc::default(),
            written_at: Arc::new(ArcSwap::from_pointee(Instant::now())),
            pages: Arc::default(),
            readers: Arc::default(),
            sources: Arc::default(),
            keeps_history: Arc::new(AtomicBool::new(true)),
            changed: Arc::new(Notify::new()),
            renewed: Arc::new(Notify::new()),
        }
    }
}

impl Board {
    /// Creates a slot for a target. It is visible once it is listed.
    #[must_use]
    pub fn slot(&self, name: &str, address: &str) -> Arc<Slot> {
        let keeps_history = Arc::clone(&self.keeps_history);
        let changed = Arc::clone(&self.changed);
        Arc::new(Slot::new(name, address, keeps_history, changed))
    }

    /// Sets whether targets remember their last hour.
    pub fn keep_history(&self, keeps: bool) {
        self.keeps_history.store(keeps, Ordering::Release);
    }

    /// Replaces the list of targets.
    pub fn list(&self, slots: Vec<Arc<Slot>>) {
        self.slots.store(Arc::new(slots));
        self.changed.notify_one();
    }

    /// Returns all targets, in the order of the configuration.
    #[must_use]
    pub fn slots(&self) -> Arc<Vec<Arc<Slot>>> {
        self.slots.load_full()
    }

    /// Returns the target with this name or, if no name matches, with this address (with or without
    /// scheme). Does not return requested targets.
    #[must_use]
    pub fn find(&self, name_or_address: &str) -> Option<Arc<Slot>> {
        let slots = self.slots();
        let bare = |address: &str| address.rsplit("://").next().unwrap_or_default().to_owned();
        let configured = || slots.iter().filter(|slot| !slot.is_requested());
        let by_name = configured().find(|slot| slot.name == name_or_address);
        let by_address = || {
            let wanted = bare(name_or_address);
            configured()
                .find(|slot| slot.address == name_or_address || bare(&slot.address) == wanted)
        };
        by_name.or_else(by_address).cloned()
    }

    /// Returns the requested target with this address.
    #[must_use]
    pub fn requested(&self, address: &str) -> Option<Arc<Slot>> {
        let slots = self.slots();
        let mut slots = slots.iter();
        let found = slots.find(|slot| slot.address == address && slot.is_requested());
        found.cloned()
    }

    /// Replaces the list of sources of targets: for each, whether it was read, successfully or not.
    pub fn await_sources(&self, sources: Vec<Arc<AtomicBool>>) {
        self.sources.store(Arc::new(sources));
    }

    /// Returns the number of sources that were not read yet.
    #[must_use]
    pub fn unread_sources(&self) -> usize {
        let sources = self.sources.load();
        let unread = sources.iter().filter(|read| !read.load(Ordering::Acquire));
        unread.count()
    }

    /// Returns whether every source was read and every target was polled, successfully or not, and
    /// the page shows it. The first scrape of a ready exporter must not miss a target.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let (slots, shown) = (self.slots.load(), self.shown.load());
        // Requested targets come and go, and are on no page of all targets.
        let configured = |slots: &TargetSlots| -> TargetSlots {
            let slots = slots.iter().filter(|slot| !slot.is_requested());
            slots.cloned().collect()
        };
        let is_shown = || {
            let (slots, shown) = (configured(&slots), configured(&shown));
            let mut pairs = slots.iter().zip(&shown);
            slots.len() == shown.len() && pairs.all(|(slot, shown)| Arc::ptr_eq(slot, shown))
        };
        self.unread_sources() == 0
            && (Arc::ptr_eq(&slots, &shown) || (self.pages.load().is_some() && is_shown()))
    }

    /// Checks that polls and pages are not overdue. That is a defect of the exporter; a target that
    /// is down is not.
    ///
    /// # Errors
    ///
    /// Returns the number of targets that are not polled, or that pages are not written.
    pub fn health(&self, now: Instant) -> Result<(), Unhealthy> {
        let slots = self.slots();
        let overdue = slots.iter().filter(|slot| slot.is_overdue(now)).count();
        if overdue > 0 {
            let total = slots.len();
            return Err(Unhealthy::Overdue { overdue, total });
        }
        let newest = slots.iter().filter_map(|slot| slot.published_at()).max();
        let written = **self.written_at.load();
        match newest {
            Some(newest) if newest.saturating_duration_since(written) > PAGE_MAX => {
                Err(Unhealthy::NoPages)
            }
            _ => Ok(()),
        }
    }

    /// Returns whether the page is known to have a poll of each of these targets.
    #[must_use]
    pub fn shows(&self, slots: &Arc<Vec<Arc<Slot>>>) -> bool {
        Arc::ptr_eq(&self.shown.load(), slots)
    }

    /// Records that the page has a poll of each of these targets.
    pub fn set_shown(&self, slots: Arc<Vec<Arc<Slot>>>) {
        self.shown.store(slots);
    }

    /// Returns the page of all targets; `None` before the first, or after they were cleared. With
    /// hundreds of targets, it is compressed regardless of the form. Records a scrape of each target by
    /// this client.
    #[must_use]
    pub fn page(&self, form: Form, client: u64) -> Option<Served> {
        let at = Instant::now().into_std();
        let pages = self.pages.load_full()?;
        for (slot, poll) in pages.shown.iter() {
            let poll = *poll;
            slot.scrapes().record(Scrape { at, poll, client });
        }
        let form = Form {
            is_compressed: form.is_compressed || pages.shown.len() > TEXT_TARGETS_MAX,
            ..form
        };
        Some(self.readers.page(pages, form, client))
    }

    /// Replaces the page of all targets. It is encoded before or when it is read: see
    /// [`Board::due`]. `shown` returns the targets on it.
    pub fn set_page(
        &self,
        write: impl Fn(Form) -> Page + Send + Sync + 'static,
        shown: impl FnOnce() -> ShownPolls + Send + 'static,
    ) {
        self.pages.store(Some(Arc::new(Pages::new(write, shown))));
        self.written_at.store(Arc::new(Instant::now()));
        self.renewed.notify_waiters();
    }

    /// Returns the forms of the page of all targets that will probably be read soon and are not
    /// encoded.
    #[must_use]
    pub fn due(&self, now: Instant) -> Vec<Unwritten> {
        let pages = self.pages.load_full();
        pages.map_or_else(Vec::new, |pages| self.readers.due(&pages, now))
    }

    /// Returns when an unencoded page of all targets is due next.
    #[must_use]
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        let pages = self.pages.load_full()?;
        let unwritten = self.readers.unwritten(&pages, now).into_iter();
        unwritten.map(|(_, from)| from.max(now)).min()
    }

    /// Removes all pages. No page is better than a stale one.
    pub fn clear_pages(&self) {
        self.pages.store(None);
        for slot in self.slots().iter() {
            slot.clear_page();
        }
    }

    /// Marks every page as stale, for example because the names have changed.
    pub fn mark_stale(&self) {
        for slot in self.slots().iter() {
            slot.mark_stale();
        }
    }

    /// Returns a future that completes when pages are renewed, if it is enabled before.
    pub fn renewed(&self) -> Notified<'_> {
        self.renewed.notified()
    }

    /// Waits for a publication or a new list since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::pages::form;
    use super::slot::GONE_MAX;
    use super::*;
    use crate::encode::Format;

    const DUE: Duration = Duration::from_secs(10);

    #[test]
    fn late_or_missing_poller_is_unhealthy() {
        let board = Board::default();
        let slot = board.slot("cache", "redis://cache:6379");
        board.list(vec![Arc::clone(&slot)]);
        let poller = slot.start_poller(DUE, DUE);
        let now = Instant::now();
        assert_eq!(board.health(now), Ok(()));
        let late = now + DUE + Duration::from_secs(1);
        let (overdue, total) = (1, 1);
        assert_eq!(
            board.health(late),
            Err(Unhealthy::Overdue { overdue, total })
        );
        slot.publish_for_poller(Publication::empty());
        assert!(board.health(late).is_err());
        drop(poller);
        assert!(board.health(Instant::now()).is_ok());
        let gone = Instant::now() + GONE_MAX + Duration::from_millis(1);
        assert!(board.health(gone).is_err());
        let _again = slot.start_poller(DUE, DUE);
        assert!(board.health(gone).is_ok());
    }

    #[test]
    fn unwritten_page_is_unhealthy() {
        let board = Board::default();
        let slot = board.slot("cache", "redis://cache:6379");
        board.list(vec![Arc::clone(&slot)]);
        let _poller = slot.start_poller(DUE, DUE);
        slot.publish(Publication::empty());
        let now = Instant::now();
        assert!(board.health(now).is_ok());
        let long_ago = now.checked_sub(PAGE_MAX * 2);
        board.written_at.store(Arc::new(long_ago.unwrap()));
        assert_eq!(board.health(now), Err(Unhealthy::NoPages));
        board.set_page(|_| Page::default(), Vec::new);
        assert!(board.health(now).is_ok());
    }

    fn text_of(served: Option<&Served>) -> &'static str {
        match served {
            None => "none",
            Some(Served::Written(_)) => "written",
            Some(Served::Unwritten(_)) => "unwritten",
        }
    }

    #[test]
    fn target_is_found_by_name_before_address() {
        let board = Board::default();
        let cache = board.slot("cache", "redis://10.0.0.1:6379");
        let tricky = board.slot("10.0.0.1:6379", "rediss://10.0.0.2:6380");
        board.list(vec![cache, tricky]);
        let name_of = |wanted: &str| board.find(wanted).map(|slot| slot.name.clone());
        for (wanted, found) in [
            ("cache", Some("cache")),
            ("10.0.0.1:6379", Some("10.0.0.1:6379")),
            ("redis://10.0.0.1:6379", Some("cache")),
            ("10.0.0.2:6380", Some("10.0.0.1:6379")),
            ("redis://10.0.0.2:6380", Some("10.0.0.1:6379")),
            ("10.0.0.3:6379", None),
            ("", None),
        ] {
            assert_eq!(name_of(wanted).as_deref(), found, "{wanted}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn page_is_due_shortly_before_its_next_read() {
        const TEXT: Form = form(Format::Text, true);
        let board = Board::default();
        let slot = board.slot("cache", "redis://cache:6379");
        board.list(vec![Arc::clone(&slot)]);
        assert_eq!(text_of(slot.page(TEXT, 0).as_ref()), "none");
        assert_eq!(text_of(board.page(TEXT, 0).as_ref()), "none");
        for _ in 0..2 {
            slot.set_page(|_| Page::default());
            board.set_page(|_| Page::default(), Vec::new);
            assert_eq!(text_of(slot.page(TEXT, 0).as_ref()), "unwritten");
            assert_eq!(text_of(board.page(TEXT, 0).as_ref()), "unwritten");
            assert!(board.due(Instant::now()).is_empty());
            tokio::time::advance(Duration::from_secs(15)).await;
        }
        let now = Instant::now();
        assert_eq!((slot.due(now).len(), board.due(now).len()), (1, 1));
        for page in slot.due(now).into_iter().chain(board.due(now)) {
            drop(page.write());
        }
        assert_eq!(board.next_due(now), None);
        assert_eq!(text_of(slot.page(TEXT, 0).as_ref()), "written");
        assert_eq!(text_of(board.page(TEXT, 0).as_ref()), "written");
        let other = form(Format::OpenMetrics, true);
        assert_eq!(text_of(slot.page(other, 0).as_ref()), "unwritten");
        board.set_page(|_| Page::default(), Vec::new);
        let in_seconds = board.next_due(now).map(|at| (at - now).as_secs());
        assert_eq!(in_seconds, Some(13));
        board.clear_pages();
        assert_eq!(text_of(board.page(TEXT, 0).as_ref()), "none");
    }

    #[test]
    fn exporter_is_ready_once_the_page_shows_all_targets() {
        let board = Board::default();
        board.list(vec![board.slot("cache", "redis://cache:6379")]);
        assert!(!board.is_ready());
        board.set_shown(board.slots());
        assert!(board.is_ready());
        board.list(vec![board.slot("other", "redis://other:6379")]);
        assert!(!board.is_ready());
    }

    #[tokio::test]
    async fn each_publication_marks_the_page_stale_once() {
        let board = Board::default();
        let slot = board.slot("cache", "redis://cache:6379");
        assert!(!slot.take_stale());
        slot.publish(Publication::empty());
        board.changed().await;
        assert!(slot.take_stale());
        assert!(!slot.take_stale());
        slot.publish_namespaces(Snapshot::default());
        assert!(slot.take_stale());
    }

    #[tokio::test(start_paused = true)]
    async fn page_lag_follows_slow_pages_and_decays_slowly() {
        let board = Board::default();
        let slot = board.slot("cache", "redis://cache:6379");
        let _poller = slot.start_poller(DUE, DUE);
        slot.record_shown();
        assert_eq!(slot.page_lag(), Duration::ZERO);
        slot.publish(Publication::empty());
        tokio::time::advance(Duration::from_millis(800)).await;
        slot.record_shown();
        assert_eq!(slot.page_lag(), Duration::from_millis(800));
        slot.publish(Publication::empty());
        slot.record_shown();
        assert_eq!(slot.page_lag(), Duration::from_millis(700));
        // A publication of the sweep is not a poll.
        tokio::time::advance(Duration::from_secs(5)).await;
        slot.publish_namespaces(Snapshot::default());
        slot.record_shown();
        assert_eq!(slot.page_lag(), Duration::from_millis(700));
    }
}
