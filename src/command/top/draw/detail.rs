//! The selected target: facts, problems, graphs, namespaces. Pure.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{namespaces, of_limit, put, put_all, split, trends};
use crate::command::top::look::{Look, Tone, tone_of};
use crate::command::top::received::ListedTarget;
use crate::command::top::state::TopState;
use crate::command::top::text::{UNKNOWN, or_unknown, visible, width, wrap};
use crate::quantity::{age, bytes, count, duration, rate};

/// Height from which there are graphs.
const TRENDS_FROM: u16 = 10;

/// Height from which there is a second line of facts.
const FACTS_FROM: u16 = 13;

/// Rows that the namespaces have at least, before there are graphs.
const NAMESPACES_LEAST: u16 = 3;

/// Maximum number of lines about problems next to the list of targets.
const PROBLEMS_MAX: u16 = 3;

/// Draws what fits, the most important first.
pub fn draw(state: &TopState, look: Look, area: Rect, buffer: &mut Buffer) {
    let report = state.report.as_ref();
    let targets = state.targets();
    let listed = state.place(&targets).and_then(|place| targets.get(place));
    let Some(target) = report.map(|report| &report.target).or(listed.copied()) else {
        return;
    };
    let (row, rest) = split(area, 1);
    put(&title(target, row.width), Tone::Heading, look, row, buffer);
    let most = match area.height {
        _ if state.is_zoomed => 3,
        FACTS_FROM.. => 2,
        _ => 1,
    };
    let facts = facts(target, rest.width.into(), most);
    let (rows, rest) = split(rest, u16::try_from(facts.len()).unwrap_or(1));
    put_all(facts, Tone::Plain, look, rows, buffer);
    let limit = if state.is_zoomed {
        rest.height / 2
    } else {
        PROBLEMS_MAX.min(rest.height / 3)
    };
    let lines = problems(state, target, rest.width.into(), limit.into());
    let (rows, rest) = split(rest, u16::try_from(lines.len()).unwrap_or(limit));
    for ((line, tone), row) in lines.iter().zip(rows.rows()) {
        put(line, *tone, look, row, buffer);
    }
    let Some(report) = report else {
        put_all(["Loading …".to_owned()], Tone::Dim, look, rest, buffer);
        return;
    };
    let graphs = trends::height(rest.width);
    let has_history = !report.history.memory_bytes.is_empty();
    let has_room = area.height >= TRENDS_FROM && rest.height >= graphs + NAMESPACES_LEAST;
    let (rows, rest) = split(rest, if has_history && has_room { graphs } else { 0 });
    trends::draw(&report.history, look, rows, buffer);
    if report.namespaces.is_empty() {
        let text = "No namespaces: the sweep has seen no keys yet, or it is disabled.";
        put_all(wrap(text, rest.width.into()), Tone::Dim, look, rest, buffer);
    } else {
        namespaces::draw(state, look, rest, buffer);
    }
}

/// Returns the first line, which separates the target from the list.
fn title(target: &ListedTarget, cells: u16) -> String {
    let parts = [
        Some(target.name.as_str()),
        target.server.as_deref(),
        target.role.as_deref(),
        target.maxmemory_policy.as_deref(),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().map(visible).collect();
    let title = format!("── {} ", parts.join(" · "));
    let left = usize::from(cells).saturating_sub(width(&title));
    title + &"─".repeat(left)
}

/// Returns lines of facts.
fn facts(target: &ListedTarget, cells: usize, most: usize) -> Vec<String> {
    let memory = of_limit(target.memory.used, target.memory.limit, bytes);
    let clients = of_limit(target.clients.used, target.clients.limit, count);
    let latency = target.latency;
    let up = target.uptime_seconds.map_or_else(
        || UNKNOWN.to_owned(),
        |seconds| format!("up {}", duration(seconds)),
    );
    let facts = [
        visible(&target.address),
        format!("keys {}", or_unknown(target.keys, count)),
        format!("memory {memory}"),
        format!("clients {clients}"),
        format!("ping {}", or_unknown(latency.ping_seconds, duration)),
        format!("command {}", or_unknown(latency.command_seconds, duration)),
        format!(
            "expired/s {}",
            or_unknown(target.expirations_per_second, rate)
        ),
        up,
        format!("polled {}", or_unknown(target.age_seconds, age)),
    ];
    let known = facts.iter().filter(|fact| !fact.ends_with(UNKNOWN));
    let mut lines: Vec<String> = Vec::new();
    for fact in known {
        let last = lines.last_mut();
        if let Some(line) = last.filter(|line| width(line) + 2 + width(fact) <= cells) {
            line.push_str("  ");
            line.push_str(fact);
        } else if lines.len() < most {
            lines.push(fact.clone());
        } else {
            break;
        }
    }
    lines
}

/// Returns the lines about the problems and the namespaces, at most this number.
fn problems(
    state: &TopState,
    target: &ListedTarget,
    cells: usize,
    most: usize,
) -> Vec<(String, Tone)> {
    let problems = target.problems.iter();
    let problems = problems.map(|problem| {
        let mark = match problem.severity.as_str() {
            "critical" => "!!",
            "warning" => "!",
            _ => "-",
        };
        let text = visible(&problem.text);
        let alert = if state.is_zoomed {
            format!(" ({})", visible(&problem.alert))
        } else {
            String::new()
        };
        (format!("{mark} {text}{alert}"), tone_of(&problem.severity))
    });
    let report = state.report.as_ref().filter(|_| state.is_zoomed);
    let highlights = report.map_or(&[][..], |report| &report.highlights);
    let highlights = highlights
        .iter()
        .map(|text| (format!("- {}", visible(text)), Tone::Dim));
    let texts = problems.chain(highlights);
    if !state.is_zoomed {
        // A text that is cut is complete in the view of one target.
        return texts.take(most).collect();
    }
    let lines = texts.flat_map(|(text, tone)| {
        let lines = wrap(&text, cells).into_iter();
        lines.map(move |line| (line, tone))
    });
    lines.take(most).collect()
}
