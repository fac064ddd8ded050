//! Writes the models as HTML. Pure.
//!
//! Markup is text of the program, and everything else is escaped: `Html` has no other way to add
//! text. Pages contain no inline script and no inline style.

mod assets;
mod card;
mod graph;
mod largest;
mod layout;
mod map;
mod namespaces;
mod overview;
mod runbook;
mod table;
mod target;

use std::fmt::{self, Write as _};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::invisible::is_invisible;
pub use assets::asset;
pub use overview::overview;
pub use runbook::runbook;
pub use target::detail;

/// An HTML text.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup.
    fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, escaped. It is safe in elements and in quoted attributes.
    fn text(&mut self, text: impl fmt::Display) -> &mut Self {
        // Writing to a string cannot fail.
        let _ = write!(Escaping(&mut self.0), "{text}");
        self
    }

    /// Adds text with markup around it.
    fn wrap(
        &mut self,
        before: &'static str,
        text: impl fmt::Display,
        after: &'static str,
    ) -> &mut Self {
        self.raw(before).text(text).raw(after)
    }

    /// Adds text in which backticks mark code.
    fn marked(&mut self, text: &str) -> &mut Self {
        let parts: Vec<&str> = text.split('`').collect();
        if parts.len().is_multiple_of(2) {
            return self.text(text);
        }
        for (at, part) in parts.into_iter().enumerate() {
            if at % 2 == 1 {
                self.wrap("<code>", part, "</code>");
            } else {
                self.text(part);
            }
        }
        self
    }

    fn into_text(self) -> String {
        self.0
    }
}

/// Escapes everything that is written to it.
struct Escaping<'a>(&'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ if is_invisible(character) => write!(self.0, "{}", character.escape_unicode())?,
                _ => self.0.push(character),
            }
        }
        Ok(())
    }
}

/// Replaces invisible characters by their numbers, for plain text.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_invisible(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Returns the path of the page of a target, relative to the root.
fn target_path(name: &str) -> String {
    format!("targets/{}", segment(name))
}

/// Bytes that are encoded in paths and parameters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b':')
    .remove(b'@')
    .remove(b'_')
    .remove(b'~');

/// Encodes a text as one segment of a path, or as the value of a parameter.
#[must_use]
pub fn segment(text: &str) -> String {
    // Browsers resolve segments of dots.
    let is_dots = text.bytes().all(|byte| byte == b'.');
    let set = if is_dots { NON_ALPHANUMERIC } else { ENCODED };
    utf8_percent_encode(text, set).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut html = Html::default();
        html.text(text);
        html.into_text()
    }

    #[test]
    fn hostile_text_becomes_harmless() {
        for (text, expected) in [
            (
                "<script>alert(1)</script>",
                "&lt;script&gt;alert(1)&lt;/script&gt;",
            ),
            ("\" onload='x' &amp;", "&quot; onload=&#39;x&#39; &amp;amp;"),
            ("a\u{202e}gpj.exe", "a\\u{202e}gpj.exe"),
            ("\0\u{1b}[31m\r\n", "\\u{0}\\u{1b}[31m\\u{d}\\u{a}"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
            ("größe 鍵 🔑", "größe 鍵 🔑"),
        ] {
            assert_eq!(escaped(text), expected);
        }
        assert_eq!(visible("a\u{2066}b<"), "a\\u{2066}b<");
    }

    #[test]
    fn code_in_texts_is_marked() {
        let marked = |text: &str| {
            let mut html = Html::default();
            html.marked(text);
            html.into_text()
        };
        assert_eq!(
            marked("set `a<b` and `c`."),
            "set <code>a&lt;b</code> and <code>c</code>."
        );
        assert_eq!(marked("an odd ` <"), "an odd ` &lt;");
    }

    #[test]
    fn path_of_a_target_is_one_segment() {
        for (name, path) in [
            ("cache", "targets/cache"),
            ("10.0.0.1:6379", "targets/10.0.0.1:6379"),
            ("a/b?c#d e%", "targets/a%2Fb%3Fc%23d%20e%25"),
            ("..", "targets/%2E%2E"),
            ("é", "targets/%C3%A9"),
        ] {
            assert_eq!(target_path(name), path);
        }
    }
}
