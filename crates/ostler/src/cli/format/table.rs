//! Tables of text.

use std::cmp::Ordering;

use serde_json::Value;

use super::Style;

/// A table: its columns' names, and rows of as many cells. A cell may have several lines.
pub(crate) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// The parts of a horizontal line: left end, line, crossing, right end.
type Rule = [&'static str; 4];
const TOP: Rule = ["┌", "─", "┬", "┐"];
const BELOW_HEADER: Rule = ["╞", "═", "╪", "╡"];
const BETWEEN: Rule = ["├", "─", "┼", "┤"];
const BOTTOM: Rule = ["└", "─", "┴", "┘"];

impl Table {
    pub(crate) fn new<T: Into<String>>(columns: impl IntoIterator<Item = T>) -> Self {
        Self {
            columns: columns.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(printable).collect());
    }

    /// Sorts the rows by one value each, given in the order of the rows; numbers numerically.
    pub(super) fn sort(&mut self, by: impl Iterator<Item = Value>) {
        let mut keyed: Vec<(Value, Vec<String>)> = by.zip(std::mem::take(&mut self.rows)).collect();
        keyed.sort_by(|(a, _), (b, _)| compare(a, b));
        self.rows = keyed.into_iter().map(|(_, row)| row).collect();
    }

    /// The table as text, each line ended.
    pub(crate) fn print(&self, style: &Style) -> String {
        if self.columns.is_empty() {
            return String::new();
        }
        let widths = self.widths(style.header);
        let mut text = String::new();
        let rule = |text: &mut String, [left, line, cross, right]: Rule| {
            if style.border {
                let parts: Vec<String> =
                    widths.iter().map(|width| line.repeat(width + 2)).collect();
                text.push_str(&format!("{left}{}{right}\n", parts.join(cross)));
            }
        };
        rule(&mut text, TOP);
        if style.header {
            print_row(&mut text, &self.columns, &widths, style.border);
            rule(&mut text, BELOW_HEADER);
        }
        for (at, row) in self.rows.iter().enumerate() {
            if at > 0 {
                rule(&mut text, BETWEEN);
            }
            print_row(&mut text, row, &widths, style.border);
        }
        rule(&mut text, BOTTOM);
        text
    }

    fn widths(&self, header: bool) -> Vec<usize> {
        let header = header.then_some(&self.columns);
        let lines = |row: &Vec<String>, at: usize| {
            let cell = row.get(at).map(String::as_str).unwrap_or_default();
            cell.lines().map(width).max().unwrap_or(0)
        };
        (0..self.columns.len())
            .map(|at| {
                let rows = self.rows.iter().chain(header);
                rows.map(|row| lines(row, at)).max().unwrap_or(0)
            })
            .collect()
    }
}

fn print_row(text: &mut String, row: &[String], widths: &[usize], border: bool) {
    let height = row
        .iter()
        .map(|cell| cell.lines().count())
        .max()
        .unwrap_or(1)
        .max(1);
    for at in 0..height {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, wanted)| {
                let line = cell.lines().nth(at).unwrap_or_default();
                format!("{line}{}", " ".repeat(wanted.saturating_sub(width(line))))
            })
            .collect();
        if border {
            text.push_str(&format!("│ {} │\n", cells.join(" │ ")));
        } else {
            text.push_str(cells.join(" ").trim_end());
            text.push('\n');
        }
    }
}

/// The width on a terminal: one column per character, two for East Asian scripts and emoji, none
/// for combining marks.
fn width(line: &str) -> usize {
    let columns = |c: char| match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff => 2,
        0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff => 2,
        _ => 1,
    };
    line.chars().map(columns).sum()
}

/// Escapes control characters: text from guests and users must not control the terminal.
fn printable(cell: String) -> String {
    if cell.chars().any(|c| c.is_control() && c != '\n') {
        cell.chars()
            .map(|c| if c.is_control() && c != '\n' { '?' } else { c })
            .collect()
    } else {
        cell
    }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => super::plain_text(a).cmp(&super::plain_text(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_and_hostile_cells_keep_the_frame() {
        let mut table = Table::new(["a", "b"]);
        table.row(["日本".to_owned(), "x\x1b[31m".to_owned()]);
        let wanted = "┌──────┬───────┐\n│ a    │ b     │\n╞══════╪═══════╡\n│ 日本 │ x?[31m │\n";
        let text = table.print(&Style::default());
        assert!(text.contains("│ 日本 │ x?[31m │"), "{text}\n{wanted}");
        let mut lines = text.lines().map(width);
        let first = lines.next().unwrap();
        assert!(lines.all(|line| line == first), "{text}");
    }

    #[test]
    fn without_header_and_border_only_the_cells_are_left() {
        let mut table = Table::new(["a", "b"]);
        table.row(["1".to_owned(), String::new()]);
        table.row(["22".to_owned(), "x".to_owned()]);
        let style = Style {
            border: false,
            header: false,
            ..Style::default()
        };
        assert_eq!(table.print(&style), "1\n22 x\n");
    }
}
