//! Models how far a namespace may have departed from its smooth course: a line through knots. Pure.

use super::{ChangesSince, Track};

/// Maximum number of visits between two knots; the newest knots are closer.
const VISITS_APART: usize = 8;

/// Maximum change between two knots, as a share of the total change possible for a single
/// namespace.
const CHANGES_APART: f64 = 1.0 / 16.0;

/// Multiple of the average rate of changes that counts as usual.
const USUAL_TIMES: f64 = 2.0;

/// The knots, newest first. The present is not among them, because the departure is zero there by
/// definition.
pub(super) struct Path(Vec<ChangesSince>);

impl Path {
    /// Places the knots at some of the visits.
    pub(super) fn through(tracks: &[Track]) -> Self {
        let visits = tracks.iter().flat_map(|track| {
            let before = track.before.map(|before| before.at);
            std::iter::once(track.last.at).chain(before)
        });
        let mut visits: Vec<ChangesSince> = visits.collect();
        visits.sort_by(|left, right| left.events.total_cmp(&right.events));
        let oldest = visits.last().copied().unwrap_or_default();
        let apart = oldest.reach() * CHANGES_APART;
        let mut knots: Vec<ChangesSince> = Vec::new();
        let mut skipped = 0;
        for visit in visits {
            let last = knots.last().map_or(0.0, ChangesSince::reach);
            let changed = visit.reach() - last;
            skipped += 1;
            let is_due = skipped >= visits_apart(knots.len()) || changed > apart;
            if changed > 0.0 && (is_due || visit == oldest) {
                knots.push(visit);
                skipped = 0;
            }
        }
        Self(knots)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the knots on either side of a position, with their weights. The weight is 0 if that
    /// side is the present.
    pub(super) fn places(&self, at: &ChangesSince) -> [(usize, f64); 2] {
        let reach = at.reach();
        let older = self.0.partition_point(|knot| knot.reach() < reach);
        let newer = older.checked_sub(1);
        let reach_of = |place: usize| self.0.get(place).map(ChangesSince::reach);
        let from = newer.and_then(reach_of).unwrap_or(0.0);
        let Some(to) = reach_of(older) else {
            return [(newer.unwrap_or(0), 1.0), (0, 0.0)];
        };
        let part = (reach - from) / (to - from);
        match newer {
            Some(newer) => [(newer, 1.0 - part), (older, part)],
            None => [(0, 0.0), (older, part)],
        }
    }

    /// Returns the changes between each knot and the next newer one.
    pub(super) fn spans(&self) -> impl Iterator<Item = Span> {
        let oldest = self.0.last().copied().unwrap_or_default();
        let newer = std::iter::once(ChangesSince::default()).chain(self.0.iter().copied());
        self.0.iter().zip(newer).map(move |(older, newer)| {
            let part = (older.age - newer.age) / oldest.age.max(f64::MIN_POSITIVE);
            let net = (older.net - newer.net).max(0.0);
            let replaced = (older.replaced() - newer.replaced()).max(0.0);
            let unusual = |number: f64, all: f64| (number - USUAL_TIMES * part * all).max(0.0);
            Span {
                all: Flow { net, replaced },
                unusual: Flow {
                    net: unusual(net, oldest.net),
                    replaced: unusual(replaced, oldest.replaced()),
                },
            }
        })
    }
}

/// Keys that came or went within some time.
#[derive(Clone, Copy)]
pub(super) struct Flow {
    /// Number of those that changed the size of the database.
    pub(super) net: f64,
    /// Number of keys replaced by others, at most.
    pub(super) replaced: f64,
}

/// Changes between two knots.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) all: Flow,
    /// Changes beyond the usual rate.
    pub(super) unusual: Flow,
}

/// Returns the number of visits between the newest `knots` knots and the next older one.
fn visits_apart(knots: usize) -> usize {
    match knots {
        0 | 1 => 1,
        2 | 3 => 2,
        4 | 5 => 4,
        _ => VISITS_APART,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Visit;
    use super::*;

    fn at(events: f64, net: f64, age: f64) -> ChangesSince {
        ChangesSince {
            events,
            net,
            age,
            ..ChangesSince::default()
        }
    }

    fn path(positions: &[ChangesSince]) -> Path {
        let tracks = positions.iter().map(|at| Track {
            room: 1.0,
            last: Visit {
                keys: 1.0,
                part: 1.0,
                at: *at,
            },
            before: None,
        });
        Path::through(&tracks.collect::<Vec<_>>())
    }

    #[test]
    fn visit_is_interpolated_between_two_knots() {
        let path = path(&[at(30.0, 30.0, 3.0), at(10.0, 10.0, 1.0)]);
        assert_eq!(path.len(), 2);
        let places = |events| path.places(&at(events, events, 0.0));
        assert_eq!(places(0.0), [(0, 0.0), (0, 0.0)]);
        assert_eq!(places(5.0), [(0, 0.0), (0, 0.5)]);
        assert_eq!(places(15.0), [(0, 0.75), (1, 0.25)]);
        assert_eq!(places(30.0), [(0, 0.0), (1, 1.0)]);
    }

    #[test]
    fn visits_without_changes_in_between_share_a_knot() {
        let path = path(&[at(0.0, 0.0, 1.0), at(4.0, 0.0, 2.0), at(4.0, 0.0, 3.0)]);
        assert_eq!(path.len(), 1);
    }

    #[test]
    fn only_changes_beyond_the_usual_rate_are_unusual() {
        let steady: Vec<_> = (1..=10).map(f64::from).collect();
        let steady: Vec<_> = steady.iter().map(|age| at(*age, *age, *age)).collect();
        assert!(path(&steady).spans().all(|span| span.unusual.net <= 0.0));
        let sudden = path(&[at(90.0, 90.0, 1.0), at(100.0, 100.0, 10.0)]);
        let unusual: Vec<f64> = sudden.spans().map(|span| span.unusual.net).collect();
        assert_eq!(unusual, [70.0, 0.0]);
    }
}
