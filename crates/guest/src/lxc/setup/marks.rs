//! The part of a file that is ours, between two marks.

use std::io;

use super::{Tree, is_left_alone, read_text};

const BEGIN: &str = "# --- BEGIN PVE ---";
const END: &str = "# --- END PVE ---";

/// Where our part goes in a file that has none yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// At the end.
    After,
    /// In place of everything.
    Alone,
}

/// Puts our lines into a text, or takes them out if there are none.
pub(super) fn merged(before: &str, ours: &str, placed: Placed) -> String {
    let block = match ours {
        "" => String::new(),
        ours => format!("{BEGIN}\n{}\n{END}\n", ours.trim_end_matches('\n')),
    };
    let lines: Vec<&str> = before.lines().collect();
    let begin = lines.iter().position(|line| line.trim() == BEGIN);
    let end = lines.iter().rposition(|line| line.trim() == END);
    let text = |lines: &[&str]| -> String { lines.iter().flat_map(|l| [*l, "\n"]).collect() };
    match (begin, end) {
        (Some(begin), Some(end)) if begin < end => {
            format!(
                "{}{block}{}",
                text(&lines[..begin]),
                text(&lines[end + 1..])
            )
        }
        _ if placed == Placed::Alone => block,
        _ => format!("{}{block}", text(&lines)),
    }
}

/// The text outside of our part.
pub(super) fn others(before: &str) -> String {
    merged(before, "", Placed::After)
}

/// Changes our part of a file.
pub(super) fn write_part(
    tree: &dyn Tree,
    path: &str,
    ours: &str,
    placed: Placed,
    mode: u32,
) -> io::Result<()> {
    if is_left_alone(tree, path)? {
        return Ok(());
    }
    let before = read_text(tree, path)?;
    let after = merged(before.as_deref().unwrap_or_default(), ours, placed);
    if before.as_deref() == Some(&*after) || (before.is_none() && after.is_empty()) {
        return Ok(());
    }
    tree.write(path, after.as_bytes(), mode)
}
