//! Reads the number of changes that commands have made since the data were saved. Pure.

use crate::info::Info;

/// A reading of this number. It is `None` if the server does not report it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Writes {
    /// `rdb_changes_since_last_save`.
    since_saved: Option<f64>,
    /// `rdb_last_save_time`.
    saved_at: Option<f64>,
}

impl Writes {
    /// Reads the section `persistence`.
    #[must_use]
    pub fn read(info: &Info) -> Self {
        Self {
            since_saved: info.number("rdb_changes_since_last_save"),
            saved_at: info.number("rdb_last_save_time"),
        }
    }

    /// Returns the changes since the data were saved.
    #[must_use]
    pub const fn since_saved(self) -> Option<f64> {
        self.since_saved
    }

    /// Returns the time at which the data were saved, in seconds since 1970.
    #[must_use]
    pub const fn saved_at(self) -> Option<f64> {
        self.saved_at
    }

    /// Returns the changes until a later reading; `None` if the data were saved in between, because
    /// the changes before that are unknown.
    #[must_use]
    pub fn until(self, later: Self) -> Option<f64> {
        let (before, after) = self.since_saved.zip(later.since_saved)?;
        (after >= before && self.saved_at == later.saved_at).then_some(after - before)
    }
}
