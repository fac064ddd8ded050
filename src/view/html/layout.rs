//! The frame of all pages, and the files that they load. Pure.

use super::Html;
use crate::quantity::clock;

/// A file that pages load.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its name in the path.
    pub name: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its content.
    pub content: &'static str,
}

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const ICON: &str = include_str!("icon.svg");

static ASSETS: [Asset; 3] = [
    Asset {
        name: "page.css",
        content_type: "text/css; charset=utf-8",
        content: STYLE,
    },
    Asset {
        name: "page.js",
        content_type: "text/javascript; charset=utf-8",
        content: SCRIPT,
    },
    Asset {
        name: "icon.svg",
        content_type: "image/svg+xml",
        content: ICON,
    },
];

/// Changes with the content of the files, so that browsers never use old ones.
const VERSION: u32 = digest(SCRIPT, digest(STYLE, 0));

const fn digest(text: &str, start: u32) -> u32 {
    let bytes = text.as_bytes();
    let (mut at, mut digest) = (0, start ^ 0x811c_9dc5);
    while at < bytes.len() {
        digest = (digest ^ byte_at(bytes, at)).wrapping_mul(0x0100_0193);
        at += 1;
    }
    digest
}

#[expect(clippy::indexing_slicing, reason = "checked at compile time")]
const fn byte_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at] as u32
}

/// Returns the file with this name.
#[must_use]
pub fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

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
