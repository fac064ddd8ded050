//! A pattern that the keys of a subset share, as a glob and as the words of its name.

use crate::glob::escape;

/// A pattern in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SharedPattern<'a> {
    pub(super) parts: Vec<Part<'a>>,
    pub(super) delimiter: u8,
    pub(super) tail: Tail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Word(&'a [u8]),
    Value,
}

/// The end of a pattern, after its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    Nothing,
    Segments,
    Digits,
    Uuid,
}

impl<'a> SharedPattern<'a> {
    /// Returns the glob.
    pub(super) fn pattern(&self) -> String {
        let delimiter = escaped(&[self.delimiter]);
        let parts = self.parts.iter().map(|part| match part {
            Part::Word(word) => escaped(word),
            Part::Value => "*".to_owned(),
        });
        let parts: Vec<String> = parts.collect();
        let parts = parts.join(&delimiter);
        match self.tail {
            Tail::Nothing => parts,
            Tail::Segments => parts + &delimiter + "*",
            Tail::Digits => parts + "[0-9]*",
            Tail::Uuid => [
                "?".repeat(8),
                "?".repeat(4),
                "?".repeat(4),
                "?".repeat(4),
                "?".repeat(12),
            ]
            .join("-"),
        }
    }

    /// Returns how many bytes of a key the pattern fixes. If one pattern covers all keys of another
    /// and more, it fixes fewer bytes.
    pub(super) fn literal_bytes(&self) -> usize {
        let delimiters = match self.tail {
            Tail::Segments => self.parts.len(),
            Tail::Nothing => self.parts.len().saturating_sub(1),
            Tail::Digits | Tail::Uuid => 0,
        };
        self.words_of_parts().map(shown_bytes).sum::<usize>() + delimiters
    }

    /// Returns the words from which a name is made.
    pub(super) fn words(&self) -> String {
        if self.tail == Tail::Uuid {
            return "uuid".to_owned();
        }
        let words = self.words_of_parts().map(String::from_utf8_lossy);
        words.collect::<Vec<_>>().join("-")
    }

    fn words_of_parts(&self) -> impl Iterator<Item = &'a [u8]> {
        self.parts.iter().filter_map(|part| match part {
            Part::Word(word) => Some(*word),
            Part::Value => None,
        })
    }
}

/// Escapes bytes as part of a glob that is text: `?` for each byte that is not displayable.
fn escaped(bytes: &[u8]) -> String {
    let mut pattern = String::new();
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if is_shown(letter) {
                let mut buffer = [0; 4];
                let literal = escape(letter.encode_utf8(&mut buffer).as_bytes());
                pattern.push_str(&String::from_utf8_lossy(&literal));
            } else {
                pattern.push_str(&"?".repeat(letter.len_utf8()));
            }
        }
        pattern.push_str(&"?".repeat(chunk.invalid().len()));
    }
    pattern
}

/// Returns how many bytes `escaped` keeps.
fn shown_bytes(bytes: &[u8]) -> usize {
    let letters = bytes.utf8_chunks().flat_map(|chunk| chunk.valid().chars());
    let shown = letters.filter(|letter| is_shown(*letter));
    shown.map(char::len_utf8).sum()
}

/// Returns whether YAML and a terminal display a character unchanged.
fn is_shown(letter: char) -> bool {
    !letter.is_control()
        && !matches!(
            letter,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}
