//! Estimates how many keys of a namespace have their TTL renewed within a minute. Pure.
//!
//! The TTL of a sampled key is queried twice, a minute apart. If the later one ends later, it was
//! renewed in between. Keys that are gone by then were not renewed in time.

use std::collections::{BTreeMap, HashMap};

use super::checked::CheckedRun;
use super::run::{Drawn, Lifetime, Member, Purpose, Run, SinceDraw};
use super::{NamespacePlace, Panel};
use crate::keyspace::NamespaceId;

/// Time between the two TTLs, in seconds.
const AGE: SinceDraw = 60.0;

/// One in this many runs with known TTLs is scanned for renewals. Each takes a further SCAN.
const ONE_IN: u32 = 2;

/// Minimum number of keys for a ratio.
const KEYS_MIN: f64 = 30.0;

/// Number of keys after which earlier ones count half.
const KEYS_MAX: f64 = 500.0;

/// Maximum difference between two exact times of expiry without a renewal, in seconds. A TTL is read
/// up to a second before its time is recorded.
const TOLERANCE: f64 = 1.5;

/// Half the width of a 95 % interval, in standard deviations.
const DEVIATIONS: f64 = 1.96;

/// The renewed keys of each namespace.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    counts: BTreeMap<NamespacePlace, RenewalCounts>,
    runs: u32,
}

/// Keys with a TTL, and those of them whose TTL was renewed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct RenewalCounts {
    keys: f64,
    renewed: f64,
}

/// A share of keys, with half the width of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RenewedRatio {
    pub(super) ratio: f64,
    pub(super) error: f64,
}

/// A key whose TTL may have been renewed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RenewalCheck {
    place: NamespacePlace,
    expiry: f64,
    /// Maximum difference to that time without a renewal, in seconds.
    tolerance: f64,
    /// The position of its name among those found; `None` if it is gone.
    pub at: Option<usize>,
}

impl Renewals {
    /// Returns whether the renewals of a run are followed.
    pub(super) fn follows(&mut self, run: &Drawn<'_>) -> bool {
        let is_known = |(_, _, lifetime): &(_, _, Lifetime)| matches!(lifetime, Lifetime::Until(_));
        if !run.keys.iter().any(is_known) {
            return false;
        }
        self.runs = self.runs.wrapping_add(1);
        self.runs.is_multiple_of(ONE_IN)
    }

    /// Records whether the TTL of a key was renewed.
    pub(super) fn record(&mut self, place: NamespacePlace, is_renewed: bool) {
        let counts = self.counts.entry(place).or_default();
        if counts.keys >= KEYS_MAX {
            counts.keys /= 2.0;
            counts.renewed /= 2.0;
        }
        counts.keys += 1.0;
        counts.renewed += f64::from(u8::from(is_renewed));
    }

    /// Returns the ratio of each place with enough keys.
    pub(super) fn ratios(&self) -> impl Iterator<Item = (NamespacePlace, RenewedRatio)> {
        let counts = self.counts.iter();
        counts.filter_map(|(place, counts)| Some((*place, counts.ratio()?)))
    }

    /// Forgets all keys, because the data were replaced.
    pub(super) fn forget(&mut self) {
        self.counts.clear();
    }

    /// Forgets namespaces without series.
    pub(super) fn retain(&mut self, is_shown: impl Fn(NamespaceId) -> bool) {
        self.counts.retain(|(_, namespace), _| is_shown(*namespace));
    }
}

impl RenewalCounts {
    /// Returns the ratio with Wilson's interval, which is also right if no key or each was renewed.
    fn ratio(self) -> Option<RenewedRatio> {
        if self.keys < KEYS_MIN {
            return None;
        }
        let (keys, ratio) = (self.keys, self.renewed / self.keys);
        let squared = DEVIATIONS * DEVIATIONS;
        let spread = ratio * (1.0 - ratio) / keys + squared / (4.0 * keys * keys);
        let middle = ratio + squared / (2.0 * keys);
        let half = DEVIATIONS * spread.sqrt();
        let bounds = [middle - half, middle + half].map(|bound| bound / (1.0 + squared / keys));
        let error = bounds.map(|bound| (bound - ratio).abs());
        let error = error.into_iter().fold(0.0, f64::max);
        Some(RenewedRatio { ratio, error })
    }
}

impl Member {
    /// Returns the check of the TTL of a key a minute later.
    pub(super) fn until_renewal(self, lifetime: Lifetime<SinceDraw>) -> Option<Self> {
        let Lifetime::Until(expiry) = lifetime else {
            return None;
        };
        Some(Self {
            age: AGE,
            purpose: Purpose::Renewal(expiry),
            ..self
        })
    }
}

impl Panel {
    /// Returns the keys of a run whose TTL may have been renewed, of the names in its region now.
    #[must_use]
    pub fn renewal_checks(&self, run: &Run, names: &[impl AsRef<[u8]>]) -> Vec<RenewalCheck> {
        let is_renewal = |member: Member| matches!(member.purpose, Purpose::Renewal(_));
        if !run.members.iter().any(is_renewal) {
            return Vec::new();
        }
        let names = names.iter().enumerate();
        let found = names.map(|(at, name)| (self.hasher.short(name.as_ref()), at));
        let found: HashMap<u32, usize> = found.collect();
        let checks = run.members.iter().filter_map(|member| {
            let Purpose::Renewal(expiry) = member.purpose else {
                return None;
            };
            Some(RenewalCheck {
                place: (run.region.database, member.namespace),
                expiry: run.since + f64::from(expiry),
                // TTLs of years are known to a few seconds.
                tolerance: TOLERANCE + f64::from(expiry * SinceDraw::EPSILON),
                at: found.get(&member.id).copied(),
            })
        });
        checks.collect()
    }

    /// Records whether a TTL was renewed: the key has this lifetime now, or is gone if it is `None`.
    /// It counts with the next reading of INFO, if that shows that the data were not replaced.
    pub fn record_renewal(&mut self, check: RenewalCheck, lifetime: Option<Lifetime>) {
        let is_renewed = match lifetime {
            Some(Lifetime::Unknown) => return,
            Some(Lifetime::Unlimited) => true,
            Some(Lifetime::Until(expiry)) => expiry > check.expiry + check.tolerance,
            None => false,
        };
        let checked = CheckedRun::of_renewal(check.place, is_renewed);
        self.unconfirmed.push(checked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::panel::RemovalReading;
    use crate::keyspace::panel::run::Region;

    const PLACE: NamespacePlace = (0, NamespaceId(1));

    const REGION: Region = Region {
        database: 0,
        start: 0,
        end: 0,
    };

    fn name(key: usize) -> Vec<u8> {
        format!("session:{key}").into_bytes()
    }

    /// Draws runs of ten keys with a TTL of 100 s. Checks them when they are due: the first `gone` of
    /// each run are gone, and the next `renewed` have the TTL of 100 s again.
    fn follow(runs: u32, gone: usize, renewed: usize) -> Panel {
        let names: Vec<Vec<u8>> = (0..10).map(name).collect();
        let mut panel = Panel::default();
        for at in (0..runs).map(f64::from) {
            let lifetime = Lifetime::Until(at + 100.0);
            let keys = names.iter().map(|name| (&name[..], PLACE.1, lifetime));
            let drawn = Drawn {
                at,
                region: REGION,
                keys: keys.collect(),
            };
            panel.draw(at, 10.0, &[drawn]);
            check(&mut panel, at, &names[gone..], renewed);
        }
        for at in (runs..runs + 70).map(f64::from) {
            check(&mut panel, at, &names[gone..], renewed);
        }
        panel.observe(f64::from(runs) + 70.0, RemovalReading::default());
        panel
    }

    fn check(panel: &mut Panel, now: f64, left: &[Vec<u8>], renewed: usize) {
        while let Some(run) = panel.take_due(now) {
            panel.record_checked(now, &run, left);
            for check in panel.renewal_checks(&run, left) {
                let lifetime = check.at.map(|at| {
                    let since = if at < renewed {
                        now
                    } else {
                        now - f64::from(AGE)
                    };
                    Lifetime::Until(since + 100.0)
                });
                panel.record_renewal(check, lifetime);
            }
        }
    }

    fn ratio(panel: &Panel) -> Option<(f64, f64)> {
        let ratio = panel.renewals.ratios().next();
        ratio.map(|(_, found)| (found.ratio, found.error))
    }

    #[test]
    fn ratio_is_the_share_of_renewed_keys() {
        let (found, error) = ratio(&follow(40, 0, 4)).unwrap();
        assert!((found - 0.4).abs() < 0.05, "{found}");
        assert!((0.05..0.12).contains(&error), "{error}");
    }

    #[test]
    fn keys_that_are_gone_were_not_renewed() {
        let (found, _) = ratio(&follow(40, 5, 5)).unwrap();
        assert!((found - 0.5).abs() < 0.05, "{found}");
    }

    #[test]
    fn few_keys_have_no_ratio() {
        assert_eq!(ratio(&follow(4, 0, 4)), None);
        assert!(ratio(&follow(8, 0, 4)).is_some());
    }

    #[test]
    fn interval_includes_rare_renewals() {
        let (found, error) = ratio(&follow(40, 0, 0)).unwrap();
        assert!(found.abs() < 1e-9 && error > 0.01, "{found} {error}");
    }

    #[test]
    fn unknown_ttl_does_not_count_and_no_ttl_is_renewed() {
        let mut panel = Panel::default();
        let check = RenewalCheck {
            place: PLACE,
            expiry: 100.0,
            tolerance: TOLERANCE,
            at: Some(0),
        };
        for _ in 0..30 {
            panel.record_renewal(check, Some(Lifetime::Unknown));
            panel.record_renewal(check, Some(Lifetime::Until(101.0)));
            panel.record_renewal(check, Some(Lifetime::Unlimited));
        }
        panel.observe(1.0, RemovalReading::default());
        let (found, _) = ratio(&panel).unwrap();
        assert!((found - 0.5).abs() < 1e-9, "{found}");
    }

    #[test]
    fn replaced_data_are_forgotten() {
        let mut panel = follow(40, 0, 4);
        panel.forget();
        assert_eq!(ratio(&panel), None);
    }
}
