//! The percentiles of samples, in memory that the samples of one reply share. Pure.

use std::fmt;
use std::sync::Arc;

/// The percentiles of several samples. Their ranks, which are the same in all samples of a reply, are
/// kept once.
#[derive(Clone, Debug, Default)]
pub struct PercentileTable(Arc<Rows>);

#[derive(Debug, Default)]
struct Rows {
    /// The ranks of all rows, from 0 to 100, in order.
    ranks: Box<[f64]>,
    /// For each row, a value for each rank. NaN if the row does not have it.
    values: Box<[f64]>,
}

/// The percentiles of a sample: a row of a table.
#[derive(Clone, Default)]
pub struct Percentiles {
    table: PercentileTable,
    row: u32,
}

impl PercentileTable {
    /// Returns a table with these rows: pairs of a rank and its value, in the unit of the family. A
    /// row has each rank at most once.
    #[must_use]
    pub fn new(rows: &[&[(f64, f64)]]) -> Self {
        let ranks = rows
            .iter()
            .flat_map(|row| row.iter().map(|(rank, _)| *rank));
        let mut ranks: Vec<f64> = ranks.collect();
        ranks.sort_by(f64::total_cmp);
        // Exact comparison is safe, because ranks are not computed.
        ranks.dedup_by(|later, first| later.total_cmp(first).is_eq());
        let value = |row: &[(f64, f64)], wanted: f64| {
            let found = row.iter().find(|(rank, _)| rank.total_cmp(&wanted).is_eq());
            found.map_or(f64::NAN, |(_, value)| *value)
        };
        let values = rows
            .iter()
            .flat_map(|row| ranks.iter().map(|rank| value(row, *rank)));
        let values = values.collect();
        Self(Arc::new(Rows {
            ranks: ranks.into(),
            values,
        }))
    }

    /// Returns a row, which is empty if it does not exist.
    #[must_use]
    pub fn row(&self, row: u32) -> Percentiles {
        Percentiles {
            table: self.clone(),
            row,
        }
    }
}

impl Percentiles {
    /// Yields pairs of a rank (0 to 100) and its value, in order of the ranks.
    pub fn iter(&self) -> impl Iterator<Item = (f64, f64)> {
        let Rows { ranks, values } = &*self.table.0;
        let mut rows = values.chunks(ranks.len().max(1));
        let values = rows.nth(self.row as usize).unwrap_or_default();
        let pairs = ranks.iter().copied().zip(values.iter().copied());
        pairs.filter(|(_, value)| !value.is_nan())
    }
}

impl From<&[(f64, f64)]> for Percentiles {
    fn from(pairs: &[(f64, f64)]) -> Self {
        PercentileTable::new(&[pairs]).row(0)
    }
}

impl PartialEq for Percentiles {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Percentiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_even_if_their_ranks_differ() {
        let rows: [&[(f64, f64)]; 3] = [
            &[(50.0, 1.003), (99.9, 3.007)],
            &[],
            &[(50.0, 2.007), (99.0, 4.015)],
        ];
        let table = PercentileTable::new(&rows);
        for (row, pairs) in (0..).zip(rows) {
            assert_eq!(table.row(row).iter().collect::<Vec<_>>(), pairs);
        }
        assert_eq!(table.row(3).iter().count(), 0);
        assert_eq!(Percentiles::default().iter().count(), 0);
    }
}
