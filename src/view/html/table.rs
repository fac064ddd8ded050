//! Many targets as a table with one row for each. Pure.

use super::super::card::{Card, TargetState};
use super::super::condition::AlertSeverity;
use super::super::overview::Overview;
use super::Html;
use super::graph::limit_bar;
use super::overview::name_cells;
use crate::quantity::{count, duration, percent, rate};

/// Adds the table.
pub(super) fn compact(html: &mut Html, model: &Overview) {
    html.raw("<table class=\"list\"><thead><tr><th scope=\"col\">Target</th>")
        .raw("<th scope=\"col\">State</th><th scope=\"col\">Memory</th>")
        .raw("<th scope=\"col\" class=\"number\">Commands/s</th>")
        .raw("<th scope=\"col\" class=\"number\">Hit ratio</th>")
        .raw("<th scope=\"col\" class=\"number\">Evictions/s</th>")
        .raw("<th scope=\"col\" class=\"number\">Clients</th>")
        .raw("<th scope=\"col\" class=\"number\">Latency</th></tr></thead>\n<tbody>\n");
    for card in &model.targets {
        row(html, card);
    }
    html.raw("</tbody></table>\n");
}

fn row(html: &mut Html, card: &Card) {
    name_cells(html, card);
    if card.state == TargetState::Up {
        figures(html, card);
    } else {
        html.raw("<td colspan=\"6\"></td>");
    }
    html.raw("</tr>\n");
    why(html, card);
}

fn figures(html: &mut Html, card: &Card) {
    html.raw("<td class=\"memory\" data-name=\"Memory\">");
    match card.memory.ratio {
        Some(ratio) => {
            html.wrap("<span>", percent(ratio), "</span>");
            limit_bar(html, ratio);
        }
        None => {
            html.text(
                card.memory
                    .used
                    .map_or_else(|| "–".to_owned(), crate::quantity::bytes),
            );
        }
    }
    html.raw("</td>");
    let cells = [
        ("Commands/s", card.commands_per_second.map(rate)),
        ("Hit ratio", card.hit_ratio.map(percent)),
        ("Evictions/s", card.evictions_per_second.map(rate)),
        ("Clients", card.clients.used.map(count)),
        ("Latency", card.latency.command_seconds.map(duration)),
    ];
    for (name, value) in cells {
        html.wrap("<td class=\"number\" data-name=\"", name, "\">")
            .wrap("", value.as_deref().unwrap_or("–"), "</td>");
    }
}

/// Adds a row with the most severe problem.
fn why(html: &mut Html, card: &Card) {
    let problem = card.problems.first();
    // Information is not a reason to act. The page of the target has it.
    if let Some(problem) = problem.filter(|problem| problem.severity != AlertSeverity::Info) {
        let path = problem.runbook.trim_start_matches('/');
        html.raw("<tr class=\"why\"><td colspan=\"8\">")
            .raw("<bdi>")
            .marked(&problem.text)
            .wrap("</bdi> <a href=\"", path, "\">")
            .wrap(
                "What to do<span class=\"hidden\"> about ",
                problem.alert,
                "</span></a>",
            );
        let more = card.problems.len() - 1;
        if more > 0 {
            html.wrap(" and ", more, " more");
        }
        html.raw("</td></tr>\n");
    }
}
