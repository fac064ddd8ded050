//! Errors of the command line, without values that may be secrets.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::arguments::Arguments;
use super::rows::ROWS;
use super::unknown_key::is_few_words;

/// Removes the value of a flag from an error, unless its type is harmless: a duration, or one of a
/// few words. Numbers, addresses without letters and URLs without a user are shown too.
///
/// Any other value may be a secret that was passed to the wrong flag.
pub(super) fn without_value(mut error: clap::Error) -> clap::Error {
    let is_shown = |flag: &str| shown_flags().any(|shown| flag.starts_with(&format!("--{shown} ")));
    let is_hidden = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => !is_shown(flag),
        _ => true,
    };
    let is_harmless =
        |value: &ContextValue| matches!(value, ContextValue::String(text) if has_no_secret(text));
    let is_hidden = is_hidden
        && !error
            .get(ContextKind::InvalidValue)
            .is_some_and(is_harmless);
    if error.kind() == ErrorKind::ValueValidation && is_hidden {
        let value = ContextValue::String("***".to_owned());
        error.insert(ContextKind::InvalidValue, value);
    }
    // An unknown word that resembles no flag and no command may be a misplaced value.
    if error.get(ContextKind::SuggestedSubcommand).is_some() {
        return error;
    }
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
        let is_command = |word: &str| Arguments::command().find_subcommand(word).is_some();
        // A password can have the form of a flag, such as `-phunter2`.
        let is_like_known = error.get(ContextKind::SuggestedArg).is_some();
        let is_stray = |word: &str| match word.strip_prefix('-') {
            Some(flag) => !is_like_known && !is_few_words(flag.trim_start_matches('-')),
            None => !is_command(word),
        };
        let is_unknown = matches!(
            error.kind(),
            ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand
        );
        if let Some(ContextValue::String(word)) = error.get(kind)
            && is_unknown
            && is_stray(word)
        {
            error.insert(kind, ContextValue::String("***".to_owned()));
        }
    }
    error
}

/// Returns whether a text has no letters, or is a URL of a host and port alone. A flag that has such
/// a value and rejects it takes no secret.
fn has_no_secret(text: &str) -> bool {
    let is_name = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
    };
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let (host, port) = rest.split_once(':').unwrap_or((rest, ""));
            is_name(scheme) && is_name(host) && is_port(port.trim_end_matches('/'))
        }
        None => !text.chars().any(char::is_alphabetic),
    }
}

/// Returns the flags whose wrong values are shown.
pub(super) fn shown_flags() -> impl Iterator<Item = &'static str> {
    let rows = ROWS.iter().filter(|row| row.is_strict && !row.is_hidden);
    rows.map(|row| row.flag)
}

/// Removes words that may contain a password: URLs, and words after a misspelled flag.
pub(super) fn without_secrets(mut text: String, words: &[OsString]) -> String {
    let mut names_secret = false;
    for word in words.iter().skip(1) {
        let word = word.to_string_lossy();
        let (name, value) = word.split_once('=').unwrap_or(("", &word));
        let is_secret = |name: &str| name.contains("pass") || name.contains("pwd");
        if !value.is_empty()
            && (names_secret
                || is_secret(name)
                || value.contains('@')
                || value.contains("://") && !has_no_secret(value))
        {
            text = text.replace(&*word, "***").replace(value, "***");
        }
        names_secret = name.is_empty() && is_secret(value);
    }
    text
}
