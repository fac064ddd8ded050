//! The page at `/`: all targets, the worst first. Pure.

use super::super::card::Card;
use super::super::overview::{Overview, PER_PAGE, StateCounts};
use super::Html;
use super::card::{card, level, problems, state};
use super::layout::{PageFrame, page};
use super::table::compact;
use crate::number::length;
use crate::quantity::{age, counted};

/// Maximum number of targets as cards. More are a table.
const CARDS_MAX: usize = 12;

/// Returns the page. `metrics` is the path of all metrics.
#[must_use]
pub fn overview(model: &Overview, metrics: &str, paths: &[(String, &'static str)]) -> String {
    let intervals = model
        .targets
        .iter()
        .filter_map(|card| card.poll_interval_seconds);
    let metrics = metrics.trim_start_matches('/').to_owned();
    let links = [("Metrics", metrics), ("JSON", "api/v1/targets".to_owned())];
    let title = title(&model.summary, !model.problems.is_empty());
    let frame = PageFrame {
        title: &format!("{title} · redis-namespace-exporter"),
        root: "",
        time: Some(model.time),
        refresh: intervals.reduce(f64::min).unwrap_or(f64::INFINITY),
        links: &links,
    };
    page(&frame, |html| {
        headline(html, model, &title);
        problems(html, &model.problems, usize::MAX, "");
        let is_compact = model.summary.total > CARDS_MAX;
        if is_compact || !model.query.is_empty() {
            search(html, model);
        }
        if is_compact {
            compact(html, model);
        } else {
            html.raw("<div class=\"cards\">\n");
            for target in &model.targets {
                card(html, target);
            }
            html.raw("</div>\n");
        }
        pager(html, model);
        endpoints(html, paths, &links[0].1);
        footer(html, model);
    })
}

/// Returns one sentence about all targets.
fn title(summary: &StateCounts, has_problems: bool) -> String {
    let StateCounts {
        total,
        down,
        waiting,
        critical,
        warning,
        ..
    } = *summary;
    let is_one = total == 1;
    let of = |number: usize, one: &str, many: &str| {
        let verb = if number == 1 { one } else { many };
        format!("{number} of {total} targets {verb}")
    };
    if total == 0 {
        "No targets are configured".to_owned()
    } else if down > 0 {
        if is_one {
            "The target is down".to_owned()
        } else {
            of(down, "is down", "are down")
        }
    } else if critical > 0 {
        if is_one {
            "The target has a critical problem".to_owned()
        } else {
            of(critical, "has a critical problem", "have critical problems")
        }
    } else if warning > 0 {
        if is_one {
            "The target needs attention".to_owned()
        } else {
            of(warning, "needs attention", "need attention")
        }
    } else if waiting > 0 {
        if is_one {
            "The target was not polled yet".to_owned()
        } else {
            of(waiting, "was not polled yet", "were not polled yet")
        }
    } else if has_problems {
        "The exporter needs attention".to_owned()
    } else if is_one {
        "The target is fine".to_owned()
    } else {
        format!("All {total} targets are fine")
    }
}

fn headline(html: &mut Html, model: &Overview, title: &str) {
    let summary = &model.summary;
    let level = match summary {
        _ if summary.critical > 0 => "critical",
        _ if summary.warning > 0 || !model.problems.is_empty() => "warning",
        _ => "fine",
    };
    html.wrap("<div class=\"headline\"><h1 class=\"", level, "\">")
        .wrap("", title, "</h1>");
    let more = [
        (summary.up, "up", "up"),
        (summary.down, "down", "down"),
        (
            summary.critical.saturating_sub(summary.down),
            "with a critical problem",
            "with critical problems",
        ),
        (summary.warning, "with a warning", "with warnings"),
        (summary.waiting, "not polled yet", "not polled yet"),
    ];
    html.raw("<p>");
    let shown = more.iter().filter(|(number, ..)| *number > 0);
    for (at, (number, one, many)) in shown.enumerate() {
        html.raw(if at > 0 { " <i>·</i> " } else { "" })
            .text(counted(length(*number), one, many));
    }
    html.raw("</p></div>\n");
}

fn search(html: &mut Html, model: &Overview) {
    html.raw("<form class=\"search\" role=\"search\"><label for=\"q\">Find a target</label> ")
        .raw("<input id=\"q\" name=\"q\" type=\"search\" autocomplete=\"off\" value=\"")
        .wrap("", &model.query, "\"> <button>Find</button></form>\n");
}

/// Adds the number of targets that are not shown, and links to them.
fn pager(html: &mut Html, model: &Overview) {
    let shown = model.targets.len();
    if shown == model.matching && model.matching == model.summary.total {
        return;
    }
    let (first, last) = (model.offset + 1, model.offset + shown);
    let (matching, total) = (model.matching, model.summary.total);
    html.raw("<nav class=\"pager\" aria-label=\"More targets\"><p>");
    if shown > 0 {
        html.text(format_args!("{first}–{last} of {matching}"));
    } else if matching > 0 {
        let targets = counted(length(matching), "target", "targets");
        html.wrap("The list ends here: it has ", targets, "");
    } else {
        html.raw("No target matches");
    }
    if matching < total {
        html.raw(if matching > 0 { " that match" } else { "" })
            .wrap(", of ", total, " in all");
    }
    if model.remaining > 0 {
        let are_more = if model.remaining == 1 {
            " more is not shown, and is not worse than these"
        } else {
            " more are not shown, none of them worse than these"
        };
        html.wrap("; ", model.remaining, are_more);
    }
    html.raw("</p>");
    if model.offset > 0 {
        link(
            html,
            model,
            model.offset.saturating_sub(model.limit),
            "Worse ones",
        );
    }
    if model.remaining > 0 {
        link(html, model, last, "Next ones");
    }
    html.raw("</nav>\n");
}

fn link(html: &mut Html, model: &Overview, offset: usize, name: &'static str) {
    let query = super::segment(&model.query);
    html.wrap("<a href=\"?q=", query, "")
        .wrap("&amp;offset=", offset, "");
    if model.limit != PER_PAGE {
        html.wrap("&amp;limit=", model.limit, "");
    }
    html.wrap("\">", name, "</a>");
}

fn endpoints(html: &mut Html, paths: &[(String, &'static str)], metrics: &str) {
    html.raw("<details class=\"paths\"><summary><h2>Paths</h2></summary>\n<ul>\n")
        .wrap("<li><a href=\"", metrics, "\">")
        .wrap("/", metrics, "</a>: metrics of all targets</li>\n");
    for (path, meaning) in paths {
        html.wrap("<li><code>", path, "</code>: ")
            .wrap("", meaning, "</li>\n");
    }
    html.raw("</ul></details>\n");
}

/// Adds the version of the exporter, and when it loaded its configuration.
fn footer(html: &mut Html, model: &Overview) {
    html.wrap(
        "<footer><p>redis-namespace-exporter ",
        model.exporter_version,
        "",
    );
    if let Some(at) = model.config_loaded_at {
        let passed = (model.time - at).max(0.0);
        html.wrap(" <i>·</i> Configuration loaded ", age(passed), "");
    }
    html.raw("</p></footer>\n");
}

/// Adds the name and the state of a target to a row.
pub(super) fn name_cells(html: &mut Html, card: &Card) {
    html.wrap("<tr class=\"", level(card), "\"")
        .wrap(" id=\"t-", super::segment(&card.name), "\">")
        .raw("<th scope=\"row\"><a href=\"")
        .wrap("", super::target_path(&card.name), "\">")
        .wrap("<bdi>", &card.name, "</bdi></a></th><td>");
    state(html, card);
    html.raw("</td>");
}
