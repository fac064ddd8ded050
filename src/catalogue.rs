//! Generates METRICS.md from the rows of all metrics. Pure.
//!
//! It reads the rows and adds nothing: a metric without a row does not appear.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::collector::info::left_out::LEFT_OUT;
use crate::collector::{self, Collector};
use crate::metric::Descriptor;
use crate::namespace::families as namespaces;
use crate::namespace::keys::families as keys;
use crate::namespace::keys::stream::families as streams;
use crate::{outcome, telemetry};

/// Returns all families: of the collectors, of the poll, and of the exporter itself.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    let mut families: Vec<_> = collector::ALL
        .iter()
        .flat_map(|collector| (collector.families)())
        .collect();
    families.extend(namespaces::families());
    families.extend(keys::families());
    families.extend(streams::families());
    families.extend(outcome::families());
    families.extend(telemetry::families());
    families
}

/// Facts about the rows, taken from recordings of servers.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The recorded servers, in words.
    pub servers: String,
    /// The servers that have each family, by the family's name.
    pub seen_on: BTreeMap<&'static str, String>,
    /// A table of the number of series per server.
    pub series: String,
}

/// Returns the text of METRICS.md.
#[must_use]
pub fn markdown(recorded: &Recorded) -> String {
    let mut page = INTRODUCTION.replace("SERVERS", &recorded.servers);
    let seen_on = |family: &Descriptor| {
        let seen = recorded.seen_on.get(family.name);
        seen.map_or("no recorded server", String::as_str)
    };
    for collector in collector::ALL {
        page.push_str(&heading(collector));
        page.push_str(&table((collector.families)(), Some(&seen_on)));
    }
    page.push_str(
        "\n## Key namespaces\n\nWhat the walk over the keyspace found, and how far it is. It needs \
         `+scan`, `+type`, `+pttl`, `+memory|usage`, `+info`.\n",
    );
    page.push_str(&table(namespaces::families(), None));
    page.push_str(
        "\n## Single keys, patterns and groups\n\nWhat `keys` and `sweep.largest_keys` ask for; off \
         by default. Single keys need `+select`, `+strlen`, `+llen`, `+scard`, `+zcard`, `+hlen`, \
         `+xlen`, and `+getrange` for values.\n",
    );
    page.push_str(&table(keys::families(), None));
    page.push_str(
        "\n## Streams\n\nWhat `keys.streams` and `keys.single_streams` ask for; off by default. They \
         need `+type`, `+select`, `+xinfo|stream`, `+xinfo|groups`, `+xinfo|consumers`.\n",
    );
    page.push_str(&table(streams::families(), Some(&seen_on)));
    page.push_str(
        "\n## The poll\n\nWhat the exporter itself knows of the last poll of a target.\n",
    );
    page.push_str(&table(outcome::families(), None));
    page.push_str(
        "\n## The exporter\n\nWhat the exporter knows of itself; beside these it shows the usual \
         `process_*`. They have no `target` label unless it is named.\n",
    );
    page.push_str(&table(telemetry::families(), None));
    page.push_str(SERIES);
    page.push_str(&recorded.series);
    page.push_str(
        "\n## Fields of INFO that are no metric\n\nA `*` stands for any text, a `#` for a number.\
         \n\n| field | why |\n| --- | --- |\n",
    );
    for left_out in LEFT_OUT {
        let _ = writeln!(page, "| `{}` | {} |", left_out.field, left_out.reason);
    }
    page
}

const INTRODUCTION: &str = "\
# Metrics

This page is generated from the rows in `src`; `UPDATE_GOLDEN=1 cargo test --test repository` writes it.

Every metric of a target has the label `target` on `/metrics` if the configuration file has `targets`; `target_label` switches it on or off. On `/probe` there is none. The tables name the other labels.
A metric is absent where the server does not say its value: absent never means 0.

The column *seen on* says which recorded servers show the metric: SERVERS, each standalone, as a replica, as a node of a cluster and as a sentinel, with every collector on.
`≥` and `≤` are over these versions only; what came in a version between two of them is said of the later one. A mode in brackets is the only one with the metric.
What no recorded server shows needs another version, another flavour, or a state that was not recorded, as a load that is under way.

The last column is the spelling of `redis_exporter` where that breaks Prometheus's naming.
While `legacy_names` is on, which is the default, it is shown next to the clean name. It replaces the clean name where it is marked *instead*: both would cost too many series, or differ only by `_total`, which OpenMetrics and Datadog take for one metric.
`as replied` means that its values stand in the unit of the reply.
";

const SERIES: &str = "
## Series per target

How many series the recorded servers have, standalone, with the default settings, without key namespaces. *Own* are those under names that `redis_exporter` does not have: what it leaves out, and clean spellings next to its own. *redis_exporter* is how many it shows of the same server.
The number grows with the commands that were called. Each adds 20 series: 4 of `commandstats`, 5 of `latencystats` and 11 of `latency_histogram`. Commands that monitoring sends add 9, because they have no histogram: `info`, `config|get`, `module|list`, and all of `acl`, `client`, `command`, `commandlog`, `latency`, `memory` and `slowlog`. `commands: { include, exclude }` selects the commands that are shown.
`redis_exporter` writes only those buckets of a histogram that the server lists. This exporter writes the same eight edges for every command, so that `rate()` finds each: 16, 66, 264, 1056, 4227, 16908, 135266 and 1073741 microseconds.
Each key namespace adds 22 series in each database: 7 of keys and memory, 1 for each data type, 7 of sizes, and 7 of TTLs if any key has one. Without TTLs it adds 15. Declared policies and quotas add up to 4.
`series: full` (or `--series=full`) writes all 21 edges and 33 series for every command, and 35 for every namespace.

";

fn heading(collector: &Collector) -> String {
    let state = if collector.on_by_default { "on" } else { "off" };
    let permissions = collector::permissions(collector);
    let mut permissions: Vec<_> = permissions
        .iter()
        .map(|permission| format!("`{permission}`"))
        .collect();
    if permissions.is_empty() {
        permissions.push("no permission".to_owned());
    }
    let (name, about, permissions) = (collector.name, collector.about, permissions.join(", "));
    // What follows from other questions, `about` says.
    let needs = if collector.questions.is_empty() {
        String::new()
    } else {
        format!("; needs {permissions}")
    };
    format!("\n## `{name}`\n\n{about} {state} by default{needs}.\n")
        .replace(" on by", " On by")
        .replace(" off by", " Off by")
}

/// A family → what stands in its column *seen on*.
type SeenOn<'a> = dyn Fn(&Descriptor) -> &'a str + 'a;

fn table(families: Vec<&'static Descriptor>, seen_on: Option<&SeenOn<'_>>) -> String {
    let mut titles = vec!["metric", "type", "labels", "meaning", "from"];
    titles.extend(seen_on.map(|_| "seen on"));
    titles.push("redis_exporter's spelling");
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
        cells.extend(seen_on.map(|seen_on| seen_on(family).to_owned()));
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
    notes.extend(legacy.as_replied.then_some("as replied"));
    notes.extend(legacy.instead.then_some("*instead*"));
    format!("`{}` ({})", legacy.name, notes.join(", "))
}
