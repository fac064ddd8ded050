//! The namespaces of the selected target. Pure.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::command::top::grid::{self, Grid, GridCell, GridColumn, column, window};
use crate::command::top::look::{Look, Tone};
use crate::command::top::order::NamespaceOrder;
use crate::command::top::received::ReportedNamespace;
use crate::command::top::state::{Pane, TopState};
use crate::command::top::text::{bar, estimate, median_ttl, or_unknown, share, visible, width};
use crate::quantity::{bytes, count, rate};

/// Width of the bars of the shares.
const BAR: usize = 8;

/// Width of a percentage.
const PERCENT: usize = 6;

/// Index of the column that is omitted if there is only one database.
const DATABASE: usize = 1;

/// Returns the columns. The one that the rows are sorted by is always there.
fn columns(order: NamespaceOrder) -> [GridColumn; 9] {
    let rank = |usual, sorted| if order == sorted { 0 } else { usual };
    [
        column("NAMESPACE", 0, 12, false),
        column("DB", 3, 3, false),
        column("KEYS", 2, 8, true),
        column("MEMORY", 1, 9, true),
        column("SHARE", 4, BAR + PERCENT, false),
        column("TTL", 5, 7, true),
        column("NO TTL", rank(6, NamespaceOrder::WithoutTtl), 7, true),
        column("EVICTED", rank(7, NamespaceOrder::Evictions), 7, true),
        column("EVICT/S", rank(8, NamespaceOrder::Evictions), 7, true),
    ]
}

/// Draws the table, as far as it fits.
pub fn draw(state: &TopState, look: Look, area: Rect, buffer: &mut Buffer) {
    let namespaces = state.namespaces();
    let height = usize::from(area.height.saturating_sub(1));
    let window = window(state.namespace, namespaces.len(), height);
    let first = window.start;
    let shown = namespaces.get(window).unwrap_or_default();
    let columns = columns(state.namespace_order);
    let has_databases = namespaces
        .windows(2)
        .any(|pair| matches!(pair, [one, other] if one.db != other.db));
    let is_shown = |place: &usize| has_databases || *place != DATABASE;
    let places: Vec<usize> = (0..columns.len()).filter(is_shown).collect();
    let picked = places.iter().filter_map(|place| columns.get(*place));
    let columns: Vec<GridColumn> = picked.copied().collect();
    let rows = shown.iter().map(|namespace| {
        let cells = cells(namespace);
        let picked = places.iter().filter_map(|place| cells.get(*place));
        picked.cloned().collect()
    });
    let is_focused = state.pane == Pane::Namespaces;
    let grid = Grid {
        columns: &columns,
        rows: rows.collect(),
        selected: state.namespace.checked_sub(first).filter(|_| is_focused),
        is_focused,
    };
    grid::draw(&grid, look, area, buffer);
}

fn cells(namespace: &ReportedNamespace) -> [GridCell; 9] {
    let plain = |text: String| vec![(text, Tone::Plain)];
    [
        plain(visible(&namespace.name)),
        plain(visible(&namespace.db)),
        plain(estimate(namespace.keys, namespace.keys_error)),
        plain(or_unknown(namespace.memory_bytes, bytes)),
        part(namespace.memory_share),
        plain(median_ttl(&namespace.ttl)),
        plain(or_unknown(namespace.keys_without_ttl, count)),
        plain(or_unknown(namespace.evicted_keys, count)),
        plain(or_unknown(namespace.evictions_per_second, rate)),
    ]
}

fn part(part: Option<f64>) -> GridCell {
    let drawn = bar(part.unwrap_or(0.0), BAR);
    let percent = format!("{:>PERCENT$}", share(part));
    let space = " ".repeat(BAR.saturating_sub(width(&drawn)));
    vec![(drawn, Tone::Drawn), (space + &percent, Tone::Plain)]
}
