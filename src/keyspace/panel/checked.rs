//! Keys that were checked, and that count once INFO shows that the data were not replaced. Pure.

use super::run::{Lifetime, Run, SinceDraw};
use super::split::End;
use super::{NamespacePlace, Panel};
use crate::keyspace::NamespaceId;

/// The result of the check of a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Checked {
    /// A key with this lifetime, and whether it is gone.
    Counted(Lifetime<SinceDraw>, bool),
    /// Whether a key expired that was about to.
    Followed(bool),
    /// Whether it expired, and was not written again before a check at the usual age.
    FollowedLonger(bool),
    /// Whether its TTL was renewed.
    Renewal(bool),
}

/// The checks of one run. Common values are kept once, because there are thousands of keys.
#[derive(Debug)]
pub(super) struct CheckedRun {
    database: u32,
    weight: f64,
    since: f64,
    at: f64,
    keys: Vec<(NamespaceId, Checked)>,
}

impl CheckedRun {
    /// Returns the checks of a run at this time.
    pub(super) fn new(run: &Run, at: f64, mut keys: Vec<(NamespaceId, Checked)>) -> Self {
        keys.shrink_to_fit();
        Self {
            database: run.region.database,
            weight: run.weight,
            since: run.since,
            at,
            keys,
        }
    }

    /// Returns the check of a single key: whether its TTL was renewed.
    pub(super) fn of_renewal(place: NamespacePlace, is_renewed: bool) -> Self {
        Self {
            database: place.0,
            weight: 0.0,
            since: 0.0,
            at: 0.0,
            keys: vec![(place.1, Checked::Renewal(is_renewed))],
        }
    }
}

impl Panel {
    /// Counts the checks of a run.
    pub(super) fn confirm(&mut self, run: &CheckedRun) {
        for (namespace, checked) in &run.keys {
            let place = (run.database, *namespace);
            match *checked {
                Checked::Followed(has_expired) => {
                    let split = self.splits.entry(place).or_default();
                    split.record_followed(has_expired);
                }
                Checked::FollowedLonger(is_missing) => {
                    let split = self.splits.entry(place).or_default();
                    split.record_followed_longer(is_missing);
                }
                Checked::Renewal(is_renewed) => self.renewals.record(place, is_renewed),
                Checked::Counted(lifetime, is_gone) => {
                    self.count(place, lifetime.from(run.since), is_gone, run);
                }
            }
        }
    }

    fn count(
        &mut self,
        place: NamespacePlace,
        lifetime: Lifetime,
        is_gone: bool,
        run: &CheckedRun,
    ) {
        let CheckedRun {
            weight, since, at, ..
        } = *run;
        let seconds = (at - since).max(f64::MIN_POSITIVE);
        let interval = self.intervals.entry(place).or_default();
        interval.record(seconds, is_gone);
        let interval = *interval;
        if self.totals.is_empty() {
            self.knows_evicted = true;
            self.knows_expired = true;
        }
        let totals = self.totals.entry(place).or_default();
        if let Some(block) = &mut self.block {
            block.record_checked(place, weight);
        }
        if !is_gone {
            self.alive += 1;
            return;
        }
        self.gone += 1;
        let split = self.splits.entry(place).or_default();
        let end = End::of(lifetime, at);
        if let Lifetime::Until(expiry) = lifetime
            && end == Some(End::Early)
        {
            totals.record_lost_ttl(expiry - f64::midpoint(since, at));
        }
        let keys = weight / seconds;
        totals.record_vanished(
            keys,
            end.map_or_else(|| split.shares(interval), End::shares),
        );
        if let Some(block) = &mut self.block {
            block.record_vanished(place, keys);
        }
    }
}
