//! The list of targets. Pure.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::command::top::grid::{self, Grid, GridCell, GridColumn, column, window};
use crate::command::top::look::{Look, Tone, tone_of};
use crate::command::top::received::{ListedTarget, UsedPart};
use crate::command::top::state::{Pane, TopState};
use crate::command::top::text::{MARK, UNKNOWN, marked_bar, or_unknown, share, visible};
use crate::quantity::{bytes, count, duration, percent, rate};

/// Width of the bars of the memory: one cell is right of the mark.
const BAR: usize = 11;

/// Width of a percentage.
const PERCENT: usize = 6;

const COLUMNS: [GridColumn; 10] = [
    column("TARGET", 0, 11, false),
    column("STATE", 1, 7, false),
    column("ROLE", 9, 7, false),
    column("MEMORY", 2, BAR + PERCENT, false),
    column("OPS/S", 4, 7, true),
    column("HITS", 5, 5, true),
    column("EVICT/S", 6, 7, true),
    column("CLIENTS", 8, 7, true),
    column("LATENCY", 7, 7, true),
    column("PROBLEMS", 3, 8, true),
];

/// Draws the list, as far as it fits.
pub fn draw(
    state: &TopState,
    targets: &[&ListedTarget],
    look: Look,
    area: Rect,
    buffer: &mut Buffer,
) {
    let selected = state.place(targets);
    let height = usize::from(area.height.saturating_sub(1));
    let window = window(selected.unwrap_or(0), targets.len(), height);
    let first = window.start;
    let shown = targets.get(window).unwrap_or_default();
    let grid = Grid {
        columns: &COLUMNS,
        rows: shown.iter().map(|target| cells(target)).collect(),
        selected: selected.and_then(|place| place.checked_sub(first)),
        is_focused: state.pane == Pane::Targets,
    };
    grid::draw(&grid, look, area, buffer);
}

fn cells(target: &ListedTarget) -> Vec<GridCell> {
    let plain = |text: String| vec![(text, Tone::Plain)];
    let latency = target.latency;
    vec![
        plain(visible(&target.name)),
        vec![state(&target.state)],
        plain(
            target
                .role
                .as_deref()
                .map_or_else(|| UNKNOWN.to_owned(), visible),
        ),
        memory(target.memory),
        plain(or_unknown(target.commands_per_second, rate)),
        plain(share(target.hit_ratio)),
        plain(or_unknown(target.evictions_per_second, rate)),
        plain(or_unknown(target.clients.used, count)),
        plain(or_unknown(
            latency.ping_seconds.or(latency.command_seconds),
            duration,
        )),
        vec![problems(target)],
    ]
}

fn state(state: &str) -> (String, Tone) {
    match state {
        "up" => ("up".to_owned(), Tone::Good),
        "down" => ("DOWN".to_owned(), Tone::Bad),
        other => (visible(other), Tone::Dim),
    }
}

/// Returns the number of problems, marked by the severity of the worst.
fn problems(target: &ListedTarget) -> (String, Tone) {
    let severity = target.severity.as_deref().unwrap_or_default();
    let mark = match severity {
        "critical" => "!! ",
        "warning" => "! ",
        _ => "",
    };
    match target.problems.len() {
        0 => (UNKNOWN.to_owned(), Tone::Dim),
        number => (format!("{mark}{number}"), tone_of(severity)),
    }
}

/// Draws the memory as a share of its limit, or shows it if there is no limit.
fn memory(memory: UsedPart) -> GridCell {
    let Some(ratio) = memory.ratio else {
        let text = or_unknown(memory.used, bytes);
        let limit = memory.used.map_or("", |_| " no limit");
        return vec![(text, Tone::Plain), (limit.to_owned(), Tone::Dim)];
    };
    let tone = if ratio < MARK { Tone::Drawn } else { Tone::Bad };
    let [before, mark, after] = marked_bar(ratio, BAR);
    vec![
        (before, tone),
        (mark, Tone::Warn),
        (after, tone),
        (format!("{:>PERCENT$}", percent(ratio)), Tone::Plain),
    ]
}
