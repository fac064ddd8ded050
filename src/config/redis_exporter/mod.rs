//! The flags and environment variables of `redis_exporter`: how each is read, and its effect.
//!
//! The table is in `table`. Parsing, startup notices and the migration guide derive from it. The
//! effects of the settings are not known here. The rows of the file's options name flags and
//! variables of our own, which are read in the same way.

mod flags;
mod given;
mod list;
mod lua_pattern;
mod meaning;
mod notice;
mod overlay;
mod table;
mod words;

pub use flags::Flags;
pub(super) use given::Given;
pub(super) use meaning::time_out;
pub use notice::{Notice, Severity};
pub(super) use overlay::Overlay;
use table::COLLECTORS;
pub use table::OPTIONS;
pub(super) use words::normalised;

use super::rows::{ROWS, Row, Takes};

/// One option of `redis_exporter`, or of our own.
#[derive(Clone, Copy, Debug)]
pub struct PeerOption {
    /// The name of the flag, without dashes.
    pub flag: &'static str,
    /// The environment variable; empty where there is none.
    pub variable: &'static str,
    /// The value that `redis_exporter` takes where none is given.
    pub default: &'static str,
    /// What a value looks like.
    pub takes: Takes,
    /// What becomes of it here.
    pub fate: Fate,
    /// For people: what is different here, why it is not needed, or what to do in its place. Part
    /// of a sentence, without a full stop.
    pub remark: &'static str,
}

/// What becomes of an option.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// A flag that this program has anyway. Names the setting in the file, where there is one.
    Own(&'static str),
    /// It is read where its setting is read. Names the setting.
    Same(&'static str),
    /// It is a spelling of keys of the file.
    Sets(Setting),
    /// It is accepted; nothing needs to be done for it.
    NotNeeded,
    /// It cannot be honoured, which is said at start.
    NotHonoured,
}

/// The keys of the file that an option stands for.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    keys: &'static [&'static str],
    read: meaning::Read,
}

impl PeerOption {
    /// The keys of the file that it sets, or does the same as.
    #[must_use]
    pub fn keys(&self) -> &'static [&'static str] {
        match &self.fate {
            Fate::Sets(setting) => setting.keys,
            _ => &[],
        }
    }

    /// Returns the effect of the option, for the migration guide.
    #[must_use]
    pub fn here(&self) -> String {
        let what = match self.fate {
            Fate::Own("") => String::new(),
            Fate::Own(setting) | Fate::Same(setting) => format!("`{setting}`"),
            Fate::Sets(setting) => {
                let keys = setting.keys.iter().map(|key| format!("`{key}`"));
                keys.collect::<Vec<_>>().join(", ")
            }
            Fate::NotNeeded => "not needed".to_owned(),
            Fate::NotHonoured => "not supported".to_owned(),
        };
        match (what.as_str(), self.remark) {
            (_, "") => what,
            ("", remark) => remark.to_owned(),
            (what, remark) => format!("{what}: {remark}"),
        }
    }
}

/// Options of `redis_exporter` that are not also flags of our own.
fn their_options() -> impl Iterator<Item = PeerOption> {
    let options = OPTIONS.iter().copied();
    options.filter(|option| !matches!(option.fate, Fate::Own(_)))
}

/// The flags and variables of our own: those of the rows, in the form of those of `redis_exporter`.
pub fn own_options() -> impl Iterator<Item = PeerOption> {
    let rows = ROWS.iter().filter(|row| !row.flag.is_empty());
    rows.map(of_row).chain(COLLECTORS.iter().copied())
}

fn of_row(row: &'static Row) -> PeerOption {
    let read = match row.takes {
        Takes::Switch => meaning::switch,
        Takes::Texts | Takes::Numbers => meaning::names,
        Takes::Maps => meaning::names_and_globs,
        _ => meaning::text,
    };
    PeerOption {
        flag: row.flag,
        variable: row.variable,
        default: row.default,
        takes: row.takes,
        fate: Fate::Sets(Setting {
            keys: std::slice::from_ref(&row.key),
            read,
        }),
        remark: row.meaning,
    }
}

#[cfg(test)]
mod tests;
