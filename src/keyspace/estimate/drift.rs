//! Predicts the current number of keys of one namespace from counts of segments at different times.
//! Pure.
//!
//! Every segment is a replicate: it has a random share of the keys. The mean of the segments
//! follows the size of the database and drifts as keys are replaced. Replacements also erase a
//! segment's deviation from the mean. The differences between two visits of a segment measure the
//! turnover. Before there are any, the server's own counters bound it.
//!
//! The mean is fitted by generalized least squares, because two visits of a segment are correlated.
//! The prior is the maximum effect that an added or removed key can have.
//!
//! Keys also come and go in batches of one namespace or another. The mean may therefore depart from
//! its smooth course, by at most the changes counted since a visit. `course` models the line of
//! that departure, `fit` how much of it the data and the counters allow.

mod course;
mod fit;

use crate::number::length as float;
use course::Path;
use fit::{Detail, Fit};

/// Weight of the prior for the turnover, in visited segments.
const PRIOR_SEGMENTS: f64 = 1.0;

/// Minimum number of rows to judge how well they fit.
const ROWS_MIN: usize = 8;

/// Iterations of the fit, because the variances and the turnover depend on its result.
const ROUNDS: u32 = 2;

/// Unknowns of the smooth course: the level, the part that follows the size, and the part that
/// follows replacements. Those of the departure come after them.
const SMOOTH: usize = 3;

/// Changes of a database between a visit and now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ChangesSince {
    /// Excess of keys over the current number, as a share of the latter.
    pub(super) more: f64,
    /// Pairs of keys replaced since, as a negative share of the current number of keys.
    pub(super) pairs: f64,
    /// Keys added or removed since, at most.
    pub(super) events: f64,
    /// Number of those that changed the size of the database.
    pub(super) net: f64,
    /// Time since the visit, in seconds.
    pub(super) age: f64,
}

impl ChangesSince {
    /// Returns the maximum number of keys that replaced others since.
    fn replaced(&self) -> f64 {
        (self.events - self.net).max(0.0) / 2.0
    }

    /// Returns how many keys a single namespace can have gained or lost since.
    fn reach(&self) -> f64 {
        self.net + self.replaced()
    }
}

/// The count of one visit of a segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Visit {
    /// Keys of the namespace.
    pub(super) keys: f64,
    /// Visited share of the segment, from 0 to 1.
    pub(super) part: f64,
    /// Time of the visit.
    pub(super) at: ChangesSince,
}

/// The last two visits of one segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Track {
    /// Share of the segment that no other track covers, from 0 to 1.
    pub(super) room: f64,
    pub(super) last: Visit,
    pub(super) before: Option<Visit>,
}

/// The database as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Current number of keys.
    pub(super) keys: f64,
    /// Number of segments, visited or not.
    pub(super) segments: f64,
    /// The share of the namespace among all keys seen, never 0 or 1.
    pub(super) share: f64,
}

/// Predicted number of keys of a namespace, before the predictions are adjusted to add up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Prediction {
    pub(super) keys: f64,
    /// Variance from the random spread of keys over segments, and from the smooth course.
    pub(super) variance: f64,
    /// Additional variance from batches.
    pub(super) batches: f64,
    /// Share of the seen keys that still exist, from 0 to 1.
    pub(super) survival: f64,
}

/// Number of unknowns that a visit depends on: those of the smooth course, and two knots.
const VISIT: usize = SMOOTH + 2;

/// The unknowns of one visit or two, each with its factor.
type Factors = [(usize, f64); 2 * VISIT];

/// One equation of the fit: `factors` times the unknowns is `value`, with this variance.
#[derive(Clone, Copy, Debug)]
struct Equation {
    factors: Factors,
    value: f64,
    variance: f64,
}

/// Predicts the keys of a namespace.
pub(super) fn predict(tracks: &[Track], frame: Frame) -> Prediction {
    let model = Model {
        tracks,
        frame,
        path: Path::through(tracks),
    };
    let mean = frame.keys * frame.share / frame.segments;
    let mut unknowns = vec![mean, mean, 0.0];
    unknowns.resize(SMOOTH + model.path.len(), 0.0);
    // Without a fit, the namespace may have any number of keys.
    let mut prediction = Prediction {
        keys: frame.keys * frame.share,
        batches: frame.keys * frame.keys,
        ..Prediction::default()
    };
    for round in 1..=ROUNDS {
        // Sudden batches hardly affect the variances, which are the purpose of the earlier rounds.
        let detail = if round == ROUNDS {
            Detail::Full
        } else {
            Detail::Rough
        };
        let rate = model.hazard(&unknowns);
        let rows = model.rows(rate, &unknowns);
        let sum = model.sum_up(rate, &unknowns);
        let Some(fit) = Fit::of(&rows, &sum.factors, (&model.path, frame), detail) else {
            break;
        };
        let scale = misfit(&rows, &fit.unknowns);
        let range = fit.range(sum.variance, scale);
        prediction = Prediction {
            keys: (sum.keys + range.mean).clamp(0.0, frame.keys),
            survival: sum.survival,
            variance: range.smooth,
            batches: range.batches,
        };
        unknowns = fit.unknowns;
    }
    prediction
}

/// The inputs of a prediction.
struct Model<'a> {
    tracks: &'a [Track],
    frame: Frame,
    path: Path,
}

/// The number of keys as a function of the unknowns.
struct Sum {
    /// Keys that do not depend on the unknowns.
    keys: f64,
    /// The factor of each unknown.
    factors: Vec<f64>,
    variance: f64,
    survival: f64,
}

impl Model<'_> {
    fn factors(&self, visit: &Visit) -> Factors {
        let [newer, older] = self.path.places(&visit.at);
        let on_path = |(place, weight): (usize, f64)| (SMOOTH + place, visit.part * weight);
        [
            (0, visit.part),
            (1, visit.part * visit.at.more),
            (2, visit.part * relaxation(visit.at.pairs)),
            on_path(newer),
            on_path(older),
            (0, 0.0),
            (0, 0.0),
            (0, 0.0),
            (0, 0.0),
            (0, 0.0),
        ]
    }

    fn usual(&self) -> f64 {
        self.frame.keys * self.frame.share / self.frame.segments
    }

    /// Returns the mean of a segment at a visit. It is never close to zero, because variances
    /// depend on it.
    fn mean(&self, visit: &Visit, unknowns: &[f64]) -> f64 {
        let least = 0.01 * visit.part * self.usual();
        let least = least.max(0.1 * visit.keys);
        dot(&self.factors(visit), unknowns).max(least).max(1e-3)
    }

    /// Returns the rate at which a key of the namespace disappears, per event of the database.
    fn hazard(&self, unknowns: &[f64]) -> f64 {
        // All events may concern this namespace; half of them are removals.
        let highest = 0.5 / (self.frame.share * self.frame.keys).max(1.0);
        let visits = self.tracks.iter().filter_map(|track| {
            let before = track.before?;
            Some((track.last, before))
        });
        let (mut count, mut events, mut keys) = (0.0, 0.0, 0.0);
        let (mut sum, mut squares) = (0.0, 0.0);
        for (last, before) in visits {
            let at = |visit: &Visit| dot(&self.factors(visit), unknowns);
            let difference = last.keys - before.keys - (at(&last) - at(&before));
            count += 1.0;
            events += before.at.events - last.at.events;
            keys += last.keys + before.keys;
            sum += difference;
            squares += difference * difference;
        }
        if count < 2.0 || events <= 0.0 {
            return highest;
        }
        let events = events / count;
        let usual = 1.0 - (-highest * events).exp();
        let spread = (squares - sum * sum / count).max(0.0) * count / (count - 1.0);
        let measured = spread / keys.max(1.0);
        let gone = (usual * PRIOR_SEGMENTS + measured * count) / (PRIOR_SEGMENTS + count);
        -(1.0 - gone).max(1e-6).ln() / events
    }

    /// Returns the equations of all visits. The second visit of a segment counts with its
    /// difference from the first.
    fn rows(&self, hazard: f64, unknowns: &[f64]) -> Vec<Equation> {
        let mut rows = Vec::with_capacity(self.tracks.len() * 2);
        for track in self.tracks {
            let last = &track.last;
            let mean_last = self.mean(last, unknowns);
            let Some(before) = &track.before else {
                rows.push(Equation {
                    factors: self.factors(last),
                    value: last.keys,
                    variance: mean_last,
                });
                continue;
            };
            let mean_before = self.mean(before, unknowns);
            let events = (before.at.events - last.at.events).max(0.0);
            let survival = survival(hazard, events, mean_before, mean_last);
            // An old visit whose keys are all gone only describes the segment at that time.
            rows.push(Equation {
                factors: self.factors(before),
                value: before.keys,
                variance: mean_before / (survival * survival).max(1e-9),
            });
            rows.push(Equation {
                factors: less(self.factors(last), survival, self.factors(before)),
                value: last.keys - survival * before.keys,
                variance: innovation(mean_before, mean_last, survival),
            });
        }
        rows
    }

    fn sum_up(&self, hazard: f64, unknowns: &[f64]) -> Sum {
        let level = unknowns.first().copied().unwrap_or(0.0);
        let now = level.max(0.01 * self.usual()).max(1e-3);
        let mut factors = vec![0.0; unknowns.len()];
        let mut keys = 0.0;
        let rooms: f64 = self.tracks.iter().map(|track| track.room).sum();
        let mut variance = (self.frame.segments - rooms).max(0.0) * now;
        let (mut survivors, mut seen) = (0.0, 0.0);
        if let Some(level) = factors.first_mut() {
            *level = self.frame.segments;
        }
        for track in self.tracks {
            let visit = &track.last;
            let mean = self.mean(visit, unknowns);
            let survival = survival(hazard, visit.at.events.max(0.0), mean, now * visit.part);
            for (place, factor) in self.factors(visit) {
                if let Some(sum) = factors.get_mut(place) {
                    *sum -= survival * factor;
                }
            }
            keys += survival * visit.keys;
            variance += innovation(mean, now * track.room, survival);
            survivors += survival * visit.part;
            seen += visit.part;
        }
        Sum {
            keys,
            factors,
            variance,
            survival: if seen > 0.0 { survivors / seen } else { 0.0 },
        }
    }
}

/// Returns the share of a segment's keys that remain after this many events. If the mean fell, at
/// least that share of the keys is gone.
fn survival(hazard: f64, events: f64, before: f64, after: f64) -> f64 {
    (-hazard * events).exp().min(after / before)
}

/// Returns how far a namespace was from its current level, in units that the fit determines.
///
/// With random replacement it approaches a new level more and more slowly. Looking back, the
/// distance therefore grows faster and faster. The growth is linear beyond about one replacement of
/// all keys.
fn relaxation(pairs: f64) -> f64 {
    let pairs = pairs.abs();
    if pairs <= 1.0 {
        -pairs.exp_m1()
    } else {
        -(1.0_f64.exp_m1() + 1.0_f64.exp() * (pairs - 1.0))
    }
}

/// Returns the variance of a count given an earlier one: from keys that may have gone, and from
/// added keys.
fn innovation(before: f64, after: f64, survival: f64) -> f64 {
    let gone = before * survival * (1.0 - survival);
    let came = (after - survival * before).max(0.0);
    (gone + came).max(1e-6 * after).max(1e-9)
}

/// Returns the ratio of the observed variance to the expected one, at least 1.
fn misfit(rows: &[Equation], unknowns: &[f64]) -> f64 {
    if rows.len() < ROWS_MIN {
        return 1.0;
    }
    let squares = rows.iter().map(|row| {
        let off = row.value - dot(&row.factors, unknowns);
        off * off / row.variance
    });
    let freedom = rows.len().saturating_sub(SMOOTH);
    (squares.sum::<f64>() / float(freedom)).max(1.0)
}

/// Returns the factors of a visit minus a part of those of the previous visit.
fn less(new: Factors, part: f64, old: Factors) -> Factors {
    let mut factors = new;
    let free = factors.iter_mut().skip(VISIT);
    for (free, (place, factor)) in free.zip(old) {
        *free = (place, -part * factor);
    }
    factors
}

fn dot(factors: &Factors, unknowns: &[f64]) -> f64 {
    let products = factors
        .iter()
        .map(|(place, factor)| factor * unknowns.get(*place).copied().unwrap_or(0.0));
    products.sum()
}
