//! Renews the pages after each publication of a target: the page of that target, and the page of
//! all targets.
//!
//! A page is encoded shortly before it is read, because most publications are never read. This is
//! the only module that turns snapshots into pages; other modules decide their contents.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::{Instant, sleep_until};

use crate::encode::{Form, Labeled, Page, PageWriter, SharedLabels};
use crate::metric::Names;
use crate::metric::Snapshot;
use crate::publish::{Attributes, Board, Publication, Slot, Unwritten};
use crate::telemetry::{Gauge, Telemetry};
use crate::threads::{Lane, Lost};

const PAGE_DURATION: Gauge<0> = Gauge::named("redis_exporter_page_duration_seconds");

/// The thread that encodes pages, and nothing else.
static PAGES: Lane = Lane::new("pages", 1);

/// Pause after encoding, as a multiple of the time it took. Hundreds of targets that publish one
/// after another must not keep a core busy. The page of one target takes a millisecond.
const PAUSE_PER_WORK: u32 = 9;

/// Minimum pause for each target. Each renewal visits all of them, and some of thousands publish at
/// any time.
const PAUSE_PER_TARGET: Duration = Duration::from_micros(25);

/// Maximum pause. Encoding is slow on a busy machine or with thousands of targets, but a failed
/// target must still be visible soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Renews the pages after each publication, and encodes those that will be read soon. Never
/// returns.
pub async fn run(board: Board, telemetry: Telemetry, names: Arc<ArcSwap<Names>>) {
    loop {
        let started = Instant::now();
        let slots = board.slots();
        let count = slots.len();
        // Read before renewing: later publications may be missing in the page.
        let is_polled = |slot: &Arc<Slot>| slot.is_requested() || slot.latest().is_some();
        let all_polled = board.shows(&slots) || slots.iter().all(is_polled);
        let news = renew(&board, &telemetry, &names.load());
        if all_polled {
            board.set_shown(slots);
        }
        let mut due = board.due(started);
        due.extend(news.iter().flat_map(|slot| slot.due(started)));
        write_aside(due).await;
        for slot in &news {
            slot.record_shown();
        }
        tokio::time::sleep(pause(started.elapsed(), count)).await;
        write_until_changed(&board).await;
    }
}

/// Waits for a publication. Until then, encodes the page of all targets shortly before each read.
async fn write_until_changed(board: &Board) {
    loop {
        let now = Instant::now();
        let next = board.next_due(now);
        tokio::select! {
            biased;
            () = board.changed() => return,
            // Disabled if no read is expected, regardless of the time.
            () = sleep_until(next.unwrap_or(now)), if next.is_some() => {
                write_aside(board.due(Instant::now())).await;
            }
        }
    }
}

/// Encodes pages on a separate thread, because many targets take long.
async fn write_aside(due: Vec<Unwritten>) {
    if due.is_empty() {
        return;
    }
    let write = || {
        for page in due {
            drop(page.write());
        }
    };
    match PAGES.run(write).await {
        // Without a thread, the page is encoded when it is read.
        Ok(()) | Err(Lost::NoThread) => {}
        // Propagates the panic to the supervisor of this task.
        Err(Lost::Panicked(panic)) => std::panic::resume_unwind(panic),
    }
}

fn pause(took: Duration, targets: usize) -> Duration {
    let targets = u32::try_from(targets).unwrap_or(u32::MAX);
    let least = PAUSE_PER_TARGET.saturating_mul(targets);
    let pause = took.saturating_mul(PAUSE_PER_WORK).max(least);
    pause.min(LONGEST_PAUSE)
}

/// The last publications of one target's tasks.
struct LastPublications {
    poll: Arc<Publication>,
    /// The samples of the other tasks of the target.
    others: [Option<Arc<Snapshot>>; 2],
    attributes: Arc<Attributes>,
}

impl LastPublications {
    /// Returns the last publications; `None` before the first poll. After a failed poll, omits the
    /// data of the other tasks, so that stale data does not look fresh.
    fn of(slot: &Slot) -> Option<Self> {
        let poll = slot.latest()?;
        let others = match poll.failure {
            None => [slot.namespaces(), slot.canary()],
            Some(_) => [None, None],
        };
        Some(Self {
            poll,
            others,
            attributes: slot.attributes(),
        })
    }

    /// Returns all samples, with the labels of the target and of its source, except for its name on
    /// its own page.
    fn labeled<'a>(
        &'a self,
        target: Option<&'a str>,
    ) -> impl Iterator<Item = Labeled<'a, SharedLabels<'a>>> {
        let labels = SharedLabels {
            target,
            text: self.attributes.label_text(),
        };
        let others = self.others.iter().flatten().map(|other| &**other);
        let snapshots = std::iter::once(&self.poll.snapshot).chain(others);
        snapshots.map(move |snapshot| (labels, snapshot))
    }
}

/// Replaces the page of all targets and the pages of targets that published since the last call.
/// Returns the latter targets.
fn renew(board: &Board, telemetry: &Telemetry, names: &Names) -> Vec<Arc<Slot>> {
    let slots = board.slots();
    let names = Arc::new(names.clone());
    // Taken before reading, so that later publications are included the next time.
    let stale = slots.iter().filter(|slot| slot.take_stale());
    let mut news = Vec::new();
    for (slot, last) in stale.filter_map(seen) {
        let (telemetry, names, name) = (telemetry.clone(), Arc::clone(&names), slot.name.clone());
        slot.set_page(move |form| page_of_one(&name, &last, &telemetry, &names, form));
        news.push(slot);
    }
    // Read at the first read of the page: there may be thousands, and most pages are never read.
    let all = Arc::new(LazyLock::new(move || AllTargets::of(&slots, &names)));
    let telemetry = telemetry.clone();
    let same = Arc::clone(&all);
    let shown = move || {
        let polls = same.seen.iter();
        let polls = polls.map(|(slot, last)| (Arc::clone(slot), last.poll.polled_at));
        polls.collect()
    };
    board.set_page(move |form| page_of_all(&all, &telemetry, form), shown);
    news
}

/// The targets on the page of all targets.
struct AllTargets {
    seen: Vec<(Arc<Slot>, LastPublications)>,
    names: Names,
}

impl AllTargets {
    /// Returns those that are not requested ones.
    fn of(slots: &[Arc<Slot>], names: &Names) -> Self {
        let listed = slots.iter().filter(|slot| !slot.is_requested());
        let listed: Vec<_> = listed.collect();
        let mut names = names.clone();
        // During a reload, the list of targets may be older or newer than the names. Without the
        // label, two targets could have the same series.
        names.target_label |= listed.len() != 1;
        let seen = listed.into_iter().filter_map(seen).collect();
        Self { seen, names }
    }
}

/// Returns a target with its last publications. These must not refer to the target, which keeps them
/// for its page.
fn seen(slot: &Arc<Slot>) -> Option<(Arc<Slot>, LastPublications)> {
    let last = LastPublications::of(slot)?;
    Some((Arc::clone(slot), last))
}

fn page_of_one(
    name: &str,
    last: &LastPublications,
    telemetry: &Telemetry,
    names: &Names,
    form: Form,
) -> Page {
    let counted = telemetry.of_target(name);
    let mut alone: Vec<_> = last.labeled(None).collect();
    alone.push((SharedLabels::default(), &counted));
    let mut page = PageWriter::new(form);
    page.add(&alone, names);
    page.finish()
}

fn page_of_all(all: &AllTargets, telemetry: &Telemetry, form: Form) -> Page {
    let started = Instant::now();
    let AllTargets { seen, names } = all;
    let labeled = seen
        .iter()
        .flat_map(|(slot, last)| last.labeled(Some(&slot.name)));
    let labeled: Vec<_> = labeled.collect();
    let mut page = PageWriter::new(form);
    page.add(&labeled, names);
    telemetry.write(&mut page, names, form.format);
    let page = page.finish();
    telemetry.set(PAGE_DURATION, [], started.elapsed().as_secs_f64());
    page
}
