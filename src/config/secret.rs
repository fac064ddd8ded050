//! Text that must not be printed. It does not protect the memory of the process. Pure.

use std::fmt;

/// A password, or a text that may contain one. `Debug` prints `***`; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Creates a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for the code that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Removes what editors and shells add to a file or variable: a leading byte order mark, and
/// trailing line ends.
#[must_use]
pub fn trimmed(text: &str) -> &str {
    text.trim_start_matches('\u{feff}')
        .trim_end_matches(['\r', '\n'])
}

/// Returns a probable mistake in a secret, which completes a sentence about it. The secret is used
/// as is.
pub(crate) fn oddity(secret: &str) -> Option<&'static str> {
    if secret.starts_with(char::is_whitespace) || secret.ends_with(char::is_whitespace) {
        return Some("starts or ends with white space, which is taken as part of the secret");
    }
    let is_quoted =
        |quote| secret.len() > 1 && secret.starts_with(quote) && secret.ends_with(quote);
    if is_quoted('"') || is_quoted('\'') {
        return Some("is in quotes, which are taken as part of the secret");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_byte_order_mark_are_removed() {
        for text in ["a b", "a b\n", "a b\r\n\n", "\u{feff}a b\r"] {
            assert_eq!(trimmed(text), "a b", "{text:?}");
        }
        assert_eq!(trimmed(" a\t \n"), " a\t ");
    }

    #[test]
    fn white_space_and_quotes_around_a_secret_are_reported() {
        for (secret, expected) in [
            ("hunter2", None),
            ("\"", None),
            ("it's", None),
            ("", None),
            ("hunter2 ", Some("white space")),
            ("\thunter2", Some("white space")),
            ("'hunter2'", Some("quotes")),
            ("\"\"", Some("quotes")),
        ] {
            let found = oddity(secret);
            assert_eq!(found.is_some(), expected.is_some(), "{secret:?}");
            assert!(
                found
                    .unwrap_or_default()
                    .contains(expected.unwrap_or_default())
            );
        }
    }

    #[test]
    fn debug_shows_nothing_of_a_secret() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret:?} {:#?}", Some(&secret)),
            "*** Some(\n    ***,\n)"
        );
        assert_eq!(secret.expose(), "hunter2");
    }
}
