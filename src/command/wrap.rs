//! Wraps text at the width of a terminal. Pure.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Wraps a text at blanks. Lines after the first start with `indent` blanks. A word that is wider
/// than a line is broken. Line breaks in the text stay.
#[must_use]
pub fn wrapped(text: &str, width: usize, indent: usize) -> String {
    // At least one character of two cells fits.
    let width = width.max(indent + 2);
    let lines = text.split('\n');
    let lines = lines.map(|line| wrapped_line(line, width, indent));
    lines.collect::<Vec<_>>().join("\n")
}

fn wrapped_line(text: &str, width: usize, indent: usize) -> String {
    let words = text.trim_start_matches(' ');
    let (blanks, _) = text.split_at(text.len() - words.len());
    let (mut lines, mut line, mut has_words) = (String::new(), blanks.to_owned(), false);
    let next_line = |lines: &mut String, line: &mut String| {
        lines.push_str(line.trim_end());
        lines.push('\n');
        *line = " ".repeat(indent);
    };
    for word in words.split(' ') {
        if line.width() + usize::from(has_words) + word.width() <= width {
            line.push_str(if has_words { " " } else { "" });
            line.push_str(word);
            has_words = true;
            continue;
        }
        if has_words {
            next_line(&mut lines, &mut line);
        }
        for letter in word.chars() {
            if line.width() + letter.width().unwrap_or(0) > width {
                next_line(&mut lines, &mut line);
            }
            line.push(letter);
        }
        has_words = true;
    }
    lines + &line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn long_lines_break_at_blanks_with_an_indent() {
        assert_eq!(wrapped("one two three", 7, 2), "one two\n  three");
        assert_eq!(wrapped("one two", 7, 0), "one two");
        assert_eq!(wrapped("", 7, 2), "");
        assert_eq!(wrapped("  a  b c\n d", 6, 4), "  a  b\n    c\n d");
    }

    #[test]
    fn width_counts_cells_not_characters() {
        // A Chinese character takes two cells.
        assert_eq!(wrapped("会话 会话 a", 9, 0), "会话 会话\na");
        assert_eq!(wrapped("会话 会话", 8, 0), "会话\n会话");
        assert_eq!(wrapped("会话会话", 5, 1), "会话\n 会话");
    }

    #[test]
    fn word_wider_than_a_line_is_broken() {
        assert_eq!(wrapped("a abcdefgh b", 4, 1), "a\n abc\n def\n gh\n b");
    }

    proptest! {
        #[test]
        fn every_line_fits_and_no_letter_is_lost(text in "[a-zé会 ]{0,90}", width in 4..40_usize) {
            let found = wrapped(&text, width, 2);
            for line in found.lines() {
                prop_assert!(line.width() <= width, "{:?}", line);
            }
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(letters(&found), letters(&text));
        }
    }
}
