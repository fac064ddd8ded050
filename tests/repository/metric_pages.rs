//! The metric pages of the book, generated from the rows in the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use redis_namespace_exporter::canary::families as canary;
use redis_namespace_exporter::collector::info::left_out::LEFT_OUT;
use redis_namespace_exporter::collector::{self, Collector};
use redis_namespace_exporter::keyspace::events::families as events;
use redis_namespace_exporter::keyspace::expiring::families as expiring;
use redis_namespace_exporter::keyspace::families as namespaces;
use redis_namespace_exporter::keyspace::idle::families as idle;
use redis_namespace_exporter::keyspace::keys::families as keys;
use redis_namespace_exporter::keyspace::keys::stream::families as streams;
use redis_namespace_exporter::keyspace::panel::families as panel;
use redis_namespace_exporter::keyspace::watches::families as watches;
use redis_namespace_exporter::metric::Descriptor;
use redis_namespace_exporter::{outcome, telemetry};

use crate::recorded::{Recorded, recorded};
use crate::support::{assert_golden, files, in_repository};

/// Folder of the pages.
pub const FOLDER: &str = "docs/reference/metrics";

/// The page that links to the others.
const INDEX: &str = "docs/reference/metrics.md";

/// A generated page.
struct Page {
    /// The file name without `.md`.
    name: &'static str,
    title: String,
    about: String,
    /// The families in the table, if the page has one.
    families: Vec<&'static Descriptor>,
    text: String,
}

/// Returns the titles and file names of the pages, in the order of the book.
pub fn titles() -> Vec<(String, &'static str)> {
    let pages = pages(&recorded());
    pages
        .into_iter()
        .map(|page| (page.title, page.name))
        .collect()
}

fn pages(recorded: &Recorded) -> Vec<Page> {
    let mut pages: Vec<_> = collector::ALL
        .iter()
        .map(|collector| of_collector(collector, recorded))
        .collect();
    for (name, title, about, families, is_recorded) in [
        (
            "key-namespaces",
            "Key namespaces",
            "Results and progress of the sweep. Needs `+scan`, `+type`, `+pttl`, \
             `+memory|usage` and `+info`; idle times and the LRU horizon also need `+object|idletime`.",
            [
                namespaces::families(),
                panel::families(),
                events::families(),
                expiring::families(),
                idle::families(),
                watches::families(),
            ]
            .concat(),
            false,
        ),
        (
            "keys",
            "Single keys, patterns and groups",
            "Keys that the options `keys` and `sweep.largest_keys` select. Off by default. Single \
             keys need `+select`, `+strlen`, `+llen`, `+scard`, `+zcard`, `+hlen` and `+xlen`, and \
             `+getrange` for values.",
            keys::families(),
            false,
        ),
        (
            "streams",
            "Streams",
            "Streams that the options `keys.streams` and `keys.single_streams` select. Off by \
             default. Needs `+type`, `+select`, `+xinfo|stream`, `+xinfo|groups` and \
             `+xinfo|consumers`.",
            streams::families(),
            true,
        ),
        (
            "canary",
            "Pub/sub canary",
            "Messages that the exporter publishes to itself, if the option `canary.enabled` is set. \
             Needs `+subscribe`, `+publish` and `&redis-namespace-exporter:*`.",
            canary::families(),
            false,
        ),
        (
            "poll",
            "The poll",
            "State of the last poll of a target.",
            outcome::families(),
            false,
        ),
        (
            "exporter",
            "The exporter",
            "State of the exporter itself, next to the usual `process_*` metrics. These metrics \
             have a `target` label only if the table lists it.",
            telemetry::families(),
            false,
        ),
    ] {
        let seen_on = is_recorded.then_some(recorded);
        let text = format!("# {title}\n\n{about}\n{}", table(&families, seen_on));
        pages.push(Page {
            name,
            title: title.to_owned(),
            about: first_sentence(about),
            families,
            text,
        });
    }
    pages.push(series(recorded));
    pages.push(left_out());
    pages
}

fn of_collector(collector: &'static Collector, recorded: &Recorded) -> Page {
    let Collector { name, about, .. } = collector;
    let families = (collector.families)();
    let state = if collector.is_on_by_default() {
        "On"
    } else {
        "Off"
    };
    let permissions: Vec<_> = collector
        .permissions()
        .iter()
        .map(|permission| format!("`{permission}`"))
        .collect();
    // `about` has the permissions that depend on the configuration.
    let needs = match permissions[..] {
        _ if collector.queries.is_empty() => String::new(),
        [] => " Needs no permission.".to_owned(),
        _ => format!(" Needs {}.", permissions.join(", ")),
    };
    // The rows of CLUSTER INFO are part of those of INFO.
    let metrics = if families.is_empty() {
        "\nIts metrics are in the table of [`info`](info.md).\n".to_owned()
    } else {
        table(&families, Some(recorded))
    };
    let text = format!("# `{name}`\n\n{about}\n\n{state} by default.{needs}\n{metrics}");
    Page {
        name,
        title: format!("`{name}`"),
        about: first_sentence(about),
        families,
        text,
    }
}

fn first_sentence(text: &str) -> String {
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    text[..end].to_owned()
}

fn series(recorded: &Recorded) -> Page {
    let title = "Series per target";
    Page {
        name: "series",
        title: title.to_owned(),
        about: "How many series a target has.".to_owned(),
        families: Vec::new(),
        text: format!("# {title}\n\n{SERIES}\n{}", recorded.series),
    }
}

fn left_out() -> Page {
    let title = "INFO fields without a metric";
    let mut text = format!(
        "# {title}\n\nIn the table, `*` matches any text and `#` matches a number.\n\n\
         | field | reason |\n| --- | --- |\n"
    );
    for left_out in LEFT_OUT {
        let _ = writeln!(text, "| `{}` | {} |", left_out.field, left_out.reason);
    }
    Page {
        name: "left-out",
        title: title.to_owned(),
        about: "Numeric INFO fields that the exporter leaves out, with the reason.".to_owned(),
        families: Vec::new(),
        text,
    }
}

fn index(pages: &[Page], recorded: &Recorded) -> String {
    let mut text = INTRODUCTION.replace("SERVERS", &recorded.servers);
    text.push_str("\n| page | contents | metrics |\n| --- | --- | ---: |\n");
    for page in pages {
        let Page {
            name, title, about, ..
        } = page;
        let count = match page.families.len() {
            0 => String::new(),
            count => count.to_string(),
        };
        let _ = writeln!(text, "| [{title}](metrics/{name}.md) | {about} | {count} |");
    }
    text
}

fn table(families: &[&Descriptor], recorded: Option<&Recorded>) -> String {
    let mut titles = vec!["metric", "type", "labels", "description", "source"];
    titles.extend(recorded.map(|_| "seen on"));
    titles.push("redis_exporter name");
    let mut rows = format!(
        "\n| {} |\n|{}\n",
        titles.join(" | "),
        " --- |".repeat(titles.len())
    );
    for family in families {
        let labels: Vec<_> = family
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let mut cells = vec![
            format!("`{}`", family.name),
            family.kind.as_str().to_owned(),
            labels.join(", "),
            family.help.replace('|', "\\|"),
            source(family),
        ];
        cells.extend(recorded.map(|recorded| {
            let seen = recorded.seen_on.get(family.name);
            seen.cloned().unwrap_or_else(|| "none".to_owned())
        }));
        cells.push(legacy(family));
        let _ = writeln!(rows, "| {} |", cells.join(" | "));
    }
    rows
}

fn source(family: &Descriptor) -> String {
    match (family.source.command, family.source.field) {
        (command, "") => command.to_owned(),
        (command, field) => format!("{command} `{field}`"),
    }
}

fn legacy(family: &Descriptor) -> String {
    let Some(legacy) = family.legacy else {
        return String::new();
    };
    let mut notes = vec![legacy.kind.as_str()];
    notes.extend(legacy.as_replied.then_some("unit of the reply"));
    notes.extend(legacy.instead.then_some("*instead*"));
    format!("`{}` ({})", legacy.name, notes.join(", "))
}

#[test]
fn metric_pages_match_the_rows() {
    let recorded = recorded();
    let pages = pages(&recorded);
    assert_golden(&in_repository(INDEX), &index(&pages, &recorded));
    let mut expected = BTreeMap::new();
    for page in &pages {
        let path = format!("{FOLDER}/{}.md", page.name);
        assert_golden(&in_repository(&path), &page.text);
        let earlier = expected.insert(path, &page.title);
        assert!(earlier.is_none(), "two pages are named {}", page.name);
    }
    let found: BTreeSet<String> = files(FOLDER, "md").into_iter().collect();
    let expected: BTreeSet<String> = expected.into_keys().collect();
    assert_eq!(found, expected, "pages that no collector has");
}

#[test]
fn every_metric_has_one_page() {
    let mut seen = BTreeSet::new();
    for page in pages(&recorded()) {
        for family in &page.families {
            assert!(seen.insert(family.name), "{} has two pages", family.name);
        }
    }
    let all = redis_namespace_exporter::catalogue::families();
    let all: BTreeSet<_> = all.iter().map(|family| family.name).collect();
    assert_eq!(seen, all);
    assert!(!all.is_empty(), "there are metrics");
}

const INTRODUCTION: &str = "\
# Metrics

The pages of this section are generated from the code. Each collector has one page.

A metric is absent if the server does not report its value. Absent never means 0.
If the configuration file has `targets`, every metric of a target on `/metrics` has the label `target`. The option `target_label` overrides this. Metrics on `/probe` and `/scrape` never have it. The tables list the other labels.

**seen on** lists the recorded servers that have the metric. The recorded servers are SERVERS. Each was recorded as a standalone server, a replica, a cluster node and a sentinel, with every collector on. `≥` and `≤` refer to these versions only. A mode in parentheses is the only mode that has the metric. `none` means that the metric needs another version, another flavor, or a state that was not recorded.

**redis_exporter name** is the name that `redis_exporter` uses, if it breaks Prometheus naming conventions:

- By default, both names are served. `legacy_names: false` removes the `redis_exporter` name.
- *instead* means that the `redis_exporter` name replaces the clean name by default. Either both would cost too many series, or they differ only by `_total`: OpenMetrics and Datadog treat such names as one metric.
- *unit of the reply* means that the value is not converted to seconds or bytes.
";

const SERIES: &str = "\
The table counts the series of each recorded server: standalone, with default settings, without key namespaces.

- *own* counts series under names that `redis_exporter` does not have.
- *redis_exporter* counts the series that `redis_exporter` exports for the same server.

The number grows with the commands that the server has seen. Each adds 20 series: 4 of `commandstats`, 5 of `latencystats` and 11 of `latency_histogram`. Commands that monitoring sends add 9, because they have no histogram: `info`, `config|get`, `module|list`, and all of `acl`, `client`, `command`, `commandlog`, `latency`, `memory` and `slowlog`. The options `commands.include` and `commands.exclude` select the commands that have their own series.

`redis_exporter` exports only the histogram buckets that the server lists. This exporter writes the same eight buckets for every command, so `rate()` works for each of them: 16, 66, 264, 1056, 4227, 16908, 135266 and 1073741 microseconds.

Each key namespace adds 22 series in each database: 7 of keys and memory, 1 for each data type, 7 of sizes, and 7 of TTLs. Without TTLs it adds 15. Declared policies and quotas add up to 6. The panel adds 5 for lost keys, and 7 for lost TTLs once there are any. Idle times add up to 11. Keys that expire soon add 2 for each time that is known, and 2 for a burst.

With `series: full` or `--series=full`, the exporter writes all 21 buckets. That makes 33 series for every command and 35 for every namespace, without the panel and idle times.
";
