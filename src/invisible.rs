//! Characters that nobody sees, or that change how the text around them is shown. Pure.

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
