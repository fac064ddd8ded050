//! The percentiles of a sample, in memory that the samples of one reply share. Pure.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Pairs of a percentile (0 to 100) and its value, in the unit of the family. They are a part of
/// those of all samples of a reply, because a list of its own takes twice the memory.
#[derive(Clone, Default)]
pub struct Percentiles {
    all: Arc<[(f64, f64)]>,
    start: u32,
    end: u32,
}

impl Percentiles {
    /// Returns a part of all pairs.
    #[must_use]
    pub fn part(all: &Arc<[(f64, f64)]>, range: Range<u32>) -> Self {
        Self {
            all: Arc::clone(all),
            start: range.start,
            end: range.end,
        }
    }

    /// Returns the pairs.
    #[must_use]
    pub fn as_slice(&self) -> &[(f64, f64)] {
        let range = self.start as usize..self.end as usize;
        self.all.get(range).unwrap_or_default()
    }
}

impl From<&[(f64, f64)]> for Percentiles {
    fn from(pairs: &[(f64, f64)]) -> Self {
        Self {
            all: pairs.into(),
            start: 0,
            end: u32::try_from(pairs.len()).unwrap_or(u32::MAX),
        }
    }
}

impl PartialEq for Percentiles {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl fmt::Debug for Percentiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(formatter)
    }
}
