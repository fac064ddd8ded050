//! Converts the bytes of key names into the text of label values. Escaping for the exposition
//! format happens elsewhere. Pure.

use std::fmt::Write;

/// The label value for everything without a value of its own.
pub const OTHER: &str = "other";

/// Returns the bytes as text. Valid UTF-8 is kept. A backslash and every invalid byte become `\xNN`
/// in lower-case hexadecimal, so different bytes always give different texts.
///
/// ```
/// use redis_namespace_exporter::label::label_text;
///
/// assert_eq!(label_text(b"cart:\xff"), r"cart:\xff");
/// ```
#[must_use]
pub fn label_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                // Otherwise the text `\xff` would equal the escaped byte.
                '\\' => text.push_str("\\x5c"),
                letter => text.push(letter),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_kept_and_other_bytes_are_escaped() {
        assert_eq!(label_text(b"api-cache"), "api-cache");
        assert_eq!(label_text("größe\n".as_bytes()), "größe\n");
        assert_eq!(label_text(b"a\xff\xc3(b"), "a\\xff\\xc3(b");
        assert_eq!(label_text(b"a\\b"), "a\\x5cb");
    }

    #[test]
    fn literal_escape_differs_from_the_byte() {
        assert_ne!(label_text(b"\\xff"), label_text(b"\xff"));
    }

    fn decoded(text: &str) -> Vec<u8> {
        let mut parts = text.split("\\x");
        let mut bytes = parts.next().unwrap().as_bytes().to_vec();
        for part in parts {
            let (digits, rest) = part.split_at(2);
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            bytes.extend(rest.as_bytes());
        }
        bytes
    }

    proptest! {
        #[test]
        fn bytes_can_be_recovered(
            bytes in proptest::collection::vec(
                prop_oneof![any::<u8>(), Just(b'\\'), Just(b'x'), Just(b'f')],
                0..40,
            ),
        ) {
            prop_assert_eq!(decoded(&label_text(&bytes)), bytes);
        }
    }
}
