//! The screen: a state, a time and a size make a buffer. Pure.

mod detail;
mod namespaces;
mod targets;
mod trends;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::look::{Look, Tone};
use super::state::{Pane, TopState};
use super::text::{UNKNOWN, fit, visible, width, wrap};
use crate::number::{length, to_float};
use crate::quantity::{clock, count, duration};

/// Height of the part between the first and the last lines from which both panes are shown.
const BOTH_FROM: u16 = 10;

/// The name of the command, for the first line.
const PROGRAM: &str = "redis-namespace-exporter top";

/// The explanation of the keys and of the signs.
const HELP: [&str; 20] = [
    "↑ ↓ j k      select the line above or below",
    "PgUp PgDn    ten lines up or down",
    "g G          the first or the last line",
    "Enter        show only the selected target, or all again",
    "Tab          switch between targets and namespaces",
    "s            change the order of the targets or namespaces",
    "/            show only targets with this name or address",
    "Esc          back: leave the target, the filter, the program",
    "q Ctrl-C     quit",
    "",
    "│ in a bar   90% of the memory limit",
    "!! and !     critical problems and warnings",
    "±            half the width of the 95% confidence interval",
    "OPS/S        commands per second from other clients",
    "HITS         share of lookups that found a key, in 5 minutes",
    "LATENCY      round trip of a PING from the exporter",
    "TTL          range of remaining TTLs with the median",
    "EVICTED      keys evicted since the exporter started",
    "EVICT/S      keys evicted per second; of a namespace, in 5 minutes",
    "graphs       the last hour, from 0",
];

/// Draws the screen.
pub fn screen(state: &TopState, look: Look, now: f64, area: Rect, buffer: &mut Buffer) {
    let mut rows: Vec<Rect> = area.rows().collect();
    rows.reverse();
    if let Some(row) = rows.pop() {
        header(state, look, now, row, buffer);
    }
    if let Some(outage) = outage(state, now)
        && let Some(row) = rows.pop()
    {
        put(&outage, Tone::Bad, look, row, buffer);
    }
    rows.reverse();
    if let Some(row) = rows.pop() {
        footer(state, look, row, buffer);
    }
    let Some((first, last)) = rows.first().zip(rows.last()) else {
        return;
    };
    body(state, look, first.union(*last), buffer);
}

fn body(state: &TopState, look: Look, area: Rect, buffer: &mut Buffer) {
    if state.has_help {
        let lines = HELP.iter().flat_map(|line| wrap(line, area.width.into()));
        put_all(lines, Tone::Plain, look, area, buffer);
        return;
    }
    let targets = state.targets();
    if targets.is_empty() {
        let text = if state.filter.trim().is_empty() {
            "The exporter has no targets: configure `targets`, or set --redis.addr.".to_owned()
        } else {
            format!("No target matches {}.", visible(state.filter.trim()))
        };
        put_all(
            wrap(&text, area.width.into()),
            Tone::Plain,
            look,
            area,
            buffer,
        );
        return;
    }
    let is_small = area.height < BOTH_FROM;
    if state.is_zoomed || (is_small && state.pane == Pane::Namespaces) {
        detail::draw(state, look, area, buffer);
    } else if is_small {
        targets::draw(state, &targets, look, area, buffer);
    } else {
        let needed = u16::try_from(targets.len()).unwrap_or(u16::MAX);
        let height = needed.saturating_add(1).min(area.height * 2 / 5);
        let (list, rest) = split(area, height);
        targets::draw(state, &targets, look, list, buffer);
        detail::draw(state, look, rest, buffer);
    }
}

/// Splits an area after this number of rows.
fn split(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    let upper = Rect { height, ..area };
    let lower = Rect {
        y: area.y + height,
        height: area.height - height,
        ..area
    };
    (upper, lower)
}

/// Writes a text into a row.
fn put(text: &str, tone: Tone, look: Look, row: Rect, buffer: &mut Buffer) {
    let text = fit(text, row.width.into());
    let line = Line::from(Span::styled(text, look.style(tone)));
    buffer.set_line(row.x, row.y, &line, row.width);
}

/// Writes lines from the top of an area. Those that do not fit are omitted.
fn put_all(
    lines: impl IntoIterator<Item = String>,
    tone: Tone,
    look: Look,
    area: Rect,
    buffer: &mut Buffer,
) {
    for (line, row) in lines.into_iter().zip(area.rows()) {
        put(&line, tone, look, row, buffer);
    }
}

fn header(state: &TopState, look: Look, now: f64, row: Rect, buffer: &mut Buffer) {
    let counts = state.list.summary;
    let mut right = format!("{} up", counts.up);
    for (number, name) in [(counts.down, "down"), (counts.waiting, "waiting")] {
        if number > 0 {
            right = format!("{right}, {number} {name}");
        }
    }
    let (shown, matching) = (state.list.targets.len(), state.list.matching);
    if shown < matching {
        let [shown, matching] = [shown, matching].map(|number| count(length(number)));
        right = format!("the worst {shown} of {matching} shown, {right}");
    }
    let right = format!("{right}  {} UTC", clock(now));
    let url = visible(&state.url);
    let space = usize::from(row.width);
    let fits = |left: &String| width(left) + 2 + width(&right) <= space;
    let mut lefts = [format!("{PROGRAM}  {url}"), url].into_iter();
    let left = lefts.find(fits).unwrap_or_default();
    let gap = space.saturating_sub(width(&left) + width(&right));
    let text = format!("{left}{}{right}", " ".repeat(gap));
    put(&text, Tone::Heading, look, row, buffer);
}

/// Returns the line about a time without responses.
fn outage(state: &TopState, now: f64) -> Option<String> {
    let outage = state.outage.as_ref()?;
    let since = to_float(outage.since);
    let time = duration((now - since).max(0.0).floor());
    let reason = visible(&outage.reason);
    Some(format!(
        "not reachable since {} UTC ({time}): {reason}",
        clock(since)
    ))
}

fn footer(state: &TopState, look: Look, row: Rect, buffer: &mut Buffer) {
    if state.is_typing {
        let filter = visible(&state.filter);
        let text = format!("filter: {filter}_  Enter keeps it, Esc clears it");
        put(&text, Tone::Heading, look, row, buffer);
        return;
    }
    let order = match state.pane {
        Pane::Targets => state.target_order.name(),
        Pane::Namespaces => state.namespace_order.name(),
    };
    let filter = if state.filter.is_empty() {
        "/ filter".to_owned()
    } else {
        format!("/ filter: {}", visible(&state.filter))
    };
    let enter = if state.is_zoomed { "all" } else { "one" };
    let text = format!("q quit  ? help  s sort: {order}  Enter {enter}  Tab focus  {filter}");
    put(&text, Tone::Dim, look, row, buffer);
}

/// Formats a value with its limit.
fn of_limit(used: Option<f64>, limit: Option<f64>, format: fn(f64) -> String) -> String {
    match (used, limit) {
        (Some(used), Some(limit)) => format!("{} of {}", format(used), format(limit)),
        (Some(used), None) => format(used),
        (None, _) => UNKNOWN.to_owned(),
    }
}

#[cfg(test)]
mod tests;
