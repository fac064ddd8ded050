//! Functions on text that also work at compile time. Pure.

pub(super) const fn starts_with(text: &str, prefix: &str) -> bool {
    let (text, prefix) = (text.as_bytes(), prefix.as_bytes());
    matches!(text.split_at_checked(prefix.len()), Some((head, _)) if same(head, prefix))
}

pub(super) const fn ends_with(text: &str, suffix: &str) -> bool {
    let (text, suffix) = (text.as_bytes(), suffix.as_bytes());
    match text.len().checked_sub(suffix.len()) {
        Some(start) => {
            matches!(text.split_at_checked(start), Some((_, tail)) if same(tail, suffix))
        }
        None => false,
    }
}

/// Returns a name without `_total`: the name of the counter in OpenMetrics.
#[must_use]
pub const fn stem(name: &str) -> &str {
    const SUFFIX: &str = "_total";
    if !ends_with(name, SUFFIX) {
        return name;
    }
    match name.split_at_checked(name.len() - SUFFIX.len()) {
        Some((stem, _)) => stem,
        None => name,
    }
}

/// Compares two texts at compile time.
#[must_use]
pub const fn is_same(left: &str, right: &str) -> bool {
    same(left.as_bytes(), right.as_bytes())
}

#[expect(
    clippy::indexing_slicing,
    reason = "const code has no iterators; both lengths are checked"
)]
const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}

pub(super) const fn contains(text: &str, part: &str) -> bool {
    let mut rest = text.as_bytes();
    loop {
        if matches!(rest.split_at_checked(part.len()), Some((head, _)) if same(head, part.as_bytes()))
        {
            return true;
        }
        match rest.split_first() {
            Some((_, tail)) => rest = tail,
            None => return false,
        }
    }
}
