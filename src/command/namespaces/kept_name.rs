//! The name of a key, kept in a bounded size. Pure.

use std::hash::{DefaultHasher, Hasher as _};

use crate::invisible::one_line;
use crate::label::label_text;
use crate::quantity;

/// Maximum length of a kept name, in bytes. Of a longer name, the start is kept.
const KEPT_MAX: usize = 512;

/// The name of a key, or the start of a very long one. Long names with the same start differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptName {
    start: Vec<u8>,
    length: usize,
    /// Digest of the bytes after the start.
    rest: u64,
}

impl KeptName {
    /// Keeps a name.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let (start, rest) = split(name);
        Self {
            start: start.to_vec(),
            length: name.len(),
            rest: digest(rest),
        }
    }

    /// Returns whether this is the name of that key.
    #[must_use]
    pub fn is(&self, name: &[u8]) -> bool {
        let (start, rest) = split(name);
        self.length == name.len() && self.start == start && self.rest == digest(rest)
    }

    /// Returns the length of the whole name, in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Returns the name as text: see [`label_text`]. A name that was cut ends with an ellipsis and
    /// its length.
    #[must_use]
    pub fn text(&self) -> String {
        let text = label_text(&self.start);
        if self.is_cut() {
            format!("{text}…{}", self.length_text())
        } else {
            text
        }
    }

    /// Returns the name for one line of a terminal, with at most `longest` characters of it: see
    /// `one_line`. A name that was cut ends with an ellipsis and its length.
    #[must_use]
    pub fn shown(&self, longest: usize) -> String {
        let text = label_text(&self.start);
        let mut shown = one_line(&text, longest);
        let is_shortened = shown.ends_with('…') && shown != one_line(&text, usize::MAX);
        if self.is_cut() && !is_shortened {
            shown.push('…');
        }
        if self.is_cut() || is_shortened {
            shown.push_str(&self.length_text());
        }
        shown
    }

    const fn is_cut(&self) -> bool {
        self.length > self.start.len()
    }

    fn length_text(&self) -> String {
        let length = quantity::whole_counted(self.length as u64, "byte", "bytes");
        format!(" ({length})")
    }
}

/// Returns the part of a name to keep, and the rest. A character in UTF-8 is not divided.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    let Some((start, _)) = name.split_at_checked(KEPT_MAX) else {
        return (name, &[]);
    };
    let kept = match std::str::from_utf8(start) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => KEPT_MAX,
    };
    name.split_at_checked(kept).unwrap_or((name, &[]))
}

fn digest(rest: &[u8]) -> u64 {
    if rest.is_empty() {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(rest);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_name_is_kept_completely() {
        let name = KeptName::of(b"cart:\xff");
        assert_eq!((name.length(), name.text()), (6, "cart:\\xff".to_owned()));
        assert_eq!(name.shown(100), "cart:\\xff");
        let ellipsis = KeptName::of("a…".as_bytes());
        assert_eq!(ellipsis.shown(100), "a…");
        let longest = KeptName::of(&[b'x'; KEPT_MAX]);
        assert_eq!(longest.text(), "x".repeat(KEPT_MAX));
    }

    #[test]
    fn cut_name_has_an_ellipsis_and_its_length() {
        let name = KeptName::of(&[b'x'; 9_000]);
        let text = format!("{}… (9,000 bytes)", "x".repeat(KEPT_MAX));
        assert_eq!((name.length(), name.text()), (9_000, text));
        let shown = format!("{}… (9,000 bytes)", "x".repeat(99));
        assert_eq!(name.shown(100), shown);
        let wide = format!("{}… (9,000 bytes)", "x".repeat(KEPT_MAX));
        assert_eq!(name.shown(1_000), wide);
        // It is kept completely, but is too long for the table.
        let name = KeptName::of(&[b'x'; 200]);
        assert_eq!(name.text(), "x".repeat(200));
        let shown = format!("{}… (200 bytes)", "x".repeat(99));
        assert_eq!(name.shown(100), shown);
    }

    #[test]
    fn character_is_not_divided() {
        let name = format!("x{}", "ö".repeat(300));
        let text = format!("x{}… (601 bytes)", "ö".repeat(255));
        assert_eq!(KeptName::of(name.as_bytes()).text(), text);
    }

    #[test]
    fn long_names_with_the_same_start_differ() {
        let [one, other] = [b'1', b'2'].map(|last| {
            let mut name = vec![b'x'; 600];
            name.push(last);
            name
        });
        let kept = KeptName::of(&one);
        assert!(kept.is(&one) && !kept.is(&other) && !kept.is(&one[..600]));
        assert!(KeptName::of(&other) != kept && KeptName::of(&one) == kept);
    }
}
