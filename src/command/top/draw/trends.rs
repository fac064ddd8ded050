//! The graphs of the last hour. Pure.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::command::top::look::{Look, Tone};
use crate::command::top::received::TargetHistory;
use crate::command::top::text::{or_unknown, sparkline, top_of};
use crate::quantity::{bytes, percent, rate};

/// Width from which two graphs are next to each other.
const TWO_FROM: u16 = 70;

/// Width of the name of a graph, and of its last value.
const NAME: usize = 10;
const VALUE: usize = 9;

/// Returns the number of rows of all graphs.
#[must_use]
pub const fn height(width: u16) -> u16 {
    if width < TWO_FROM { 4 } else { 2 }
}

/// A graph: its name, its values, the value of its upper edge, and the format of the last value.
type Trend<'a> = (&'static str, &'a [Option<f64>], f64, fn(f64) -> String);

/// Draws as many graphs as fit.
pub fn draw(history: &TargetHistory, look: Look, area: Rect, buffer: &mut Buffer) {
    let of_max = |values| top_of(values);
    let trends: [Trend<'_>; 4] = [
        (
            "memory",
            &history.memory_bytes,
            of_max(&history.memory_bytes),
            bytes,
        ),
        (
            "ops/s",
            &history.commands_per_second,
            of_max(&history.commands_per_second),
            rate,
        ),
        ("hit ratio", &history.hit_ratio, 1.0, percent),
        (
            "evict/s",
            &history.evictions_per_second,
            of_max(&history.evictions_per_second),
            rate,
        ),
    ];
    for (trend, place) in trends.iter().zip(places(area)) {
        draw_one(trend, look, place, buffer);
    }
}

/// Returns the places of the graphs: one or two in each row.
fn places(area: Rect) -> impl Iterator<Item = Rect> {
    let is_wide = area.width >= TWO_FROM;
    let half = if is_wide { area.width / 2 } else { area.width };
    area.rows().flat_map(move |row| {
        let left = Rect {
            width: half.saturating_sub(u16::from(is_wide)),
            ..row
        };
        let right = Rect {
            x: row.x + half,
            width: row.width - half,
            ..row
        };
        [left, right].into_iter().take(if is_wide { 2 } else { 1 })
    })
}

fn draw_one(trend: &Trend<'_>, look: Look, place: Rect, buffer: &mut Buffer) {
    let (name, values, top, format) = *trend;
    let cells = usize::from(place.width).saturating_sub(NAME + VALUE + 1);
    let graph = sparkline(values, top, cells);
    let last = or_unknown(values.last().copied().flatten(), format);
    let line = Line::from(vec![
        Span::styled(format!("{name:<NAME$}"), look.style(Tone::Dim)),
        Span::styled(format!("{graph:<cells$}"), look.style(Tone::Drawn)),
        Span::raw(format!(" {last:>VALUE$}")),
    ]);
    buffer.set_line(place.x, place.y, &line, place.width);
}
