use super::super::cost::Costs;
use super::budget::{DETAIL_SHARE_MIN, PASS_WANTED};
use super::*;
use crate::config::Share;

const QUICK: Duration = Duration::from_micros(300);

fn batch(microseconds: f64, round_trip: Duration) -> Batch {
    Batch {
        keys: 100,
        commands: 101,
        microseconds,
        round_trip,
        took: Duration::ZERO,
    }
}

fn sweep() -> Sweep {
    Sweep {
        first_keys: 0,
        commands_per_second: Some(1_000_000),
        ..Sweep::default()
    }
}

#[test]
fn sweep_stays_within_its_cpu_share() {
    let mut pace = Pace::new(&sweep());
    let pause = pace.pause(&batch(350.0, QUICK));
    assert_eq!(pause, Duration::from_millis(35));
    let took = Duration::from_millis(20);
    let pause = pace.pause(&Batch {
        took,
        ..batch(350.0, QUICK)
    });
    assert_eq!(
        pause,
        Duration::from_millis(15),
        "network latency does not affect the share"
    );
}

#[test]
fn first_keys_use_ten_times_the_share() {
    let mut pace = Pace::new(&Sweep {
        first_keys: 200,
        commands_per_second: None,
        ..sweep()
    });
    let pauses: Vec<_> = (0..2).map(|_| pace.pause(&batch(350.0, QUICK))).collect();
    let quick = Duration::from_micros(3_500);
    assert_eq!(pauses, [quick, quick]);
    assert!(pace.pause(&batch(350.0, QUICK)) > Duration::from_secs(1));
}

#[test]
fn sweep_yields_to_a_slow_server_and_recovers() {
    let mut pace = Pace::new(&sweep());
    let normal = pace.pause(&batch(350.0, QUICK));
    let slow = Duration::from_millis(20);
    for _ in 0..20 {
        pace.pause(&batch(350.0, slow));
    }
    let yielding = pace.pause(&batch(350.0, slow));
    assert!(yielding > normal * 31, "{yielding:?}");
    assert!(pace.slowdown() <= SLOWDOWN_MAX);
    assert_eq!(pace.limit(), Limit::Latency);
    for _ in 0..40 {
        pace.pause(&batch(350.0, QUICK));
    }
    assert_eq!(pace.pause(&batch(350.0, QUICK)), normal);
    assert_eq!(pace.limit(), Limit::CpuShare);
}

#[test]
fn long_round_trips_alone_cause_no_slowdown() {
    let mut pace = Pace::new(&sweep());
    let far = Duration::from_millis(20);
    for _ in 0..20 {
        pace.pause(&batch(350.0, far));
    }
    assert!((pace.slowdown() - 1.0).abs() < 1e-9);
    for _ in 0..2 {
        pace.pause(&batch(350.0, far + Duration::from_millis(6)));
    }
    assert!(pace.slowdown() > 1.5);
}

#[test]
fn one_late_reply_causes_no_slowdown() {
    let mut pace = Pace::new(&sweep());
    for count in 0..30 {
        let is_late = count % 3 == 0;
        let late = Duration::from_millis(400);
        pace.pause(&batch(350.0, if is_late { late } else { QUICK }));
        assert!((pace.slowdown() - 1.0).abs() < 1e-9, "{count}");
    }
}

#[test]
fn slowdown_prolongs_pauses_within_a_limit() {
    for (keys_per_second, pause) in [(1, 100), (100, 5)] {
        let mut pace = Pace::new(&Sweep {
            keys_per_second: Some(keys_per_second),
            ..sweep()
        });
        pace.pause(&batch(350.0, QUICK));
        for _ in 0..20 {
            pace.pause(&batch(350.0, Duration::from_millis(20)));
        }
        let paused = pace.pause(&batch(350.0, Duration::from_millis(20)));
        assert_eq!(paused, Duration::from_secs(pause));
    }
}

#[test]
fn longer_route_is_accepted_eventually() {
    let mut pace = Pace::new(&sweep());
    pace.pause(&batch(350.0, QUICK));
    let far = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    while waited < Duration::from_secs(10 * 60) {
        waited += pace.pause(&batch(350.0, far));
    }
    assert!(pace.slowdown() < 1.5, "{}", pace.slowdown());
}

#[test]
fn keys_and_commands_per_second_are_separate_limits() {
    let mut pace = Pace::new(&Sweep {
        keys_per_second: Some(1_000),
        ..sweep()
    });
    assert_eq!(pace.pause(&batch(350.0, QUICK)), Duration::from_millis(100));
    assert_eq!(pace.limit(), Limit::Keys);
    pace.set_commands_per_second(Some(101.0));
    assert_eq!(pace.pause(&batch(350.0, QUICK)), Duration::from_secs(1));
    assert_eq!(pace.limit(), Limit::Commands);
}

#[test]
fn owed_commands_are_settled_once() {
    let mut pace = Pace::new(&Sweep {
        commands_per_second: Some(101),
        ..sweep()
    });
    assert!(!pace.owes());
    pace.owe(151);
    let mut next = || {
        let pause = pace.pause(&batch(350.0, QUICK));
        (pause.as_millis(), pace.owes())
    };
    let pauses = [(); 3].map(|()| next());
    assert_eq!(pauses, [(2_000, true), (1_495, false), (1_000, false)]);
}

#[test]
fn whole_core_needs_no_pauses() {
    let mut pace = Pace::new(&Sweep {
        cpu_share: Share::WHOLE,
        commands_per_second: None,
        ..sweep()
    });
    assert_eq!(pace.most_commands(), None);
    assert_eq!(pace.pause(&batch(350.0, QUICK)), Duration::ZERO);
}

#[test]
fn command_budget_follows_other_clients_with_a_minimum() {
    let sweep = Sweep::default();
    let most = |others, keys| commands_per_second(&sweep, others, keys).unwrap();
    assert!((most(92.0, 100_000.0) - 50.0).abs() < 1e-9);
    assert!((most(10_000.0, 100_000.0) - 1_000.0).abs() < 1e-9);
    let scans = most(0.0, 60_000_000.0) * PASS_WANTED.as_secs_f64();
    assert!(
        (scans - 600_000.0).abs() < 1.0,
        "{scans} for the names alone"
    );
    let configured = Sweep {
        commands_per_second: Some(7),
        ..Sweep::default()
    };
    assert_eq!(commands_per_second(&configured, 10_000.0, 0.0), Some(7.0));
}

/// Returns the pace of a sweep with this round trip.
fn over(trip: Duration) -> Pace {
    let mut pace = Pace::new(&sweep());
    pace.pause(&batch(350.0, trip));
    pace
}

#[test]
fn pipelines_grow_only_with_long_round_trips() {
    let near = over(Duration::from_micros(200)).shape(300);
    assert_eq!((near.commands, near.scans_ahead), (75, false));
    assert_eq!(near.spacing, Spacing::NONE);
    let between = over(Duration::from_micros(3_500)).shape(300);
    assert_eq!((between.commands, between.scans_ahead), (75, false));
    let far = over(Duration::from_millis(20)).shape(300);
    assert!(far.commands >= 300 && far.scans_ahead, "{far:?}");
    assert_eq!(far.spacing, SMALL_PARTS);
}

#[test]
fn few_details_are_sent_with_the_next_scan() {
    let ahead = |commands, pace: &Pace| pace.shape(commands).scans_ahead;
    let near = over(QUICK);
    assert_eq!(
        [0, 10, 11, 75].map(|commands| ahead(commands, &near)),
        [true, true, false, false]
    );
    let mut slow = Pace::new(&Sweep {
        keys_per_second: Some(20),
        ..sweep()
    });
    slow.pause(&batch(350.0, QUICK));
    assert!(!ahead(1, &slow), "the keys would be 5 s old");
}

#[test]
fn unlimited_sweep_sends_distant_batches_at_once() {
    let shape_at = |trip| {
        let mut pace = Pace::new(&Sweep {
            cpu_share: Share::WHOLE,
            ..sweep()
        });
        pace.pause(&batch(350.0, trip));
        (pace.shape(900), pace.count(100))
    };
    let (near, count) = shape_at(QUICK);
    assert_eq!((near.commands, count), (LARGE_PIPELINE, 100));
    let (far, count) = shape_at(Duration::from_millis(20));
    assert_eq!((far.commands, count), (usize::MAX, 500));
    assert_eq!(far.spacing, Spacing::NONE);
}

#[test]
fn count_grows_only_with_long_round_trips() {
    let count_at = |milliseconds| over(Duration::from_millis(milliseconds)).count(100);
    assert_eq!([1, 20, 50, 100].map(count_at), [100, 100, 300, 500]);
}

#[test]
fn delays_are_made_up_for_at_twice_the_speed() {
    let mut pace = Pace::new(&sweep());
    let mut pause = |milliseconds| {
        let took = Duration::from_millis(milliseconds);
        let batch = Batch {
            took,
            ..batch(350.0, QUICK)
        };
        (pace.pause(&batch).as_micros(), pace.limit())
    };
    assert_eq!(pause(45), (0, Limit::CpuShare), "10 ms late");
    assert_eq!(pause(20).0, 5_000, "5 ms earlier");
    assert_eq!(pause(20).0, 15_000);
    assert_eq!(pause(60_000), (0, Limit::RoundTrips));
    let late: Vec<_> = (0..40).map(|_| pause(10).0).collect();
    assert_eq!((late[0], late[27], late[30]), (7_500, 7_500, 25_000));
}

#[test]
fn large_keyspaces_get_details_for_a_share_of_keys() {
    let costs = Costs::default();
    let shares = |keys: f64| detail_shares(keys, &costs, &sweep(), None);
    assert_eq!(
        shares(300_000.0),
        DetailShares {
            memory: 1.0,
            expiry: 1.0
        }
    );
    let large = shares(3_000_000.0);
    assert!(large.memory > 0.8 && large.expiry <= 0.05, "{large:?}");
    let huge = shares(1e9);
    assert_eq!(
        huge,
        DetailShares {
            memory: DETAIL_SHARE_MIN,
            expiry: DETAIL_SHARE_MIN
        }
    );
}

#[test]
fn first_keys_of_a_large_keyspace_are_sampled() {
    let pace = Pace::new(&Sweep::default());
    let all = DetailShares {
        memory: 1.0,
        expiry: 1.0,
    };
    let memory = |keys| pace.shares(all, keys).memory;
    assert!((memory(1_000_000) - 0.2).abs() < 1e-9);
    assert!((memory(1_500) - 1.0).abs() < 1e-9);
}

#[test]
fn small_command_budget_samples_details() {
    let shares = |keys| detail_shares(keys, &Costs::default(), &sweep(), Some(50.0));
    assert!((shares(5_000.0).memory - 1.0).abs() < 1e-9);
    let memory = shares(100_000.0).memory;
    assert!((memory - 0.05).abs() < 0.001, "{memory}");
}

#[test]
fn random_keys_are_a_small_part_of_all() {
    let drawn = |keys| [false, true].map(|has_earlier| keys_to_draw(keys, has_earlier));
    assert_eq!(drawn(0), [0, 0]);
    assert_eq!(drawn(800), [100, 0]);
    assert_eq!(drawn(20_000), [1_024, 0]);
    assert_eq!(drawn(10_000_000), [1_024, 1_024]);
}
