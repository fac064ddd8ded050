//! Redis-style globs, case-sensitive and over bytes. Unlike a shell's, `*` also matches delimiters,
//! and dots and slashes have no special meaning. Pure.
//!
//! The reference is `stringmatchlen` of Redis 7, including incomplete patterns:
//! - An unclosed class extends to the end of the pattern.
//! - `[]` matches nothing, and `[^]` matches any byte.
//! - A trailing backslash matches itself.

/// A compiled pattern. It matches whole keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// The literal prefix of every matching key.
    prefix: Box<[u8]>,
    rest: PatternRest,
    matches_empty: bool,
}

/// The part after the literal prefix. The first two variants need no search.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PatternRest {
    Nothing,
    Anything,
    Pieces(Box<[Piece]>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(u8),
    AnyByte,
    Class(Box<[bool; 256]>),
    AnyRun,
}

impl Piece {
    fn accepts(&self, byte: u8) -> bool {
        match self {
            Self::Literal(literal) => *literal == byte,
            Self::AnyByte => true,
            Self::Class(members) => members.get(usize::from(byte)).is_some_and(|member| *member),
            Self::AnyRun => false,
        }
    }
}

impl Glob {
    /// Compiles a pattern. Any sequence of bytes is a valid pattern.
    ///
    /// ```
    /// use redis_namespace_exporter::glob::Glob;
    ///
    /// let sessions = Glob::new("session:*");
    /// assert!(sessions.matches(b"session:42:cart"));
    /// assert!(!sessions.matches(b"old:session:42"));
    /// ```
    #[must_use]
    pub fn new(pattern: impl AsRef<[u8]>) -> Self {
        let pattern = pattern.as_ref();
        let pieces = pieces(pattern);
        let literals = pieces.iter().map_while(|piece| match piece {
            Piece::Literal(byte) => Some(*byte),
            _ => None,
        });
        let prefix: Box<[u8]> = literals.collect();
        let rest = match pieces.get(prefix.len()..).unwrap_or_default() {
            [] => PatternRest::Nothing,
            [Piece::AnyRun] => PatternRest::Anything,
            rest => PatternRest::Pieces(rest.into()),
        };
        Self {
            prefix,
            rest,
            // Redis accepts a lone `*` without reading the key. For any other pattern it rejects an
            // empty key before reading the pattern, so `**` does not match it.
            matches_empty: pattern.is_empty() || pattern == b"*",
        }
    }

    /// Returns the bytes before the first special character. Every matching key starts with them.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Returns whether the pattern has no special character and therefore matches exactly one key.
    #[must_use]
    pub const fn is_literal(&self) -> bool {
        matches!(self.rest, PatternRest::Nothing)
    }

    /// Returns keys that match the pattern, at least one for each of its alternatives. Used to
    /// compare two patterns.
    #[must_use]
    pub fn samples(&self) -> Vec<Vec<u8>> {
        let pieces: &[Piece] = match &self.rest {
            PatternRest::Nothing => &[],
            PatternRest::Anything => &[Piece::AnyRun],
            PatternRest::Pieces(pieces) => pieces,
        };
        // A byte that patterns do not contain, and one that many do.
        let runs: [&[u8]; 3] = [b"", b"\x01\xfe\x02", b"0:a/B-c.d"];
        let sample = |run: &&[u8]| {
            let mut key = self.prefix.to_vec();
            for piece in pieces {
                match piece {
                    Piece::Literal(byte) => key.push(*byte),
                    Piece::AnyByte => key.push(run.first().copied().unwrap_or(b'x')),
                    Piece::Class(members) => key.extend(member(members)),
                    Piece::AnyRun => key.extend_from_slice(run),
                }
            }
            key
        };
        runs.iter().map(sample).collect()
    }

    /// Returns whether the pattern matches the whole key. The worst-case time is proportional to
    /// the length of the key times the length of the pattern.
    #[must_use]
    pub fn matches(&self, key: &[u8]) -> bool {
        if key.is_empty() {
            return self.matches_empty;
        }
        let Some(tail) = key.strip_prefix(&*self.prefix) else {
            return false;
        };
        match &self.rest {
            PatternRest::Nothing => tail.is_empty(),
            PatternRest::Anything => true,
            PatternRest::Pieces(pieces) => cover(pieces, tail),
        }
    }
}

/// Returns the first byte of a class, if it has one.
fn member(members: &[bool; 256]) -> Option<u8> {
    let first = members.iter().position(|member| *member)?;
    u8::try_from(first).ok()
}

/// Returns the pattern that matches exactly these bytes.
#[must_use]
pub fn escape(literal: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(literal.len());
    for byte in literal {
        if matches!(byte, b'*' | b'?' | b'[' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    pattern
}

/// Backtracks to the last `*` only. An earlier one can keep its shortest match, because the later
/// one can match any bytes in between.
fn cover(pieces: &[Piece], key: &[u8]) -> bool {
    let mut retry: Option<(&[Piece], &[u8])> = None;
    let (mut pieces, mut key) = (pieces, key);
    while let [byte, tail @ ..] = key {
        match pieces {
            [Piece::AnyRun] => return true,
            [Piece::AnyRun, next @ ..] => {
                pieces = next;
                retry = Some((next, key));
            }
            [piece, next @ ..] if piece.accepts(*byte) => {
                pieces = next;
                key = tail;
            }
            _ => {
                let Some((again, from)) = retry else {
                    return false;
                };
                pieces = again;
                key = from.get(1..).unwrap_or_default();
                retry = Some((again, key));
            }
        }
    }
    pieces.iter().all(|piece| matches!(piece, Piece::AnyRun))
}

fn pieces(pattern: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    loop {
        let (piece, after) = match rest {
            [] => return pieces,
            [b'*', after @ ..] => (Piece::AnyRun, after),
            [b'?', after @ ..] => (Piece::AnyByte, after),
            [b'[', after @ ..] => class(after),
            [b'\\', byte, after @ ..] | [byte, after @ ..] => (Piece::Literal(*byte), after),
        };
        let repeated = matches!(pieces.last(), Some(Piece::AnyRun));
        if !(repeated && matches!(piece, Piece::AnyRun)) {
            pieces.push(piece);
        }
        rest = after;
    }
}

/// Parses the class that starts after its `[`. Returns it with the rest of the pattern.
fn class(pattern: &[u8]) -> (Piece, &[u8]) {
    let (negated, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut members = Box::new([false; 256]);
    loop {
        let (first, last, after) = match rest {
            [b'\\', byte, after @ ..] => (byte, byte, after),
            [b']', after @ ..] => {
                rest = after;
                break;
            }
            [first, b'-', last, after @ ..] => (first, last, after),
            [byte, after @ ..] => (byte, byte, after),
            [] => break,
        };
        include(&mut members, *first, *last);
        rest = after;
    }
    if negated {
        members.iter_mut().for_each(|member| *member = !*member);
    }
    (Piece::Class(members), rest)
}

/// Adds a range; its ends may be in either order. Bytes compare as signed, like `char` on x86-64.
fn include(members: &mut [bool; 256], first: u8, last: u8) {
    let (first, last) = (first.cast_signed(), last.cast_signed());
    for byte in first.min(last)..=first.max(last) {
        if let Some(member) = members.get_mut(usize::from(byte.cast_unsigned())) {
            *member = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let glob = Glob::new(pattern);
        for key in matching {
            assert!(glob.matches(key.as_bytes()), "{pattern} on {key:?}");
        }
        for key in others {
            assert!(!glob.matches(key.as_bytes()), "{pattern} on {key:?}");
        }
    }

    #[test]
    fn samples_are_keys_of_their_pattern() {
        for pattern in ["", "a", "a*", "*", "a?c", "a[b-d]e*f", "*:x:*", "a\\*b"] {
            let glob = Glob::new(pattern);
            for sample in glob.samples() {
                let is_odd = sample.is_empty() && !pattern.is_empty() && pattern != "*";
                assert!(glob.matches(&sample) || is_odd, "{pattern}: {sample:?}");
            }
            assert_eq!(glob.is_literal(), ["", "a", "a\\*b"].contains(&pattern));
        }
    }

    #[test]
    fn a_literal_covers_the_whole_key() {
        check(
            "session",
            &["session"],
            &["", "sessio", "sessions", "Session"],
        );
        check("", &[""], &["a"]);
    }

    #[test]
    fn star_matches_any_bytes_or_none() {
        check(
            "session:*",
            &["session:", "session:1", "session:a:b"],
            &["session", "xsession:"],
        );
        check("*:a", &[":a", "x:a", "a:a:a"], &["a", "x:ab"]);
        check(
            "a*b*c",
            &["abc", "aXbXc", "abbcc", "abcbc"],
            &["ab", "acb", "abcX"],
        );
        check("*", &["", "a"], &[]);
    }

    #[test]
    fn repeated_stars_are_one_except_on_the_empty_key() {
        check("**", &["a", "ab"], &[""]);
        check("a**b", &["ab", "aXb"], &["a"]);
    }

    #[test]
    fn a_question_mark_is_one_byte() {
        check("a?c", &["abc", "a?c"], &["ac", "abbc", "aéc"]);
        check("???", &["abc"], &["", "ab", "abcd"]);
    }

    #[test]
    fn a_class_is_one_of_its_members() {
        check("[a-c]x", &["ax", "bx", "cx"], &["x", "dx", "-x", "abx"]);
        check("[c-a]", &["a", "b", "c"], &["d"]);
        check("[^a-c]", &["d", "-", "^"], &["a", "b", ""]);
        check("[a^]", &["a", "^"], &["b"]);
        check("[*?]", &["*", "?"], &["a"]);
    }

    #[test]
    fn incomplete_classes_match_as_on_the_server() {
        check("[", &[], &["", "[", "a"]);
        check("[^", &["[", "^", "a"], &["", "ab"]);
        check("[]", &[], &["", "]", "a"]);
        check("[^]", &["]", "a"], &["", "ab"]);
        check("[]a]", &[], &["a", "]", "a]"]);
        check("x[ab", &["xa", "xb"], &["x", "x[ab", "xc"]);
        check("[a-", &["a", "-"], &["b"]);
        check("[a-]", &["^", "_", "]", "a"], &["-", "b", "Z"]);
    }

    #[test]
    fn a_backslash_makes_the_next_byte_literal() {
        check("\\*", &["*"], &["a", "\\*"]);
        check("\\a", &["a"], &["\\a"]);
        check("a\\", &["a\\"], &["a"]);
        check("[\\]]", &["]"], &["\\", "a"]);
        check("[\\", &["\\"], &["["]);
        check("[a\\-c]", &["a", "-", "c"], &["b"]);
    }

    #[test]
    fn invalid_utf8_is_matched_too() {
        assert!(Glob::new(b"a\xff*").matches(b"a\xff\0\n"));
        assert!(Glob::new(b"[\xf0-\xff]").matches(b"\xf7"));
        assert!(!Glob::new(b"[\xf0-\xff]").matches(b"a"));
    }

    #[test]
    fn hostile_pattern_takes_polynomial_time() {
        let key = vec![b'a'; 10_000];
        let start = Instant::now();
        for pattern in [
            "a*".repeat(50) + "b",
            "*a".repeat(500) + "*b",
            "[a]*".repeat(500) + "b",
        ] {
            assert!(!Glob::new(pattern).matches(&key));
        }
        assert!(start.elapsed() < Duration::from_secs(2));
    }

    /// Matches by the textbook definition, without shortcuts.
    fn slow(pieces: &[Piece], key: &[u8]) -> bool {
        match (pieces, key) {
            ([], key) => key.is_empty(),
            ([Piece::AnyRun, rest @ ..], key) => {
                (0..=key.len()).any(|taken| slow(rest, &key[taken..]))
            }
            ([piece, rest @ ..], [byte, after @ ..]) => piece.accepts(*byte) && slow(rest, after),
            (_, []) => false,
        }
    }

    proptest! {
        #[test]
        fn the_search_agrees_with_the_definition(
            pattern in "[ab*?\\[\\]^-]{0,10}",
            key in "[ab\\[\\]^-]{1,10}",
        ) {
            let expected = slow(&pieces(pattern.as_bytes()), key.as_bytes());
            prop_assert_eq!(Glob::new(&pattern).matches(key.as_bytes()), expected);
        }

        #[test]
        fn any_bytes_are_a_pattern(
            pattern in proptest::collection::vec(any::<u8>(), 0..40),
            key in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let _ = Glob::new(pattern).matches(&key);
        }

        #[test]
        fn an_escaped_key_matches_itself_alone(
            key in proptest::collection::vec(any::<u8>(), 1..20),
            other in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let glob = Glob::new(escape(&key));
            prop_assert!(glob.matches(&key));
            prop_assert_eq!(glob.matches(&other), key == other);
        }
    }
}
