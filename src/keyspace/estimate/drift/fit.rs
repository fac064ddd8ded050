//! Fits a namespace's course under several assumptions about the effect of batches. Pure.
//!
//! The result averages the assumptions, weighted by the probability of the data under each.

use super::course::{Flow, Path};
use super::{Equation, Factors, Frame, SMOOTH};
use crate::keyspace::estimate::Z;

/// Typical effects of batches on a namespace: a weight, and shares of its maximum possible gain or
/// loss.
const USUAL: [(f64, Flow); 6] = [
    (0.7, parts(0.0, 0.0)),
    (0.1, parts(0.1, 0.003)),
    (0.06, parts(0.3, 0.03)),
    (0.06, parts(1.0, 0.1)),
    (0.04, parts(1.0, 0.3)),
    (0.04, parts(1.0, 1.0)),
];

/// Assumptions about a batch that has just begun. Each has a weight and the number of newest knots
/// that the batch covers. It may move them by parts of all changes, and of those beyond the usual
/// rate.
const SUDDEN: [(f64, usize, Flow, Flow); 7] = [
    (0.79, 0, parts(0.0, 0.0), parts(0.0, 0.0)),
    (0.02, 1, parts(1.0, 0.03), parts(0.0, 0.0)),
    (0.02, 3, parts(1.0, 0.03), parts(0.0, 0.0)),
    (0.02, 3, parts(1.0, 1.0), parts(0.0, 0.0)),
    (0.05, 1, parts(0.0, 0.0), parts(1.0, 1.0)),
    (0.05, 3, parts(0.0, 0.0), parts(1.0, 1.0)),
    (0.05, 6, parts(0.0, 0.0), parts(1.0, 1.0)),
];

const fn parts(net: f64, replaced: f64) -> Flow {
    Flow { net, replaced }
}

/// Factor by which batches increase the variance, because a line through knots follows them
/// coarsely.
const COARSE: f64 = 1.8;

/// Minimum variance of a departure, as a share of the variance of a segment.
const FLOOR: f64 = 1e-6;

/// Which assumptions are tried.
#[derive(Clone, Copy)]
pub(super) enum Detail {
    /// Assumptions about usual batches only.
    Rough,
    /// All assumptions.
    Full,
}

/// An assumed effect of batches: a weight, and the variance of each step of the path.
struct Assumption {
    weight: f64,
    /// Whether batches usually have no effect.
    is_calm: bool,
    steps: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Normal {
    weight: f64,
    /// Whether it belongs to a calm assumption.
    is_calm: bool,
    mean: f64,
    variance: f64,
}

/// The sum of the unknowns with its variance.
pub(super) struct Range {
    pub(super) mean: f64,
    /// Variance without batches.
    pub(super) smooth: f64,
    /// Additional variance from batches.
    pub(super) batches: f64,
}

/// The unknowns that fit best, and their sum under each assumption.
pub(super) struct Fit {
    pub(super) unknowns: Vec<f64>,
    sums: Vec<Normal>,
}

impl Fit {
    /// Fits the rows. Returns `None` if the equations have no solution.
    pub(super) fn of(
        rows: &[Equation],
        sum: &[f64],
        (path, frame): (&Path, Frame),
        detail: Detail,
    ) -> Option<Self> {
        let data = Normals::of(rows, SMOOTH + path.len());
        let mut best: Option<(f64, Vec<f64>)> = None;
        let mut sums = Vec::new();
        for assumption in assumptions(path, frame, detail) {
            let Some(solved) = data.solve(&assumption.steps, sum, frame) else {
                continue;
            };
            let evidence = solved.evidence + assumption.weight.ln();
            sums.push((evidence, assumption.is_calm, solved.mean, solved.variance));
            if best.as_ref().is_none_or(|(most, _)| evidence > *most) {
                best = Some((evidence, solved.unknowns()));
            }
        }
        let (most, unknowns) = best?;
        let sums = sums
            .into_iter()
            .map(|(evidence, is_calm, mean, variance)| Normal {
                weight: (evidence - most).exp(),
                is_calm,
                mean,
                variance,
            });
        Some(Self {
            unknowns,
            sums: sums.collect(),
        })
    }

    /// Returns the range of the sum. `variance` is added under every assumption, and the total is
    /// multiplied by `scale`.
    pub(super) fn range(&self, variance: f64, scale: f64) -> Range {
        let all: f64 = self.sums.iter().map(|sum| sum.weight).sum();
        let sums = self.sums.iter().map(|sum| Normal {
            weight: sum.weight / all,
            variance: scale * (sum.variance + variance),
            ..*sum
        });
        let sums: Vec<Normal> = sums.collect();
        let mean = sums.iter().map(|sum| sum.weight * sum.mean).sum();
        let calm = sums.iter().filter(|sum| sum.is_calm);
        let calm: f64 = calm.map(|sum| sum.weight).sum();
        let coarse = 1.0 + COARSE * (1.0 - calm);
        let total = coarse * (half_width(&sums, mean) / Z).powi(2);
        let smooth = sums.first().map_or(total, |sum| sum.variance.min(total));
        Range {
            mean,
            smooth,
            batches: total - smooth,
        }
    }
}

/// Returns the assumptions, first the one without batches. Merges those with equal steps.
fn assumptions(path: &Path, frame: Frame, detail: Detail) -> Vec<Assumption> {
    let floor = FLOOR * frame.keys * frame.share / frame.segments;
    let variance = |parts: Flow, changes: Flow| {
        let keys = (parts.net * changes.net).hypot(parts.replaced * changes.replaced);
        (keys / frame.segments).powi(2)
    };
    let sudden = match detail {
        Detail::Rough => 1,
        Detail::Full => SUDDEN.len(),
    };
    let mut assumptions: Vec<Assumption> = Vec::with_capacity(USUAL.len() * sudden);
    for (place, (weight, usual)) in USUAL.iter().enumerate() {
        for (times, knots, all, unusual) in SUDDEN.iter().take(sudden) {
            let steps = path.spans().enumerate().map(|(place, span)| {
                let usual = variance(*usual, span.all).max(floor);
                if place >= *knots {
                    return usual;
                }
                let sudden = variance(*all, span.all) + variance(*unusual, span.unusual);
                usual.max(sudden)
            });
            let (weight, is_calm, steps) = (weight * times, place == 0, steps.collect());
            let mut known = assumptions.iter_mut().rev();
            match known.find(|known| known.is_calm == is_calm && known.steps == steps) {
                Some(known) => known.weight += weight,
                None => assumptions.push(Assumption {
                    weight,
                    is_calm,
                    steps,
                }),
            }
        }
    }
    assumptions
}

/// The normal equations of the rows alone.
struct Normals {
    matrix: Vec<Vec<f64>>,
    vector: Vec<f64>,
}

/// The solution of the equations: `lower` is the Cholesky factor, `vector` the result of forward
/// substitution.
struct Solved {
    lower: Vec<Vec<f64>>,
    vector: Vec<f64>,
    mean: f64,
    variance: f64,
    evidence: f64,
}

impl Solved {
    fn unknowns(&self) -> Vec<f64> {
        let mut rest = self.vector.clone();
        let mut unknowns = Vec::with_capacity(rest.len());
        for line in self.lower.iter().rev() {
            let (Some(value), Some(diagonal)) = (rest.pop(), line.last()) else {
                break;
            };
            let value = value / diagonal;
            for (rest, factor) in rest.iter_mut().zip(line) {
                *rest -= factor * value;
            }
            unknowns.push(value);
        }
        unknowns.reverse();
        unknowns
    }
}

impl Normals {
    fn of(rows: &[Equation], unknowns: usize) -> Self {
        let mut matrix = vec![vec![0.0; unknowns]; unknowns];
        let mut vector = vec![0.0; unknowns];
        let used = |factors: Factors| factors.into_iter().filter(|(_, factor)| *factor != 0.0);
        for row in rows {
            for (place, factor) in used(row.factors) {
                let factor = factor / row.variance;
                if let Some(cell) = vector.get_mut(place) {
                    *cell += factor * row.value;
                }
                for (other, second) in used(row.factors) {
                    add(&mut matrix, (place, other), factor * second);
                }
            }
        }
        Self { matrix, vector }
    }

    /// Solves the equations with the prior. An added or removed key belongs to the namespace with
    /// the probability of its share, which limits the likely distance from the mean.
    fn solve(&self, steps: &[f64], sum: &[f64], frame: Frame) -> Option<Solved> {
        let mut matrix = self.matrix.clone();
        let mut vector = self.vector.clone();
        let each = frame.keys / frame.segments;
        let precision = 1.0 / (frame.share * (1.0 - frame.share) * each * each).max(1e-9);
        add(&mut matrix, (1, 1), precision);
        add(&mut matrix, (2, 2), precision);
        if let Some(cell) = vector.get_mut(1) {
            *cell += precision * each * frame.share;
        }
        let mut evidence = 0.0;
        for (place, variance) in steps.iter().enumerate() {
            let (knot, precision) = (SMOOTH + place, 1.0 / variance);
            add(&mut matrix, (knot, knot), precision);
            if let Some(newer) = knot.checked_sub(1).filter(|_| place > 0) {
                add(&mut matrix, (newer, newer), precision);
                add(&mut matrix, (newer, knot), -precision);
                add(&mut matrix, (knot, newer), -precision);
            }
            evidence -= variance.ln() / 2.0;
        }
        let lower = triangle(&matrix)?;
        let vector = half_solved(&lower, &vector);
        let sum = half_solved(&lower, sum);
        evidence += dot(&vector, &vector) / 2.0;
        evidence -= lower
            .iter()
            .filter_map(|line| line.last())
            .map(|cell| cell.ln())
            .sum::<f64>();
        Some(Solved {
            mean: dot(&sum, &vector),
            variance: dot(&sum, &sum),
            lower,
            vector,
            evidence,
        })
    }
}

fn add(matrix: &mut [Vec<f64>], (line, place): (usize, usize), value: f64) {
    if let Some(cell) = matrix.get_mut(line).and_then(|line| line.get_mut(place)) {
        *cell += value;
    }
}

/// Returns the lower triangular Cholesky factor of a symmetric matrix: multiplied by its transpose,
/// it gives the matrix.
fn triangle(matrix: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let mut lower: Vec<Vec<f64>> = Vec::with_capacity(matrix.len());
    for (place, line) in matrix.iter().enumerate() {
        let mut row: Vec<f64> = Vec::with_capacity(place + 1);
        for (cell, above) in line.iter().zip(&lower) {
            row.push((cell - dot(&row, above)) / above.last()?);
        }
        let rest = line.get(place)? - dot(&row, &row);
        if rest.is_nan() || rest <= 0.0 {
            return None;
        }
        row.push(rest.sqrt());
        lower.push(row);
    }
    Some(lower)
}

fn half_solved(lower: &[Vec<f64>], vector: &[f64]) -> Vec<f64> {
    let mut solved = Vec::with_capacity(vector.len());
    for (line, value) in lower.iter().zip(vector) {
        let diagonal = line.last().copied().unwrap_or(1.0);
        solved.push((value - dot(line, &solved)) / diagonal);
    }
    solved
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}

/// Returns the distance from `mean` that a sum stays within with 95 % probability.
fn half_width(sums: &[Normal], mean: f64) -> f64 {
    let farthest = sums
        .iter()
        .map(|sum| (sum.mean - mean).abs() + 3.0 * sum.variance.sqrt());
    let (mut least, mut most) = (0.0, farthest.fold(0.0, f64::max));
    for _ in 0..40 {
        let half = f64::midpoint(least, most);
        let outside = sums.iter().map(|sum| {
            let deviation = sum.variance.sqrt().max(f64::MIN_POSITIVE);
            let above = beyond((mean + half - sum.mean) / deviation);
            let below = beyond((sum.mean - mean + half) / deviation);
            sum.weight * (above + below)
        });
        if outside.sum::<f64>() > 0.05 {
            least = half;
        } else {
            most = half;
        }
    }
    most
}

/// Returns the probability of more than this many standard deviations above the mean (Abramowitz
/// and Stegun, 26.2.17).
fn beyond(deviations: f64) -> f64 {
    let distance = deviations.abs().min(30.0);
    let t = 1.0 / (1.0 + 0.231_641_9 * distance);
    let series = [
        1.330_274_429,
        -1.821_255_978,
        1.781_477_937,
        -0.356_563_782,
        0.319_381_530,
    ];
    let polynomial = series.iter().fold(0.0, |sum, factor| (sum + factor) * t);
    let tail = (-distance * distance / 2.0).exp() / std::f64::consts::TAU.sqrt() * polynomial;
    if deviations >= 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(weight: f64, mean: f64, variance: f64) -> Normal {
        Normal {
            weight,
            is_calm: false,
            mean,
            variance,
        }
    }

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-3 * right.abs().max(1.0)
    }

    #[test]
    fn width_of_one_distribution_matches_its_quantile() {
        assert!(close(half_width(&[normal(1.0, 7.0, 4.0)], 7.0), 2.0 * Z));
    }

    #[test]
    fn wide_assumption_counts_once_it_is_likely() {
        let of = |weight: f64| {
            let both = [normal(1.0 - weight, 0.0, 1.0), normal(weight, 0.0, 1e4)];
            half_width(&both, 0.0)
        };
        assert!(of(0.01) < 3.0 && of(0.1) > 50.0, "{} {}", of(0.01), of(0.1));
    }

    #[test]
    fn equations_are_solved() {
        let lower = triangle(&[vec![4.0, 2.0], vec![2.0, 5.0]]).unwrap();
        let solved = Solved {
            vector: half_solved(&lower, &[8.0, 12.0]),
            lower,
            mean: 0.0,
            variance: 0.0,
            evidence: 0.0,
        };
        let unknowns = solved.unknowns();
        assert!(close(unknowns[0], 1.0) && close(unknowns[1], 2.0));
        assert!(triangle(&[vec![1.0, 2.0], vec![2.0, 1.0]]).is_none());
    }
}
