//! The namespaces with most memory, on the card of a target: a map, and a short table. Pure.

use super::super::card::Card;
use super::super::highlights::shortened;
use super::super::namespace_row::NamespaceRow;
use super::Html;
use super::map::MapSize;
use super::namespaces::{memory_map, name_cell};
use crate::number::length;
use crate::quantity::{bytes, count, counted, percent, rate};

/// Maximum length of the name of a namespace, in characters.
const NAME_MAX: usize = 30;

/// Maximum number of rows.
const ROWS_MAX: usize = 5;

/// Adds the namespaces of a card, if they are known.
pub(super) fn largest(html: &mut Html, card: &Card) {
    if card.namespaces.is_empty() {
        return;
    }
    let mut rows = card.namespaces.clone();
    for row in &mut rows {
        row.name = shortened(&row.name, NAME_MAX);
    }
    html.raw("<div class=\"holds\">\n");
    if rows.iter().any(|row| row.memory_share.is_some()) {
        html.raw("<div>");
        memory_map(html, &rows, MapSize::Card);
        html.raw("</div>\n");
    }
    html.raw("<div>");
    table(html, card, &rows);
    link(html, card);
    html.raw("</div></div>\n");
}

fn table(html: &mut Html, card: &Card, rows: &[NamespaceRow]) {
    html.wrap(
        "<table class=\"largest\"><caption class=\"hidden\">Namespaces of ",
        &card.name,
        " with most memory</caption>",
    )
    .raw("<thead><tr><th scope=\"col\">Namespace</th>");
    let has_rates = rows.iter().any(|row| row.evictions_per_second.is_some());
    for (name, is_shown) in [("Keys", true), ("Memory", true), ("Evicted/s", has_rates)] {
        if is_shown {
            html.wrap("<th scope=\"col\" class=\"number\">", name, "</th>");
        }
    }
    html.raw("</tr></thead>\n<tbody>\n");
    for (at, row) in rows.iter().take(ROWS_MAX).enumerate() {
        html.raw("<tr><th scope=\"row\">");
        name_cell(html, at, row);
        cells(html, row, has_rates);
        html.raw("</tr>\n");
    }
    html.raw("</tbody></table>\n");
}

/// Adds the numbers of a row.
fn cells(html: &mut Html, row: &NamespaceRow, has_rates: bool) {
    let error = row.keys_error.map(count).filter(|error| error != "0");
    number(
        html,
        row.keys.map(count),
        error.map(|error| format!("± {error}")),
    );
    number(
        html,
        row.memory_bytes.map(bytes),
        row.memory_share.map(percent),
    );
    if has_rates {
        number(html, row.evictions_per_second.map(rate), None);
    }
}

/// Adds a number, and what belongs to it.
fn number(html: &mut Html, value: Option<String>, more: Option<String>) {
    let value = value.unwrap_or_else(|| "–".to_owned());
    html.wrap("<td class=\"number\">", value, "");
    if let Some(more) = more {
        html.wrap(" <small>", more, "</small>");
    }
    html.raw("</td>");
}

/// Adds a link to the page of the target.
fn link(html: &mut Html, card: &Card) {
    let all = counted(length(card.namespaces.len()), "namespace", "namespaces");
    html.wrap(
        "<p><a href=\"",
        super::target_path(&card.name),
        "#namespaces\">",
    )
    .wrap("More about ", all, "<span class=\"hidden\"> of ")
    .wrap("", &card.name, "</span></a></p>\n");
}
