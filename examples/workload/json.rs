//! Writes flat JSON objects of a given length.

use std::fmt::Write;

use fastrand::Rng;

/// Pads `head`, an object without its closing brace, to `length` bytes with a `data` field.
///
/// The result is longer if `head` leaves no room.
pub fn padded(mut head: String, length: usize, random: &mut Rng) -> String {
    head.push_str(",\"data\":\"");
    let end = length.saturating_sub(2).max(head.len());
    while head.len() < end {
        // Writing to a String cannot fail.
        let _ = write!(head, "{:016x}", random.u64(..));
    }
    head.truncate(end);
    head.push_str("\"}");
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_has_the_wanted_length() {
        let mut random = Rng::with_seed(1);
        for length in [200, 201, 800, 20_000] {
            let value = padded("{\"user_id\":7".to_owned(), length, &mut random);
            assert_eq!(value.len(), length);
            assert!(value.starts_with("{\"user_id\":7,\"data\":\"") && value.ends_with("\"}"));
        }
    }

    #[test]
    fn short_length_still_gives_a_complete_object() {
        let value = padded("{\"a\":1".to_owned(), 3, &mut Rng::with_seed(1));
        assert_eq!(value, "{\"a\":1,\"data\":\"\"}");
    }
}
