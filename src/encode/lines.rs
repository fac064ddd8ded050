//! Writes the lines of samples: names, labels and numbers. Pure.

use std::borrow::Cow;

use super::Spelling;
use crate::metric::{
    Descriptor, Edge, Histogram, Kind, Sample, SampleValue, Series, Summary, Unit,
};
use crate::number::to_float;

/// The part of a sample that has one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SamplePart {
    /// The number, the buckets, or the quantiles.
    Body,
    /// The sum of all observations.
    Sum,
    /// The count of all observations.
    Count,
}

impl SamplePart {
    /// Returns the parts of a sample, in order.
    pub(super) const fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Counter | Kind::Gauge => &[Self::Body],
            Kind::Histogram | Kind::Summary => &[Self::Body, Self::Sum, Self::Count],
        }
    }

    /// Returns the suffix of the family's name.
    pub(super) const fn suffix(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Self::Body, Kind::Histogram) => "_bucket",
            (Self::Body, _) => "",
            (Self::Sum, _) => "_sum",
            (Self::Count, _) => "_count",
        }
    }
}

pub(super) fn write_header(
    text: &mut Vec<u8>,
    family: &Descriptor,
    kind: &str,
    name: &str,
    quotes_escaped: bool,
) {
    for part in ["# HELP ", name, " "] {
        text.extend_from_slice(part.as_bytes());
    }
    write_escaped(text, &help(family, name), quotes_escaped);
    text.extend_from_slice(b" From ");
    text.extend_from_slice(family.source.command.as_bytes());
    if !family.source.field.is_empty() {
        text.push(b' ');
        text.extend_from_slice(family.source.field.as_bytes());
    }
    for part in [".\n# TYPE ", name, " ", kind, "\n"] {
        text.extend_from_slice(part.as_bytes());
    }
}

/// Returns the HELP text for one of the names of a family. A name without `_seconds` has values in
/// the unit of the reply.
fn help<'a>(family: &'a Descriptor, name: &str) -> Cow<'a, str> {
    let replied = match family.unit {
        Unit::Milliseconds => "in milliseconds",
        Unit::Microseconds => "in microseconds",
        _ => return family.help.into(),
    };
    if name.contains("_seconds") {
        return family.help.into();
    }
    family.help.replacen("in seconds", replied, 1).into()
}

/// The properties that all lines of a sample share.
pub(super) struct SampleLine<'a> {
    pub(super) spelling: &'a Spelling,
    /// The name, with the configured prefix.
    pub(super) name: &'a str,
    pub(super) unit: Unit,
    /// The start of the labels: see [`super::shared_text`].
    pub(super) shared: &'a str,
    pub(super) sample: &'a Sample<'a>,
}

impl SampleLine<'_> {
    fn scaled(&self, replied: f64) -> f64 {
        if self.spelling.as_replied {
            replied
        } else {
            self.unit.to_base(replied)
        }
    }

    /// Writes the lines of one part of the sample.
    pub(super) fn write_part(&self, text: &mut Vec<u8>, part: SamplePart, series: Series) {
        match self.sample.value {
            SampleValue::Number(number) => self.write(text, "", None, self.scaled(number)),
            SampleValue::Histogram(one) => write_histogram(text, self, one, part, series),
            SampleValue::Summary(summary) => write_summary(text, self, summary, part),
        }
    }

    /// Writes one line. Labels with an empty value are left out; to Prometheus they are equivalent.
    fn write(&self, text: &mut Vec<u8>, suffix: &str, extra: Option<(&str, &str)>, number: f64) {
        let opened = self.write_start(text, suffix);
        Self::write_end(text, opened, extra, number);
    }

    /// Writes the name and the labels that all lines of the sample share. Returns whether there are
    /// any labels.
    fn write_start(&self, text: &mut Vec<u8>, suffix: &str) -> bool {
        text.extend_from_slice(self.name.as_bytes());
        text.extend_from_slice(suffix.as_bytes());
        let own = self
            .sample
            .family
            .labels
            .iter()
            .copied()
            .zip(self.sample.label_values());
        text.extend_from_slice(self.shared.as_bytes());
        let mut opened = !self.shared.is_empty();
        for (name, value) in own {
            if !value.is_empty() {
                text.push(if opened { b',' } else { b'{' });
                opened = true;
                write_label(text, name, value);
            }
        }
        opened
    }

    fn write_end(text: &mut Vec<u8>, opened: bool, extra: Option<(&str, &str)>, number: f64) {
        if let Some((name, value)) = extra {
            text.push(if opened { b',' } else { b'{' });
            write_label(text, name, value);
        }
        if opened || extra.is_some() {
            text.push(b'}');
        }
        text.push(b' ');
        write_number(text, number);
        text.push(b'\n');
    }
}

fn write_histogram(
    text: &mut Vec<u8>,
    line: &SampleLine<'_>,
    histogram: &Histogram,
    part: SamplePart,
    series: Series,
) {
    match part {
        SamplePart::Body => write_buckets(text, line, histogram, series),
        SamplePart::Sum if histogram.sum.is_finite() => {
            line.write(text, "_sum", None, line.scaled(histogram.sum));
        }
        SamplePart::Sum => {}
        SamplePart::Count => line.write(text, "_count", None, to_float(histogram.count)),
    }
}

fn write_buckets(text: &mut Vec<u8>, line: &SampleLine<'_>, histogram: &Histogram, series: Series) {
    let edge_text = |edge: &Edge| {
        if line.spelling.as_replied {
            edge.as_replied
        } else {
            edge.in_base_unit
        }
    };
    // Buckets are most of a page, and their lines differ only at the end.
    let mut start = Vec::with_capacity(128);
    let opened = line.write_start(&mut start, "_bucket");
    let mut write_bucket = |edge: &str, count: u64| {
        text.extend_from_slice(&start);
        SampleLine::write_end(text, opened, Some(("le", edge)), to_float(count));
    };
    let buckets = histogram.edges.iter().zip(histogram.counts.iter());
    for (edge, count) in buckets.filter(|(edge, _)| series.has(edge)) {
        write_bucket(edge_text(edge), count);
    }
    write_bucket("+Inf", histogram.count);
}

fn write_summary(text: &mut Vec<u8>, line: &SampleLine<'_>, summary: &Summary, part: SamplePart) {
    match part {
        SamplePart::Body => write_quantiles(text, line, summary),
        SamplePart::Sum => line.write(text, "_sum", None, line.scaled(summary.sum)),
        SamplePart::Count => line.write(text, "_count", None, to_float(summary.count)),
    }
}

fn write_quantiles(text: &mut Vec<u8>, line: &SampleLine<'_>, summary: &Summary) {
    let mut quantile = Vec::new();
    for (percentile, value) in summary.percentiles.iter() {
        quantile.clear();
        write_number(
            &mut quantile,
            if line.spelling.as_replied {
                percentile
            } else {
                share(percentile)
            },
        );
        let quantile = String::from_utf8_lossy(&quantile);
        line.write(text, "", Some(("quantile", &quantile)), line.scaled(value));
    }
}

/// Returns a percentile as a ratio, without the rounding error of dividing 99.9 by 100.
fn share(percentile: f64) -> f64 {
    (percentile * 1e8).round() / 1e10
}

pub(super) fn write_label(text: &mut Vec<u8>, name: &str, value: &str) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"=\"");
    write_escaped(text, value, true);
    text.push(b'"');
}

/// Escapes backslashes and line feeds, and quotes in label values.
fn write_escaped(text: &mut Vec<u8>, value: &str, quote: bool) {
    // Most texts contain nothing to escape. Without an early end, many bytes are checked at once.
    let is_special = |byte: u8| matches!(byte, b'\\' | b'\n' | b'"');
    let bytes = value.bytes();
    if !bytes.fold(false, |found, byte| found | is_special(byte)) {
        text.extend_from_slice(value.as_bytes());
        return;
    }
    for byte in value.bytes() {
        match byte {
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'"' if quote => text.extend_from_slice(b"\\\""),
            _ => text.push(byte),
        }
    }
}

/// Writes the shortest text that parses back to the number. Whole numbers have no decimal point.
fn write_number(text: &mut Vec<u8>, number: f64) {
    /// Whole numbers up to this one are exact, and are shorter without an exponent.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole and within i64, as just checked"
        )]
        let whole = number as i64;
        text.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    } else {
        text.extend_from_slice(ryu::Buffer::new().format(number).as_bytes());
    }
}
