//! Characters that nobody sees, or that change how the text around them is shown, and names with such
//! characters. Pure.

/// Returns whether a character is invisible, or changes the direction of the text around it. Names
/// and texts from outside are shown with such characters escaped.
#[must_use]
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
        )
}

/// Formats a name on one line of a terminal: escapes control characters and those that change the
/// writing direction, and truncates long names.
#[must_use]
pub fn one_line(text: &str, longest: usize) -> String {
    let mut shown = String::new();
    for letter in text.chars() {
        if is_invisible(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    if shown.chars().count() > longest {
        let kept = shown.chars().take(longest.saturating_sub(1));
        shown = kept.chain(std::iter::once('…')).collect();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_in_names_are_escaped() {
        assert_eq!(one_line("a\u{1b}[2Jb\n", 40), "a\\u{1b}[2Jb\\n");
        assert_eq!(one_line("größer", 4), "grö…");
        let hidden = "a\u{202e}b\u{200b}\u{61c}\u{2066}\u{feff}";
        let shown = one_line(hidden, 50);
        assert_eq!(shown, r"a\u{202e}b\u{200b}\u{61c}\u{2066}\u{feff}");
    }
}
