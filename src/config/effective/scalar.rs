//! Writes single values as YAML. Pure.

use std::fmt::Write as _;

/// Words that YAML, or one of its older versions, does not read as text.
const RESERVED: [&str; 11] = [
    "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf",
];

/// Returns a value as YAML. A value of an option that takes text is never written as a number.
pub(super) fn written(text: &str, is_text: bool) -> String {
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(is_harmless)
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str());
    let is_value = !is_text
        && (text == "true" || text == "false" || {
            let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
            let is_unit = unit
                .chars()
                .all(|letter| letter.is_ascii_alphabetic() || letter == '%');
            unit.len() < text.len() && is_unit
        });
    if is_word || is_value {
        return text.to_owned();
    }
    quoted(text)
}

fn is_harmless(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || ['_', '-', '.', '/'].contains(&letter)
}

/// Returns a text in double quotes. Characters that change how a terminal displays the rest are
/// escaped.
fn quoted(text: &str) -> String {
    let mut written = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\t"),
            letter if is_special(letter) => {
                // Writing to a string cannot fail.
                let _ = write!(written, "\\U{:08x}", u32::from(letter));
            }
            letter => written.push(letter),
        }
    }
    written.push('"');
    written
}

fn is_special(letter: char) -> bool {
    let is_invisible = matches!(
        letter,
        '\u{061c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}'
    );
    letter.is_control() || is_invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_values_are_plain() {
        for (text, is_text, expected) in [
            ("info", false, "info"),
            ("15s", false, "15s"),
            ("1%", false, "1%"),
            ("100", false, "100"),
            ("100", true, "\"100\""),
            ("true", false, "true"),
            ("true", true, "\"true\""),
            ("Off", true, "\"Off\""),
            ("/etc/a.pem", true, "\"/etc/a.pem\""),
            ("a: b", true, "\"a: b\""),
            ("session:*", true, "\"session:*\""),
            ("", true, "\"\""),
            (
                "a\"\\\n\u{1b}\u{202e}",
                true,
                "\"a\\\"\\\\\\n\\U0000001b\\U0000202e\"",
            ),
        ] {
            assert_eq!(written(text, is_text), expected);
        }
    }
}
