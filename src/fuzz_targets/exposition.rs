//! The fuzz target of pages: what is written parses back to the samples.

use std::collections::HashSet;

use crate::encode::{Format, SharedLabels, encode_as, label_text};
use crate::metric::{
    Edge, Family, Histogram, Kind, Names, SampleValue, Series, Snapshot, Summary, Unit, source,
};

static GAUGE: Family<2> = Family::gauge(
    "redis_fuzz_delay_seconds",
    &["db", "name"],
    source("FUZZ", "delay"),
    Unit::Milliseconds,
    "A \"delay\" in seconds, with \\ and\na line end.",
)
.legacy_as_replied("redis_fuzz_delay_ms", Kind::Gauge);

static COUNTER: Family<1> = Family::counter(
    "redis_fuzz_calls_total",
    &["cmd"],
    source("FUZZ", ""),
    Unit::One,
    "Calls.",
)
.legacy("redis_fuzz_calls", Kind::Counter);

static EDGES: [Edge; 3] = [
    Edge::only_full(1, "1", "1e-06"),
    Edge::new(2, "2", "2e-06"),
    Edge::new(4, "4", "4e-06"),
];

static HISTOGRAM: Family<1> = Family::histogram(
    "redis_fuzz_latency_seconds",
    &["cmd"],
    source("FUZZ", ""),
    Unit::Microseconds,
    "Latencies.",
)
.legacy_instead("redis_fuzz_latency_usec", Kind::Histogram);

static SUMMARY: Family<1> = Family::summary(
    "redis_fuzz_quantiles_seconds",
    &["cmd"],
    source("FUZZ", ""),
    Unit::Microseconds,
    "Percentiles.",
)
.legacy_instead("redis_fuzz_quantiles_usec", Kind::Summary);

/// Writes samples as pages. Each sample takes a byte for its family, eight for its number, one for
/// the length of its label, and the label.
pub fn exposition(data: &[u8]) {
    let mut snapshot = Snapshot::default();
    let mut rest = data;
    while let Some((&[family, number @ .., length], after)) = rest.split_first_chunk::<10>() {
        let label;
        (label, rest) = after
            .split_at_checked(usize::from(length))
            .unwrap_or((after, &[]));
        let label = String::from_utf8_lossy(label);
        let number: [u8; 8] = number;
        push(&mut snapshot, family, &label, number);
    }
    let snapshot = snapshot.finish();
    for form in 0..4 {
        check_page(&snapshot, form);
    }
}

fn push(snapshot: &mut Snapshot, family: u8, label: &str, number: [u8; 8]) {
    let value = f64::from_le_bytes(number);
    let [first, second, third, fourth, ..] = number.map(u64::from);
    match family % 4 {
        0 => snapshot.push(&GAUGE, [&family.to_string(), label], value),
        1 => snapshot.push(&COUNTER, [label], value),
        2 => {
            let histogram = Histogram {
                edges: &EDGES,
                counts: vec![first, first + second, first + second + third].into(),
                count: first + second + third + fourth,
                sum: value,
                only_full: family & 4 != 0,
            };
            snapshot.push_histogram(&HISTOGRAM, [label], histogram);
        }
        _ => {
            let summary = Summary {
                percentiles: [(50.0, 1.5), (99.9, f64::from(family))][..].into(),
                count: first,
                sum: f64::from(family),
            };
            snapshot.push_summary(&SUMMARY, [label], summary);
        }
    }
}

/// Writes a sealed snapshot in one of its four forms, parses the page, and compares the numbers.
pub(super) fn check_page(snapshot: &Snapshot, form: usize) {
    let own = [("env".to_owned(), "a\"b\\c\nd".to_owned())];
    let shared = SharedLabels {
        target: Some("a\"b\\c\nd"),
        text: &label_text(&own),
    };
    let format = if form & 1 == 0 {
        Format::Text
    } else {
        Format::OpenMetrics
    };
    let names = Names {
        legacy: form & 2 != 0,
        series: Series::Full,
        ..Names::default()
    };
    let page = encode_as(&[(shared, snapshot)], &names, format);
    let text = String::from_utf8(page);
    assert!(text.is_ok(), "not UTF-8");
    let lines = parse_page(&text.unwrap_or_default(), format);
    if !names.legacy {
        compare(snapshot, &lines);
    }
}

/// A line of a page.
#[derive(Debug, PartialEq)]
struct ParsedLine {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// Compares the numbers of a page with those of the snapshot, in order.
fn compare(snapshot: &Snapshot, lines: &[ParsedLine]) {
    let mut lines = lines.iter();
    let shared = ["target", "env"].map(|name| (name.to_owned(), "a\"b\\c\nd".to_owned()));
    for sample in snapshot.samples() {
        let SampleValue::Number(_) = sample.value else {
            continue;
        };
        let own = sample.family.labels.iter().zip(sample.label_values());
        let own = own.filter(|(_, value)| !value.is_empty());
        let own = own.map(|(name, value)| ((*name).to_owned(), value.to_owned()));
        let expected = ParsedLine {
            name: sample.family.name.to_owned(),
            labels: shared.iter().cloned().chain(own).collect(),
            value: sample.number().unwrap_or_default(),
        };
        let found = lines.find(|line| line.name == expected.name);
        assert_eq!(found, Some(&expected));
    }
}

/// Parses a page as strictly as Prometheus does, and more: headers come first, each family is in one
/// place, and no series is there twice.
fn parse_page(page: &str, format: Format) -> Vec<ParsedLine> {
    let Some(page) = page.strip_suffix('\n') else {
        assert!(page.is_empty(), "the last line has no end");
        return Vec::new();
    };
    let (mut families, mut series, mut found) = (HashSet::new(), HashSet::new(), Vec::new());
    let mut family = ("", "");
    let mut lines = page.split('\n');
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap_or((help, ""));
            assert!(!text.is_empty(), "{name} has no text");
            let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE "));
            let kind = kind.and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
            family = (name, kind.unwrap_or_default());
            assert!(!family.1.is_empty(), "{name} has no type");
            assert!(families.insert(name), "{name} is in two places");
            continue;
        }
        let parsed = parse_line(line);
        assert!(parsed.is_some(), "{line:?}");
        let Some(parsed) = parsed else { continue };
        assert!(
            series.insert(line.rsplit_once(' ').unwrap_or_default().0),
            "{line:?} is there twice"
        );
        assert!(belongs(&parsed, family, format), "{line:?} to {family:?}");
        found.push(parsed);
    }
    found
}

/// Returns whether a family with this name and type may have this line.
fn belongs(line: &ParsedLine, (family, kind): (&str, &str), format: Format) -> bool {
    let Some(suffix) = line.name.strip_prefix(family) else {
        return false;
    };
    let has = |name: &str| line.labels.last().is_some_and(|(label, _)| label == name);
    match kind {
        "counter" if format == Format::OpenMetrics => suffix == "_total",
        "counter" | "gauge" | "unknown" => suffix.is_empty(),
        "histogram" if suffix == "_bucket" => has("le"),
        "summary" if suffix.is_empty() => has("quantile"),
        "histogram" | "summary" => ["_sum", "_count"].contains(&suffix),
        _ => false,
    }
}

/// Parses `name{label="value",…} number`.
fn parse_line(line: &str) -> Option<ParsedLine> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at_checked(end)?;
    let mut labels = Vec::new();
    if let Some(opened) = rest.strip_prefix('{') {
        rest = opened;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = unescaped(after)?;
            let is_new = !labels.iter().any(|(before, _)| *before == label);
            (is_name(label) && is_new).then_some(())?;
            labels.push((label.to_owned(), value));
            if let Some(after) = after.strip_prefix(',') {
                rest = after;
            } else {
                rest = after.strip_prefix('}')?;
                break;
            }
        }
    }
    let value = rest.strip_prefix(' ')?;
    (is_name(name) && !value.contains(' ')).then_some(())?;
    Some(ParsedLine {
        name: name.to_owned(),
        labels,
        value: value.parse().ok()?,
    })
}

fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty()
        && text.bytes().all(is_letter)
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// Reads a label value up to its closing quote. Returns what follows.
fn unescaped(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('\\' | '"') => value.push(escaped),
                _ => return None,
            },
            _ => value.push(letter),
        }
    }
    None
}
