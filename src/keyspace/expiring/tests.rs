use super::*;

const PLACE: NamespacePlace = (0, NamespaceId(1));
const NOW: f64 = 1_700_000_000.0;

fn known(at: f64, seconds: u64) -> KnownExpiry {
    KnownExpiry {
        at,
        expiry: Expiry::In(seconds * 1_000),
        bytes: Some(100),
    }
}

fn forever(at: f64) -> KnownExpiry {
    KnownExpiry {
        expiry: Expiry::Never,
        ..known(at, 0)
    }
}

fn learned(all: impl IntoIterator<Item = KnownExpiry>) -> KnownExpiries {
    let mut expiring = KnownExpiries::default();
    for known in all {
        expiring.learn(PLACE, known);
    }
    expiring
}

fn keys(forecast: &ExpiryForecast) -> [Option<f64>; WITHIN.len()] {
    forecast.within.map(|part| Some(part?.keys))
}

#[test]
fn shares_grow_with_the_time() {
    let ttls = (0..1_000).map(|key| known(NOW, 1 + key * 36 / 5));
    let forecast = learned(ttls).forecast(PLACE, NOW);
    let expected = [60.0, 300.0, 900.0, 3_600.0].map(|seconds| seconds / 7_200.0);
    for (share, expected) in keys(&forecast).into_iter().zip(expected) {
        assert!(
            (share.unwrap() - expected).abs() < 0.002,
            "{share:?} {expected}"
        );
    }
    assert_eq!(forecast.burst, None, "evenly spread");
}

#[test]
fn keys_without_a_ttl_count_as_keys() {
    let ttls = (0..100).map(|key| {
        if key < 75 {
            forever(NOW)
        } else {
            known(NOW, 30)
        }
    });
    let forecast = learned(ttls).forecast(PLACE, NOW);
    assert_eq!(keys(&forecast), [Some(0.25); 4]);
}

#[test]
fn memory_follows_the_sizes() {
    let ttls = (0..200).map(|key| KnownExpiry {
        bytes: Some(if key % 2 == 0 { 300 } else { 100 }),
        ..if key % 2 == 0 {
            known(NOW, 30)
        } else {
            forever(NOW)
        }
    });
    let part = learned(ttls).forecast(PLACE, NOW).within[0].unwrap();
    assert_eq!(
        part,
        ExpiringPart {
            keys: 0.5,
            memory: 0.75
        }
    );
}

#[test]
fn unmeasured_keys_are_of_equal_size() {
    let ttls = (0..200).map(|key| KnownExpiry {
        bytes: None,
        ..if key % 4 == 0 {
            known(NOW, 30)
        } else {
            forever(NOW)
        }
    });
    let part = learned(ttls).forecast(PLACE, NOW).within[0].unwrap();
    assert_eq!(
        part,
        ExpiringPart {
            keys: 0.25,
            memory: 0.25
        }
    );
}

#[test]
fn few_ttls_are_no_forecast() {
    let forecast = learned((0..49).map(|_| known(NOW, 30))).forecast(PLACE, NOW);
    assert_eq!(forecast, ExpiryForecast::default());
    assert_eq!(
        KnownExpiries::default().forecast(PLACE, NOW),
        ExpiryForecast::default()
    );
}

/// A key that expires within a minute may not have existed ten minutes ago.
#[test]
fn old_ttls_only_forecast_longer_times() {
    let forecast = learned((0..200).map(|_| known(NOW - 400.0, 1_000))).forecast(PLACE, NOW);
    assert_eq!(keys(&forecast), [None, None, Some(1.0), Some(1.0)]);
}

#[test]
fn burst_has_its_share_and_its_time() {
    let spread = (0..300).map(|key| known(NOW - 1.0, 1 + key * 23));
    let together = (0..100_u64).map(|key| KnownExpiry {
        expiry: Expiry::In(601_000 + key * 20),
        ..known(NOW - 1.0, 0)
    });
    let burst = learned(spread.chain(together))
        .forecast(PLACE, NOW)
        .burst
        .unwrap();
    assert!((burst.share - 0.25).abs() < 0.01, "{burst:?}");
    assert!((burst.at - NOW - 601.0).abs() < 1.0, "{burst:?}");
}

#[test]
fn burst_beyond_the_hour_is_not_ahead() {
    let forecast = learned((0..100).map(|_| known(NOW, 3_700))).forecast(PLACE, NOW);
    assert_eq!(forecast.burst, None);
    assert_eq!(keys(&forecast), [Some(0.0); 4]);
}

/// After a batch has expired, its TTLs are those of keys that are gone.
#[test]
fn ttls_read_before_a_turnover_are_not_used() {
    let batch = (0..100).map(|_| known(NOW - 100.0, 60));
    let others = (0..100).map(|_| known(NOW - 100.0, 2_000));
    let expiring = learned(batch.chain(others));
    let before = expiring.forecast(PLACE, NOW - 50.0);
    assert_eq!(keys(&before)[3], Some(1.0));
    assert!((before.burst.unwrap().share - 0.5).abs() < 1e-9);
    assert_eq!(expiring.forecast(PLACE, NOW), ExpiryForecast::default());
    let mut expiring = expiring;
    for _ in 0..60 {
        expiring.learn(PLACE, known(NOW - 1.0, 2_000));
    }
    assert_eq!(keys(&expiring.forecast(PLACE, NOW))[3], Some(1.0));
}

/// Half of these keys have expired since, and others have come.
#[test]
fn ttls_read_longer_ago_than_half_the_usual_one_are_not_used() {
    let ttls = (0..900).map(|key| known(NOW - 450.0 + float(key) / 2.0, 1 + key * 7 % 600));
    let forecast = learned(ttls).forecast(PLACE, NOW);
    let [minute, .., hour] = keys(&forecast);
    assert!((minute.unwrap() - 0.1).abs() < 0.05, "{minute:?}");
    assert!((0.8..=1.0).contains(&hour.unwrap()), "{hour:?}");
    assert_eq!(forecast.burst, None);
}

#[test]
fn clock_set_back_forgets_what_lies_ahead() {
    let forecast = learned((0..100).map(|_| known(NOW + 600.0, 30))).forecast(PLACE, NOW);
    assert_eq!(forecast, ExpiryForecast::default());
}

#[test]
fn clock_that_is_set_forgets_all_times() {
    let mut expiring = learned((0..100).map(|_| known(NOW, 30)));
    assert!(expiring.forecast(PLACE, NOW).within[0].is_some());
    expiring.forget_all();
    assert!(expiring.forecast(PLACE, NOW).within[0].is_none());
    // New readings count again.
    for _ in 0..100 {
        expiring.learn(PLACE, known(NOW, 30));
    }
    assert!(expiring.forecast(PLACE, NOW).within[0].is_some());
}

#[test]
fn memory_is_bounded() {
    let mut expiring = KnownExpiries::default();
    for namespace in 0..1_000 {
        for _ in 0..2_000 {
            expiring.learn((0, NamespaceId(namespace)), known(NOW, 30));
        }
    }
    // Those that were full before there were as many shrink with their next key.
    for namespace in 0..1_000 {
        expiring.learn((0, NamespaceId(namespace)), known(NOW, 30));
    }
    let remembered: usize = expiring.places.values().map(VecDeque::len).sum();
    assert!(remembered <= REMEMBERED.one, "{remembered}");
}

#[test]
fn one_of_thousands_of_targets_remembers_less() {
    let remembered = |sweeps| {
        let mut expiring = KnownExpiries::default();
        expiring.set_sweeps(sweeps);
        for at in 0..10_000 {
            expiring.learn((0, NamespaceId(at % 5)), known(NOW, 30));
        }
        expiring.places.values().map(VecDeque::len).sum::<usize>()
    };
    assert_eq!([1, 2_000, 10_000].map(remembered), [5_120, 1_000, 1_000]);
}

#[test]
fn replaced_databases_and_hidden_namespaces_are_forgotten() {
    let mut expiring = learned((0..100).map(|_| known(NOW, 30)));
    expiring.forget(&|database| database == 1);
    expiring.retain(|namespace| namespace == PLACE.1);
    assert!(expiring.forecast(PLACE, NOW).within[0].is_some());
    let mut hidden = learned((0..100).map(|_| known(NOW, 30)));
    hidden.retain(|_| false);
    assert_eq!(hidden.forecast(PLACE, NOW), ExpiryForecast::default());
    expiring.forget(&|database| database == 0);
    assert_eq!(expiring.forecast(PLACE, NOW), ExpiryForecast::default());
}

#[test]
fn ttls_read_long_ago_are_forgotten() {
    let mut expiring = learned((0..500).map(|_| known(NOW, 86_400)));
    expiring.learn(PLACE, known(NOW + longest() + 1.0, 60));
    assert_eq!(expiring.places[&PLACE].len(), 1);
    assert!(size_of::<PackedExpiry>() < size_of::<KnownExpiry>());
}
