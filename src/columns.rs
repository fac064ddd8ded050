//! Aligns the columns of plain text by the cells that a terminal needs for them. Pure.

use unicode_width::UnicodeWidthStr;

/// Space between two columns.
pub const GAP: &str = "  ";

/// Between a number and its error.
const ERROR: &str = " ± ";

/// The cells of a row of a table.
pub type Cells<const COLUMNS: usize> = [String; COLUMNS];

/// Returns the number of cells of a terminal that a text needs.
#[must_use]
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// Returns a text with blanks after it, so that it has at least this width.
#[must_use]
pub fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", blanks(text, width))
}

/// Returns the blanks that a text lacks for this width.
#[must_use]
pub fn blanks(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(self::width(text)))
}

/// Returns the width of the widest cell of each column.
#[must_use]
pub fn widths<const COLUMNS: usize>(rows: &[Cells<COLUMNS>]) -> [usize; COLUMNS] {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = width(cell).max(*widest);
        }
    }
    widths
}

/// Returns whether the columns that are shown need more than this width.
#[must_use]
pub fn is_wider<const COLUMNS: usize>(
    rows: &[Cells<COLUMNS>],
    is_shown: impl Fn(usize) -> bool,
    most: usize,
) -> bool {
    let each = widths(rows).into_iter().enumerate();
    let shown = each.filter(|(place, _)| is_shown(*place));
    let all: usize = shown.map(|(_, width)| width + GAP.len()).sum();
    all > most + GAP.len()
}

/// Omits the errors of estimates in one column after the other while the table is too wide. `end`
/// returns what stays after the value, of the text after it.
pub fn omit_errors<const COLUMNS: usize>(
    rows: &mut [Cells<COLUMNS>],
    order: &[usize],
    is_too_wide: impl Fn(&[Cells<COLUMNS>]) -> bool,
    end: fn(&str) -> &'static str,
) {
    for place in order {
        if !is_too_wide(rows) {
            return;
        }
        for cell in rows.iter_mut().filter_map(|row| row.get_mut(*place)) {
            if let Some((value, error)) = cell.split_once(ERROR) {
                *cell = format!("{value}{}", end(error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["会话", "1"], ["größe", "22"], ["", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(widths(&rows), [5, 2]);
        assert_eq!(padded("会话", 5), "会话 ");
        assert_eq!(padded("longer", 5), "longer");
        assert!(!is_wider(&rows, |_| true, 9));
        assert!(is_wider(&rows, |_| true, 8));
        assert!(!is_wider(&rows, |place| place == 0, 5));
        let none: [Cells<2>; 0] = [];
        assert_eq!(widths(&none), [0, 0]);
    }

    #[test]
    fn errors_are_omitted_until_the_table_fits() {
        let row = ["name", "10 ± 2 *", "30 ± 4"].map(str::to_owned);
        let omitted = |most| {
            let mut rows = [row.clone()];
            let is_too_wide = |rows: &[Cells<3>]| is_wider(rows, |_| true, most);
            omit_errors(&mut rows, &[2, 1], is_too_wide, |_| "!");
            rows.map(|row| row.join("|"))
        };
        assert_eq!(omitted(30), ["name|10 ± 2 *|30 ± 4"]);
        assert_eq!(omitted(20), ["name|10 ± 2 *|30!"]);
        assert_eq!(omitted(3), ["name|10!|30!"]);
    }
}
