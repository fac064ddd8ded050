//! Encodes snapshots as exposition text (Prometheus text format 0.0.4 or `OpenMetrics` 1.0) and
//! compresses it. Pure.
//!
//! Writes bytes directly, because this code dominates the cost of a page. Units and names come from
//! the family; values are not interpreted.

use std::borrow::Cow;
use std::iter::Peekable;

mod lines;
pub mod openmetrics;
mod page;

pub use page::{Page, PageWriter, gzip};

use crate::metric::{
    Descriptor, FamilyRun, Kind, Names, Sample, SampleValue, Series, Snapshot, cut,
};
use lines::{SampleLine, SamplePart, write_header, write_label};
use openmetrics::{Declaration, declared, header_name};

/// The format of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text format, version 0.0.4.
    #[default]
    Text,
    /// `OpenMetrics` 1.0, without the last line, which [`openmetrics::end`] adds.
    OpenMetrics,
}

/// The form in which a page is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The format of the text.
    pub format: Format,
    /// Whether it is compressed with gzip.
    pub is_compressed: bool,
}

/// A snapshot with the labels that all its samples share: `Option<&str>`, the value of the `target`
/// label, or [`SharedLabels`].
pub type Labeled<'a, Labels = Option<&'a str>> = (Labels, &'a Snapshot);

/// The labels that all samples of a snapshot share.
#[derive(Clone, Copy, Debug, Default)]
pub struct SharedLabels<'a> {
    /// The value of the `target` label, if there is one.
    pub target: Option<&'a str>,
    /// More labels: the result of [`label_text`].
    pub text: &'a str,
}

impl<'a> From<Option<&'a str>> for SharedLabels<'a> {
    fn from(target: Option<&'a str>) -> Self {
        Self { target, text: "" }
    }
}

/// Writes labels as they appear in a line, without braces. Empty values are left out.
#[must_use]
pub fn label_text(labels: &[(String, String)]) -> String {
    let mut text = Vec::new();
    for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        if !text.is_empty() {
            text.push(b',');
        }
        write_label(&mut text, name, cut(value));
    }
    String::from_utf8(text).unwrap_or_default()
}

/// Encodes snapshots as one page in the text format.
///
/// ```
/// use redis_namespace_exporter::encode::encode;
/// use redis_namespace_exporter::metric::{Family, Names, Snapshot, Unit, source};
///
/// static KEYS: Family<1> =
///     Family::gauge("redis_db_keys", &["db"], source("INFO", "keys"), Unit::One, "Keys.");
///
/// let mut snapshot = Snapshot::default();
/// snapshot.push(&KEYS, ["db0"], 3.0);
/// let page = encode(&[(Some("cache"), &snapshot.finish())], &Names::default());
/// assert!(page.ends_with(b"\nredis_db_keys{target=\"cache\",db=\"db0\"} 3\n"));
/// ```
#[must_use]
pub fn encode<'a, Labels>(snapshots: &[Labeled<'a, Labels>], names: &Names) -> Vec<u8>
where
    Labels: Copy + Into<SharedLabels<'a>>,
{
    encode_as(snapshots, names, Format::Text)
}

/// Encodes snapshots as one page. Each family appears once, with the samples of all targets.
///
/// With legacy names, `redis_exporter`'s names that break Prometheus's naming rules are written
/// next to the clean ones, except those that differ only by `_total`.
#[must_use]
pub fn encode_as<'a, Labels>(
    snapshots: &[Labeled<'a, Labels>],
    names: &Names,
    format: Format,
) -> Vec<u8>
where
    Labels: Copy + Into<SharedLabels<'a>>,
{
    let mut text = Vec::with_capacity(expected_bytes(snapshots));
    encode_in_parts(snapshots, names, format, &mut text, |_| {});
    text
}

/// Appends the same page to `text`, and calls `drain` after each sample. `drain` may remove the text
/// so far, so that a large page is never in memory as a whole.
pub(crate) fn encode_in_parts<'a, Labels>(
    snapshots: &[Labeled<'a, Labels>],
    names: &Names,
    format: Format,
    text: &mut Vec<u8>,
    mut drain: impl FnMut(&mut Vec<u8>),
) where
    Labels: Copy + Into<SharedLabels<'a>>,
{
    // Written once for all samples of a snapshot.
    let shared: Vec<String> = snapshots
        .iter()
        .map(|(labels, _)| shared_text((*labels).into(), names.target_label))
        .collect();
    let shared = shared.iter().map(String::as_str);
    let runs = snapshots.iter().map(|(_, snapshot)| snapshot.runs());
    let mut targets: Vec<_> = shared.zip(runs.map(Iterator::peekable)).collect();
    let mut runs = Vec::with_capacity(targets.len());
    while let Some(family) = next_family(&mut targets) {
        runs.clear();
        for (target, of_target) in &mut targets {
            let next = of_target.next_if(|run| std::ptr::eq(run.family, family));
            runs.extend(next.map(|run| (*target, run)));
        }
        let is_shown = |run: &FamilyRun<'_>| run.samples().any(|one| names.series.shows(one.value));
        if !runs.iter().any(|(_, run)| is_shown(run)) {
            continue;
        }
        for spelling in spellings(family, names.legacy) {
            let name = prefixed(spelling.name, names.prefix.as_deref());
            let written = Written {
                family,
                spelling: &spelling,
                name: &name,
                series: names.series,
                runs: &runs,
            };
            written.write(text, format, &mut drain);
        }
    }
}

/// Returns the start of the labels of all samples of a snapshot, with the brace; empty without any.
fn shared_text(labels: SharedLabels<'_>, has_target_label: bool) -> String {
    let mut text = Vec::new();
    let target = labels.target.filter(|_| has_target_label);
    if let Some(target) = target.filter(|target| !target.is_empty()) {
        text.push(b'{');
        write_label(&mut text, "target", target);
    }
    if !labels.text.is_empty() {
        text.push(if text.is_empty() { b'{' } else { b',' });
        text.extend_from_slice(labels.text.as_bytes());
    }
    text.shrink_to_fit();
    String::from_utf8(text).unwrap_or_default()
}

/// Returns slightly more than the length of the text of these snapshots.
fn expected_bytes<Labels>(snapshots: &[(Labels, &Snapshot)]) -> usize {
    let samples = snapshots
        .iter()
        .flat_map(|(_, snapshot)| snapshot.samples());
    let lines: usize = samples.map(|sample| lines(sample.value)).sum();
    lines * LINE_BYTES
}

/// Slightly more than the mean length of a line, headers included.
const LINE_BYTES: usize = 112;

/// Returns the number of lines of a value.
fn lines(value: SampleValue<'_>) -> usize {
    match value {
        SampleValue::Number(_) => 1,
        SampleValue::Histogram(histogram) => histogram.edges.len() + 3,
        SampleValue::Summary(summary) => summary.percentiles.iter().count() + 2,
    }
}

/// Returns the family with the smallest name among the next samples of all targets.
fn next_family<'a>(
    targets: &mut [(&str, Peekable<impl Iterator<Item = FamilyRun<'a>>>)],
) -> Option<&'static Descriptor> {
    let heads = targets.iter_mut().filter_map(|(_, runs)| runs.peek());
    heads.map(|run| run.family).min_by(|left, right| {
        if std::ptr::eq(*left, *right) {
            return std::cmp::Ordering::Equal;
        }
        left.name.cmp(right.name)
    })
}

/// One of the names under which a family is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spelling {
    /// The full metric name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether values keep the unit of the reply instead of the base unit.
    pub as_replied: bool,
}

/// Returns the one or two names under which a family is written.
pub fn spellings(family: &Descriptor, legacy_names: bool) -> impl Iterator<Item = Spelling> {
    let legacy = family.legacy.filter(|_| legacy_names);
    let clean = Spelling {
        name: family.name,
        kind: family.kind,
        as_replied: false,
    };
    let clean = Some(clean).filter(|_| !legacy.is_some_and(|legacy| legacy.instead));
    let legacy = legacy.map(|legacy| Spelling {
        name: legacy.name,
        kind: legacy.kind,
        as_replied: legacy.as_replied,
    });
    clean.into_iter().chain(legacy)
}

/// Returns the name with its first word, `redis`, replaced by the configured prefix, if any.
#[must_use]
pub fn prefixed<'a>(name: &'a str, prefix: Option<&str>) -> Cow<'a, str> {
    let rest = prefix.and_then(|prefix| Some((prefix, name.strip_prefix("redis")?)));
    match rest {
        Some((prefix, rest)) => Cow::Owned(format!("{prefix}{rest}")),
        None => Cow::Borrowed(name),
    }
}

/// A family with one of its names, and its samples of all targets.
#[derive(Clone, Copy)]
struct Written<'a> {
    family: &'a Descriptor,
    spelling: &'a Spelling,
    /// The name, with the configured prefix.
    name: &'a str,
    series: Series,
    /// The runs of all targets, each with its [`shared_text`].
    runs: &'a [(&'a str, FamilyRun<'a>)],
}

impl<'a> Written<'a> {
    /// Yields the samples to write, each with its shared labels.
    fn samples(self) -> impl Iterator<Item = (&'a str, Sample<'a>)> {
        let all = self.runs.iter().flat_map(|(shared, run)| {
            let samples = run.samples();
            samples.map(move |sample| (*shared, sample))
        });
        all.filter(move |(_, sample)| self.series.shows(sample.value))
    }

    fn write(self, text: &mut Vec<u8>, format: Format, drain: &mut impl FnMut(&mut Vec<u8>)) {
        let Spelling { kind, .. } = *self.spelling;
        let parts = SamplePart::of(kind);
        let header = match format {
            Format::Text => Declaration::Whole(kind.as_str()),
            Format::OpenMetrics => declared(self.spelling, self.samples().map(|(_, one)| one)),
        };
        let is_quoted = format == Format::OpenMetrics;
        match header {
            Declaration::Whole(word) => {
                let name = match format {
                    Format::Text => self.name,
                    Format::OpenMetrics => header_name(self.name, kind),
                };
                write_header(text, self.family, word, name, is_quoted);
                self.write_parts(text, parts, drain);
            }
            Declaration::ByName => {
                for part in parts {
                    let name = format!("{}{}", self.name, part.suffix(kind));
                    write_header(text, self.family, "unknown", &name, is_quoted);
                    self.write_parts(text, std::slice::from_ref(part), drain);
                }
            }
        }
    }

    fn write_parts(
        self,
        text: &mut Vec<u8>,
        parts: &[SamplePart],
        drain: &mut impl FnMut(&mut Vec<u8>),
    ) {
        for (shared, sample) in self.samples() {
            let line = SampleLine {
                spelling: self.spelling,
                name: self.name,
                unit: self.family.unit,
                shared,
                sample: &sample,
            };
            for part in parts {
                line.write_part(text, *part, self.series);
            }
            drain(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Edge, Family, Histogram, Summary, Unit, source};
    use proptest::prelude::*;

    static KEYS: Family<1> = Family::gauge(
        "redis_test_keys",
        &["db"],
        source("INFO", "keys"),
        Unit::One,
        "Keys of a database.",
    );
    static DELAY: Family<0> = Family::gauge(
        "redis_test_delay_seconds",
        &[],
        source("INFO", "delay_usec"),
        Unit::Microseconds,
        "A delay, in seconds.",
    )
    .legacy_as_replied("redis_test_delay_usec", Kind::Gauge);
    static LATENCY: Family<1> = Family::histogram(
        "redis_test_latency_seconds",
        &["cmd"],
        source("LATENCY", ""),
        Unit::Microseconds,
        "Latencies.",
    )
    .legacy_instead("redis_test_latency_usec", Kind::Histogram);
    static QUANTILES: Family<0> = Family::summary(
        "redis_test_quantiles_seconds",
        &[],
        source("INFO", ""),
        Unit::Microseconds,
        "Percentiles.",
    )
    .legacy_instead("redis_test_quantiles_usec", Kind::Summary);
    static EDGES: [Edge; 2] = [Edge::only_full(1, "1", "1e-06"), Edge::new(2, "2", "2e-06")];

    fn written(snapshot: Snapshot, names: &Names, format: Format) -> String {
        let page = encode_as(&[(None, &snapshot.finish())], names, format);
        String::from_utf8(page).unwrap()
    }

    fn text(snapshot: Snapshot, legacy: bool) -> String {
        let names = Names {
            legacy,
            series: Series::Full,
            ..Names::default()
        };
        written(snapshot, &names, Format::Text)
    }

    #[test]
    fn families_of_several_targets_are_adjacent() {
        let snapshot = |db: &str, keys: f64| {
            let mut snapshot = Snapshot::default();
            snapshot.push(&KEYS, [db], keys);
            snapshot.finish()
        };
        let (first, second) = (snapshot("db0", 1.0), snapshot("db1", 0.5));
        let pair = [(Some("a"), &first), (Some("b\"\\\n"), &second)];
        let page = encode(&pair, &Names::default());
        let expected = "# HELP redis_test_keys Keys of a database. From INFO keys.\n\
                        # TYPE redis_test_keys gauge\n\
                        redis_test_keys{target=\"a\",db=\"db0\"} 1\n\
                        redis_test_keys{target=\"b\\\"\\\\\\n\",db=\"db1\"} 0.5\n";
        assert_eq!(String::from_utf8(page).unwrap(), expected);
    }

    #[test]
    fn target_label_can_be_omitted() {
        let mut snapshot = Snapshot::default();
        snapshot.push(&KEYS, ["db0"], 1.0);
        let names = Names {
            target_label: false,
            ..Names::default()
        };
        let page = encode(&[(Some("cache"), &snapshot.finish())], &names);
        let page = String::from_utf8(page).unwrap();
        assert!(
            page.ends_with("\nredis_test_keys{db=\"db0\"} 1\n"),
            "{page}"
        );
    }

    #[test]
    fn prefix_replaces_only_redis_at_the_start() {
        let mut snapshot = Snapshot::default();
        snapshot.push(&KEYS, ["redis_x"], 1.0);
        let names = Names {
            prefix: Some("kv".to_owned()),
            ..Names::default()
        };
        let page = encode(&[(None, &snapshot.finish())], &names);
        let expected = "# HELP kv_test_keys Keys of a database. From INFO keys.\n\
                        # TYPE kv_test_keys gauge\n\
                        kv_test_keys{db=\"redis_x\"} 1\n";
        assert_eq!(String::from_utf8(page).unwrap(), expected);
        assert_eq!(prefixed("process_cpu", Some("kv")), "process_cpu");
    }

    #[test]
    fn legacy_name_follows_the_clean_one_in_its_own_unit() {
        let mut snapshot = Snapshot::default();
        snapshot.push(&DELAY, [], 1250.0);
        let both = text(snapshot.clone(), true);
        assert!(
            both.contains("\nredis_test_delay_seconds 0.00125\n"),
            "{both}"
        );
        assert!(both.contains("\nredis_test_delay_usec 1250\n"), "{both}");
        for help in [
            "# HELP redis_test_delay_seconds A delay, in seconds.",
            "# HELP redis_test_delay_usec A delay, in microseconds.",
        ] {
            assert!(both.contains(help), "{both}");
        }
        assert!(!text(snapshot, false).contains("usec 1250"));
    }

    #[test]
    fn histogram_has_every_edge_infinity_sum_and_count() {
        let mut snapshot = Snapshot::default();
        let histogram = Histogram {
            edges: &EDGES,
            counts: vec![3, 4].into(),
            count: 5,
            sum: 1500.0,
            only_full: false,
        };
        snapshot.push_histogram(&LATENCY, ["get"], histogram);
        let legacy = text(snapshot.clone(), true);
        let lines: Vec<_> = legacy.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "redis_test_latency_usec_bucket{cmd=\"get\",le=\"1\"} 3",
                "redis_test_latency_usec_bucket{cmd=\"get\",le=\"2\"} 4",
                "redis_test_latency_usec_bucket{cmd=\"get\",le=\"+Inf\"} 5",
                "redis_test_latency_usec_sum{cmd=\"get\"} 1500",
                "redis_test_latency_usec_count{cmd=\"get\"} 5",
            ]
        );
        let clean = text(snapshot, false);
        assert!(clean.contains("redis_test_latency_seconds_bucket{cmd=\"get\",le=\"1e-06\"} 3\n"));
        assert!(
            clean.contains("redis_test_latency_seconds_sum{cmd=\"get\"} 0.0015\n"),
            "{clean}"
        );
    }

    #[test]
    fn compact_histogram_omits_the_same_edges_in_all_samples() {
        let mut snapshot = Snapshot::default();
        for (command, counts) in [("get", [3, 4]), ("set", [0, 9])] {
            let count = 9;
            let sum = 1.0;
            let edges = &EDGES;
            let histogram = Histogram {
                edges,
                counts: counts.into_iter().collect(),
                count,
                sum,
                only_full: false,
            };
            snapshot.push_histogram(&LATENCY, [command], histogram);
        }
        let page = written(snapshot, &Names::default(), Format::Text);
        let buckets: Vec<_> = page
            .lines()
            .filter(|line| line.contains("_bucket"))
            .collect();
        assert_eq!(
            buckets,
            [
                "redis_test_latency_usec_bucket{cmd=\"get\",le=\"2\"} 4",
                "redis_test_latency_usec_bucket{cmd=\"get\",le=\"+Inf\"} 9",
                "redis_test_latency_usec_bucket{cmd=\"set\",le=\"2\"} 9",
                "redis_test_latency_usec_bucket{cmd=\"set\",le=\"+Inf\"} 9",
            ]
        );
    }

    #[test]
    fn openmetrics_differs_from_text_in_headers_only() {
        static HITS: Family<0> = Family::counter(
            "redis_test_hits_total",
            &[],
            source("INFO", "hits"),
            Unit::One,
            "Hits of \"it\".",
        );
        static READS: Family<0> = Family::counter(
            "redis_test_reads_total",
            &[],
            source("INFO", "reads"),
            Unit::One,
            "Reads.",
        )
        .legacy("redis_test_total_reads", Kind::Counter);
        let mut snapshot = Snapshot::default();
        snapshot.push(&KEYS, ["db0"], 1.0);
        snapshot.push(&HITS, [], 2.0);
        snapshot.push(&READS, [], 3.0);
        let summary = Summary {
            percentiles: [(50.0, 1.0)][..].into(),
            count: 1,
            sum: 1.0,
        };
        snapshot.push_summary(&QUANTILES, [], summary);
        for sum in [7.0, f64::NAN] {
            let histogram = Histogram {
                edges: &EDGES,
                counts: vec![1, 2].into(),
                count: 2,
                sum,
                only_full: false,
            };
            let mut snapshot = snapshot.clone();
            snapshot.push_histogram(&LATENCY, ["get"], histogram);
            let page = |format| written(snapshot.clone(), &Names::default(), format);
            let (text, open) = (page(Format::Text), page(Format::OpenMetrics));
            let samples = |page: &str| {
                let lines = page.lines().filter(|line| !line.starts_with('#'));
                let mut lines: Vec<_> = lines.map(str::to_owned).collect();
                lines.sort();
                lines
            };
            assert_eq!(samples(&text), samples(&open));
            let types: Vec<_> = open
                .lines()
                .filter_map(|line| line.strip_prefix("# TYPE redis_test_"))
                .collect();
            let latency: &[_] = if sum.is_nan() {
                &[
                    "latency_usec_bucket unknown",
                    "latency_usec_sum unknown",
                    "latency_usec_count unknown",
                ]
            } else {
                &["latency_usec histogram"]
            };
            let before: &[_] = &["hits counter", "keys gauge"];
            let after: &[_] = &[
                "quantiles_usec unknown",
                "quantiles_usec_sum unknown",
                "quantiles_usec_count unknown",
                "reads counter",
                "total_reads unknown",
            ];
            assert_eq!(types, [before, latency, after].concat());
            assert!(
                open.contains("# HELP redis_test_hits Hits of \\\"it\\\". From INFO hits.\n"),
                "{open}"
            );
        }
    }

    #[test]
    fn full_only_histogram_leaves_no_header_by_default() {
        let page = |series| {
            let mut snapshot = Snapshot::default();
            let histogram = Histogram {
                edges: &EDGES,
                counts: vec![0, 1].into(),
                count: 1,
                sum: 2.0,
                only_full: true,
            };
            snapshot.push_histogram(&LATENCY, ["info"], histogram);
            let names = Names {
                series,
                ..Names::default()
            };
            written(snapshot, &names, Format::Text)
        };
        assert_eq!(page(Series::Compact), "");
        assert!(page(Series::Full).contains("_count{cmd=\"info\"} 1\n"));
    }

    #[test]
    fn unknown_sum_is_not_written() {
        let mut snapshot = Snapshot::default();
        let histogram = Histogram {
            edges: &EDGES,
            counts: vec![0, 1].into(),
            count: 1,
            sum: f64::NAN,
            only_full: false,
        };
        snapshot.push_histogram(&LATENCY, ["get"], histogram);
        let page = text(snapshot, true);
        assert!(page.contains("redis_test_latency_usec_count{cmd=\"get\"} 1\n"));
        assert!(!page.contains("_sum"), "{page}");
    }

    #[test]
    fn legacy_summary_quantiles_are_percentiles() {
        let mut snapshot = Snapshot::default();
        let percentiles = [(50.0, 1.003), (99.9, 4015.0)][..].into();
        snapshot.push_summary(
            &QUANTILES,
            [],
            Summary {
                percentiles,
                count: 2,
                sum: 8.0,
            },
        );
        let legacy = text(snapshot.clone(), true);
        assert!(
            legacy.contains("redis_test_quantiles_usec{quantile=\"99.9\"} 4015\n"),
            "{legacy}"
        );
        let clean = text(snapshot, false);
        assert!(
            clean.contains("redis_test_quantiles_seconds{quantile=\"0.999\"} 0.004015\n"),
            "{clean}"
        );
    }

    #[test]
    fn empty_labels_are_omitted() {
        let mut snapshot = Snapshot::default();
        snapshot.push(&KEYS, [""], 2.0);
        assert!(text(snapshot, true).ends_with("\nredis_test_keys 2\n"));
    }

    fn page_of(snapshots: &[Labeled<'_>], is_compressed: bool) -> Page {
        let form = Form {
            format: Format::Text,
            is_compressed,
        };
        let mut page = PageWriter::new(form);
        page.add(snapshots, &Names::default());
        page.text().extend_from_slice(b"last_line 1\n");
        page.finish()
    }

    #[test]
    fn gzip_of_a_long_page_unpacks_to_the_text() {
        let mut snapshot = Snapshot::default();
        for db in 0..1_000 {
            snapshot.push(&KEYS, [&format!("db{db}")], f64::from(db));
        }
        let snapshot = snapshot.finish();
        let names = ["a", "b", "c"];
        let all: Vec<Labeled<'_>> = names.iter().map(|name| (Some(*name), &snapshot)).collect();
        let (plain, packed) = (page_of(&all, false), page_of(&all, true));
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(
            &mut flate2::read::GzDecoder::new(&packed.body[..]),
            &mut unpacked,
        )
        .unwrap();
        assert!(plain.body.len() > 100_000, "{}", plain.body.len());
        assert_eq!(unpacked, plain.body);
        assert!(packed.body.len() < plain.body.len() / 5);
        let mut expected = encode(&all, &Names::default());
        expected.extend_from_slice(b"last_line 1\n");
        assert_eq!(plain.body, expected);
    }

    /// Unescapes a label value and stops at its closing quote.
    fn unescape(escaped: &str) -> String {
        let mut value = String::new();
        let mut letters = escaped.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '"' => return value,
                '\\' => match letters.next() {
                    Some('n') => value.push('\n'),
                    Some(other) => value.push(other),
                    None => {}
                },
                _ => value.push(letter),
            }
        }
        panic!("no closing quote in {escaped}");
    }

    proptest! {
        #[test]
        fn written_samples_parse_back(label in "(\\PC|[\n\\\\\"]){1,40}", number in any::<f64>()) {
            prop_assume!(number.is_finite());
            let mut snapshot = Snapshot::default();
            snapshot.push(&KEYS, [&label], number);
            let page = text(snapshot, true);
            let line = page.strip_suffix('\n').unwrap().rsplit('\n').next().unwrap();
            let (labels, value) = line.rsplit_once(' ').unwrap();
            let escaped = labels.strip_prefix("redis_test_keys{db=\"").unwrap();
            prop_assert_eq!(unescape(escaped), label);
            prop_assert_eq!(value.parse::<f64>().unwrap().to_bits(), (number + 0.0).to_bits());
        }
    }
}
