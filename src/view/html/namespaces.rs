//! The namespaces of a target: a map of the memory, and a table. Pure.

use std::f64::consts::SQRT_2;

use super::super::detail::{NamedKey, TargetDetail};
use super::super::namespace_row::{NamespaceRow, TtlRange};
use super::Html;
use super::graph::{histogram, share_bar};
use super::map::{MapPart, MapSize, map};
use crate::number::length;
use crate::quantity::{bytes, count, counted, duration, estimated, percent, rate};

/// Maximum number of parts of the map with their own color.
pub(super) const PARTS_MAX: usize = 8;

/// Maximum number of rows of the table. Namespaces with less memory are not shown.
const ROWS_MAX: usize = 15;

/// Adds the section about namespaces.
pub(super) fn namespaces(html: &mut Html, model: &TargetDetail) {
    html.raw("<section aria-labelledby=\"namespaces\"><h2 id=\"namespaces\">Namespaces</h2>\n");
    let rows = &model.namespaces;
    if rows.is_empty() {
        html.wrap("<p class=\"quiet\">", nothing(model), "</p></section>\n");
        return;
    }
    html.wrap("<p class=\"quiet\">", state_of_sweep(model), "</p>\n");
    if rows.iter().any(|row| row.memory_share.is_some()) {
        memory_map(html, rows, MapSize::Page);
    }
    table(html, rows);
    if !model.highlights.is_empty() {
        html.raw("<ul class=\"ages\">");
        for line in &model.highlights {
            html.wrap("<li><bdi>", line, "</bdi></li>");
        }
        html.raw("</ul>\n");
    }
    let hidden = rows.len().saturating_sub(ROWS_MAX);
    if hidden > 0 {
        html.wrap(
            "<p class=\"quiet\">",
            hidden,
            " smaller namespaces are not shown. ",
        )
        .raw("The JSON has all of them.</p>\n");
    }
    html.raw("</section>\n");
}

fn nothing(model: &TargetDetail) -> &'static str {
    match model.sweep.is_running {
        Some(true) => "No key was found yet.",
        Some(false) => "The last key scan failed and will be retried.",
        None => "The sweep is off or has not started yet, so nothing is known about the keys.",
    }
}

/// Returns on how much the estimates are based, and how old they are.
fn state_of_sweep(model: &TargetDetail) -> String {
    let sweep = &model.sweep;
    let known = sweep.databases.iter();
    let coverage = known
        .clone()
        .filter_map(|database| database.coverage)
        .reduce(f64::min);
    let age = known
        .filter_map(|database| database.age_seconds)
        .reduce(f64::max);
    let mut parts = Vec::new();
    match coverage {
        Some(coverage) if coverage < 1.0 => {
            parts.push(format!("Estimated from {} of the keys.", percent(coverage)));
        }
        Some(_) => parts.push("Based on all keys.".to_owned()),
        None => {}
    }
    if let Some(age) = age {
        parts.push(format!("The oldest data is {} old.", duration(age)));
    }
    if let Some(share) = sweep.memory_share {
        parts.push(format!(
            "The namespaces explain {} of the memory for data.",
            percent(share)
        ));
    }
    parts.join(" ")
}

/// Adds a map of the memory. The rows are sorted, the largest first.
pub(super) fn memory_map(html: &mut Html, rows: &[NamespaceRow], size: MapSize) {
    let (named, others) = rows.split_at(rows.len().min(PARTS_MAX));
    let shares = |rows: &[NamespaceRow]| -> (f64, f64) {
        let sum = |field: fn(&NamespaceRow) -> Option<f64>| rows.iter().filter_map(field).sum();
        (sum(|row| row.memory_share), sum(|row| row.memory_bytes))
    };
    let mut parts: Vec<MapPart> = named
        .iter()
        .enumerate()
        .map(|(color, row)| MapPart {
            share: row.memory_share.unwrap_or(0.0),
            name: row.name.clone(),
            value: row.memory_bytes.map(bytes).unwrap_or_default(),
            color,
        })
        .collect();
    let (share, memory) = shares(others);
    if share > 0.0 {
        parts.push(MapPart {
            share,
            name: counted(length(others.len()), "other", "others"),
            value: bytes(memory),
            color: PARTS_MAX,
        });
    }
    parts.sort_by(|one, other| other.share.total_cmp(&one.share));
    let label = "Memory by namespace; the table has the numbers";
    map(html, &parts, size, label);
}

/// Completes the head cell of a row of a table: the color, which is that of its part of the map, the
/// name and the database.
pub(super) fn name_cell(html: &mut Html, at: usize, row: &NamespaceRow) {
    html.wrap("<svg class=\"swatch c", at.min(PARTS_MAX), "\"")
        .raw(" viewBox=\"0 0 10 10\" aria-hidden=\"true\">")
        .raw("<rect x=\".5\" y=\".5\" width=\"9\" height=\"9\" rx=\"2\"/></svg>")
        .wrap("<bdi>", &row.name, "</bdi>");
    if row.db != "db0" {
        html.wrap(" <small>", &row.db, "</small>");
    }
    html.raw("</th>");
}

fn table(html: &mut Html, rows: &[NamespaceRow]) {
    html.raw("<table class=\"list namespaces\" role=\"table\"><thead role=\"rowgroup\"><tr role=\"row\">")
        .raw("<th scope=\"col\" role=\"columnheader\">Namespace</th>");
    for name in [
        "Keys",
        "Memory",
        "TTLs",
        "Without TTL",
        "Largest key",
        "Evicted",
    ] {
        html.wrap(
            "<th scope=\"col\" role=\"columnheader\" class=\"number\">",
            name,
            "</th>",
        );
    }
    html.raw("<th scope=\"col\" role=\"columnheader\">Policy</th></tr></thead>\n<tbody role=\"rowgroup\">\n");
    for (at, row) in rows.iter().take(ROWS_MAX).enumerate() {
        html.raw("<tr role=\"row\"><th scope=\"row\" role=\"rowheader\">");
        name_cell(html, at, row);
        cell(html, "Keys", row.keys.map(count), row.keys_error.map(count));
        memory(html, row);
        ttls(html, &row.ttl);
        cell(
            html,
            "Without TTL",
            row.keys_without_ttl.map(count),
            row.keys_without_ttl_error.map(count),
        );
        cell(html, "Largest key", row.largest_key_bytes.map(bytes), None);
        evicted(html, row);
        policy(html, row);
        html.raw("</tr>\n");
    }
    html.raw("</tbody></table>\n");
}

/// Adds a number with its error.
fn cell(html: &mut Html, name: &'static str, value: Option<String>, error: Option<String>) {
    let value = value.unwrap_or_else(|| "–".to_owned());
    html.wrap(
        "<td role=\"cell\" class=\"number\" data-name=\"",
        name,
        "\">",
    )
    .wrap("<span>", value, "</span>");
    if let Some(error) = error.filter(|error| error != "0" && error != "0 B") {
        html.wrap("<small>± ", error, "</small>");
    }
    html.raw("</td>");
}

fn memory(html: &mut Html, row: &NamespaceRow) {
    html.raw("<td role=\"cell\" class=\"number\" data-name=\"Memory\"><span>")
        .wrap(
            "",
            row.memory_bytes.map_or_else(|| "–".to_owned(), bytes),
            "",
        );
    if let Some(share) = row.memory_share {
        html.wrap(" <i>", percent(share), "</i>");
    }
    html.raw("</span>");
    if let Some(error) = row.memory_error_bytes.filter(|error| *error >= 0.5) {
        html.wrap("<small>± ", bytes(error), "</small>");
    }
    growth(html, row);
    html.raw("</td>");
}

/// Adds how much a namespace grew or shrank, if that is more than the error of the estimate.
fn growth(html: &mut Html, row: &NamespaceRow) {
    let known = row.memory_growth_bytes.zip(row.memory_growth_seconds);
    let error = row.memory_error_bytes.unwrap_or(0.0);
    // The earlier estimate had an error too. Errors of independent estimates add up as squares.
    let least = (SQRT_2 * error).max(0.01 * row.memory_bytes.unwrap_or(0.0));
    let Some((change, seconds)) = known.filter(|(change, _)| change.abs() > least) else {
        return;
    };
    html.raw("<small>")
        .raw(if change > 0.0 {
            "grew by "
        } else {
            "shrank by "
        })
        .wrap("", bytes(change.abs()), " in ")
        .wrap("", duration(seconds), "</small>");
}

fn evicted(html: &mut Html, row: &NamespaceRow) {
    let keys = row.evicted_keys.map_or_else(|| "–".to_owned(), count);
    html.raw("<td role=\"cell\" class=\"number\" data-name=\"Evicted\">")
        .wrap("<span>", keys, "</span>");
    if let Some(now) = row.evictions_per_second.filter(|now| *now > 0.0) {
        html.wrap("<small>", rate(now), "/s</small>");
    }
    html.raw("</td>");
}

/// Longest TTLs of the bars, in seconds, with their names.
const TTL_BARS: [(f64, &str); 6] = [
    (60.0, "1 min or less"),
    (600.0, "10 min or less"),
    (3_600.0, "1 h or less"),
    (86_400.0, "1 d or less"),
    (604_800.0, "7 d or less"),
    (f64::INFINITY, "more than 7 d"),
];

fn ttls(html: &mut Html, ranges: &[TtlRange]) {
    html.raw("<td role=\"cell\" class=\"number\" data-name=\"TTLs\">");
    let mut bars = [0.0; TTL_BARS.len()];
    for range in ranges {
        let longest = range.at_most_seconds.unwrap_or(f64::INFINITY);
        let place = TTL_BARS.iter().position(|(limit, _)| longest <= *limit);
        if let Some(bar) = place.and_then(|place| bars.get_mut(place)) {
            *bar += range.keys;
        }
    }
    let all: f64 = bars.iter().sum();
    if all > 0.0 {
        let shown = bars.iter().zip(TTL_BARS).filter(|(keys, _)| **keys > 0.0);
        let shown = shown.map(|(keys, (_, name))| format!("{} {name}", percent(keys / all)));
        let shown: Vec<String> = shown.collect();
        histogram(
            html,
            &bars,
            &format!("Remaining TTLs: {}", shown.join(", ")),
        );
        let most = bars
            .iter()
            .zip(TTL_BARS)
            .max_by(|one, other| one.0.total_cmp(other.0));
        if let Some((_, (_, name))) = most {
            html.wrap("<small>mostly ", name, "</small>");
        }
    } else {
        html.raw("<span>–</span>");
    }
    html.raw("</td>");
}

/// Adds the declared policy, and whether the namespace violates it.
fn policy(html: &mut Html, row: &NamespaceRow) {
    html.raw("<td role=\"cell\" class=\"policy\" data-name=\"Policy\">");
    let is_declared = violations(html, row);
    if let Some((quota, ratio)) = row.memory_quota_bytes.zip(row.memory_quota_ratio) {
        let class = if ratio > 1.0 { "wrong" } else { "quiet" };
        html.wrap("<span class=\"", class, "\">")
            .wrap("", percent(ratio), " of ")
            .wrap("", bytes(quota), "</span>");
        share_bar(html, ratio, if ratio > 1.0 { "critical" } else { "plain" });
    } else if !is_declared {
        // Before TTLs are known, violations of a declared policy are not either.
        let is_known = row.keys_without_ttl.is_some() && row.ttl_max_seconds.is_none();
        let word = if is_known { "none" } else { "–" };
        html.wrap("<span class=\"quiet\">", word, "</span>");
    }
    html.raw("</td>");
}

/// Adds the keys that violate the declared policy for TTLs, with their errors. Returns whether there is
/// a policy.
fn violations(html: &mut Html, row: &NamespaceRow) -> bool {
    let kinds = [
        (
            row.violations_ttl_required,
            row.violations_ttl_required_error,
            "without a TTL",
        ),
        (
            row.violations_ttl_max,
            row.violations_ttl_max_error,
            "with a TTL that is too long",
        ),
    ];
    let declared = kinds
        .iter()
        .filter_map(|(keys, error, what)| Some(((*keys)?, error.unwrap_or(0.0), *what)));
    let declared: Vec<(f64, f64, &str)> = declared.collect();
    let violated = declared.iter().filter(|(keys, ..)| *keys >= 1.0);
    for (keys, error, what) in violated.clone() {
        html.wrap("<span class=\"wrong\">", estimated(*keys, *error), " ")
            .wrap("", what, "</span>");
    }
    if violated.count() == 0 && !declared.is_empty() {
        let errors = declared.iter().map(|(_, error, _)| *error);
        let largest = errors.fold(0.0, f64::max);
        if largest < 0.5 {
            html.raw("<span class=\"right\">TTLs are as declared</span>");
        } else {
            // The sample has found none.
            let keys = counted(largest, "violation", "violations");
            html.wrap("<span class=\"quiet\">at most ", keys, "</span>");
        }
    }
    !declared.is_empty()
}

/// Adds the keys that are exported by name.
pub(super) fn keys(html: &mut Html, keys: &[NamedKey]) {
    if keys.is_empty() {
        return;
    }
    html.raw("<section aria-labelledby=\"keys\"><h2 id=\"keys\">Keys by name</h2>\n")
        .raw("<table class=\"list narrow\"><thead><tr><th scope=\"col\">Key</th>")
        .raw("<th scope=\"col\" class=\"number\">Memory</th></tr></thead>\n<tbody>\n");
    for NamedKey {
        db,
        key,
        memory_bytes,
    } in keys
    {
        html.wrap("<tr><th scope=\"row\"><bdi>", key, "</bdi>");
        if db != "db0" {
            html.wrap(" <small>", db, "</small>");
        }
        html.wrap(
            "</th><td class=\"number\">",
            bytes(*memory_bytes),
            "</td></tr>\n",
        );
    }
    html.raw("</tbody></table></section>\n");
}
