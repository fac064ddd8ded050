//! Notices at startup about settings that have no effect, or a different one.

/// A notice at startup. It never contains the value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether anything is missing.
    pub severity: Severity,
    /// The flag, the environment variable, or the place in the file.
    pub place: String,
    /// The effect, and what to do.
    pub text: String,
}

/// The severity of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is missing.
    Info,
    /// Something is missing or different.
    Warning,
}

impl Notice {
    pub(in crate::config) fn warning(place: &str, text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            place: place.to_owned(),
            text: text.into(),
        }
    }

    pub(in crate::config) fn info(place: &str, text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Info,
            place: place.to_owned(),
            text: text.into(),
        }
    }
}
