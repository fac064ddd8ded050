//! The page of one target. Pure.

use super::super::card::{Card, TargetState};
use super::super::commands::CommandRow;
use super::super::detail::TargetDetail;
use super::super::rejected::{MissingPermissions, RejectedRow};
use super::Html;
use super::card::{about, figures, level, permissions, polled, problems, state};
use super::graph::{share_bar, span};
use super::layout::{PageFrame, page};
use super::namespaces::{keys, namespaces};
use crate::quantity::{age, count, duration, percent};

/// Returns the page. `has_probe` is whether the exporter serves the metrics of single targets.
#[must_use]
pub fn detail(model: &TargetDetail, has_probe: bool) -> String {
    let card = &model.target;
    let name = super::segment(&card.name);
    let mut links = Vec::new();
    if has_probe {
        links.push(("Metrics", format!("probe?target={name}")));
        links.push(("Last poll", format!("probe?target={name}&debug=1")));
    }
    links.push(("JSON", format!("api/v1/targets/{name}")));
    let frame = PageFrame {
        title: &format!("{} · redis-namespace-exporter", super::visible(&card.name)),
        root: "../",
        time: Some(model.time),
        refresh: card.poll_interval_seconds.unwrap_or(f64::INFINITY),
        links: &links,
    };
    page(&frame, |html| {
        html.raw("<p class=\"back\"><a href=\"../\">All targets</a></p>\n")
            .wrap("<div class=\"headline ", level(card), "\">")
            .wrap("<h1><bdi>", &card.name, "</bdi></h1>");
        state(html, card);
        html.raw("</div>\n");
        about(html, card);
        problems(html, &card.problems, usize::MAX, "../");
        if card.state == TargetState::Up {
            html.raw("<section class=\"card plain\" aria-label=\"Figures\">\n");
            figures(html, card);
            html.raw("</section>\n");
            covered(html, card);
            namespaces(html, model);
            keys(html, &model.keys);
            commands(html, &model.commands);
            rejected(html, &model.rejected, model.grant.as_ref());
        } else if let Some(grant) = &model.grant {
            // Without INFO, polls fail before any other query.
            html.raw("<section aria-labelledby=\"grant\">")
                .raw("<h2 id=\"grant\">Missing permissions</h2>\n");
            permissions(html, grant);
            html.raw("</section>\n");
        }
        details(html, card);
        ages(html, model);
    })
}

/// Adds more about the failure of the last poll, unless a problem has it.
fn details(html: &mut Html, card: &Card) {
    let detail = card.failure.as_ref().and_then(|one| one.detail.as_deref());
    let is_shown = |detail: &&str| card.problems.iter().any(|one| one.text.contains(*detail));
    if let Some(detail) = detail.filter(|detail| !is_shown(detail)) {
        html.wrap(
            "<p class=\"quiet details\">Details: <bdi>",
            detail,
            "</bdi></p>\n",
        );
    }
}

/// Adds the time that the graphs cover.
fn covered(html: &mut Html, card: &Card) {
    let trends = &card.trends;
    if trends.memory_bytes.len() > 1 {
        let span = span(trends.memory_bytes.len(), trends.step_seconds);
        html.wrap("<p class=\"quiet\">Graphs: ", span, "</p>\n");
    }
}

fn commands(html: &mut Html, commands: &[CommandRow]) {
    if commands.is_empty() {
        return;
    }
    html.raw("<section aria-labelledby=\"commands\"><h2 id=\"commands\">Commands</h2>\n")
        .raw("<p class=\"quiet\">Slow ones first, then those that take most of the server's time.</p>\n")
        .raw("<table class=\"list narrow\"><thead><tr><th scope=\"col\">Command</th>")
        .raw("<th scope=\"col\" class=\"number\">Calls</th>")
        .raw("<th scope=\"col\" class=\"number\">Mean</th>")
        .raw("<th scope=\"col\" class=\"number\">Time</th>")
        .raw("<th scope=\"col\" class=\"number\">In the slow log</th></tr></thead>\n<tbody>\n");
    for row in commands {
        let slow = row.slow.filter(|slow| *slow > 0.0);
        html.wrap(
            "<tr><th scope=\"row\"><bdi>",
            row.command.replace('|', " "),
            "</bdi></th>",
        )
        .wrap(
            "<td class=\"number\">",
            shown(row.calls.map(count)),
            "</td>",
        )
        .wrap(
            "<td class=\"number\">",
            shown(row.mean_seconds.map(duration)),
            "</td>",
        )
        .wrap(
            "<td class=\"number share\">",
            shown(row.time_share.map(percent)),
            "",
        );
        share_bar(html, row.time_share.unwrap_or(0.0), "plain");
        html.wrap("</td><td class=\"number\">", shown(slow.map(count)), "");
        if let Some(own) = row.slow_of_exporter.filter(|own| *own > 0.0) {
            html.wrap("<small>", count(own), " of the exporter</small>");
        }
        html.raw("</td></tr>\n");
    }
    html.raw("</tbody></table></section>\n");
}

fn shown(value: Option<String>) -> String {
    value.unwrap_or_else(|| "–".to_owned())
}

fn rejected(html: &mut Html, rejected: &[RejectedRow], grant: Option<&MissingPermissions>) {
    if rejected.is_empty() {
        return;
    }
    html.raw("<section aria-labelledby=\"rejected\"><h2 id=\"rejected\">Rejected queries</h2>\n")
        .raw("<p class=\"quiet\">The values of these queries are missing.</p>\n")
        .raw("<table class=\"list\"><thead><tr><th scope=\"col\">Collector</th>")
        .raw("<th scope=\"col\">Command</th><th scope=\"col\">Reason</th></tr></thead>\n<tbody>\n");
    for RejectedRow {
        collector,
        command,
        remedy,
    } in rejected
    {
        html.wrap("<tr><th scope=\"row\">", collector, "</th>")
            .wrap("<td data-name=\"Command\"><code>", command, "</code></td>")
            .wrap(
                "<td class=\"whole\" data-name=\"Reason\"><bdi>",
                remedy,
                "</bdi></td></tr>\n",
            );
    }
    html.raw("</tbody></table>\n");
    if let Some(grant) = grant {
        permissions(html, grant);
    }
    html.raw("</section>\n");
}

/// Adds how old each part of the page is.
fn ages(html: &mut Html, model: &TargetDetail) {
    let (card, sweep) = (&model.target, &model.sweep);
    let interval = card.poll_interval_seconds.map(|interval| {
        // A configured time has no decimals that mean anything.
        format!(", every {}", duration(interval).replace(".0 ", " "))
    });
    let polled = polled(card) + &interval.unwrap_or_default();
    if card.state != TargetState::Up {
        html.wrap("<p class=\"quiet details\">State: ", polled, ".</p>\n");
        return;
    }
    html.raw("<section aria-labelledby=\"ages\"><h2 id=\"ages\">How old the values are</h2>\n<ul class=\"ages\">")
        .wrap("<li>Figures: ", polled, "</li>");
    for database in &sweep.databases {
        let old = database.age_seconds.map(duration);
        html.wrap("<li>Namespaces of ", &database.db, ": up to ")
            .wrap("", shown(old), " old, from ")
            .wrap(
                "",
                shown(database.coverage.map(percent)),
                " of the keys</li>",
            );
    }
    if let Some(ended) = sweep.last_pass_at {
        html.wrap(
            "<li>Last complete pass over all keys: ",
            age(model.time - ended),
            "",
        );
        if let Some(took) = sweep.pass_seconds {
            html.wrap(", in ", duration(took), "");
        }
        html.raw("</li>");
    }
    if let Some(uptime) = card.uptime_seconds {
        html.wrap("<li>Server: up for ", duration(uptime), "</li>");
    }
    html.raw("</ul></section>\n");
}
