//! Estimates which share of the evicted keys is written again while they would still be there with
//! more memory. Pure.
//!
//! Ghosts are followed for different times, so the estimate is that of Aalen and Johansen.

/// Share of the ghosts that may be left when all that were followed longest have ended. The others
/// would fit for as long as they are followed.
const LEFT_MAX: f64 = 0.02;

/// How a ghost ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GhostEnd {
    /// It was written again.
    Returned,
    /// Its TTL would have ended.
    Expired,
    /// It is followed, or is no longer followed.
    Followed,
}

/// An evicted key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ghost {
    /// Time at which it was evicted, in seconds.
    pub died: f64,
    /// Seconds from then until its end.
    pub age: f64,
    /// How it ended.
    pub end: GhostEnd,
    /// Number of ghosts that it represents.
    pub weight: f64,
    /// Whether it is known how long it would have lived.
    pub is_known: bool,
}

impl Ghost {
    /// Returns a ghost with its state at a time. The key would have lived until then, if that is known.
    pub(super) fn of(died: f64, at: f64, until: Option<f64>, end: GhostEnd, weight: f64) -> Self {
        let is_known = until.is_some();
        let until = until.unwrap_or(f64::INFINITY);
        let (age, end) = if until < at {
            (until - died, GhostEnd::Expired)
        } else {
            (at - died, end)
        };
        Self {
            died,
            age: age.max(0.0),
            end,
            weight,
            is_known,
        }
    }
}

/// Returns the share of the ghosts that return while they would still be there, and the time for
/// which they would be. `room` is the number of ghosts for which there is room, per ghost that dies
/// in a second. The ghosts are sorted by age, and each counts `times`. `None` if they were not
/// followed for long enough.
pub fn share_returned(
    ghosts: &[Ghost],
    room: f64,
    mut times: impl FnMut() -> f64,
) -> Option<(f64, f64)> {
    let counted = ghosts.iter().map(|ghost| (ghost, ghost.weight * times()));
    let counted: Vec<(&Ghost, f64)> = counted.collect();
    let mut left: f64 = counted.iter().map(|(_, weight)| weight).sum();
    let (mut there, mut returned) = (1.0, 0.0);
    let (mut filled, mut age) = (0.0, 0.0);
    for (ghost, weight) in counted {
        filled += there * (ghost.age - age);
        age = ghost.age;
        if filled >= room {
            return Some((returned, age - (filled - room) / there));
        }
        if weight <= 0.0 || left <= 0.0 {
            continue;
        }
        let ending = there * weight / left;
        left -= weight;
        match ghost.end {
            GhostEnd::Returned => {
                returned += ending;
                there -= ending;
            }
            GhostEnd::Expired => there -= ending,
            GhostEnd::Followed => {}
        }
    }
    (there <= LEFT_MAX).then_some((returned, age))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ghosts(ends: &[(f64, GhostEnd)]) -> Vec<Ghost> {
        let ghost = |(age, end): &(f64, GhostEnd)| Ghost {
            died: 0.0,
            age: *age,
            end: *end,
            weight: 1.0,
            is_known: true,
        };
        ends.iter().map(ghost).collect()
    }

    fn share(ends: &[(f64, GhostEnd)], room: f64) -> Option<(f64, f64)> {
        share_returned(&ghosts(ends), room, || 1.0)
    }

    #[test]
    fn share_is_that_of_the_ghosts_that_fit() {
        use GhostEnd::{Followed, Returned};
        let ends = [
            (1.0, Returned),
            (3.0, Returned),
            (9.0, Followed),
            (9.0, Followed),
        ];
        // All four fit for a second, and three of them for two more.
        assert_eq!(share(&ends, 0.5), Some((0.0, 0.5)));
        assert_eq!(share(&ends, 2.5), Some((0.25, 3.0)));
        assert_eq!(share(&ends, 4.0), Some((0.5, 6.0)));
        assert_eq!(share(&ends, 6.0), None);
    }

    #[test]
    fn ghosts_that_are_followed_count_until_then() {
        use GhostEnd::{Followed, Returned};
        let ends = [(1.0, Followed), (2.0, Returned), (9.0, Followed)];
        assert_eq!(share(&ends, 4.0), Some((0.5, 6.0)));
    }

    #[test]
    fn expired_ghosts_make_room() {
        use GhostEnd::{Expired, Returned};
        let ends = [(1.0, Expired), (2.0, Returned)];
        assert_eq!(share(&ends, 1.25), Some((0.0, 1.5)));
        // All of them fit.
        assert_eq!(share(&ends, 100.0), Some((0.5, 2.0)));
        assert_eq!(share(&[], 100.0), None);
    }
}
