//! What was seen last, and the pages made of it: one writer each, many readers, last value only.
//!
//! No reader waits for a writer. Nothing here polls, encodes or serves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use tokio::sync::{Notify, watch};

use crate::encode::Page;
use crate::failure::Reason;
use crate::metric::Snapshot;

/// What one poll of one target left.
#[derive(Clone, Debug)]
pub struct Publication {
    /// All samples of the poll.
    pub snapshot: Snapshot,
    /// Why the poll failed, if it did.
    pub failure: Option<Reason>,
    /// When the poll ended.
    pub polled_at: SystemTime,
    /// What answers, as `redis 7.0 standalone`; empty where that is not known.
    pub server: String,
    /// The collectors of which the server refused a question.
    pub refused: Vec<&'static str>,
}

/// A page that is written when it is first read, or before.
pub type LatePage = LazyLock<Page, Box<dyn FnOnce() -> Page + Send>>;

/// The place where the tasks of one target publish, and where its page stands.
#[derive(Debug)]
pub struct Slot {
    /// The target's name: the `target` label.
    pub name: String,
    /// Its address without credentials.
    pub address: String,
    latest: watch::Sender<Option<Arc<Publication>>>,
    namespaces: watch::Sender<Option<Arc<Snapshot>>>,
    page: watch::Sender<Option<Arc<LatePage>>>,
    /// Whether the page was ever read.
    is_read: AtomicBool,
    /// Whether something was published since the page was written.
    is_stale: AtomicBool,
    changed: Arc<Notify>,
}

impl Slot {
    /// Puts a poll in the place of the one before.
    pub fn publish(&self, publication: Publication) {
        self.latest.send_replace(Some(Arc::new(publication)));
        self.mark_stale();
    }

    /// Puts what a sweep knows in the place of what one knew before.
    pub fn publish_namespaces(&self, namespaces: Snapshot) {
        self.namespaces.send_replace(Some(Arc::new(namespaces)));
        self.mark_stale();
    }

    fn mark_stale(&self) {
        self.is_stale.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// The last poll; none before the first has ended.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Publication>> {
        self.latest.borrow().clone()
    }

    /// What the sweep knows; none before it knows anything.
    #[must_use]
    pub fn namespaces(&self) -> Option<Arc<Snapshot>> {
        self.namespaces.borrow().clone()
    }

    /// The page of this target alone, without the `target` label; none before the first poll.
    #[must_use]
    pub fn page(&self) -> Option<Page> {
        let page = self.page.borrow().clone()?;
        self.is_read.store(true, Ordering::Relaxed);
        Some(Page::clone(&page))
    }

    /// Puts a page in the place of the one before. It is written at once where one was ever read:
    /// many targets are only read on the page of all, and need no second one.
    pub fn set_page(&self, write: impl FnOnce() -> Page + Send + 'static) {
        let page: LatePage = LazyLock::new(Box::new(write));
        if self.is_read.load(Ordering::Relaxed) {
            LazyLock::force(&page);
        }
        self.page.send_replace(Some(Arc::new(page)));
    }

    /// Whether something was published since this was last asked.
    #[must_use]
    pub fn take_stale(&self) -> bool {
        self.is_stale.swap(false, Ordering::AcqRel)
    }
}

/// All targets with what they published last, and the page of all of them.
#[derive(Clone, Debug)]
pub struct Board {
    slots: watch::Sender<Arc<[Arc<Slot>]>>,
    page: watch::Sender<Page>,
    /// The list of targets of which the page has a poll each.
    shown: watch::Sender<Arc<[Arc<Slot>]>>,
    changed: Arc<Notify>,
}

impl Default for Board {
    fn default() -> Self {
        let slots: Arc<[Arc<Slot>]> = Arc::new([]);
        Self {
            shown: watch::Sender::new(Arc::clone(&slots)),
            slots: watch::Sender::new(slots),
            page: watch::Sender::new(Page::default()),
            changed: Arc::new(Notify::new()),
        }
    }
}

impl Board {
    /// A place for a target; it is seen once it is listed.
    #[must_use]
    pub fn slot(&self, name: &str, address: &str) -> Arc<Slot> {
        Arc::new(Slot {
            name: name.to_owned(),
            address: address.to_owned(),
            latest: watch::Sender::new(None),
            namespaces: watch::Sender::new(None),
            page: watch::Sender::new(None),
            is_read: AtomicBool::new(false),
            is_stale: AtomicBool::new(false),
            changed: Arc::clone(&self.changed),
        })
    }

    /// Lists these targets and no others.
    pub fn list(&self, slots: Vec<Arc<Slot>>) {
        self.slots.send_replace(slots.into());
        self.changed.notify_one();
    }

    /// All targets, in the order of the configuration.
    #[must_use]
    pub fn slots(&self) -> Arc<[Arc<Slot>]> {
        Arc::clone(&self.slots.borrow())
    }

    /// The target of that name or, where no name fits, of that address (with or without scheme).
    #[must_use]
    pub fn find(&self, name_or_address: &str) -> Option<Arc<Slot>> {
        let slots = self.slots();
        let bare = |address: &str| address.rsplit("://").next().unwrap_or_default().to_owned();
        let by_name = slots.iter().find(|slot| slot.name == name_or_address);
        let by_address = || {
            let wanted = bare(name_or_address);
            slots
                .iter()
                .find(|slot| slot.address == name_or_address || bare(&slot.address) == wanted)
        };
        by_name.or_else(by_address).cloned()
    }

    /// Whether every target was polled once, whatever came of it, and the page shows it: the
    /// first scrape of a ready exporter must not miss a target.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        Arc::ptr_eq(&self.slots(), &self.shown.borrow())
    }

    /// Notes that the page has a poll of each of these targets.
    pub fn set_shown(&self, slots: Arc<[Arc<Slot>]>) {
        self.shown.send_replace(slots);
    }

    /// The page of all targets.
    #[must_use]
    pub fn page(&self) -> Page {
        self.page.borrow().clone()
    }

    /// Puts a page in the place of the one before.
    pub fn set_page(&self, page: Page) {
        self.page.send_replace(page);
    }

    /// Takes all pages away: none is better than one that stays as it was.
    pub fn clear_pages(&self) {
        self.set_page(Page::default());
        for slot in self.slots().iter() {
            slot.page.send_replace(None);
        }
    }

    /// Has every page written anew, as when the way of writing has changed.
    pub fn mark_stale(&self) {
        for slot in self.slots().iter() {
            slot.mark_stale();
        }
    }

    /// Waits until something was published or listed since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}
