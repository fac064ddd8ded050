//! Cumulative counts in little memory. Pure.

use std::fmt;

/// Bits of a byte that hold a part of a number. The other bit means that more parts follow.
const PART_BITS: u32 = 7;
const MORE: u8 = 1 << PART_BITS;

/// Counts, each as the difference to the one before. Neighboring cumulative counts are close to each
/// other, so most take one or two bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct PackedCounts(Box<[u8]>);

impl PackedCounts {
    /// Yields the counts, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + use<'_> {
        let mut bytes = self.0.iter();
        let mut last = 0_u64;
        std::iter::from_fn(move || {
            last = last.wrapping_add(difference(&mut bytes)?);
            Some(last)
        })
    }

    /// Returns the counts, in order.
    #[cfg(test)]
    #[must_use]
    pub fn to_vec(&self) -> Vec<u64> {
        self.iter().collect()
    }

    /// Returns the number of counts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().filter(|byte| **byte & MORE == 0).count()
    }

    /// Returns whether there are no counts.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads the next difference.
fn difference<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<u64> {
    let (mut number, mut shift) = (0_u64, 0);
    loop {
        let byte = *bytes.next()?;
        let part = u64::from(byte & !MORE);
        number |= part.checked_shl(shift).unwrap_or(0);
        if byte & MORE == 0 {
            return Some(number);
        }
        shift += PART_BITS;
    }
}

impl FromIterator<u64> for PackedCounts {
    fn from_iter<I: IntoIterator<Item = u64>>(counts: I) -> Self {
        let mut bytes = Vec::new();
        let mut last = 0_u64;
        for count in counts {
            // Wraps if a count is lower than the one before, which wraps back when it is read.
            let mut rest = count.wrapping_sub(last);
            last = count;
            loop {
                let part = rest.to_le_bytes()[0] & !MORE;
                rest >>= PART_BITS;
                if rest == 0 {
                    bytes.push(part);
                    break;
                }
                bytes.push(part | MORE);
            }
        }
        Self(bytes.into())
    }
}

impl From<Vec<u64>> for PackedCounts {
    fn from(counts: Vec<u64>) -> Self {
        counts.into_iter().collect()
    }
}

impl fmt::Debug for PackedCounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn close_counts_take_one_byte_each() {
        let counts: PackedCounts = (1_000_000..1_000_020).collect();
        assert!(counts.0.len() <= 22, "{}", counts.0.len());
        assert_eq!(format!("{:?}", PackedCounts::from(vec![3, 4])), "[3, 4]");
    }

    proptest! {
        #[test]
        fn counts_read_back(counts in proptest::collection::vec(any::<u64>(), 0..30)) {
            let packed: PackedCounts = counts.iter().copied().collect();
            prop_assert_eq!(packed.len(), counts.len());
            prop_assert_eq!(packed.is_empty(), counts.is_empty());
            prop_assert_eq!(packed.to_vec(), counts);
        }
    }
}
