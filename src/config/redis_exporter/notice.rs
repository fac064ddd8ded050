//! What is said at start about settings that do nothing here, or not what they say. Not the log.

/// One line to say at start. It never holds the value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How bad it is.
    pub severity: Severity,
    /// The flag, the environment variable, or the place in the file.
    pub place: String,
    /// What becomes of it, and what to do.
    pub text: String,
}

/// How bad it is that an option is not honoured.
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
