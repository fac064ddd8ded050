//! The keys of one namespace now, from counts of segments at different times. Pure.
//!
//! Every segment is a replicate: it has its share of the keys by chance. The mean of the segments
//! follows the number of keys that the database has, and drifts with the keys that are replaced;
//! how a segment differs from the mean is forgotten as its keys are replaced. How fast they are is
//! measured by the differences between two visits of a segment, and bounded by the server's own
//! counters before there are any. The mean is fitted by weighted least squares, as two visits of a
//! segment are correlated, with prior knowledge of what a key that comes or goes can do at most.

/// How much the prior knowledge of the turnover counts, in visited segments.
const PRIOR_SEGMENTS: f64 = 1.0;

/// Fewer rows tell nothing about how well they fit.
const ROWS_MIN: usize = 8;

/// How often the fit is made: variances and the turnover depend on what is fitted.
const ROUNDS: u32 = 3;

/// How many unknowns are fitted: the level, what follows the size, what follows replacements.
const UNKNOWNS: usize = 3;

/// A database between a visit and now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Position {
    /// How many keys there were more than now, as a share of the keys of now.
    pub(super) more: f64,
    /// How many pairs of keys were replaced since, as a share of the keys of now, negative.
    pub(super) pairs: f64,
    /// How many keys came or went since, at most.
    pub(super) events: f64,
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
    pub(super) variance: f64,
    /// Which part of what was seen is still there, from 0 to 1.
    pub(super) survival: f64,
}

type Vector = [f64; UNKNOWNS];
type Matrix = [Vector; UNKNOWNS];

/// One equation of the fit: `factors` times the unknowns is `value`, give or take.
#[derive(Clone, Copy, Debug)]
struct Row {
    factors: Vector,
    value: f64,
    variance: f64,
}

/// Predicts the keys of a namespace.
pub(super) fn predict(tracks: &[Track], frame: Frame) -> Prediction {
    let mean_now = frame.keys * frame.share / frame.segments;
    let mut unknowns = [mean_now, mean_now, 0.0];
    let mut covariance = Matrix::default();
    let mut scale = 1.0;
    let mut rate = 0.0;
    for _ in 0..ROUNDS {
        rate = hazard(tracks, frame, unknowns);
        let rows = rows(tracks, rate, unknowns, mean_now);
        let prior = Prior::of(frame);
        let Some(inverse) = inverse(&normal_matrix(&rows, &prior)) else {
            break;
        };
        unknowns = times(&inverse, normal_vector(&rows, &prior));
        covariance = inverse;
        scale = misfit(&rows, unknowns);
    }
    sum_up(tracks, frame, rate, unknowns, &covariance, scale)
}

/// What is known of the unknowns before anything was seen: a mean, and how precise it is.
struct Prior {
    mean: Vector,
    precision: Vector,
}

impl Prior {
    /// A key that comes or goes belongs to the namespace with the probability of its share: that is
    /// as far as it is likely to be from the mean.
    fn of(frame: Frame) -> Self {
        let each = frame.keys / frame.segments;
        let variance = (frame.share * (1.0 - frame.share) * each * each).max(1e-9);
        let mean = each * frame.share;
        Self {
            mean: [mean, mean, 0.0],
            precision: [0.0, 1.0 / variance, 1.0 / variance],
        }
    }
}

fn factors(visit: &Visit) -> Vector {
    [
        visit.part,
        visit.part * visit.at.more,
        visit.part * relaxation(visit.at.pairs),
    ]
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

/// The mean of a segment at a visit. It is never far from nothing, as variances depend on it.
fn mean(visit: &Visit, unknowns: Vector, usual: f64) -> f64 {
    let usual = visit.part * usual;
    dot(factors(visit), unknowns).max(0.1 * usual).max(1e-3)
}

/// The rate at which a key of the namespace goes, per event of the database.
fn hazard(tracks: &[Track], frame: Frame, unknowns: Vector) -> f64 {
    // All events may be in this namespace; half of them are keys that went.
    let highest = 0.5 / (frame.share * frame.keys).max(1.0);
    let visits = tracks.iter().filter_map(|track| {
        let before = track.before?;
        Some((track.last, before))
    });
    let (mut count, mut events, mut keys) = (0.0, 0.0, 0.0);
    let (mut sum, mut squares) = (0.0, 0.0);
    for (last, before) in visits {
        let drift = dot(factors(&last), unknowns) - dot(factors(&before), unknowns);
        let difference = last.keys - before.keys - drift;
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

/// The equations of all visits. The second visit of a segment is seen as what it adds to the first.
fn rows(tracks: &[Track], hazard: f64, unknowns: Vector, usual: f64) -> Vec<Row> {
    let mut rows = Vec::with_capacity(tracks.len() * 2);
    for track in tracks {
        let last = &track.last;
        let mean_last = mean(last, unknowns, usual);
        let Some(before) = &track.before else {
            rows.push(Row {
                factors: factors(last),
                value: last.keys,
                variance: mean_last,
            });
            continue;
        };
        let survival = (-hazard * (before.at.events - last.at.events).max(0.0)).exp();
        let mean_before = mean(before, unknowns, usual);
        // An old visit of which nothing is left tells only how it was then.
        rows.push(Row {
            factors: factors(before),
            value: before.keys,
            variance: mean_before / (survival * survival).max(1e-9),
        });
        let (new, old) = (factors(last), factors(before));
        rows.push(Row {
            factors: std::array::from_fn(|place| {
                let at = |vector: Vector| vector.get(place).copied().unwrap_or(0.0);
                at(new) - survival * at(old)
            }),
            value: last.keys - survival * before.keys,
            variance: innovation(mean_before, mean_last, survival),
        });
    }
    rows
}

/// The variance of a count given an earlier one: keys that may have gone, and keys that came.
fn innovation(before: f64, after: f64, survival: f64) -> f64 {
    let gone = before * survival * (1.0 - survival);
    let came = (after - survival * before).max(0.0);
    (gone + came).max(1e-6 * after).max(1e-9)
}

fn normal_matrix(rows: &[Row], prior: &Prior) -> Matrix {
    let mut matrix = Matrix::default();
    for (place, (line, precision)) in matrix.iter_mut().zip(prior.precision).enumerate() {
        for (other, cell) in line.iter_mut().enumerate() {
            let products = rows.iter().map(|row| {
                let at = |place: usize| row.factors.get(place).copied().unwrap_or(0.0);
                at(place) * at(other) / row.variance
            });
            *cell = products.sum::<f64>() + if place == other { precision } else { 0.0 };
        }
    }
    matrix
}

fn normal_vector(rows: &[Row], prior: &Prior) -> Vector {
    std::array::from_fn(|place| {
        let at = |vector: &Vector| vector.get(place).copied().unwrap_or(0.0);
        let products = rows
            .iter()
            .map(|row| at(&row.factors) * row.value / row.variance);
        products.sum::<f64>() + at(&prior.mean) * at(&prior.precision)
    })
}

/// How many times the variance is what it should be by chance alone; at least once.
fn misfit(rows: &[Row], unknowns: Vector) -> f64 {
    if rows.len() < ROWS_MIN {
        return 1.0;
    }
    let squares = rows.iter().map(|row| {
        let off = row.value - dot(row.factors, unknowns);
        off * off / row.variance
    });
    let freedom = rows.len().saturating_sub(UNKNOWNS);
    (squares.sum::<f64>() / float(freedom)).max(1.0)
}

fn sum_up(
    tracks: &[Track],
    frame: Frame,
    hazard: f64,
    unknowns: Vector,
    covariance: &Matrix,
    scale: f64,
) -> Prediction {
    let usual = frame.keys * frame.share / frame.segments;
    let [level, ..] = unknowns;
    let now = level.max(0.0).max(1e-3 * usual);
    let mut keys = frame.segments * level;
    let mut factor = [frame.segments, 0.0, 0.0];
    let mut variance = (frame.segments - float(tracks.len())).max(0.0) * now;
    let (mut survivors, mut seen) = (0.0, 0.0);
    for track in tracks {
        let visit = &track.last;
        let survival = (-hazard * visit.at.events.max(0.0)).exp();
        let at_visit = factors(visit);
        keys += survival * (visit.keys - dot(at_visit, unknowns));
        for (factor, part) in factor.iter_mut().zip(at_visit) {
            *factor -= survival * part;
        }
        variance += innovation(mean(visit, unknowns, usual), now, survival);
        survivors += survival * visit.part;
        seen += visit.part;
    }
    let fitted: f64 = dot(factor, times(covariance, factor));
    Prediction {
        keys: keys.clamp(0.0, frame.keys),
        variance: scale * (variance + fitted.max(0.0)),
        survival: if seen > 0.0 { survivors / seen } else { 0.0 },
    }
}

fn dot(left: Vector, right: Vector) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}

fn times(matrix: &Matrix, vector: Vector) -> Vector {
    matrix.map(|line| dot(line, vector))
}

/// The inverse of a symmetric matrix; none where it has none.
#[expect(clippy::many_single_char_names, reason = "cells of a matrix")]
fn inverse(matrix: &Matrix) -> Option<Matrix> {
    let [[a, b, c], [_, d, e], [_, _, f]] = *matrix;
    let (first, second, third) = (d * f - e * e, c * e - b * f, b * e - c * d);
    let determinant = a * first + b * second + c * third;
    let inverse = [
        [first, second, third],
        [second, a * f - c * c, b * c - a * e],
        [third, b * c - a * e, a * d - b * b],
    ];
    let inverse = inverse.map(|line| line.map(|cell| cell / determinant));
    let is_sound = inverse.iter().flatten().all(|cell| cell.is_finite());
    (determinant > 0.0 && is_sound).then_some(inverse)
}

#[expect(clippy::cast_precision_loss, reason = "a count of rows")]
const fn float(number: usize) -> f64 {
    number as f64
}
