//! Configurations of tests.

use super::{Arguments, Config, load_by};

/// Returns the configuration of a file with this text.
///
/// # Panics
///
/// If the text is not a valid configuration.
pub(crate) fn of_text(text: &str) -> Config {
    let arguments = Arguments {
        config: Some("config.yaml".into()),
        ..Arguments::default()
    };
    load_by(&|_| Ok(text.to_owned()), &arguments, &|_| None, &[])
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}
