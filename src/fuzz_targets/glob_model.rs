//! The reference of globs: a transcription of `stringmatchlen` of Redis 7, which has no shortcuts.
//! Pure.

/// Returns whether a pattern matches a key in KEYS and SCAN of Redis.
pub(super) fn matches(pattern: &[u8], key: &[u8]) -> bool {
    // KEYS and SCAN accept a lone `*` without comparing.
    pattern == b"*" || from(pattern, key)
}

fn from(mut pattern: &[u8], mut key: &[u8]) -> bool {
    while let (Some((kind, after)), Some((byte, rest))) = (pattern.split_first(), key.split_first())
    {
        let (is_match, after) = match (kind, after) {
            (b'*', [b'*', ..]) => {
                pattern = after;
                continue;
            }
            (b'*', []) => return true,
            (b'*', after) => {
                let mut tails = (0..key.len()).filter_map(|skipped| key.get(skipped..));
                return tails.any(|tail| from(after, tail));
            }
            (b'?', after) => (true, after),
            (b'[', after) => class(after, *byte),
            (b'\\', [literal, after @ ..]) | (literal, after) => (literal == byte, after),
        };
        if !is_match {
            return false;
        }
        (pattern, key) = (after, rest);
        if key.is_empty() {
            while let Some(after) = pattern.strip_prefix(b"*") {
                pattern = after;
            }
        }
    }
    pattern.is_empty() && key.is_empty()
}

/// Compares a byte with the class that starts after its `[`. Returns the rest of the pattern.
fn class(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let negated = pattern.strip_prefix(b"^");
    let mut rest = negated.unwrap_or(pattern);
    let mut is_member = false;
    loop {
        match rest {
            [b'\\', literal, after @ ..] => {
                is_member |= *literal == byte;
                rest = after;
            }
            [b']', after @ ..] => {
                rest = after;
                break;
            }
            [] => break,
            [start, b'-', end, after @ ..] => {
                // `char` is signed on x86-64.
                let (start, end) = (start.cast_signed(), end.cast_signed());
                let range = start.min(end)..=start.max(end);
                is_member |= range.contains(&byte.cast_signed());
                rest = after;
            }
            [literal, after @ ..] => {
                is_member |= *literal == byte;
                rest = after;
            }
        }
    }
    (is_member != negated.is_some(), rest)
}
