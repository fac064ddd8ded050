use super::*;

const SESSION: NamespacePlace = (0, NamespaceId(1));
const API: NamespacePlace = (0, NamespaceId(2));

/// A time after the start of the exporter, in seconds.
const LATER: f64 = 10_000.0;

fn reading(policy: Policy, evicted: f64) -> IdleReading {
    IdleReading {
        policy: Some(policy),
        is_primary: true,
        evicted: Some(evicted),
        uses: Some(uses(evicted)),
        memory: None,
        uptime: Some(90_000.0),
        may_be_loaded: false,
    }
}

/// Returns the counters of a server with 20 hits and 10 misses for each 10 evicted keys.
fn uses(evicted: f64) -> Uses {
    Uses {
        hits: 2.0 * evicted,
        misses: evicted,
        expired: 0.0,
        keys: 3_000.0,
    }
}

fn sample(place: NamespacePlace, idle: f64) -> IdleSample {
    IdleSample {
        place,
        idle,
        bytes: Some(100),
        has_ttl: Some(place == API),
    }
}

/// Returns idle times of a server that evicts ten keys per second. Of each place, keys have all idle
/// times below the limit, and the evictions of a hundred seconds were read.
fn full(policy: Policy, places: &[(NamespacePlace, u32)]) -> IdleTimes {
    let mut times = IdleTimes::default();
    for second in 0..=100 {
        let at = f64::from(second);
        times.observe(LATER + at, reading(policy, at * 10.0));
    }
    for (place, limit) in places {
        for idle in 0..*limit {
            times.record(LATER + 50.0, sample(*place, idle.into()));
        }
    }
    times
}

/// Returns the horizon if each place has this many keys.
fn horizon(times: &IdleTimes, keys: f64) -> Option<f64> {
    let keys = [(SESSION, keys), (API, keys)].into();
    times.horizon(&keys).map(|horizon| horizon.seconds)
}

#[test]
fn namespaces_count_by_their_keys_and_not_by_their_samples() {
    // Each namespace has as many keys. Ten of them reach each second of idle time until they are
    // evicted, so sessions are evicted after 300 s.
    let times = full(Policy::LruOfAll, &[(SESSION, 300), (API, 100), (API, 100)]);
    let keys = [(SESSION, 3_000.0), (API, 0.0)].into();
    let found = times.horizon(&keys).unwrap().seconds;
    assert!((found - 299.5).abs() < 1.0, "{found}");
    // With many more keys of the other one, all reach the end of its idle times.
    let keys = [(SESSION, 0.0), (API, 3_000.0)].into();
    let found = times.horizon(&keys).unwrap().seconds;
    assert!((found - 99.5).abs() < 1.0, "{found}");
}

#[test]
fn keys_without_ttl_are_not_evicted_by_volatile_lru() {
    let places = [(SESSION, 900), (API, 150), (API, 150)];
    let found = horizon(&full(Policy::LruOfExpiring, &places), 3_000.0).unwrap();
    assert!((found - 149.5).abs() < 1.0, "{found}");
}

#[test]
fn horizon_needs_evictions_by_last_use_on_a_primary() {
    let places = [(SESSION, 300)];
    assert!(horizon(&full(Policy::LruOfAll, &places), 3_000.0).is_some());
    assert_eq!(horizon(&full(Policy::Other, &places), 3_000.0), None);
    let few = full(Policy::LruOfAll, &[(SESSION, 100)]);
    assert_eq!(horizon(&few, 3_000.0), None);
    let mut times = full(Policy::LruOfAll, &places);
    let replica = IdleReading {
        is_primary: false,
        ..reading(Policy::LruOfAll, 1_000.0)
    };
    times.observe(LATER + 101.0, replica);
    assert_eq!(horizon(&times, 3_000.0), None);
    assert!(!times.can_be_queried());
}

#[test]
fn change_of_policy_begins_another_horizon() {
    let mut times = full(Policy::LruOfAll, &[(SESSION, 300)]);
    times.observe(LATER + 101.0, reading(Policy::Other, 1_010.0));
    for second in 102..=300 {
        let at = f64::from(second);
        times.observe(LATER + at, reading(Policy::LruOfAll, at * 10.0));
    }
    // The samples are still right, but keys from before the change are evicted first.
    assert_eq!(horizon(&times, 3_000.0), None);
    assert_eq!(times.count().to_string(), "300");
    for second in 301..=800 {
        let at = f64::from(second);
        times.observe(LATER + at, reading(Policy::LruOfAll, at * 10.0));
    }
    times.record(LATER + 800.0, sample(SESSION, 1.0));
    assert!(horizon(&times, 3_000.0).is_none(), "the samples are older");
    for idle in 0..300 {
        times.record(LATER + 800.0, sample(SESSION, idle.into()));
    }
    assert!(horizon(&times, 3_000.0).is_some());
}

#[test]
fn idle_times_from_before_another_tracking_are_limited() {
    let mut times = full(Policy::LruOfAll, &[(SESSION, 300)]);
    times.observe(LATER + 101.0, reading(Policy::Untracked, 1_010.0));
    assert!(times.is_empty() && !times.can_be_queried());
    times.observe(LATER + 200.0, reading(Policy::LruOfAll, 1_020.0));
    for _ in 0..50 {
        times.record(LATER + 300.0, sample(SESSION, 5_440_624.0));
    }
    times.observe(LATER + 300.0, reading(Policy::LruOfAll, 1_020.0));
    let shares = times.places()[&SESSION].shares(3_000.0);
    assert_eq!(shares, [Some(1.0), None, None, None]);
}

/// The clock of the server was set an hour ahead, so that all keys seem to be idle for longer.
#[test]
fn idle_times_count_from_a_restart() {
    let mut times = full(Policy::LruOfAll, &[(SESSION, 300)]);
    times.restart();
    assert!(times.is_empty());
    for _ in 0..50 {
        times.record(LATER + 200.0, sample(SESSION, 3_700.0));
    }
    times.observe(LATER + 200.0, reading(Policy::LruOfAll, 1_020.0));
    let shares = times.places()[&SESSION].shares(3_000.0);
    assert_eq!(shares[2..], [None, None]);
}

#[test]
fn idle_times_of_a_server_without_a_file_start_with_it() {
    let mut times = IdleTimes::default();
    let started = IdleReading {
        uptime: Some(100.0),
        ..reading(Policy::Other, 0.0)
    };
    times.observe(LATER, started);
    (0..50).for_each(|_| times.record(LATER, sample(SESSION, 5_000.0)));
    let shares = |times: &IdleTimes| times.places()[&SESSION].shares(3_000.0);
    assert_eq!(shares(&times), [Some(1.0), None, None, None]);
    let loaded = IdleReading {
        may_be_loaded: true,
        ..started
    };
    times.observe(LATER, loaded);
    assert_eq!(shares(&times), [Some(1.0), Some(1.0), Some(1.0), None]);
}

#[test]
fn refused_idle_time_is_queried_after_a_while_or_a_change_of_policy() {
    let mut times = full(Policy::LruOfAll, &[]);
    times.record_refused();
    assert!(!times.can_be_queried());
    times.observe(LATER + 102.0, reading(Policy::LruOfAll, 1_020.0));
    assert!(!times.can_be_queried());
    times.observe(LATER + 103.0, reading(Policy::Other, 1_020.0));
    assert!(times.can_be_queried());
    times.record_refused();
    times.observe(LATER + 103.0 + REFUSED_FOR, reading(Policy::Other, 1_020.0));
    assert!(times.can_be_queried());
}

#[test]
fn samples_are_bounded_in_number_and_age() {
    let mut times = full(Policy::LruOfAll, &[]);
    for _ in 0..2 * SAMPLES.one {
        times.record(LATER + 100.0, sample(SESSION, 1.0));
    }
    assert_eq!(times.samples.len(), SAMPLES.one);
    times.set_sweeps(2_000);
    times.record(LATER + 100.0, sample(SESSION, 1.0));
    assert_eq!(times.samples.len(), SAMPLES_ENOUGH);
    assert!(!times.needs(SESSION) && times.needs(API));
    times.observe(LATER + 101.0 + AGE_MAX, reading(Policy::LruOfAll, 1_010.0));
    assert!(times.is_empty() && times.needs(SESSION));
}

#[test]
fn reset_counter_begins_another_count_of_evictions() {
    let mut times = full(Policy::LruOfAll, &[(SESSION, 300)]);
    times.observe(LATER + 101.0, reading(Policy::LruOfAll, 3.0));
    assert_eq!(horizon(&times, 3_000.0), None);
}

/// Returns idle times of a server that uses all of its memory, and has 20 hits and 10 misses for each
/// 10 evicted keys.
fn measured(places: &[(NamespacePlace, u32)], limit: u64) -> IdleTimes {
    let mut times = full(Policy::LruOfAll, places);
    times.observe(LATER + 101.0, limited(limit));
    times
}

fn limited(limit: u64) -> IdleReading {
    IdleReading {
        memory: Some(MemoryUse {
            limit,
            used: 1_000_000,
            fixed: 0,
        }),
        ..reading(Policy::LruOfAll, 1_010.0)
    }
}

fn half(times: &IdleTimes) -> Option<f64> {
    let keys = [(SESSION, 3_000.0)].into();
    times.hit_ratios(&keys).map(|ratios| ratios.half.ratio)
}

#[test]
fn hit_ratio_of_half_the_memory_needs_a_steady_limit() {
    // Ten keys per second reach each idle time up to 300 s, and as many are evicted: no key is used
    // again after it was idle for half of that.
    let mut times = measured(&[(SESSION, 300)], 1_000_000);
    let ratio = half(&times).unwrap();
    assert!((ratio - 2.0 / 3.0).abs() < 0.05, "{ratio}");
    times.observe(LATER + 102.0, limited(1_500_000));
    assert_eq!(half(&times), None);
}

#[test]
fn hit_ratio_needs_samples_lookups_and_a_limit() {
    assert!(half(&measured(&[(SESSION, 300)], 1_000_000)).is_some());
    assert_eq!(half(&measured(&[(SESSION, 300)], 0)), None);
    assert_eq!(half(&measured(&[(SESSION, 100)], 1_000_000)), None);
    let mut without = measured(&[(SESSION, 300)], 1_000_000);
    without.observe(
        LATER + 102.0,
        IdleReading {
            uses: None,
            ..limited(1_000_000)
        },
    );
    assert_eq!(half(&without), None);
}
