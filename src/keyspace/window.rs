//! Keeps the tallies of the most recently visited segments of a sweep, up to one whole pass. Pure.
//!
//! A segment is a fixed part of a database's hash table; a pass visits all of them. Only the newest
//! tally of each segment counts, so no key counts twice however long the sweep runs. Callers supply
//! times, in seconds of any clock.

use std::collections::BTreeMap;

use super::NamespaceId;
use super::course::{Course, Point};
use super::kept::Kept;
use super::segment::SEGMENTS_MAX;
use super::slices::{SliceCounts, Slices};
use super::tally::{Details, Tally};
use crate::config::TtlPolicy;
use crate::number::to_float;

/// A size is known as big after a pass if it is more than this many times the mean of its
/// namespace.
const KNOWN_TIMES_MEAN: u128 = 10;

/// Tallies by namespace. Boxed, because a node of the map has room for eleven.
pub type Tallies = BTreeMap<NamespaceId, Box<Tally>>;

#[derive(Clone, Debug)]
struct SegmentVisits {
    started: f64,
    /// Time when its visit ended; `None` until then.
    ended: Option<f64>,
    /// Whether its visit covered it from start to end.
    complete: bool,
    tallies: Tallies,
    slices: Slices,
    /// The counts of the previous visit, if it was complete and is a single slice.
    before: Option<SliceCounts>,
}

/// The last two visits of one segment.
#[derive(Clone, Debug)]
pub struct Visits {
    /// Whether the last visit is complete.
    pub complete: bool,
    /// The slices of the last visit, at least one.
    pub last: Vec<SliceCounts>,
    /// The previous visit, if both are complete and it is a single slice.
    pub before: Option<SliceCounts>,
}

impl SegmentVisits {
    /// Begins a visit.
    const fn new(now: f64, complete: bool) -> Self {
        Self {
            started: now,
            ended: None,
            complete,
            tallies: Tallies::new(),
            slices: Slices::new(now),
            before: None,
        }
    }

    fn slices(&self, now: f64) -> Vec<SliceCounts> {
        self.slices.until(&self.tallies, self.ended.unwrap_or(now))
    }

    fn seen(&self) -> u64 {
        let tallies = self.tallies.values();
        tallies.fold(0, |sum, tally| sum.saturating_add(tally.keys))
    }

    /// Returns whether this open visit counts instead of an earlier one of the same segment. Both
    /// see the same keys, so only one of them counts: a complete one, or the one that saw more.
    fn outweighs(&self, earlier: Option<&Self>) -> bool {
        earlier.is_none_or(|earlier| !earlier.complete && self.seen() >= earlier.seen())
    }

    /// Returns the counts of a visit if it is a single slice.
    fn counted(&self, now: f64) -> Option<SliceCounts> {
        let mut slices = self.slices(now);
        slices.pop().filter(|_| slices.is_empty())
    }
}

/// The findings about one database.
#[derive(Clone, Debug)]
pub struct Window {
    segments: Vec<Option<Box<SegmentVisits>>>,
    /// The open segment, with its index.
    open: Option<(usize, Box<SegmentVisits>)>,
    known: BTreeMap<NamespaceId, Vec<u64>>,
    /// How the database has changed since.
    course: Course,
    kept: Kept,
}

impl Window {
    /// Returns an empty window of this many segments, limited to at least 1 and at most
    /// [`SEGMENTS_MAX`].
    #[must_use]
    pub fn new(segments: u32) -> Self {
        let mut window = Self {
            segments: Vec::new(),
            open: None,
            known: BTreeMap::new(),
            course: Course::default(),
            kept: Kept::default(),
        };
        window.empty(segments);
        window
    }

    fn empty(&mut self, segments: u32) {
        self.open = None;
        self.segments = (0..segments.clamp(1, SEGMENTS_MAX)).map(|_| None).collect();
    }

    /// Returns the number of segments of a pass.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Opens a segment. A segment that is still open counts as a partial visit, unless another
    /// visit of it is complete or saw more keys.
    pub fn open(&mut self, segment: u32, now: f64) {
        self.close_part(now);
        let place = segment as usize % self.segments.len().max(1);
        self.open = Some((place, Box::new(SegmentVisits::new(now, true))));
    }

    /// Returns the tally of a namespace in the open segment; `None` if no segment is open.
    pub fn tally(&mut self, namespace: NamespaceId) -> Option<&mut Tally> {
        let (_, open) = self.open.as_mut()?;
        Some(open.tallies.entry(namespace).or_default())
    }

    /// Keeps the TTL and the type of a key beyond the pass.
    pub fn keep(&mut self, namespace: NamespaceId, details: Details, policy: TtlPolicy) {
        self.kept.keep(namespace, details, policy);
    }

    /// Closes the open segment. Its tallies replace the older ones.
    pub fn close(&mut self, now: f64) {
        let Some((place, mut open)) = self.open.take() else {
            return;
        };
        open.ended = Some(now);
        open.slices.cut(&open.tallies, now);
        if let Some(older) = self.segments.get_mut(place)
            && (open.complete || open.outweighs(older.as_deref()))
        {
            let complete = older.take_if(|older| older.complete);
            open.before = complete.and_then(|older| older.counted(now));
            *older = Some(open);
        }
    }

    /// Closes the open segment before its end. It counts as a partial visit.
    pub fn close_part(&mut self, now: f64) {
        if let Some((_, open)) = &mut self.open {
            open.complete = false;
        }
        self.close(now);
    }

    /// Records the current number of keys, and the maximum number of keys added or removed since
    /// the last call.
    ///
    /// Forgets everything about a database that is empty now. One that has only lost most of its
    /// keys, for example by a mass expiry, keeps its namespaces with accordingly wide intervals.
    pub fn observe(&mut self, now: f64, keys: u64, events: f64) {
        self.course.observe(now, keys, events);
        if keys == 0 {
            self.forget();
        }
        self.divide_visits(now);
    }

    /// Divides the current visit into slices when the rate of changes varies.
    fn divide_visits(&mut self, now: f64) {
        let number = self.segments.len();
        if let Some((_, open)) = &mut self.open {
            open.slices.cut(&open.tallies, now);
            open.slices.join(&self.course, number);
        }
        // The changes at the end of a visit were not yet known when it ended.
        let several = self.segments.iter_mut().flatten();
        for segment in several.filter(|segment| segment.slices.are_several()) {
            segment.slices.join(&self.course, number);
        }
    }

    /// Forgets all keys seen. An open segment stays open as a partial visit, because its earlier
    /// keys no longer count.
    pub fn forget(&mut self) {
        let open = self.open.take();
        self.known.clear();
        self.kept.clear();
        self.empty(u32::try_from(self.segments.len()).unwrap_or(SEGMENTS_MAX));
        self.open = open.map(|(place, open)| {
            let now = self.course.last().map_or(open.started, |last| last.time);
            (place, Box::new(SegmentVisits::new(now, false)))
        });
    }

    /// Starts again with another number of segments, for example after the database has grown. The
    /// big keys of the last pass stay known.
    pub fn divide(&mut self, segments: u32) {
        if self.is_whole() {
            let big = |(name, tally): (NamespaceId, Box<Tally>)| Some((name, big_keys(&tally)?));
            self.known = self.totals().into_iter().filter_map(big).collect();
        }
        self.empty(segments);
    }

    /// Returns the sizes of the big keys of a namespace that an earlier pass found, largest first.
    /// Returns nothing once the window is a whole pass.
    #[must_use]
    pub fn known(&self, namespace: NamespaceId) -> &[u64] {
        match self.known.get(&namespace) {
            Some(known) if !self.is_whole() => known,
            _ => &[],
        }
    }

    fn ended(&self, place: usize) -> Option<&SegmentVisits> {
        self.segments.get(place)?.as_deref()
    }

    /// Returns the visits that count, at most one per segment.
    fn parts(&self) -> impl Iterator<Item = &SegmentVisits> {
        let mut open = self.open.iter();
        let open = open.find(|(place, open)| open.outweighs(self.ended(*place)));
        let hidden = open.map(|(place, _)| *place);
        let segments = self.segments.iter().enumerate();
        let ended = segments.filter(move |(place, _)| Some(*place) != hidden);
        let ended = ended.filter_map(|(_, ended)| ended.as_deref());
        ended.chain(open.map(|(_, open)| &**open))
    }

    /// Returns how the database has changed.
    #[must_use]
    pub const fn course(&self) -> &Course {
        &self.course
    }

    /// Returns the state of the database when the oldest visit began, or before that.
    #[must_use]
    pub fn begun(&self) -> Option<Point> {
        self.course.before(self.first_visit()?)
    }

    /// Returns the time when the oldest visit that counts began.
    #[must_use]
    pub fn first_visit(&self) -> Option<f64> {
        self.parts().map(|part| part.started).reduce(f64::min)
    }

    /// Returns whether the server's counters show no change of keys since the oldest visit began.
    #[must_use]
    pub fn is_still(&self) -> bool {
        match (self.begun(), self.course.last()) {
            (Some(then), Some(now)) => now.events <= then.events,
            _ => true,
        }
    }

    /// Returns the visits of each segment that counts.
    pub fn visits(&self, now: f64) -> impl Iterator<Item = Visits> {
        self.parts().map(move |part| Visits {
            complete: part.complete && part.ended.is_some(),
            last: part.slices(now),
            before: part.before.clone(),
        })
    }

    /// Returns whether no segment has been visited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts().next().is_none()
    }

    /// Returns the number of keys seen.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.parts()
            .fold(0, |sum, part| sum.saturating_add(part.seen()))
    }

    /// Returns the start of the last ended visit of a segment, and whether it is complete.
    #[must_use]
    pub fn visited(&self, segment: u32) -> Option<(f64, bool)> {
        let visit = self.ended(segment as usize)?;
        Some((visit.started, visit.complete))
    }

    /// Returns whether every segment was visited from start to end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.segments
            .iter()
            .all(|segment| segment.as_ref().is_some_and(|segment| segment.complete))
    }

    /// Returns the share of the database's keys that was seen, from 0 to 1.
    #[must_use]
    pub fn coverage(&self, keys: u64) -> f64 {
        if self.is_whole() || keys == 0 {
            return 1.0;
        }
        (to_float(self.seen()) / to_float(keys)).min(1.0)
    }

    /// Returns the age of the oldest visit in seconds; `None` if there is no visit.
    #[must_use]
    pub fn age(&self, now: f64) -> Option<f64> {
        Some((now - self.first_visit()?).max(0.0))
    }

    /// Returns the sum of all tallies by namespace.
    #[must_use]
    pub fn totals(&self) -> Tallies {
        let mut totals = Tallies::new();
        for (namespace, tally) in self.parts().flat_map(|part| &part.tallies) {
            totals.entry(*namespace).or_default().merge(tally);
        }
        for (namespace, tally) in &mut totals {
            self.kept.fill(*namespace, tally);
        }
        totals
    }
}

/// Returns the big keys of a namespace if the memory of all its keys was queried. Otherwise some
/// would be missing.
fn big_keys(tally: &Tally) -> Option<Vec<u64>> {
    let sizes = &tally.memory;
    if sizes.count.saturating_add(tally.vanished) < tally.keys {
        return None;
    }
    let is_big = |bytes: &u64| {
        u128::from(*bytes).saturating_mul(u128::from(sizes.count))
            > sizes.sum.saturating_mul(KNOWN_TIMES_MEAN)
    };
    Some(sizes.largest().iter().copied().take_while(is_big).collect())
}

/// The windows of all databases of a target.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    windows: BTreeMap<u32, Box<Window>>,
    /// The sizes of the databases at the last observation, with its time.
    observed: Option<(f64, BTreeMap<u32, u64>)>,
}

impl Windows {
    /// Records the existing databases with their sizes, and the maximum number of keys added or
    /// removed since the last call. Forgets databases that no longer exist.
    pub fn observe(&mut self, now: f64, sizes: &BTreeMap<u32, u64>, events: f64) {
        self.windows
            .retain(|database, _| sizes.contains_key(database));
        for (database, window) in &mut self.windows {
            let keys = sizes.get(database).copied().unwrap_or(0);
            window.observe(now, keys, events);
        }
        self.observed = Some((now, sizes.clone()));
    }

    /// Returns the window of a database. Creates it with this many segments if there is none.
    pub fn window(&mut self, database: u32, segments: u32) -> &mut Window {
        let observed = &self.observed;
        self.windows.entry(database).or_insert_with(|| {
            let mut window = Box::new(Window::new(segments));
            if let Some((time, sizes)) = observed {
                let keys = sizes.get(&database).copied().unwrap_or(0);
                window.course.observe(*time, keys, 0.0);
            }
            window
        })
    }

    /// Forgets the visits of some databases.
    pub fn forget(&mut self, is_forgotten: &dyn Fn(u32) -> bool) {
        self.windows.retain(|database, _| !is_forgotten(*database));
    }

    /// Returns the window of a database, if there is one.
    #[must_use]
    pub fn get(&self, database: u32) -> Option<&Window> {
        self.windows.get(&database).map(|window| &**window)
    }

    /// Returns the windows in the order of their databases.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Window)> {
        let windows = self.windows.iter();
        windows.map(|(database, window)| (*database, &**window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMESPACE: NamespaceId = NamespaceId(0);

    fn see(window: &mut Window, keys: u64) {
        for _ in 0..keys {
            see_sized(window, None);
        }
    }

    fn see_sized(window: &mut Window, memory: Option<u64>) {
        let details = Details {
            memory,
            ..Details::default()
        };
        let tally = window.tally(NAMESPACE).expect("a segment is open");
        tally.see(details, TtlPolicy::default());
    }

    fn visit(window: &mut Window, segment: u32, now: f64, keys: u64) {
        window.open(segment, now);
        see(window, keys);
        window.close(now);
    }

    #[test]
    fn endless_sweep_never_counts_more_than_one_pass() {
        let mut window = Window::new(4);
        for round in 0..10_u32 {
            for segment in [2, 0, 3, 1] {
                visit(&mut window, segment, f64::from(round), 5);
            }
            assert_eq!(window.seen(), 20);
            assert!(window.is_whole());
        }
    }

    #[test]
    fn complete_tally_replaces_the_older_one_of_its_segment() {
        let mut window = Window::new(2);
        visit(&mut window, 0, 1.0, 5);
        visit(&mut window, 1, 2.0, 7);
        window.open(0, 3.0);
        see(&mut window, 2);
        assert_eq!((window.seen(), window.age(4.0)), (12, Some(3.0)));
        window.close(0.0);
        assert_eq!((window.seen(), window.age(4.0)), (9, Some(2.0)));
    }

    #[test]
    fn open_segment_counts_in_the_first_pass() {
        let mut window = Window::new(4);
        window.open(3, 1.0);
        see(&mut window, 3);
        assert_eq!(window.seen(), 3);
        assert!(!window.is_whole());
        assert!((window.coverage(12) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn partial_segment_counts_but_completes_no_pass() {
        let mut window = Window::new(2);
        window.open(0, 1.0);
        see(&mut window, 3);
        visit(&mut window, 1, 2.0, 6);
        assert_eq!((window.seen(), window.is_whole()), (9, false));
        visit(&mut window, 0, 3.0, 5);
        assert_eq!((window.seen(), window.is_whole()), (11, true));
    }

    #[test]
    fn partial_segment_does_not_replace_a_complete_one() {
        let mut window = Window::new(1);
        visit(&mut window, 0, 1.0, 5);
        window.open(0, 2.0);
        see(&mut window, 1);
        window.open(0, 3.0);
        assert_eq!((window.seen(), window.is_whole()), (5, true));
    }

    #[test]
    fn partial_visit_counts_until_another_saw_more() {
        let mut window = Window::new(2);
        window.open(1, 1.0);
        see(&mut window, 5);
        window.close_part(2.0);
        window.open(1, 3.0);
        for (keys, counted, age) in [(0, 5, 3.0), (4, 5, 3.0), (1, 5, 1.0), (1, 6, 1.0)] {
            see(&mut window, keys);
            assert_eq!((window.seen(), window.age(4.0)), (counted, Some(age)));
        }
        window.close_part(4.0);
        assert_eq!(window.seen(), 6);
        window.open(1, 5.0);
        see(&mut window, 2);
        window.close_part(6.0);
        assert_eq!(window.seen(), 6, "the smaller part replaced the larger one");
        visit(&mut window, 1, 7.0, 2);
        assert_eq!(window.seen(), 2, "a complete visit replaces every part");
    }

    #[test]
    fn flush_during_a_pass_forgets_keys_and_leaves_it_partial() {
        let mut window = Window::new(1);
        window.open(0, 1.0);
        see(&mut window, 10);
        window.observe(0.0, 0, 0.0);
        assert_eq!(window.seen(), 0);
        see(&mut window, 2);
        window.close(0.0);
        assert_eq!((window.seen(), window.is_whole()), (2, false));
        visit(&mut window, 0, 2.0, 4);
        assert_eq!((window.seen(), window.is_whole()), (4, true));
    }

    #[test]
    fn only_an_empty_database_forgets_its_window() {
        let mut window = Window::new(1);
        visit(&mut window, 0, 1.0, 10);
        window.observe(2.0, 1, 0.0);
        assert_eq!((window.seen(), window.is_whole()), (10, true));
        window.observe(3.0, 0, 0.0);
        assert_eq!(window.seen(), 0);
    }

    #[test]
    fn empty_database_is_whole_after_an_empty_pass() {
        let mut window = Window::new(1);
        assert_eq!(window.age(9.0), None);
        window.observe(0.0, 0, 0.0);
        visit(&mut window, 0, 1.0, 0);
        assert!(window.is_whole());
        assert_eq!((window.seen(), window.totals().len()), (0, 0));
        assert!((window.coverage(0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn keys_do_not_count_while_no_segment_is_open() {
        let mut window = Window::new(1);
        assert!(window.tally(NAMESPACE).is_none());
        visit(&mut window, 0, 1.0, 1);
        assert!(window.tally(NAMESPACE).is_none());
    }

    #[test]
    fn number_of_segments_is_bounded() {
        assert_eq!(Window::new(0).segments(), 1);
        assert_eq!(Window::new(1_000).segments(), 64);
        let mut window = Window::new(2);
        visit(&mut window, 5, 1.0, 3);
        assert_eq!(window.seen(), 3);
    }

    #[test]
    fn big_keys_stay_known_when_segments_change() {
        let mut window = Window::new(1);
        window.open(0, 1.0);
        for _ in 0..100 {
            see_sized(&mut window, Some(10));
        }
        see_sized(&mut window, Some(100_000));
        window.close(0.0);
        assert_eq!(window.known(NAMESPACE), &[] as &[u64]);
        window.divide(4);
        assert_eq!(window.known(NAMESPACE), &[100_000]);
        assert_eq!((window.segments(), window.seen()), (4, 0));
        for segment in 0..4 {
            visit(&mut window, segment, 2.0, 1);
        }
        assert_eq!(window.known(NAMESPACE), &[] as &[u64]);
    }

    #[test]
    fn big_keys_are_known_only_if_all_keys_were_queried() {
        let mut window = Window::new(1);
        window.open(0, 1.0);
        for _ in 0..100 {
            see_sized(&mut window, Some(10));
        }
        see_sized(&mut window, Some(100_000));
        see_sized(&mut window, None);
        window.close(0.0);
        window.divide(4);
        assert_eq!(window.known(NAMESPACE), &[] as &[u64]);
    }

    #[test]
    fn databases_come_and_go() {
        let mut windows = Windows::default();
        visit(windows.window(0, 1), 0, 1.0, 4);
        visit(windows.window(7, 4), 0, 1.0, 4);
        windows.observe(0.0, &BTreeMap::from([(0, 4), (3, 9)]), 0.0);
        let left: Vec<_> = windows
            .iter()
            .map(|(database, window)| (database, window.seen()))
            .collect();
        assert_eq!(left, [(0, 4)]);
        windows.observe(0.0, &BTreeMap::new(), 0.0);
        assert_eq!(windows.iter().count(), 0);
    }
}
