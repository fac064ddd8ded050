//! A map of the memory. Pure.

use super::Html;
use crate::number::length;

/// A part of a map: its share of the whole, two lines of text, and the number of its color.
pub(super) struct MapPart {
    pub(super) share: f64,
    pub(super) name: String,
    pub(super) value: String,
    pub(super) color: usize,
}

/// A rectangle in percent of the map.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Area {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl Area {
    const fn new(x: f64, y: f64, width: f64, height: f64) -> Self {
        Self {
            x,
            y,
            width,
            height,
        }
    }
}

/// Width of the map divided by its height, on a wide screen.
const MAP_ASPECT: f64 = 4.0;

/// The size of a map on a wide screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MapSize {
    /// As wide as the page.
    Page,
    /// A part of a card.
    Card,
}

impl MapSize {
    /// Returns the width in pixels, and the height that a line of text needs in percent.
    const fn on_wide_screen(self) -> (f64, f64) {
        match self {
            Self::Page => (1_100.0, 20.0),
            Self::Card => (440.0, 24.0),
        }
    }
}

/// Width of a map on a phone, and the distance of a text from its edges, in pixels.
const PHONE_WIDTH: f64 = 320.0;
const TEXT_AT: f64 = 12.0;
const TEXT_END: f64 = 6.0;

/// Width of a letter of the name and of the value, in pixels.
const NAME_LETTER: f64 = 9.0;
const VALUE_LETTER: f64 = 7.5;

/// Adds a map in which the area of each part is its share. The table next to it has the numbers.
pub(super) fn map(html: &mut Html, parts: &[MapPart], size: MapSize, label: &str) {
    html.wrap(
        "<svg class=\"map\" role=\"img\" aria-label=\"",
        label,
        "\">",
    );
    let (width, height) = size.on_wide_screen();
    let shares: Vec<f64> = parts.iter().map(|part| part.share).collect();
    for (part, area) in parts.iter().zip(areas(&shares)) {
        html.wrap("<svg class=\"c", part.color, "\"")
            .wrap(" x=\"", format_args!("{:.2}%", area.x), "\"")
            .wrap(" y=\"", format_args!("{:.2}%", area.y), "\"")
            .wrap(" width=\"", format_args!("{:.2}%", area.width), "\"")
            .wrap(" height=\"", format_args!("{:.2}%", area.height), "\">")
            .raw("<rect x=\"1\" y=\"1\" width=\"100%\" height=\"100%\"/>");
        // Text that cannot fit is left out.
        let is_high = area.width * area.height > 60.0 && area.height > height;
        if is_high && has_room(&part.name, NAME_LETTER, area.width, width) {
            let fits = has_room(&part.name, NAME_LETTER, area.width, PHONE_WIDTH);
            let class = if fits { "name" } else { "name wide" };
            html.wrap("<text x=\"12\" y=\"25\" class=\"", class, "\">")
                .wrap("", &part.name, "</text>");
            let fits_value = |map| has_room(&part.value, VALUE_LETTER, area.width, map);
            if area.height > 1.5 * height && fits_value(width) {
                let fits = fits && fits_value(PHONE_WIDTH);
                html.raw("<text x=\"12\" y=\"46\"")
                    .raw(if fits { ">" } else { " class=\"wide\">" })
                    .wrap("", &part.value, "</text>");
            }
        }
        html.raw("</svg>");
    }
    html.raw("</svg>");
}

/// Returns whether a text fits into a part of a map. The width of the part is in percent; those of a
/// letter and of the map are in pixels.
fn has_room(text: &str, letter: f64, part: f64, map: f64) -> bool {
    let needed = TEXT_AT + letter * length(text.chars().count()) + TEXT_END;
    needed <= part / 100.0 * map
}

/// Divides the map so that areas are as square as possible. The shares are sorted, largest first.
fn areas(shares: &[f64]) -> Vec<Area> {
    let total: f64 = shares.iter().sum();
    let scale = 1e4 / total;
    let mut areas = Vec::with_capacity(shares.len());
    let mut rest = Area::new(0.0, 0.0, 100.0, 100.0);
    let mut left = shares;
    while total > 0.0 && left.iter().any(|share| *share > 0.0) {
        let is_wide = rest.width * MAP_ASPECT >= rest.height;
        let side = if is_wide { rest.height } else { rest.width };
        let on_screen = if is_wide { side } else { side * MAP_ASPECT };
        let (row, others) = left.split_at(row_length(left, scale * MAP_ASPECT, on_screen));
        let space = row.iter().sum::<f64>() * scale;
        let depth = (space / side).max(f64::MIN_POSITIVE);
        let mut at = 0.0;
        for share in row {
            let part = share * scale / depth;
            areas.push(if is_wide {
                Area::new(rest.x, rest.y + at, depth, part)
            } else {
                Area::new(rest.x + at, rest.y, part, depth)
            });
            at += part;
        }
        let Area {
            x,
            y,
            width,
            height,
        } = rest;
        rest = if is_wide {
            Area::new(x + depth, y, (width - depth).max(0.0), height)
        } else {
            Area::new(x, y + depth, width, (height - depth).max(0.0))
        };
        left = others;
    }
    areas
}

/// Returns how many of the next shares fit best along a side.
fn row_length(shares: &[f64], scale: f64, side: f64) -> usize {
    let worst = |row: &[f64]| {
        let sum: f64 = row.iter().map(|share| share * scale).sum();
        let depth = sum / side;
        let ratios = row.iter().map(|share| {
            let part = (share * scale / depth).max(f64::MIN_POSITIVE);
            (part / depth).max(depth / part)
        });
        ratios.fold(0.0, f64::max)
    };
    let mut best = 1;
    for count in 2..=shares.len() {
        let (Some(longer), Some(shorter)) = (shares.get(..count), shares.get(..best)) else {
            break;
        };
        if worst(longer) > worst(shorter) {
            break;
        }
        best = count;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_of_a_map_are_proportional_and_do_not_overlap() {
        for shares in [
            vec![0.6, 0.3, 0.08, 0.02],
            vec![1.0],
            vec![0.1; 10],
            vec![0.9, 0.05, 0.05, 0.0],
        ] {
            let areas = areas(&shares);
            let total: f64 = shares.iter().sum();
            let mut sum = 0.0;
            for (area, share) in areas.iter().zip(&shares) {
                let size = area.width * area.height;
                assert!((size - 1e4 * share / total).abs() < 1.0, "{area:?} {share}");
                assert!(area.x + area.width < 100.01 && area.y + area.height < 100.01);
                sum += size;
            }
            assert!((sum - 1e4).abs() < 1.0, "{shares:?}: {areas:?}");
        }
        assert!(areas(&[]).is_empty() && areas(&[0.0]).is_empty());
    }

    #[test]
    fn texts_that_do_not_fit_are_left_out() {
        let part = |name: &str, share, color| MapPart {
            name: name.to_owned(),
            value: "5.4 MiB".to_owned(),
            share,
            color,
        };
        let parts = [part("api-cache", 0.83, 1), part("session", 0.17, 2)];
        let of = |size| {
            let mut html = Html::default();
            map(&mut html, &parts, size, "");
            html.into_text()
        };
        assert!(!of(MapSize::Card).contains("session"));
        assert!(of(MapSize::Page).contains("session"));
    }

    #[test]
    fn texts_that_a_phone_would_cut_are_marked() {
        let part = |name: &str, share, color| MapPart {
            name: name.to_owned(),
            value: "5.4 MiB".to_owned(),
            share,
            color,
        };
        let parts = [part("api-cache", 0.8, 1), part("session", 0.2, 2)];
        let mut html = Html::default();
        map(&mut html, &parts, MapSize::Card, "");
        let text = html.into_text();
        for expected in [
            "class=\"name\">api-cache<",
            "y=\"46\">5.4 MiB<",
            "class=\"name wide\">session<",
            "class=\"wide\">5.4 MiB<",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
