//! Every metric that the exporter can show → METRICS.md. Pure.
//!
//! A reader of the rows, not a second list: what is not a row is not here.

use std::fmt::Write as _;

use crate::collector::info::left_out::LEFT_OUT;
use crate::collector::{self, Collector};
use crate::metric::Descriptor;
use crate::namespace::families as namespaces;
use crate::namespace::keys::families as keys;
use crate::namespace::keys::stream::families as streams;
use crate::{outcome, telemetry};

/// Every family: of all collectors, of the poll, and of the exporter itself.
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

/// The text of METRICS.md.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for collector in collector::ALL {
        page.push_str(&heading(collector));
        page.push_str(&table((collector.families)()));
    }
    page.push_str(
        "\n## Key namespaces\n\nWhat the walk over the keyspace found, and how far it is. It needs \
         `+scan`, `+type`, `+pttl`, `+memory|usage`, `+info`.\n",
    );
    page.push_str(&table(namespaces::families()));
    page.push_str(
        "\n## Single keys, patterns and groups\n\nWhat `keys` and `sweep.largest_keys` ask for; off \
         by default. Single keys need `+select`, `+strlen`, `+llen`, `+scard`, `+zcard`, `+hlen`, \
         `+xlen`, and `+getrange` for values.\n",
    );
    page.push_str(&table(keys::families()));
    page.push_str(
        "\n## Streams\n\nWhat `keys.streams` and `keys.single_streams` ask for; off by default. They \
         need `+type`, `+select`, `+xinfo|stream`, `+xinfo|groups`, `+xinfo|consumers`. Servers \
         before Redis 7.0, and KeyDB, do not know `redis_stream_entries_added_total`, \
         `redis_stream_max_deleted_entry_id`, `redis_stream_group_entries_read` and \
         `redis_stream_group_lag`; only Redis since 7.2 and Valkey know \
         `redis_stream_group_consumer_inactive_seconds`.\n",
    );
    page.push_str(&table(streams::families()));
    page.push_str(
        "\n## The poll\n\nWhat the exporter itself knows of the last poll of a target.\n",
    );
    page.push_str(&table(outcome::families()));
    page.push_str(
        "\n## The exporter\n\nWhat the exporter knows of itself; beside these it shows the usual \
         `process_*`. They have no `target` label unless it is named.\n",
    );
    page.push_str(&table(telemetry::families()));
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

Every metric of a target has the label `target` on `/metrics`, and has not on `/probe`; the tables name the other labels.
A metric is absent where the server does not say its value: absent never means 0.

The last column is the spelling of `redis_exporter` where that breaks Prometheus's naming.
While `legacy_names` is on, which is the default, it is shown beside the clean name; where it is marked *instead*, in its place.
`as replied` means that its values stand in the unit of the reply.
";

fn heading(collector: &Collector) -> String {
    let state = if collector.on_by_default { "on" } else { "off" };
    let mut permissions: Vec<_> = collector
        .questions
        .iter()
        .map(|question| format!("`{}`", question.permission))
        .collect();
    permissions.dedup();
    let (name, about, permissions) = (collector.name, collector.about, permissions.join(", "));
    format!("\n## `{name}`\n\n{about} {state} by default; needs {permissions}.\n")
        .replace(" on by", " On by")
        .replace(" off by", " Off by")
}

fn table(families: Vec<&'static Descriptor>) -> String {
    let mut rows = String::from(
        "\n| metric | type | labels | meaning | from | redis_exporter's spelling |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for family in families {
        let labels: Vec<_> = family
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let (source, legacy) = (source(family), legacy(family));
        let _ = writeln!(
            rows,
            "| `{}` | {} | {} | {} | {source} | {legacy} |",
            family.name,
            family.kind.as_str(),
            labels.join(", "),
            family.help.replace('|', "\\|"),
        );
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
