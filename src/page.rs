//! Renews the pages after each publication of a target: the page of that target, and the page of
//! all targets.
//!
//! A page is encoded shortly before it is read, because most publications are never read. This is
//! the only module that turns snapshots into pages; other modules decide their contents.

use std::sync::Arc;
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
        let all_polled = slots.iter().all(is_polled);
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
    slot: Arc<Slot>,
    poll: Arc<Publication>,
    /// The samples of the other tasks of the target.
    others: Arc<[Arc<Snapshot>]>,
    attributes: Arc<Attributes>,
}

impl LastPublications {
    /// Returns the last publications; `None` before the first poll. After a failed poll, omits the
    /// data of the other tasks, so that stale data does not look fresh.
    fn of(slot: &Arc<Slot>) -> Option<Self> {
        let poll = slot.latest()?;
        let others = [slot.namespaces(), slot.canary()].into_iter().flatten();
        let others = others.filter(|_| poll.failure.is_none()).collect();
        Some(Self {
            slot: Arc::clone(slot),
            poll,
            others,
            attributes: slot.attributes(),
        })
    }
}

fn labeled<'a>(
    poll: &'a Publication,
    others: &'a [Arc<Snapshot>],
    labels: SharedLabels<'a>,
) -> impl Iterator<Item = Labeled<'a, SharedLabels<'a>>> {
    let others = others.iter().map(|other| &**other);
    let snapshots = std::iter::once(&poll.snapshot).chain(others);
    snapshots.map(move |snapshot| (labels, snapshot))
}

/// Replaces the page of all targets and the pages of targets that published since the last call.
/// Returns the latter targets.
fn renew(board: &Board, telemetry: &Telemetry, names: &Names) -> Vec<Arc<Slot>> {
    let slots = board.slots();
    let mut names = names.clone();
    // During a reload, the list of targets may be older or newer than the names. Without the label,
    // two targets could have the same series.
    let listed = slots.iter().filter(|slot| !slot.is_requested());
    names.target_label |= listed.count() != 1;
    // Taken before reading, so that later publications are included the next time.
    let stale: Vec<bool> = slots.iter().map(|slot| slot.take_stale()).collect();
    let seen: Vec<Option<LastPublications>> = slots.iter().map(LastPublications::of).collect();
    let mut news = Vec::new();
    for (seen, is_stale) in seen.iter().zip(stale) {
        if let Some(seen) = seen.as_ref().filter(|_| is_stale) {
            news.push(Arc::clone(&seen.slot));
            let (poll, others) = (Arc::clone(&seen.poll), Arc::clone(&seen.others));
            let (telemetry, name) = (telemetry.clone(), seen.slot.name.clone());
            let (names, attributes) = (names.clone(), Arc::clone(&seen.attributes));
            seen.slot.set_page(move |form| {
                let counted = telemetry.of_target(&name);
                let labels = SharedLabels {
                    target: None,
                    text: attributes.label_text(),
                };
                let mut alone: Vec<_> = labeled(&poll, &others, labels).collect();
                alone.push((SharedLabels::default(), &counted));
                let mut page = PageWriter::new(form);
                page.add(&alone, &names);
                page.finish()
            });
        }
    }
    let seen = seen.into_iter().flatten();
    let seen: Arc<[LastPublications]> = seen.filter(|seen| !seen.attributes.is_requested).collect();
    let shown = seen
        .iter()
        .map(|seen| (Arc::clone(&seen.slot), seen.poll.polled_at))
        .collect();
    let telemetry = telemetry.clone();
    board.set_page(
        move |form| page_of_all(&seen, &telemetry, &names, form),
        shown,
    );
    news
}

fn page_of_all(
    seen: &[LastPublications],
    telemetry: &Telemetry,
    names: &Names,
    form: Form,
) -> Page {
    let started = Instant::now();
    let all: Vec<_> = seen
        .iter()
        .flat_map(|seen| {
            labeled(
                &seen.poll,
                &seen.others,
                SharedLabels {
                    target: Some(&seen.slot.name),
                    text: seen.attributes.label_text(),
                },
            )
        })
        .collect();
    let mut page = PageWriter::new(form);
    page.add(&all, names);
    telemetry.write(&mut page, names, form.format);
    let page = page.finish();
    telemetry.set(PAGE_DURATION, [], started.elapsed().as_secs_f64());
    page
}
