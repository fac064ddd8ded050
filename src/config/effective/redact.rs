//! Removes secrets from values. Pure.

use crate::config::row::{OptionRow, SOURCES, TARGETS, Takes};
use crate::config::rows::ROWS;
use crate::config::url;

/// The text instead of a secret.
const HIDDEN: &str = "***";

/// Returns the row of an option by its path, such as `targets[].sweep.count`.
pub(super) fn row_of(path: &str) -> Option<&'static OptionRow> {
    let of = |path: &str| {
        ROWS.iter().find(|row| match row.key.strip_suffix('*') {
            Some(section) => path.starts_with(section),
            None => row.key == path,
        })
    };
    let inherited = [TARGETS, SOURCES].into_iter();
    let mut inherited = inherited.filter_map(|level| path.strip_prefix(level));
    of(path).or_else(|| of(inherited.next()?))
}

/// Returns the text to show for the value of an option.
///
/// Passwords, users, hashes and tokens are hidden. Of a URL with credentials, only the address and
/// the database remain.
pub(super) fn shown(row: Option<&OptionRow>, text: &str) -> String {
    let is_url =
        row.is_some_and(|row| row.key.rsplit('.').next() == Some("url") || row.key == "sweep.from");
    let is_secret = row.is_none_or(|row| row.takes == Takes::Secret);
    if text.is_empty() {
        return String::new();
    }
    if is_secret && !is_url {
        return HIDDEN.to_owned();
    }
    let may_have_login = row.is_some_and(|row| row.is_hidden) && text.contains('@');
    if is_secret {
        return of_server(text);
    }
    if text.contains("://") {
        return without_login(text);
    }
    if may_have_login {
        return of_server(text);
    }
    text.to_owned()
}

/// Returns the URL of a Redis server without its credentials.
fn of_server(text: &str) -> String {
    let Ok(url) = url::parse(text) else {
        return HIDDEN.to_owned();
    };
    if url.username.is_none() && url.password.is_none() && !text.contains('@') {
        return text.to_owned();
    }
    let address = url.address.to_string();
    let (scheme, rest) = address.split_once("://").unwrap_or(("redis", &address));
    let database = url
        .database
        .map_or_else(String::new, |database| format!("/{database}"));
    format!("{scheme}://{HIDDEN}:{HIDDEN}@{rest}{database}")
}

/// Returns the URL of any server without its credentials and its query, which may contain a token.
fn without_login(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    if ["redis", "rediss", "valkey", "valkeys", "unix"].contains(&scheme) {
        return of_server(text);
    }
    let (rest, has_query) = match rest.split_once(['?', '#']) {
        Some((rest, _)) => (rest, true),
        None => (rest, false),
    };
    // A password may contain a slash, so everything up to the last @ is hidden.
    let (login, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("***@", rest),
        None => ("", rest),
    };
    let query = if has_query { "?***" } else { "" };
    format!("{scheme}://{login}{rest}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, text: &str) -> String {
        shown(row_of(path), text)
    }

    #[test]
    fn secrets_are_hidden_and_addresses_remain() {
        for (path, text, expected) in [
            ("targets[].url", "redis://h:1/3", "redis://h:1/3"),
            ("targets[].url", "h:6380", "h:6380"),
            (
                "targets[].url",
                "redis://u:hunter2@h/3",
                "redis://***:***@h:6379/3",
            ),
            (
                "targets[].url",
                "rediss://:hun%2Fter2@h",
                "rediss://***:***@h:6379",
            ),
            (
                "targets[].url",
                "redis://hunter2@h",
                "redis://***:***@h:6379",
            ),
            (
                "targets[].url",
                "redis://h?password=hunter2",
                "redis://***:***@h:6379",
            ),
            (
                "targets[].url",
                "h:6379,password=hunter2",
                "redis://***:***@h:6379",
            ),
            (
                "targets[].sweep.from",
                "redis://:hunter2@r",
                "redis://***:***@r:6379",
            ),
            ("sweep.from", "r:6379", "r:6379"),
            // A text that is not understood is hidden as a whole.
            ("targets[].url", "rediss://:hun/ter2@h", "***"),
            ("targets[].password", "hunter2", "***"),
            ("targets[].password", "", ""),
            ("targets[].username", "hunter2", "***"),
            ("targets[].discover.password", "hunter2", "***"),
            (
                "targets[].discover.seeds",
                "redis://:hunter2@s:1",
                "redis://***:***@s:1",
            ),
            ("credentials[].password", "hunter2", "***"),
            ("web.basic_auth.password_hash", "$2y$hunter2", "***"),
            (
                "targets_from[].http.url",
                "https://u:hun@ter2@h/sd?token=hunter2",
                "https://***@h/sd?***",
            ),
            ("nonsense", "hunter2", "***"),
            ("namespaces[].match", "user:*@example", "user:*@example"),
            ("targets[].collectors.slowlog", "false", "false"),
            ("clients.groups[].match.name", "a*", "a*"),
            ("targets[].clients.groups[].match.name", "a*", "a*"),
        ] {
            assert_eq!(at(path, text), expected, "{path}: {text}");
        }
    }

    #[test]
    fn every_secret_option_is_hidden() {
        for row in ROWS.iter().filter(|row| row.takes == Takes::Secret) {
            let shown = at(row.key, "redis://user7:hunter2@h");
            assert!(
                !shown.contains("hunter2") && !shown.contains("user7"),
                "{}: {shown}",
                row.key
            );
        }
    }
}
