//! Recognizes segments of a key that look like a value rather than a word. It checks one segment at
//! a time, without its frequency.

/// Fewer hexadecimal digits may be a word, such as `cafe`.
const SHORTEST_HASH: usize = 8;

/// Fewer mixed letters and digits may be a word, such as `oauth2`.
const SHORTEST_TOKEN: usize = 12;

/// Returns whether it is a number, a date, an address, a hash, a UUID, a token or an email address.
pub(super) fn is_value(segment: &[u8]) -> bool {
    let segment = without_braces(segment);
    let digits = digits(segment);
    let letters = segment.iter().filter(|byte| byte.is_ascii_alphabetic());
    let letters = letters.count();
    let is_time = digits >= 8 && letters <= 2 && segment.contains(&b'T');
    let is_token = digits >= 3 && digits + letters >= SHORTEST_TOKEN && changes(segment) >= 4;
    let is_mail = segment.contains(&b'@') && letters > 0;
    is_number(segment) || is_time || is_token || is_mail
}

/// Returns whether it consists of digits, including hexadecimal ones, and separators between
/// digits. A whole key of this kind has no segments.
pub(super) fn is_number(segment: &[u8]) -> bool {
    let decimal = |byte: &u8| byte.is_ascii_digit() || b".:-+_/".contains(byte);
    let hexadecimal = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    let is_hash = segment.len() >= SHORTEST_HASH && segment.iter().all(hexadecimal);
    digits(segment) > 0 && (is_hash || segment.iter().all(decimal))
}

fn digits(segment: &[u8]) -> usize {
    let digits = segment.iter().filter(|byte| byte.is_ascii_digit());
    digits.count()
}

/// Returns whether it is a UUID with its hyphens.
pub(super) fn is_uuid(segment: &[u8]) -> bool {
    segment.len() == 36
        && segment.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Removes the braces of a cluster's hash tag: its content decides.
fn without_braces(segment: &[u8]) -> &[u8] {
    match segment {
        [b'{', inside @ .., b'}'] => inside,
        segment => segment,
    }
}

/// Returns how often letters and digits alternate: words end in a number, tokens mix them.
fn changes(segment: &[u8]) -> usize {
    let turns = segment.windows(2).filter(|pair| match pair {
        [left, right] => left.is_ascii_digit() != right.is_ascii_digit(),
        _ => false,
    });
    turns.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_recognized() {
        for value in [
            "1",
            "000123",
            "10.0.3.7",
            "2024-01-31",
            "2024-01-31T10:00Z",
            "-1.5",
            "{42}",
            "9f86d081884c7d65",
            "550e8400-e29b-41d4-a716-446655440000",
            "2J7aXk93Bq0ZpL1v",
            "a.b@example.com",
        ] {
            assert!(is_value(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn words_are_not_values() {
        for word in [
            "",
            "session",
            "v1",
            "oauth2",
            "user-profile",
            "{tag}",
            "cafe",
            "größe",
            "@",
            "deadbeef",
            "-",
        ] {
            assert!(!is_value(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn key_with_words_is_not_a_number() {
        assert!(is_number(b"10.0.0.1:8080"));
        assert!(is_number(b"550e8400-e29b-41d4-a716-446655440000"));
        for key in ["websocket:9f86d081884c7d65", "???:1", "", "--"] {
            assert!(!is_number(key.as_bytes()), "{key}");
        }
    }

    #[test]
    fn uuid_needs_hyphens_in_place() {
        assert!(is_uuid(b"550e8400-e29b-41d4-a716-446655440000"));
        assert!(!is_uuid(b"550e8400e-29b-41d4-a716-446655440000"));
        assert!(!is_uuid(b"550e8400"));
    }
}
