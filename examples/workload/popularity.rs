//! Chooses which of many things is requested next. Pure.

use fastrand::Rng;

/// Returns a rank below `population`. Rank `i` has a probability proportional to `1 / (i + 1)`
/// (Zipf's law).
pub fn zipf(random: &mut Rng, population: u64) -> u64 {
    // The inverse of the logarithm, which approximates the sum of 1/i.
    scaled(|all| (all + 1.0).powf(random.f64()) - 1.0, population)
}

/// Returns a rank below `population`, with a mild preference for low ones: a quarter of the users
/// makes half of the visits.
pub fn mild(random: &mut Rng, population: u64) -> u64 {
    scaled(|all| all * random.f64().powi(2), population)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "ranks are far below 2^52 and never negative"
)]
fn scaled(rank: impl FnOnce(f64) -> f64, population: u64) -> u64 {
    (rank(population as f64) as u64).min(population.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 100_000;

    fn share_below(limit: u64, draw: impl Fn(&mut Rng, u64) -> u64) -> f64 {
        let mut random = Rng::with_seed(1);
        let ranks: Vec<u64> = (0..DRAWS).map(|_| draw(&mut random, 1_000)).collect();
        assert!(ranks.iter().all(|rank| *rank < 1_000));
        let below = ranks.iter().filter(|rank| **rank < limit).count();
        f64::from(u32::try_from(below).unwrap()) / 100_000.0
    }

    #[test]
    fn zipf_gives_each_decade_of_ranks_the_same_share() {
        let (nine, ninety_nine) = (share_below(9, zipf), share_below(99, zipf));
        assert!((nine - 1.0 / 3.0).abs() < 0.01, "{nine}");
        assert!((ninety_nine - 2.0 / 3.0).abs() < 0.01, "{ninety_nine}");
    }

    #[test]
    fn a_mild_preference_gives_the_first_quarter_half_of_the_draws() {
        let half = share_below(250, mild);
        assert!((half - 0.5).abs() < 0.01, "{half}");
    }

    #[test]
    fn an_empty_population_has_rank_zero() {
        assert_eq!(zipf(&mut Rng::with_seed(1), 0), 0);
    }
}
