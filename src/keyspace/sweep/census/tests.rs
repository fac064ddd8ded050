use super::*;
use crate::collector::info::keyspace::Listed;
use crate::config::EventUse;
use crate::info::Info;
use crate::keyspace::key_group::KeyGroup;
use crate::keyspace::segment::segments;
use crate::keyspace::sweep::vitals::{Scope, Vitals};
use crate::keyspace::watches::NewWatched;

/// Returns the vitals of a server with `keys` keys after `writes` writes.
fn vitals(run_id: &str, keys: u64, writes: u64) -> Vitals {
    let text = format!(
        "run_id:{run_id}\r\nrdb_changes_since_last_save:{writes}\r\nrdb_last_save_time:1\r\n\
         db0:keys={keys},expires=0,avg_ttl=0\r\n"
    );
    let info = Info::parse(&text);
    Vitals::read(&info, Listed::read(&info).keys, Scope::WHOLE)
}

#[test]
fn sample_outlives_a_connection_to_the_same_server() {
    let mut census = Census::new(&[], &Sweep::default(), &Keys::default());
    census.record_vitals(&vitals("a", 10, 0), 0.0);
    census.record_cursors(true);
    census.start_database(0, 2);
    census.open(0, Segment::WHOLE, 0.0);
    census.see(0, b"session:1", &KeyDetails::default());
    census.close(0, 1.0);
    let shown = |census: &Census| !census.findings(0.0).is_empty();
    assert!(shown(&census));
    census.record_connection();
    census.record_vitals(&vitals("a", 10, 0), 2.0);
    assert!(shown(&census) && !census.knows_cursors());
    census.record_other_cursors();
    assert!(!shown(&census));
}

#[test]
fn transient_batch_within_a_pass_raises_no_doubts() {
    let mut census = Census::new(&[], &Sweep::default(), &Keys::default());
    census.record_vitals(&vitals("a", 100, 0), 0.0);
    census.record_cursors(true);
    let pass = |number: u32| {
        let (start, writes) = (f64::from(10 * number), u64::from(1_000 * number));
        census.start_database(0, 2);
        census.open(0, Segment::WHOLE, start + 1.0);
        census.record_vitals(&vitals("a", 200, writes + 200), start + 5.0);
        for _ in 0..200 {
            census.see(0, b"session:1", &KeyDetails::default());
        }
        census.close(0, start + 6.0);
        census.record_vitals(&vitals("a", 100, writes + 400), start + 9.0);
        census.check_pass(0) && census.sweeps_in_random_order()
    };
    assert!((1..6).all(pass));
}

#[test]
fn passes_with_duplicate_keys_end_random_order() {
    let mut census = Census::new(&[], &Sweep::default(), &Keys::default());
    census.record_vitals(&vitals("a", 100, 0), 0.0);
    census.record_cursors(true);
    let mut pass = || {
        census.start_database(0, 2);
        census.open(0, Segment::WHOLE, 1.0);
        for _ in 0..200 {
            census.see(0, b"session:1", &KeyDetails::default());
        }
        census.close(0, 2.0);
        census.check_pass(0)
    };
    assert!(pass());
    assert!(!pass());
}

#[test]
fn two_cursors_refused_in_a_row_end_random_order() {
    let mut census = Census::new(&[], &Sweep::default(), &Keys::default());
    census.record_cursors(true);
    assert!(!census.record_refused_cursor() && census.sweeps_in_random_order());
    census.record_accepted_cursor();
    assert!(!census.record_refused_cursor() && census.sweeps_in_random_order());
    assert!(census.record_refused_cursor() && !census.sweeps_in_random_order());
}

/// Previews a segment of database 3 that has these keys. Returns the census in a pass that began
/// at the time 1.
fn previewed(keys: u64, is_complete: bool) -> Census {
    let mut census = Census::new(&[], &Sweep::default(), &Keys::default());
    census.record_vitals(&vitals("a", 50_000, 0), 0.0);
    census.record_cursors(true);
    census.start_pass(1.0);
    census.start_preview(3, Segment::first(keys), 2.0);
    for _ in 0..100 {
        census.see(3, b"session:1", &KeyDetails::default());
    }
    if is_complete {
        census.close(3, 3.0);
    } else {
        census.close_part(3, 3.0);
    }
    census
}

fn numbers(segments: Vec<Segment>) -> Vec<u32> {
    segments.into_iter().map(Segment::number).collect()
}

#[test]
fn pass_leaves_what_a_preview_visited_for_the_end() {
    let order = || segments(4_000, None, |below| below - 1);
    assert_eq!(numbers(order()), [0, 1, 2, 3]);
    let mut census = previewed(4_000, false);
    assert_eq!(numbers(census.remaining(3, order())), [1, 2, 3, 0]);
    assert_eq!(numbers(census.remaining(0, order())), [0, 1, 2, 3]);
    assert!(!census.is_finished(3) && !census.is_whole(3));
    let census_of_complete = previewed(4_000, true);
    assert_eq!(numbers(census_of_complete.remaining(3, order())), [1, 2, 3]);
    census.start_database(3, 4);
    let seen = |census: &Census| census.windows.get(3).map(Window::seen);
    assert_eq!(seen(&census), Some(100));
    for segment in census.remaining(3, order()) {
        census.open(3, segment, 4.0);
        for _ in 0..1_000 {
            census.see(3, b"session:1", &KeyDetails::default());
        }
        census.close(3, 5.0);
    }
    assert_eq!(seen(&census), Some(4_000), "a key counted twice");
    assert!(census.is_finished(3));
    census.start_pass(6.0);
    assert_eq!(numbers(census.remaining(3, order())), [0, 1, 2, 3]);
    assert!(!census.is_finished(3));
}

#[test]
fn small_database_is_finished_by_its_preview() {
    let mut census = previewed(100, true);
    assert!(census.is_finished(3) && !census.is_finished(0));
    census.forget(&|database| database == 3);
    assert!(!census.is_finished(3));
}

#[test]
fn replaced_preview_leaves_the_swept_database_as_it_is() {
    let mut census = Census::new(&[], &Sweep::default(), &Keys::default());
    census.record_cursors(true);
    census.start_database(0, 4);
    census.open(0, Segment::WHOLE, 1.0);
    census.start_preview(3, Segment::first(4_000), 2.0);
    census.see(3, b"session:1", &KeyDetails::default());
    let generation = census.generation();
    census.forget(&|database| database == 3);
    assert_eq!(census.segments_in_use(3), None);
    census.see(3, b"session:1", &KeyDetails::default());
    assert_eq!(
        census.segments_in_use(3),
        None,
        "keys count without a visit"
    );
    census.see(0, b"session:1", &KeyDetails::default());
    assert_eq!(census.generation(), generation);
    assert_eq!(census.windows.get(0).map(Window::seen), Some(1));
    census.forget(&|database| database == 0);
    assert_eq!(census.generation(), generation + 1);
}

#[test]
fn names_looked_up_in_vain_add_no_namespaces() {
    let sweep = Sweep {
        max_groups: 1,
        misses: EventUse::Listen,
        ..Sweep::default()
    };
    let mut census = Census::new(&[], &sweep, &Keys::default());
    let stem = |number: u32| KeyGroup::Stem(format!("{number}:").into_bytes().into());
    let new = NewWatched {
        counts: (0..20)
            .map(|number| ((Some(0), stem(number)), 1.0))
            .collect(),
        ..NewWatched::default()
    };
    census.record_watched(vec![(WatchedStream::Misses, new)]);
    let (namespace, _) = census.see(0, b"session:1", &KeyDetails::default());
    assert_eq!(census.matcher.name(namespace), "session");
}
