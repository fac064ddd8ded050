//! The summary of a target: its name, its problems, and its figures. Pure.

use super::super::card::{Card, LimitUse, TargetState};
use super::super::condition::{AlertSeverity, TargetProblem};
use super::super::rejected::MissingPermissions;
use super::Html;
use super::graph::{limit_bar, span, sparkline};
use super::largest::largest;
use crate::quantity::{age, bytes, count, counted, duration, percent, rate};

/// Maximum number of problems on a card. The page of the target has all.
const PROBLEMS_MAX: usize = 3;

/// Adds the card of a target.
pub(super) fn card(html: &mut Html, card: &Card) {
    // The script recognizes a target by its id, wherever it is in the list.
    let id = super::segment(&card.name);
    html.wrap("<article class=\"card ", level(card), "\"")
        .wrap(" id=\"t-", &id, "\"")
        .wrap(" aria-labelledby=\"name-", &id, "\">\n");
    html.wrap("<header><h2 id=\"name-", &id, "\">")
        .wrap("<a href=\"", super::target_path(&card.name), "\">")
        .wrap("<bdi>", &card.name, "</bdi></a></h2>");
    state(html, card);
    html.raw("</header>\n");
    about(html, card);
    problems(html, &card.problems, PROBLEMS_MAX, "");
    hidden(html, card);
    if let Some(grant) = &card.grant {
        html.raw("<details class=\"grant\"><summary>Grant the missing permissions</summary>");
        permissions(html, grant);
        html.raw("</details>\n");
    }
    if card.state == TargetState::Up {
        figures(html, card);
        largest(html, card);
    }
    html.raw("</article>\n");
}

/// Returns the class for the state of a target.
pub(super) fn level(card: &Card) -> &'static str {
    match (card.state, card.severity) {
        (TargetState::Down, _) | (_, Some(AlertSeverity::Critical)) => "critical",
        (_, Some(AlertSeverity::Warning)) => "warning",
        (TargetState::Waiting, _) => "waiting",
        _ => "fine",
    }
}

/// Adds the state of a target, as a word with a sign.
pub(super) fn state(html: &mut Html, card: &Card) {
    let word = match (card.state, card.severity) {
        (TargetState::Down, _) => "Down",
        (TargetState::Waiting, _) => "Not polled yet",
        (TargetState::Up, Some(AlertSeverity::Critical)) => "Critical",
        (TargetState::Up, Some(AlertSeverity::Warning)) => "Needs attention",
        (TargetState::Up, _) => "Fine",
    };
    let level = level(card);
    html.wrap("<p class=\"state ", level, "\">");
    sign(html, level);
    html.wrap("", word, "</p>");
}

/// Adds a sign whose shape depends on the level.
fn sign(html: &mut Html, level: &str) {
    html.raw("<svg class=\"sign\" viewBox=\"0 0 12 12\" aria-hidden=\"true\">")
        .raw(match level {
            "critical" => "<path d=\"M3.8.5h4.4l3.3 3.3v4.4l-3.3 3.3H3.8L.5 8.2V3.8z\"/>",
            "warning" => "<path d=\"M6 .8l5.6 10.4H.4z\"/>",
            "fine" => "<path class=\"open\" d=\"M1.5 6.5l3 3 6-7\"/>",
            _ => "<circle class=\"open\" cx=\"6\" cy=\"6\" r=\"4\"/>",
        })
        .raw("</svg>");
}

/// Adds one line about the server.
pub(super) fn about(html: &mut Html, card: &Card) {
    let keys = card.keys.map(|keys| counted(keys, "key", "keys"));
    // The kind contains the beginning of the version.
    let server = match (&card.server, &card.version) {
        (Some(server), Some(version)) => Some(format!("{server} ({version})")),
        (server, version) => server.clone().or_else(|| version.clone()),
    };
    let shard = card.shard.as_ref().map(|shard| format!("shard {shard}"));
    let parts = [
        Some(card.address.clone()),
        server,
        card.role.clone(),
        shard,
        card.maxmemory_policy.clone(),
        keys,
    ];
    html.raw("<p class=\"about\">");
    for (at, part) in parts.iter().flatten().enumerate() {
        html.raw(if at > 0 { " <i>·</i> " } else { "" })
            .wrap("<bdi>", part, "</bdi>");
    }
    html.raw("</p>\n");
}

/// Adds the list of problems.
pub(super) fn problems(
    html: &mut Html,
    problems: &[TargetProblem],
    most: usize,
    root: &'static str,
) {
    if problems.is_empty() {
        return;
    }
    html.raw("<ul class=\"problems\">\n");
    for problem in problems.iter().take(most) {
        let class = match problem.severity {
            AlertSeverity::Critical => "critical",
            AlertSeverity::Warning => "warning",
            AlertSeverity::Info => "info",
        };
        let (path, word) = (
            problem.runbook.trim_start_matches('/'),
            problem.severity.word(),
        );
        html.wrap("<li class=\"", class, "\">");
        sign(html, class);
        html.wrap("<span><b>", word, "</b> ")
            .raw("<bdi>")
            .marked(&problem.text)
            .raw("</bdi> ")
            .wrap("<a href=\"", root, "")
            .wrap("", path, "\">")
            .wrap(
                "What to do<span class=\"hidden\"> about ",
                problem.alert,
                "</span></a></span></li>\n",
            );
    }
    html.raw("</ul>\n");
}

/// Adds a link to the problems that a card does not show.
fn hidden(html: &mut Html, card: &Card) {
    let hidden = card.problems.len().saturating_sub(PROBLEMS_MAX);
    if hidden > 0 {
        let path = super::target_path(&card.name);
        html.wrap("<p class=\"more\">and <a href=\"", path, "\">")
            .wrap("", hidden, " more<span class=\"hidden\"> about ")
            .wrap("", &card.name, "</span></a></p>\n");
    }
}

/// Adds a command to copy that grants missing permissions.
pub(super) fn permissions(html: &mut Html, grant: &MissingPermissions) {
    html.raw("<p>");
    let is_default = grant.command.starts_with("ACL SETUSER default ");
    html.raw(if grant.replaces {
        "This command gives the user all permissions that the exporter needs, and takes all \
         others. The password stays. Do not use it for a user that applications share."
    } else if is_default {
        "The exporter uses the default user, like applications without a username. This \
         command only adds permissions."
    } else {
        "Every poll needs these permissions. This command only adds permissions."
    });
    if let Some(address) = &grant.also_at {
        html.wrap(" It is also needed at <bdi>", address, "</bdi>.");
    }
    html.wrap(
        "</p>\n<pre class=\"copy\" tabindex=\"0\"><code>",
        &grant.command,
        "</code></pre>\n",
    );
}

/// Adds the main figures.
pub(super) fn figures(html: &mut Html, card: &Card) {
    let trends = &card.trends;
    let span = span(trends.memory_bytes.len(), trends.step_seconds);
    let label = |what: &str| format!("{what} {span}");
    html.raw("<dl class=\"figures\">\n");
    memory(html, &card.memory);
    sparkline(html, &trends.memory_bytes, None, &label("Memory"));
    html.raw("</dd></div>\n");
    let hits = card.hit_ratio.map(percent);
    for (name, value, unit, series, top) in [
        (
            "Commands",
            card.commands_per_second.map(rate),
            "/s",
            &trends.commands_per_second,
            None,
        ),
        ("Hit ratio", hits, "", &trends.hit_ratio, Some(1.0)),
        (
            "Evictions",
            card.evictions_per_second.map(rate),
            "/s",
            &trends.evictions_per_second,
            None,
        ),
    ] {
        let is_quiet = value.is_none();
        figure(html, name, value.as_deref(), unit);
        if is_quiet {
            html.raw("<svg class=\"spark\" aria-hidden=\"true\"></svg>");
        } else {
            sparkline(html, series, top, &label(name));
        }
        html.raw("</dd></div>\n");
    }
    clients(html, &card.clients);
    latency(html, card);
    html.raw("</dl>\n");
}

/// Starts a figure. Unknown values are a dash.
fn figure(html: &mut Html, name: &'static str, value: Option<&str>, unit: &'static str) {
    html.wrap("<div><dt>", name, "</dt><dd>");
    match value {
        None => html.raw("<b class=\"none\">–<span class=\"hidden\"> unknown</span></b>"),
        Some(value) => html.wrap("<b>", value, "</b>"),
    };
    if value.is_some() && !unit.is_empty() {
        html.wrap("<small>", unit, "</small>");
    }
}

fn memory(html: &mut Html, memory: &LimitUse) {
    html.raw("<div class=\"memory\"><dt>Memory</dt><dd>");
    let Some(used) = memory.used else {
        html.raw("<b class=\"none\">–<span class=\"hidden\"> unknown</span></b>");
        return;
    };
    html.wrap("<b>", bytes(used), "</b>");
    match memory.limit.zip(memory.ratio) {
        Some((limit, ratio)) => {
            html.wrap("<small> of ", bytes(limit), ", ").wrap(
                "<em>",
                percent(ratio),
                "</em></small>",
            );
            limit_bar(html, ratio);
        }
        None => {
            html.raw("<small> without a limit</small>");
        }
    }
}

fn clients(html: &mut Html, clients: &LimitUse) {
    let used = clients.used.map(count);
    figure(html, "Clients", used.as_deref(), "");
    if let Some(limit) = clients.limit {
        html.wrap("<small class=\"under\">of ", count(limit), "</small>");
    }
    html.raw("</dd></div>\n");
}

fn latency(html: &mut Html, card: &Card) {
    let mean = card.latency.command_seconds.map(duration);
    figure(html, "Time per command", mean.as_deref(), "");
    if let Some(ping) = card.latency.ping_seconds {
        html.wrap("<small class=\"under\">PING ", duration(ping), "</small>");
    }
    html.raw("</dd></div>\n");
}

/// Returns how old the values of a target are.
pub(super) fn polled(card: &Card) -> String {
    card.age_seconds.map_or_else(
        || "not polled yet".to_owned(),
        |seconds| format!("polled {}", age(seconds)),
    )
}
