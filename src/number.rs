//! Counts as floating point numbers, the only numbers that samples have. Pure.

/// Converts a count. Counts above 2^53 are rounded.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
pub const fn to_float(count: u64) -> f64 {
    count as f64
}

/// Converts a number with a sign. Numbers beyond 2^53 are rounded.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
pub const fn signed(number: i64) -> f64 {
    number as f64
}

/// Converts a number back to a count. Drops the fraction; numbers out of range become the nearest
/// count.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates"
)]
pub const fn to_count(number: f64) -> u64 {
    number as u64
}

/// Converts a sum of many counts. Sums above 2^53 are rounded.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
pub const fn wide(sum: u128) -> f64 {
    sum as f64
}

/// Converts the length of a collection.
#[must_use]
pub const fn length(items: usize) -> f64 {
    to_float(items as u64)
}
