//! Runbooks as pages. They are written in a small part of Markdown. Pure.

use super::super::runbook::text_of;
use super::Html;
use super::layout::{PageFrame, page};

/// Returns the page of a runbook, if there is one for this alert.
#[must_use]
pub fn runbook(alert: &str) -> Option<String> {
    let text = text_of(alert)?;
    let frame = PageFrame {
        title: &format!("{alert} · redis-namespace-exporter"),
        root: "../",
        time: None,
        refresh: f64::INFINITY,
        links: &[],
    };
    Some(page(&frame, |html| {
        html.raw("<article class=\"text\">\n");
        blocks(html, text);
        html.raw("</article>\n");
    }))
}

/// Adds headings, paragraphs, lists and code.
fn blocks(html: &mut Html, text: &'static str) {
    let (mut is_code, mut is_list) = (false, false);
    for line in text.lines() {
        if line.starts_with("```") {
            html.raw(if is_code {
                "</code></pre>\n"
            } else {
                "<pre tabindex=\"0\"><code>"
            });
            is_code = !is_code;
            continue;
        }
        if is_code {
            html.text(line).raw("\n");
            continue;
        }
        let item = line.strip_prefix("- ");
        if is_list && item.is_none() {
            html.raw("</ul>\n");
            is_list = false;
        }
        if let Some(item) = item {
            html.raw(if is_list { "<li>" } else { "<ul>\n<li>" });
            inline(html, item);
            html.raw("</li>\n");
            is_list = true;
        } else if let Some(heading) = line.strip_prefix("## ") {
            html.wrap("<h2>", heading, "</h2>\n");
        } else if let Some(heading) = line.strip_prefix("# ") {
            html.wrap("<h1>", heading, "</h1>\n");
        } else if !line.trim().is_empty() {
            html.raw("<p>");
            inline(html, line);
            html.raw("</p>\n");
        }
    }
    html.raw(if is_list { "</ul>\n" } else { "" });
}

/// Adds a line with code in backticks, and links to other runbooks.
fn inline(html: &mut Html, line: &str) {
    for (at, part) in line.split('`').enumerate() {
        if at % 2 == 1 {
            html.wrap("<code>", part, "</code>");
        } else {
            links(html, part);
        }
    }
}

fn links(html: &mut Html, text: &str) {
    let mut rest = text;
    while let Some((before, name, target, after)) = next_link(rest) {
        html.text(before);
        let alert = target
            .strip_suffix(".md")
            .filter(|alert| text_of(alert).is_some());
        match alert {
            Some(alert) => html.wrap("<a href=\"", alert, "\">").wrap("", name, "</a>"),
            // Other pages of the book are not in the program.
            None => html.text(name),
        };
        rest = after;
    }
    html.text(rest);
}

/// Returns the text before the next link, its name, its target, and the text after it.
fn next_link(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, rest) = text.split_once('[')?;
    let (name, rest) = rest.split_once("](")?;
    let (target, after) = rest.split_once(')')?;
    Some((before, name, target, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_becomes_html() {
        let page = runbook("RedisDown").unwrap();
        for part in [
            "<h1>RedisDown</h1>",
            "<h2>Diagnosis</h2>",
            "<pre tabindex=\"0\"><code>redis-cli -u &quot;$REDIS_URL&quot; PING\n",
            "<a href=\"RedisRejectedConnections\">RedisRejectedConnections</a>",
            "<code>refused</code> and <code>closed</code>",
            "<li>Start the server",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert!(!page.contains("```") && !page.contains("](") && !page.contains("<script"));
        assert_eq!(page.matches("<ul>").count(), page.matches("</ul>").count());
    }

    #[test]
    fn every_alert_has_a_runbook() {
        let rules = include_str!("../../../alerts/redis.rules.yml").lines();
        let alerts = rules.filter_map(|line| line.trim().strip_prefix("- alert: "));
        let mut count = 0;
        for alert in alerts {
            let page = runbook(alert).unwrap_or_else(|| panic!("{alert} has no runbook"));
            assert!(
                !page.contains("```") && !page.contains("]("),
                "{alert} {page}"
            );
            count += 1;
        }
        assert!(count > 80, "{count}");
        assert!(runbook("../../Cargo").is_none() && runbook("").is_none());
    }
}
