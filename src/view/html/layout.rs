//! The frame of all pages. Pure.

use super::Html;
use super::assets::VERSION;
use crate::quantity::clock;

/// The frame of a page.
pub(super) struct PageFrame<'a> {
    /// The title.
    pub(super) title: &'a str,
    /// The path of `/` relative to the page, such as `../`.
    pub(super) root: &'a str,
    /// The time of the response, in seconds since the epoch; `None` for texts.
    pub(super) time: Option<f64>,
    /// Time between two refreshes, in seconds.
    pub(super) refresh: f64,
    /// The path of the metrics, relative to the root, and the path of the same data in JSON.
    pub(super) links: &'a [(&'static str, String)],
}

/// Shortest and longest time between two refreshes, in seconds.
const REFRESH_MIN: f64 = 1.0;
const REFRESH_MAX: f64 = 10.0;

/// Returns a page with this main part.
pub(super) fn page(frame: &PageFrame<'_>, main: impl FnOnce(&mut Html)) -> String {
    let mut html = Html::default();
    head(&mut html, frame);
    html.raw(
        "<body>\n<a class=\"skip\" href=\"#main\">Skip to content</a>\n<header class=\"top\">",
    )
    .wrap("<p class=\"brand\"><a href=\"", home(frame.root), "\">")
    .raw(
        "<svg viewBox=\"0 0 16 16\" aria-hidden=\"true\"><path d=\"M8 1l6 3-6 3-6-3z\"/>\
              <path d=\"M2 7.2l6 3 6-3M2 10.6l6 3 6-3\"/></svg>",
    )
    .raw("redis-namespace-exporter</a> ")
    .wrap("<span>", env!("CARGO_PKG_VERSION"), "</span></p>");
    html.raw("<nav aria-label=\"Data\">");
    for (name, path) in frame.links {
        html.wrap("<a href=\"", frame.root, "")
            .wrap("", path, "\">")
            .wrap("", name, "</a>");
    }
    html.raw("</nav>");
    if let Some(time) = frame.time {
        let time = clock(time);
        html.raw("<p id=\"live\" class=\"live\" role=\"status\">")
            .wrap("As of ", time, " UTC</p>");
    }
    let refresh = frame.refresh.clamp(REFRESH_MIN, REFRESH_MAX);
    html.raw("</header>\n<main id=\"main\" tabindex=\"-1\"");
    if frame.time.is_some() {
        html.wrap(" data-refresh=\"", refresh, "\"");
    }
    html.raw(">\n");
    main(&mut html);
    html.raw("</main>\n");
    html.raw("</body>\n</html>\n");
    html.into_text()
}

/// Returns the link to `/`. An empty link would be the page itself with its parameters.
fn home(root: &str) -> &str {
    if root.is_empty() { "./" } else { root }
}

fn head(html: &mut Html, frame: &PageFrame<'_>) {
    let version = format!("{VERSION:08x}");
    html.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
        .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
        .raw("<meta name=\"color-scheme\" content=\"light dark\">\n")
        .wrap("<title>", frame.title, "</title>\n")
        .wrap(
            "<link rel=\"icon\" href=\"",
            frame.root,
            "assets/icon.svg\">\n",
        )
        .wrap(
            "<link rel=\"stylesheet\" href=\"",
            frame.root,
            "assets/page.css?",
        )
        .wrap("", &version, "\">\n");
    if frame.time.is_some() {
        html.wrap("<script defer src=\"", frame.root, "assets/page.js?")
            .wrap("", &version, "\"></script>\n");
    }
    html.raw("</head>\n");
}
