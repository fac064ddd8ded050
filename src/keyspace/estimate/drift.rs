//! The keys of one namespace now, from counts of segments at different times. Pure.
//!
//! Every segment is a replicate: it has its share of the keys by chance. The mean of the segments
//! follows the number of keys that the database has, and drifts with the keys that are replaced;
//! how a segment differs from the mean is forgotten as its keys are replaced. How fast they are is
//! measured by the differences between two visits of a segment, and bounded by the server's own
//! counters before there are any. The mean is fitted by weighted least squares, as two visits of a
//! segment are correlated, with prior knowledge of what a key that comes or goes can do at most.
//!
//! Keys also come and go in batches, of one namespace now and of another one later. So the mean may
//! depart from its smooth course, by at most what the counters report for the time since a visit.
//! `course` has the line of that departure, `fit` how much of it the data and the counters allow.

mod course;
mod fit;

use crate::number::length as float;
use course::Path;
use fit::{Detail, Fit};

/// How much the prior knowledge of the turnover counts, in visited segments.
const PRIOR_SEGMENTS: f64 = 1.0;

/// Fewer rows tell nothing about how well they fit.
const ROWS_MIN: usize = 8;

/// How often the fit is made: variances and the turnover depend on what is fitted.
const ROUNDS: u32 = 2;

/// How many unknowns of the smooth course are fitted: the level, what follows the size, what
/// follows replacements. Those of the departure come after them.
const SMOOTH: usize = 3;

/// A database between a visit and now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Position {
    /// How many keys there were more than now, as a share of the keys of now.
    pub(super) more: f64,
    /// How many pairs of keys were replaced since, as a share of the keys of now, negative.
    pub(super) pairs: f64,
    /// How many keys came or went since, at most.
    pub(super) events: f64,
    /// How many of them changed the number of keys.
    pub(super) net: f64,
    /// Seconds since.
    pub(super) age: f64,
}

impl Position {
    /// Keys that came in place of others since, at most.
    fn replaced(&self) -> f64 {
        (self.events - self.net).max(0.0) / 2.0
    }

    /// How many keys one namespace alone can have gained or lost since.
    fn reach(&self) -> f64 {
        self.net + self.replaced()
    }
}

/// What a visit of a segment has counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Visit {
    /// Keys of the namespace.
    pub(super) keys: f64,
    /// Which part of the segment was visited, from 0 to 1.
    pub(super) part: f64,
    /// When.
    pub(super) at: Position,
}

/// The visits of one segment: the last, and the one before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Track {
    /// Which part of the segment needs no other track, from 0 to 1.
    pub(super) room: f64,
    pub(super) last: Visit,
    pub(super) before: Option<Visit>,
}

/// What is known of the whole database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Keys now.
    pub(super) keys: f64,
    /// Segments, visited or not.
    pub(super) segments: f64,
    /// The share of the namespace among all keys that were seen, never 0 or 1.
    pub(super) share: f64,
}

/// How many keys a namespace has, before it is known that all add up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Prediction {
    pub(super) keys: f64,
    /// By the chance with which keys are spread over segments, and the smooth course.
    pub(super) variance: f64,
    /// By batches, beyond that.
    pub(super) batches: f64,
    /// Which part of what was seen is still there, from 0 to 1.
    pub(super) survival: f64,
}

/// Unknowns that a visit depends on: those of the smooth course, and two knots.
const VISIT: usize = SMOOTH + 2;

/// The unknowns of one visit or two, each with its factor.
type Factors = [(usize, f64); 2 * VISIT];

/// One equation of the fit: `factors` times the unknowns is `value`, give or take.
#[derive(Clone, Copy, Debug)]
struct Row {
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
    // Without a fit anything is possible.
    let mut prediction = Prediction {
        keys: frame.keys * frame.share,
        batches: frame.keys * frame.keys,
        ..Prediction::default()
    };
    for round in 1..=ROUNDS {
        // Sudden batches hardly change the variances that the other rounds are for.
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

/// What a prediction is made from.
struct Model<'a> {
    tracks: &'a [Track],
    frame: Frame,
    path: Path,
}

/// How the keys follow from the unknowns.
struct Sum {
    /// Keys that do not depend on the unknowns.
    keys: f64,
    /// Each unknown's factor.
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

    /// The mean of a segment at a visit. It is never far from nothing, as variances depend on it.
    fn mean(&self, visit: &Visit, unknowns: &[f64]) -> f64 {
        let least = 0.01 * visit.part * self.usual();
        let least = least.max(0.1 * visit.keys);
        dot(&self.factors(visit), unknowns).max(least).max(1e-3)
    }

    /// The rate at which a key of the namespace goes, per event of the database.
    fn hazard(&self, unknowns: &[f64]) -> f64 {
        // All events may be in this namespace; half of them are keys that went.
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

    /// The equations of all visits. The second visit of a segment is seen as what it adds to the
    /// first.
    fn rows(&self, hazard: f64, unknowns: &[f64]) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.tracks.len() * 2);
        for track in self.tracks {
            let last = &track.last;
            let mean_last = self.mean(last, unknowns);
            let Some(before) = &track.before else {
                rows.push(Row {
                    factors: self.factors(last),
                    value: last.keys,
                    variance: mean_last,
                });
                continue;
            };
            let mean_before = self.mean(before, unknowns);
            let events = (before.at.events - last.at.events).max(0.0);
            let survival = survival(hazard, events, mean_before, mean_last);
            // An old visit of which nothing is left tells only how it was then.
            rows.push(Row {
                factors: self.factors(before),
                value: before.keys,
                variance: mean_before / (survival * survival).max(1e-9),
            });
            rows.push(Row {
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

/// Which part of a segment's keys is still there after some events. Where the mean has fallen, at
/// least that many keys went.
fn survival(hazard: f64, events: f64, before: f64, after: f64) -> f64 {
    (-hazard * events).exp().min(after / before)
}

/// How far a namespace was from where it is now, in units that the fit finds. Where keys are
/// replaced at random it comes near its new level ever more slowly, so that looking back it departs
/// ever faster. After about all keys were replaced that is no longer believed.
fn relaxation(pairs: f64) -> f64 {
    let pairs = pairs.abs();
    if pairs <= 1.0 {
        -pairs.exp_m1()
    } else {
        -(1.0_f64.exp_m1() + 1.0_f64.exp() * (pairs - 1.0))
    }
}

/// The variance of a count given an earlier one: keys that may have gone, and keys that came.
fn innovation(before: f64, after: f64, survival: f64) -> f64 {
    let gone = before * survival * (1.0 - survival);
    let came = (after - survival * before).max(0.0);
    (gone + came).max(1e-6 * after).max(1e-9)
}

/// How many times the variance is what it should be by chance alone; at least once.
fn misfit(rows: &[Row], unknowns: &[f64]) -> f64 {
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

/// The factors of a visit less a part of those of the visit before it.
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
