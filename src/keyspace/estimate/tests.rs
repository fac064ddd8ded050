//! Tests estimates of windows small enough to check by hand, and of arbitrary counts.

mod living_simulation;
mod simulation;
mod small_simulation;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::TtlPolicy;
use crate::keyspace::tally::tests::any_details;
use crate::keyspace::tally::{DataType, Details, Expiry};

const NOTHING: Details = Details {
    memory: None,
    expiry: None,
    data_type: None,
};

const STRICT: TtlPolicy = TtlPolicy {
    required: true,
    max: Some(Duration::from_secs(60)),
};

fn sized(bytes: u64) -> Details {
    Details {
        memory: Some(bytes),
        ..NOTHING
    }
}

fn expiring(expiry: Expiry) -> Details {
    Details {
        expiry: Some(expiry),
        ..NOTHING
    }
}

fn see(window: &mut Window, namespace: u32, keys: u64, details: Details) {
    let tally = window
        .tally(NamespaceId(namespace))
        .expect("a segment is open");
    for _ in 0..keys {
        tally.see(details, STRICT);
    }
}

/// Returns a window over the first of four segments.
fn part(seen: &[(u32, u64, Details)]) -> Window {
    let mut window = Window::new(4);
    window.open(0, 0.0);
    for (namespace, keys, details) in seen {
        see(&mut window, *namespace, *keys, *details);
    }
    window
}

/// Returns a window over a whole pass.
fn pass(seen: &[(u32, u64, Details)]) -> Window {
    let mut window = Window::new(1);
    window.open(0, 0.0);
    for (namespace, keys, details) in seen {
        see(&mut window, *namespace, *keys, *details);
    }
    window.close(0.0);
    window
}

fn of(window: &Window, keys: u64) -> Vec<NamespaceEstimate> {
    let database = Database {
        keys,
        sweep_is_uniform: true,
    };
    estimate(window, database, &[NamespaceId(0), NamespaceId(1)])
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-6 * right.abs().max(1.0)
}

fn assert_exact(estimate: Estimate, value: f64) {
    let exact = Estimate {
        value,
        error: 0.0,
        lower: value,
        upper: value,
    };
    assert_eq!(estimate, exact);
}

#[test]
fn whole_pass_over_all_keys_is_exact() {
    let window = pass(&[
        (0, 30, sized(100)),
        (0, 1, sized(1 << 40)),
        (1, 10, sized(7)),
    ]);
    let estimates = of(&window, 41);
    assert_exact(estimates[0].keys, 31.0);
    assert_exact(estimates[1].keys, 10.0);
    assert_exact(
        estimates[0].memory.expect("it was queried"),
        float((1 << 40) + 3_000),
    );
    assert_exact(estimates[1].memory.expect("it was queried"), 70.0);
    assert_eq!(estimates[0].largest_key_bytes, Some(1 << 40));
}

#[test]
fn namespace_not_seen_by_a_whole_pass_is_empty() {
    let window = pass(&[(0, 30, NOTHING)]);
    let estimates = of(&window, 30);
    assert_exact(estimates[1].keys, 0.0);
    assert_exact(estimates[1].memory.expect("there is none"), 0.0);
    assert_exact(estimates[1].without_ttl.expect("there is none"), 0.0);
    assert_eq!(estimates[0].without_ttl, None);
}

#[test]
fn unseen_namespace_has_an_upper_bound_and_no_details() {
    let window = part(&[(0, 1_000, sized(5))]);
    let estimates = of(&window, 1_000_000);
    let absent = &estimates[1];
    assert!(close(absent.keys.value, 0.0) && close(absent.keys.upper, 3_000.0));
    assert!(close(absent.keys.error, 3_000.0));
    assert_eq!((absent.memory, absent.without_ttl), (None, None));
    assert_eq!((&absent.ttl, &absent.types), (&None, &None));
    let few = of(&part(&[(0, 2, NOTHING)]), 10);
    assert!(close(few[1].keys.error, 10.0));
}

#[test]
fn partial_pass_is_scaled_within_the_wilson_interval() {
    let window = part(&[(0, 10, NOTHING), (1, 90, NOTHING)]);
    let keys = of(&window, 1_000_000_000)[0].keys;
    // The interval of 10 in 100 is 5.52 % to 17.44 %.
    assert!(close(keys.value, 1e8));
    assert!((keys.lower / 1e9 - 0.0552).abs() < 1e-4, "{keys:?}");
    assert!((keys.upper / 1e9 - 0.1744).abs() < 1e-4, "{keys:?}");
    assert!(close(keys.error, keys.upper - keys.value));
}

#[test]
fn interval_narrows_by_the_root_of_the_unseen_share() {
    let window = part(&[(0, 5_000, NOTHING), (1, 5_000, NOTHING)]);
    let wide = of(&window, 1_000_000_000)[0].keys;
    let narrow = of(&window, 10_101)[0].keys;
    let (wide, narrow) = (wide.error / 1e9, narrow.error / 10_101.0);
    assert!((narrow / wide - 0.1).abs() < 0.01, "{narrow} {wide}");
}

#[test]
fn changes_since_a_pass_are_its_error() {
    // They may all belong to one namespace, so each interval reaches that far.
    let window = pass(&[(0, 100, NOTHING), (1, 300, NOTHING)]);
    let fewer = of(&window, 360);
    assert!(close(fewer[0].keys.value, 90.0) && close(fewer[0].keys.lower, 60.0));
    assert!(close(fewer[1].keys.value, 270.0) && close(fewer[1].keys.lower, 260.0));
    let more = of(&window, 440);
    assert!(close(more[0].keys.value, 110.0) && close(more[0].keys.upper, 140.0));
}

#[test]
fn namespace_new_since_a_pass_has_an_upper_bound() {
    let window = pass(&[(0, 3, NOTHING)]);
    let found = of(&window, 5_003);
    assert!(close(found[1].keys.value, 0.0) && close(found[1].keys.upper, 5_000.0));
    assert!(found[0].keys.lower <= 3.0);
}

#[test]
fn database_shrunk_below_a_partial_pass_is_not_exact() {
    let window = part(&[(0, 100, NOTHING), (1, 300, NOTHING)]);
    for keys in [399, 400] {
        let estimate = of(&window, keys)[0].keys;
        assert!(close(estimate.value, 100.0));
        assert!(
            estimate.error > 15.0 && estimate.upper <= 400.0,
            "{estimate:?}"
        );
    }
}

/// Sweeps 16 segments twice while nothing changes: 16,000 keys of one namespace, 8,000 of another.
fn two_passes() -> Window {
    let mut window = Window::new(16);
    window.observe(0.0, 24_000, 0.0);
    for (time, segment) in (0..32).map(|visit| (f64::from(visit), visit % 16)) {
        window.open(segment, time);
        see(&mut window, 0, 1_000, NOTHING);
        see(&mut window, 1, 500, NOTHING);
        window.close(time + 1.0);
        window.observe(time + 1.0, 24_000, 0.0);
    }
    window
}

#[test]
fn growth_after_a_pass_may_be_an_unseen_namespace() {
    let mut window = Window::new(1);
    window.observe(0.0, 1_000, 0.0);
    window.open(0, 0.0);
    see(&mut window, 0, 1_000, NOTHING);
    window.close(1.0);
    window.observe(1.0, 1_000, 0.0);
    window.observe(30.0, 30_000, 29_000.0);
    let database = Database {
        keys: 30_000,
        sweep_is_uniform: true,
    };
    let found = estimate(&window, database, &[NamespaceId(0), NamespaceId(1)]);
    let [seen, unseen] = [&found[0], &found[1]].map(|found| found.keys);
    assert!(seen.lower <= 2_000.0 && seen.upper >= 29_000.0, "{seen:?}");
    assert!(unseen.upper >= 29_000.0, "{unseen:?}");
}

#[test]
fn unseen_batch_may_belong_to_any_namespace() {
    let mut window = two_passes();
    assert_exact(of(&window, 24_000)[0].keys, 16_000.0);
    window.observe(33.0, 44_000, 20_000.0);
    let namespaces = [NamespaceId(0), NamespaceId(1), NamespaceId(2)];
    let database = Database {
        keys: 44_000,
        sweep_is_uniform: true,
    };
    let found = estimate(&window, database, &namespaces);
    for (estimate, before) in found.iter().zip([16_000.0, 8_000.0, 0.0]) {
        let keys = estimate.keys;
        assert!(keys.error > 5_000.0, "{keys:?}");
        assert!(keys.upper <= before + 25_000.0, "{keys:?}");
    }
}

proptest! {
    #[test]
    fn any_course_yields_sound_intervals(
        visits in prop::collection::vec((0_u64..2_000, 0_u64..50, 1_u64..1_000_000, 0_u32..100_000), 1..40),
    ) {
        let mut window = Window::new(16);
        window.observe(0.0, 20_000, 0.0);
        for ((first, second, size, events), visit) in visits.into_iter().zip(0_u32..) {
            let time = f64::from(visit);
            window.open(visit * 7 % 16, time);
            see(&mut window, 0, first, NOTHING);
            see(&mut window, 1, second, NOTHING);
            window.close(time + 1.0);
            window.observe(time + 1.0, size, f64::from(events));
            for found in of(&window, size) {
                prop_assert!(is_sound(found.keys, float(size)), "{:?}", found.keys);
            }
        }
    }
}

#[test]
fn sudden_loss_of_most_keys_leaves_wide_intervals() {
    let mut window = two_passes();
    window.observe(33.0, 6_000, 18_000.0);
    let found = of(&window, 6_000);
    for (estimate, value) in found.iter().zip([4_000.0, 2_000.0]) {
        let keys = estimate.keys;
        assert!((keys.value - value).abs() < 1.0, "{keys:?}");
        assert!(keys.error >= 1_900.0 && keys.upper <= 6_000.0, "{keys:?}");
    }
}

#[test]
fn empty_database_has_no_keys_in_any_namespace() {
    for window in [Window::new(4), part(&[(0, 9, sized(9))])] {
        let estimates = of(&window, 0);
        assert_eq!(estimates.len(), 2);
        for estimate in estimates {
            assert_exact(estimate.keys, 0.0);
            assert_exact(estimate.memory.expect("there is none"), 0.0);
        }
    }
}

#[test]
fn no_estimates_before_the_first_keys() {
    assert_eq!(of(&Window::new(4), 10), []);
    assert_eq!(of(&part(&[]), 10), []);
}

#[test]
fn unseen_keys_leave_every_share_open() {
    let keys = of(&pass(&[]), 10)[0].keys;
    assert!(close(keys.value, 0.0) && close(keys.error, 10.0));
}

#[test]
fn slot_order_sweep_has_no_estimates_before_a_whole_pass() {
    let by_slots = |keys| Database {
        keys,
        sweep_is_uniform: false,
    };
    let seen = [(0, 10, NOTHING)];
    assert_eq!(estimate(&part(&seen), by_slots(40), &[]), []);
    let whole = estimate(&pass(&seen), by_slots(10), &[]);
    assert_exact(whole[0].keys, 10.0);
}

#[test]
fn segment_filled_by_hash_tags_is_not_extrapolated() {
    // All keys of a hash tag are in one slot: the first quarter of the sweep contains nothing else.
    let database = Database {
        keys: 400,
        sweep_is_uniform: false,
    };
    let mut window = Window::new(4);
    for (segment, namespace) in [(0, 0), (1, 1), (2, 1), (3, 1)] {
        assert_eq!(estimate(&window, database, &[NamespaceId(0)]), []);
        window.open(segment, 0.0);
        see(&mut window, namespace, 100, NOTHING);
        window.close(0.0);
    }
    let estimates = estimate(&window, database, &[NamespaceId(0), NamespaceId(1)]);
    assert_exact(estimates[0].keys, 100.0);
    assert_exact(estimates[1].keys, 300.0);
}

#[test]
fn excess_namespaces_are_folded_into_other() {
    let window = part(&[(1, 10, NOTHING), (7, 5, NOTHING), (3, 5, NOTHING)]);
    let found = of(&window, 100);
    let keys: Vec<_> = found
        .iter()
        .map(|found| (found.namespace.0, found.keys.value, found.folded))
        .collect();
    assert_eq!(keys, [(0, 50.0, 50), (1, 50.0, 0)]);
}

#[test]
fn sampled_details_are_scaled_to_all_keys() {
    let window = part(&[
        (0, 60, NOTHING),
        (0, 30, expiring(Expiry::In(500))),
        (0, 8, expiring(Expiry::In(120_000))),
        (0, 2, expiring(Expiry::Never)),
    ]);
    let found = &of(&window, 10_000)[0];
    let without = found.without_ttl.expect("it was queried");
    assert!(close(without.value, 500.0) && without.lower > 100.0 && without.upper < 1_700.0);
    let too_long = found.max_broken.expect("it was queried");
    assert!(close(too_long.value, 2_000.0) && too_long.lower > 1_000.0 && too_long.upper < 3_500.0);
    let ttl = found.ttl.as_ref().expect("it was queried");
    assert_eq!(
        ttl.counts.to_vec(),
        [
            7_500, 7_500, 7_500, 9_500, 9_500, 9_500, 9_500, 9_500, 9_500, 9_500
        ]
    );
    assert_eq!(ttl.count, 9_500);
    assert!(close(ttl.sum, 250.0 * (30.0 * 500.0 + 8.0 * 120_000.0)));
    assert_eq!((found.memory, found.types), (None, None));
}

#[test]
fn types_add_up_to_the_keys() {
    let typed = |data_type| Details {
        data_type: Some(data_type),
        ..NOTHING
    };
    let window = part(&[
        (0, 1, typed(DataType::String)),
        (0, 1, typed(DataType::Hash)),
        (0, 1, typed(DataType::Other)),
        (0, 3, NOTHING),
    ]);
    assert_eq!(of(&window, 100)[0].types, Some([34, 0, 0, 0, 33, 0, 33]));
}

#[test]
fn vanished_keys_count_but_do_not_affect_the_mean() {
    let mut window = part(&[(0, 50, sized(10))]);
    let tally = window.tally(NamespaceId(0)).expect("a segment is open");
    for _ in 0..50 {
        tally.see_vanished();
    }
    let found = &of(&window, 1_000)[0];
    assert!(close(found.keys.value, 1_000.0));
    assert!(close(found.memory.expect("it was queried").value, 10_000.0));
}

#[test]
fn folded_keys_are_scaled() {
    let mut window = part(&[(0, 10, NOTHING)]);
    let tally = window.tally(NamespaceId(0)).expect("a segment is open");
    tally.fold();
    tally.fold();
    assert_eq!(of(&window, 1_000)[0].folded, 200);
}

#[test]
fn single_giant_is_not_scaled_and_widens_the_error() {
    let giant = 1_000_000_000;
    let window = part(&[(0, 9_999, sized(100)), (0, 1, sized(giant))]);
    let memory = of(&window, 1_000_000)[0].memory.expect("it was queried");
    assert!(
        close(memory.value, float(giant) + 999_999.0 * 100.0),
        "{memory:?}"
    );
    assert!(memory.upper >= 100.0 * float(giant), "{memory:?}");
}

#[test]
fn many_large_keys_are_not_outliers() {
    let window = part(&[(0, 9_996, sized(100)), (0, 4, sized(1_000_000))]);
    let memory = of(&window, 1_000_000)[0].memory.expect("it was queried");
    assert!(
        close(memory.value, 100.0 * (999_600.0 + 4_000_000.0)),
        "{memory:?}"
    );
}

#[test]
fn known_big_keys_count_before_they_are_seen_again() {
    let giant = 1_000_000_000;
    let mut window = pass(&[(0, 9_999, sized(100)), (0, 1, sized(giant))]);
    window.divide(4);
    let truth = float(giant) + 999_900.0;
    for seen in [sized(100), sized(giant)] {
        window.open(0, 1.0);
        see(&mut window, 0, 999, sized(100));
        see(&mut window, 0, 1, seen);
        let memory = of(&window, 10_000)[0].memory.expect("it was queried");
        assert!(close(memory.value, truth), "{memory:?} {truth}");
        assert!(memory.error < 10_000.0, "{memory:?}");
    }
}

#[test]
fn error_of_a_single_size_equals_the_size() {
    let memory = of(&part(&[(0, 1, sized(50)), (0, 9, NOTHING)]), 1_000_000)[0].memory;
    let memory = memory.expect("it was queried");
    assert!(
        close(memory.value, 5e7) && memory.error >= 0.99 * 5e7,
        "{memory:?}"
    );
}

#[test]
fn explained_share_covers_all_namespaces() {
    let window = pass(&[(0, 10, sized(30)), (1, 10, sized(20))]);
    let estimates = of(&window, 20);
    assert_eq!(explained_share(&estimates, 1_000.0), Some(0.5));
    assert_eq!(explained_share(&estimates, 0.0), None);
    assert_eq!(
        explained_share(&of(&part(&[(0, 1, NOTHING)]), 9), 1_000.0),
        None
    );
}

fn widened(seen: &[(u32, u64, Details)], keys: u64, used: f64) -> Vec<NamespaceEstimate> {
    let mut found = of(&part(seen), keys);
    let unexplained = unexplained(found.iter(), used);
    for found in &mut found {
        widen(found, unexplained);
    }
    found
}

#[test]
fn unseen_giant_is_bounded_by_used_memory() {
    let seen = [(0, 10_000, sized(100)), (1, 10_000, sized(100))];
    let giant = 200e6;
    for found in widened(&seen, 100_000, 10e6 + giant) {
        let memory = found.memory.expect("it was queried");
        assert!(memory.value < 6e6 && memory.upper >= memory.value + giant);
        assert!(memory.error >= giant, "{memory:?}");
    }
    for found in widened(&seen, 100_000, 14e6) {
        let memory = found.memory.expect("it was queried");
        assert!(memory.error < 1e6, "{memory:?}");
    }
}

#[test]
fn unmeasured_namespace_does_not_hide_a_giant() {
    let found = widened(&[(0, 10_000, sized(100)), (1, 3, NOTHING)], 100_000, 210e6);
    let memory = found[0].memory.expect("it was queried");
    assert!(memory.upper >= 200e6, "{memory:?}");
    assert_eq!(found[1].memory, None);
}

#[test]
fn fully_measured_strings_hide_no_memory() {
    let string = Details {
        data_type: Some(DataType::String),
        ..sized(100)
    };
    let hash = Details {
        data_type: Some(DataType::Hash),
        ..sized(240_000)
    };
    let mut found = of(&pass(&[(0, 1_000, string), (1, 10, hash)]), 1_010);
    let unexplained = unexplained(found.iter(), 30e6);
    for found in &mut found {
        widen(found, unexplained);
    }
    let error = |place: usize| found[place].memory.expect("it was queried").error;
    assert!(close(error(0), 0.0) && error(1) > 20e6);
}

#[test]
fn sampled_aggregates_are_never_exact() {
    let details = |data_type, bytes| Details {
        data_type: Some(data_type),
        ..sized(bytes)
    };
    let errors = |hash: Details| {
        let string = details(DataType::String, 1_000);
        let mut found = of(&pass(&[(0, 150_000, string), (1, 1, hash)]), 150_001);
        widen_aggregates(found.iter_mut(), 173e6);
        let error = |place: usize| found[place].memory.expect("it was measured").error;
        [error(0), error(1)]
    };
    let [strings, hash] = errors(details(DataType::Hash, 300_000));
    assert!(close(strings, 0.0) && hash > 20e6, "{strings} {hash}");
    let [strings, hash] = errors(details(DataType::Hash, 300));
    assert!(close(strings, 0.0) && close(hash, 0.0), "{strings} {hash}");
}

/// Generates counts that no sequence of calls may have produced.
fn any_window() -> impl Strategy<Value = Window> {
    let tally = (
        any::<u8>(),
        any_details(),
        0_u32..64,
        any::<[u64; 4]>(),
        any::<bool>(),
    );
    let segment = proptest::collection::vec(tally, 0..12);
    let segments = proptest::collection::vec(segment, 0..6);
    (1_u32..6, segments, any::<bool>(), any::<bool>()).prop_map(
        |(count, segments, close, divide)| {
            let mut window = Window::new(count);
            for (place, tallies) in (0..).zip(segments) {
                window.open(place, 0.0);
                for (namespace, details, shift, counts, huge) in tallies {
                    let tally = window
                        .tally(NamespaceId(u32::from(namespace % 4)))
                        .expect("it is open");
                    tally.see(details, STRICT);
                    if huge {
                        tally.keys = tally.keys.saturating_add(counts[0] >> shift);
                        tally.vanished = counts[1];
                        tally.memory.count = tally.memory.count.saturating_add(counts[2] >> shift);
                        tally.expiry.count = tally.expiry.count.saturating_add(counts[3] >> shift);
                    }
                }
                if close {
                    window.close(0.0);
                }
            }
            if divide {
                window.divide(2);
                window.open(0, 0.0);
                see(&mut window, 0, 5, sized(9));
            }
            window
        },
    )
}

fn is_sound(estimate: Estimate, most: f64) -> bool {
    let Estimate {
        value,
        error,
        lower,
        upper,
    } = estimate;
    let finite = [value, error, lower, upper]
        .iter()
        .all(|number| number.is_finite());
    finite && 0.0 <= lower && lower <= value && value <= upper && upper <= most && error >= 0.0
}

#[test]
fn keys_without_ttl_are_exact_if_every_key_was_queried() {
    let window = pass(&[
        (0, 30, expiring(Expiry::In(500))),
        (0, 10, expiring(Expiry::Never)),
    ]);
    let found = &of(&window, 40)[0];
    assert_exact(found.without_ttl.expect("it was queried"), 10.0);
}

proptest! {
    #[test]
    fn any_counts_yield_sound_numbers(
        window in any_window(),
        keys in prop_oneof![0_u64..100, any::<u64>()],
        sweep_is_uniform in any::<bool>(),
    ) {
        let database = Database { keys, sweep_is_uniform };
        let found = estimate(&window, database, &[NamespaceId(0), NamespaceId(9)]);
        for found in &found {
            prop_assert!(is_sound(found.keys, float(keys)), "{:?}", found);
            if let Some(memory) = found.memory {
                prop_assert!(is_sound(memory, f64::MAX), "{:?}", found);
            }
            for part in [found.without_ttl, found.max_broken].into_iter().flatten() {
                prop_assert!(is_sound(part, float(keys)), "{:?}", found);
            }
            for histogram in found.ttl.iter().chain(&found.key_bytes) {
                let counts = histogram.counts.to_vec();
                prop_assert!(counts.is_sorted());
                prop_assert!(counts.last() <= Some(&histogram.count));
                prop_assert!(histogram.sum.is_finite());
            }
        }
        if let Some(share) = explained_share(&found, 1.0) {
            prop_assert!((0.0..=1.0).contains(&share));
        }
    }

    #[test]
    fn keys_of_all_namespaces_add_up_to_the_database(
        window in any_window(),
        keys in 0_u64..1 << 53,
    ) {
        let found = of(&window, keys);
        let sum: f64 = found.iter().map(|found| found.keys.value).sum();
        if window.seen() > 0 {
            prop_assert!((sum - float(keys)).abs() < 0.5, "{} {}", sum, keys);
        }
    }
}
