//! Differences between `OpenMetrics` 1.0 and Prometheus's text format. Pure.
//!
//! Only headers differ: every series has the same name, labels, and value in both formats, so a
//! scraper that changes the format continues its series.

use crate::metric::{Kind, Sample, SampleValue, stem};

use super::Spelling;

/// The media type for content negotiation.
pub const MEDIA_TYPE: &str = "application/openmetrics-text";

/// The last line of a page.
pub(super) const END: &str = "# EOF\n";

/// How a family is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declaration {
    /// With one header and this type.
    Whole(&'static str),
    /// With one header per sample name and no type. The format has no type for a counter without
    /// `_total`, a histogram without a sum, or percentiles.
    ByName,
}

/// Returns how a family is declared.
pub(super) fn declared<'a>(
    spelling: &Spelling,
    mut samples: impl Iterator<Item = Sample<'a>>,
) -> Declaration {
    let has_sum = |sample: Sample<'_>| match sample.value {
        SampleValue::Histogram(histogram) => histogram.sum.is_finite(),
        SampleValue::Number(_) | SampleValue::Summary(_) => true,
    };
    let fits = match spelling.kind {
        Kind::Counter => stem(spelling.name) != spelling.name,
        Kind::Gauge => true,
        Kind::Histogram => samples.all(has_sum),
        Kind::Summary => !spelling.as_replied,
    };
    if fits {
        Declaration::Whole(spelling.kind.as_str())
    } else {
        Declaration::ByName
    }
}

/// Returns the name in a family's header. A counter's has no `_total`.
pub(super) fn header_name(name: &str, kind: Kind) -> &str {
    match kind {
        Kind::Counter => stem(name),
        Kind::Gauge | Kind::Histogram | Kind::Summary => name,
    }
}

/// Appends a page of the text format, with its headers rewritten. The page must not contain
/// summaries with percentiles or histograms without a sum.
pub fn append(page: &mut Vec<u8>, text: &str) {
    let mut help = None;
    for line in text.lines() {
        if line.starts_with("# HELP ") {
            help = Some(line);
        } else if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').unwrap_or((declared, "unknown"));
            let (header, kind) = match kind {
                "counter" if stem(name) == name => (name, "unknown"),
                "counter" => (stem(name), kind),
                "untyped" => (name, "unknown"),
                _ => (name, kind),
            };
            let sentence = help.take().and_then(|line| line.splitn(4, ' ').nth(3));
            if let Some(sentence) = sentence {
                let sentence = sentence.replace('"', "\\\"");
                page.extend_from_slice(format!("# HELP {header} {sentence}\n").as_bytes());
            }
            page.extend_from_slice(format!("# TYPE {header} {kind}\n").as_bytes());
        } else {
            page.extend_from_slice(line.as_bytes());
            page.push(b'\n');
        }
    }
}

/// Ends a page.
pub fn end(page: &mut Vec<u8>) {
    page.extend_from_slice(END.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::append;

    #[test]
    fn only_counter_headers_change() {
        let text = "# HELP a_total As \"it\" is.\n# TYPE a_total counter\na_total{b=\"c\"} 1\n\
                    # HELP d D.\n# TYPE d counter\nd 2\n# TYPE e gauge\ne 3\n";
        let mut page = Vec::new();
        append(&mut page, text);
        let expected = "# HELP a As \\\"it\\\" is.\n# TYPE a counter\na_total{b=\"c\"} 1\n\
                        # HELP d D.\n# TYPE d unknown\nd 2\n# TYPE e gauge\ne 3\n";
        assert_eq!(String::from_utf8(page).unwrap(), expected);
    }
}
