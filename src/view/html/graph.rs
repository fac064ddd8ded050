//! Graphs: bars, sparklines and histograms. Pure.
//!
//! All are SVG with numbers in attributes, because inline styles are not allowed. Each has a text
//! for screen readers, or is next to the same numbers and hidden from them.

use std::fmt::Write as _;

use super::Html;
use crate::number::{length, to_float};
use crate::quantity::counted;

/// Minimum number of values across a sparkline.
const SPARK_VALUES_MIN: usize = 12;

/// Maximum number of them. A page with twelve targets has 48 sparklines.
const SPARK_VALUES_MAX: usize = 30;

/// Size of a sparkline in its own units. Coordinates are whole numbers, which are short.
const SPARK_WIDTH: f64 = 240.0;
const SPARK_HEIGHT: f64 = 60.0;

/// Adds a bar for a share of a limit, with a mark at 90%.
pub(super) fn limit_bar(html: &mut Html, share: f64) {
    let level = match share {
        _ if share > 0.97 => "critical",
        _ if share > 0.90 => "warning",
        _ => "fine",
    };
    html.wrap("<svg class=\"bar ", level, "\" aria-hidden=\"true\">")
        .raw("<rect class=\"track\" width=\"100%\" height=\"8\" rx=\"4\"/>")
        .wrap(
            "<rect class=\"fill\" width=\"",
            percentage(share),
            "\" height=\"8\" rx=\"4\"/>",
        )
        .raw("<rect class=\"mark\" x=\"90%\" width=\"2\" height=\"8\"/></svg>");
}

/// Adds a bar for a share.
pub(super) fn share_bar(html: &mut Html, share: f64, class: &'static str) {
    html.wrap("<svg class=\"bar thin ", class, "\" aria-hidden=\"true\">")
        .raw("<rect class=\"track\" width=\"100%\" height=\"4\" rx=\"2\"/>")
        .wrap(
            "<rect class=\"fill\" width=\"",
            percentage(share),
            "\" height=\"4\" rx=\"2\"/></svg>",
        );
}

fn percentage(share: f64) -> String {
    format!("{:.2}%", share.clamp(0.0, 1.0) * 100.0)
}

/// Adds a line of values. The scale starts at 0 and ends at `top`, or at the
/// largest value.
pub(super) fn sparkline(html: &mut Html, values: &[Option<f64>], top: Option<f64>, label: &str) {
    let known = || values.iter().copied().flatten();
    // A single value would be a speck.
    let largest = known().reduce(f64::max).filter(|_| known().count() > 1);
    let Some(largest) = largest else {
        html.raw("<svg class=\"spark\" aria-hidden=\"true\"></svg>");
        return;
    };
    let top = top.unwrap_or(largest).max(f64::MIN_POSITIVE);
    let values = merged(values);
    // The newest value is at the right edge. The first values of a new target do not fill the graph.
    let steps = length(values.len().max(SPARK_VALUES_MIN)) - 1.0;
    let x = |at: usize| (SPARK_WIDTH * (1.0 - length(values.len() - 1 - at) / steps)).round();
    let y = |value: f64| {
        let depth = 1.0 - (value / top).clamp(0.0, 1.0);
        ((SPARK_HEIGHT - 4.0) * depth + 2.0).round()
    };
    let mut line = String::new();
    for run in runs(&values) {
        let (mut before, mut from) = (None, 0.0);
        for (at, value) in &run {
            let (x, y) = (x(*at), y(*value));
            // Writing to a string cannot fail.
            let _ = match before {
                None => {
                    from = x;
                    write!(line, "M{x} {y}")
                }
                Some((left, above)) => write!(line, "l{} {}", x - left, y - above),
            };
            before = Some((x, y));
        }
        // A single value is a short line.
        if run.len() == 1 {
            let _ = write!(line, "h{}", if from < 1.0 { 2 } else { -2 });
        }
    }
    html.wrap(
        "<svg class=\"spark\" role=\"img\" aria-label=\"",
        label,
        "\"",
    )
    .raw(" viewBox=\"0 0 240 60\" preserveAspectRatio=\"none\">")
    .raw("<path class=\"base\" d=\"M0 59H240\"/>")
    .wrap("<path class=\"line\" d=\"", line, "\"/></svg>");
}

/// Merges neighboring values of a long series into their mean.
fn merged(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let each = values.len().div_ceil(SPARK_VALUES_MAX).max(1);
    let mean = |part: &[Option<f64>]| {
        let known = || part.iter().copied().flatten();
        let count = known().count();
        (count > 0).then(|| known().sum::<f64>() / length(count))
    };
    values.rchunks(each).rev().map(mean).collect()
}

/// Splits a series into runs of known values with their places. Single gaps are bridged.
fn runs(values: &[Option<f64>]) -> Vec<Vec<(usize, f64)>> {
    let mut runs: Vec<Vec<(usize, f64)>> = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else { continue };
        let last = runs
            .last()
            .and_then(|run| run.last())
            .map(|(last, _)| *last);
        match (last, runs.last_mut()) {
            (Some(last), Some(run)) if last + 2 >= at => run.push((at, *value)),
            _ => runs.push(vec![(at, *value)]),
        }
    }
    runs
}

/// Adds a small histogram. `label` describes it.
pub(super) fn histogram(html: &mut Html, counts: &[f64], label: &str) {
    let largest = counts.iter().copied().fold(0.0, f64::max).max(1.0);
    html.wrap(
        "<svg class=\"histogram\" role=\"img\" aria-label=\"",
        label,
        "\"",
    )
    .raw(" viewBox=\"0 0 60 20\">");
    let width = 60.0 / length(counts.len().max(1));
    let mut bars = String::new();
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
        let height = (19.0 * count / largest).max(1.5);
        let (left, bar) = (width * length(at) + 0.5, width - 1.0);
        // Writing to a string cannot fail.
        let _ = write!(bars, "M{left:.1} 19v-{height:.1}h{bar:.1}v{height:.1}z");
    }
    html.wrap(
        "<path d=\"",
        bars,
        "\"/><path class=\"base\" d=\"M0 19.5H60\"/></svg>",
    );
}

/// Returns the time that a series covers in words, such as `in the last 60 minutes`.
pub(super) fn span(values: usize, step: Option<f64>) -> String {
    let minutes = step.unwrap_or(0.0) * to_float(values as u64) / 60.0;
    let minutes = counted(minutes.max(1.0).ceil(), "minute", "minutes");
    format!("in the last {minutes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_divide_a_sparkline() {
        let mut html = Html::default();
        let values = [Some(1.0), Some(2.0), None, None, None, Some(4.0)];
        sparkline(&mut html, &values, None, "Memory <1 h>");
        let text = html.into_text();
        assert_eq!(text.matches('M').count(), 4, "{text}");
        assert!(text.contains("aria-label=\"Memory &lt;1 h&gt;\""), "{text}");
        let mut empty = Html::default();
        sparkline(&mut empty, &[None, Some(1.0)], None, "");
        assert!(empty.into_text().contains("aria-hidden"));
    }

    #[test]
    fn long_series_are_merged_from_the_newest_value_on() {
        let values: Vec<_> = (0..101)
            .map(|at| (at > 0).then_some(f64::from(at)))
            .collect();
        let merged = merged(&values);
        assert_eq!(merged.len(), 26);
        // The oldest part has a single value, which is unknown.
        assert_eq!(merged[..2], [None, Some(2.5)]);
        assert_eq!(merged.last(), Some(&Some(98.5)));
    }

    #[test]
    fn share_outside_of_its_range_stays_in_the_bar() {
        let mut html = Html::default();
        limit_bar(&mut html, 1.7);
        let text = html.into_text();
        assert!(
            text.contains("critical") && text.contains("width=\"100.00%\""),
            "{text}"
        );
    }
}
