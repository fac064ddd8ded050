//! Tables whose columns fit the width of the screen. Pure.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::look::{Look, Tone};
use super::text::{fit, width};

/// Cells between two columns.
const GAP: usize = 1;

/// A column of a table. The first one gets the space that is left.
#[derive(Clone, Copy, Debug)]
pub struct GridColumn {
    /// The heading.
    pub title: &'static str,
    /// Columns with a higher rank are omitted first.
    pub rank: u8,
    /// Minimum width.
    pub least: usize,
    /// Whether the cells are aligned to the right.
    pub is_right: bool,
}

/// Returns a column with this heading, rank and minimum width.
#[must_use]
pub const fn column(title: &'static str, rank: u8, least: usize, is_right: bool) -> GridColumn {
    GridColumn {
        title,
        rank,
        least,
        is_right,
    }
}

/// A cell: its parts with their tones.
pub type GridCell = Vec<(String, Tone)>;

/// A part of a table: the rows on the screen.
#[derive(Debug)]
pub struct Grid<'a> {
    /// The columns.
    pub columns: &'a [GridColumn],
    /// The rows, each with as many cells as there are columns.
    pub rows: Vec<Vec<GridCell>>,
    /// The place of the selected row.
    pub selected: Option<usize>,
    /// Whether keys apply to the table.
    pub is_focused: bool,
}

/// Returns the rows on the screen, with the selected one in the middle if possible.
#[must_use]
pub fn window(selected: usize, count: usize, height: usize) -> Range<usize> {
    let last = count.saturating_sub(height);
    let first = selected.saturating_sub(height / 2).min(last);
    first..(first + height).min(count)
}

fn cell_width(cell: &GridCell) -> usize {
    cell.iter().map(|(text, _)| width(text)).sum()
}

/// Returns the widths of the columns; `None` for those that do not fit.
fn widths(grid: &Grid<'_>, space: usize) -> Vec<Option<usize>> {
    let needed: Vec<usize> = (0..grid.columns.len())
        .zip(grid.columns)
        .map(|(place, column)| {
            let cells = grid.rows.iter().filter_map(|row| row.get(place));
            let widest = cells.map(cell_width).max().unwrap_or(0);
            widest.max(column.least).max(width(column.title))
        })
        .collect();
    let mut by_rank: Vec<usize> = (1..grid.columns.len()).collect();
    by_rank.sort_by_key(|place| grid.columns.get(*place).map_or(0, |column| column.rank));
    let mut shown = vec![None; needed.len()];
    let mut used = grid.columns.first().map_or(0, |column| column.least);
    for place in by_rank {
        let (Some(needed), Some(width)) = (needed.get(place), shown.get_mut(place)) else {
            continue;
        };
        if used + GAP + needed <= space {
            used += GAP + needed;
            *width = Some(*needed);
        }
    }
    if let (Some(first), Some(needed)) = (shown.first_mut(), needed.first()) {
        let least = grid.columns.first().map_or(0, |column| column.least);
        *first = Some((*needed).min(least + space.saturating_sub(used)));
    }
    shown
}

/// Returns a cell of exactly this width.
fn aligned(cell: &GridCell, cells: usize, is_right: bool, look: Look) -> Vec<Span<'static>> {
    let mut left = cells;
    let mut spans = Vec::with_capacity(cell.len() + 1);
    for (text, tone) in cell {
        let text = fit(text, left);
        left -= width(&text).min(left);
        spans.push(Span::styled(text, look.style(*tone)));
    }
    let space = Span::raw(" ".repeat(left));
    spans.insert(if is_right { 0 } else { spans.len() }, space);
    spans
}

fn line(
    cells: &[GridCell],
    grid: &Grid<'_>,
    widths: &[Option<usize>],
    look: Look,
) -> Line<'static> {
    let mut spans = Vec::new();
    for ((cell, column), width) in cells.iter().zip(grid.columns).zip(widths) {
        let Some(width) = width else { continue };
        if !spans.is_empty() {
            spans.push(Span::raw(" ".repeat(GAP)));
        }
        spans.extend(aligned(cell, *width, column.is_right, look));
    }
    Line::from(spans)
}

/// Draws the heading and the rows.
pub fn draw(grid: &Grid<'_>, look: Look, area: Rect, buffer: &mut Buffer) {
    let widths = widths(grid, area.width.into());
    let titles = grid.columns.iter();
    let titles: Vec<GridCell> = titles
        .map(|column| vec![(column.title.to_owned(), Tone::Heading)])
        .collect();
    let lines = std::iter::once(&titles).chain(&grid.rows);
    for ((place, cells), row) in lines.enumerate().zip(area.rows()) {
        buffer.set_line(row.x, row.y, &line(cells, grid, &widths, look), row.width);
        let is_selected = place > 0 && grid.selected == Some(place - 1);
        let style = if is_selected {
            Look::selected(grid.is_focused)
        } else {
            Style::new()
        };
        buffer.set_style(row, style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [GridColumn; 3] = [
        GridColumn {
            title: "NAME",
            rank: 0,
            least: 4,
            is_right: false,
        },
        GridColumn {
            title: "RARE",
            rank: 2,
            least: 4,
            is_right: true,
        },
        GridColumn {
            title: "KEY",
            rank: 1,
            least: 5,
            is_right: true,
        },
    ];

    fn shown(width: u16) -> Vec<String> {
        let cell = |text: &str| vec![(text.to_owned(), Tone::Plain)];
        let grid = Grid {
            columns: &COLUMNS,
            rows: vec![
                vec![cell("a-long-name"), cell("1"), cell("2")],
                vec![cell("b"), cell("12345"), cell("3")],
            ],
            selected: Some(0),
            is_focused: true,
        };
        let area = Rect::new(0, 0, width, 3);
        let mut buffer = Buffer::empty(area);
        draw(&grid, Look::Plain, area, &mut buffer);
        let rows = area.rows().map(|row| {
            let cells = row.columns().filter_map(|at| buffer.cell(at.as_position()));
            let text: String = cells.map(|cell| cell.symbol().to_owned()).collect();
            text.trim_end().to_owned()
        });
        rows.collect()
    }

    #[test]
    fn columns_of_high_rank_are_omitted_and_the_name_is_cut() {
        assert_eq!(
            shown(30),
            [
                "NAME         RARE   KEY",
                "a-long-name     1     2",
                "b           12345     3"
            ]
        );
        assert_eq!(
            shown(16),
            ["NAME  RARE   KEY", "a-l…     1     2", "b    12345     3"]
        );
        assert_eq!(shown(12), ["NAME     KEY", "a-lon…     2", "b          3"]);
        assert_eq!(shown(4), ["NAME", "a-l…", "b"]);
    }

    #[test]
    fn selected_row_is_always_in_the_window() {
        for count in 0..20_usize {
            for height in 1..25 {
                for selected in 0..count {
                    let window = window(selected, count, height);
                    assert!(window.contains(&selected));
                    assert_eq!(window.len(), height.min(count));
                }
            }
        }
        assert_eq!(window(0, 0, 5), 0..0);
        assert_eq!(window(3, 10, 0), 3..3);
    }
}
