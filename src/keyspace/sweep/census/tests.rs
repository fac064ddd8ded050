use super::*;
use crate::info::Info;
use crate::keyspace::sweep::vitals::{Scope, Vitals};

/// Returns the vitals of a server with `keys` keys after `writes` writes.
fn vitals(run_id: &str, keys: u64, writes: u64) -> Vitals {
    let text = format!(
        "run_id:{run_id}\r\nrdb_changes_since_last_save:{writes}\r\nrdb_last_save_time:1\r\n\
         db0:keys={keys},expires=0,avg_ttl=0\r\n"
    );
    Vitals::read(&Info::parse(&text), Scope::WHOLE)
}

#[test]
fn sample_outlives_a_connection_to_the_same_server() {
    let mut census = Census::new(&[], &Sweep::default(), &Keys::default());
    census.note_vitals(&vitals("a", 10, 0), 0.0);
    census.note_cursors(true);
    census.start_database(0, 2);
    census.open(0, Segment::WHOLE, 0.0);
    census.see(0, b"session:1", &Found::default());
    census.close(0, 1.0);
    let shown = |census: &Census| !census.findings().is_empty();
    assert!(shown(&census));
    census.note_connection();
    census.note_vitals(&vitals("a", 10, 0), 2.0);
    assert!(shown(&census) && !census.knows_cursors());
    census.note_other_cursors();
    assert!(!shown(&census));
}

#[test]
fn transient_batch_within_a_pass_raises_no_doubts() {
    let mut census = Census::new(&[], &Sweep::default(), &Keys::default());
    census.note_vitals(&vitals("a", 100, 0), 0.0);
    census.note_cursors(true);
    let pass = |number: u32| {
        let (start, writes) = (f64::from(10 * number), u64::from(1_000 * number));
        census.start_database(0, 2);
        census.open(0, Segment::WHOLE, start + 1.0);
        census.note_vitals(&vitals("a", 200, writes + 200), start + 5.0);
        for _ in 0..200 {
            census.see(0, b"session:1", &Found::default());
        }
        census.close(0, start + 6.0);
        census.note_vitals(&vitals("a", 100, writes + 400), start + 9.0);
        census.check_pass(0) && census.sweeps_in_random_order()
    };
    assert!((1..6).all(pass));
}

#[test]
fn passes_with_duplicate_keys_end_random_order() {
    let mut census = Census::new(&[], &Sweep::default(), &Keys::default());
    census.note_vitals(&vitals("a", 100, 0), 0.0);
    census.note_cursors(true);
    let mut pass = || {
        census.start_database(0, 2);
        census.open(0, Segment::WHOLE, 1.0);
        for _ in 0..200 {
            census.see(0, b"session:1", &Found::default());
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
    census.note_cursors(true);
    assert!(!census.note_refused_cursor() && census.sweeps_in_random_order());
    census.note_accepted_cursor();
    assert!(!census.note_refused_cursor() && census.sweeps_in_random_order());
    assert!(census.note_refused_cursor() && !census.sweeps_in_random_order());
}
