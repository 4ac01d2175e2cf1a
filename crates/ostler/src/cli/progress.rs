//! A task's log on a terminal: progress lines are replaced by a moving bar.

use anyhow::Result;

use super::format::bytes;
use super::output;

const BAR_WIDTH: usize = 24;

/// Back to the line's beginning, and clear it.
const CLEAR: &str = "\r\x1b[K";

/// The output for a task's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    Stdout,
    /// If standard output is for a program.
    Stderr,
    Nowhere,
}

/// Shows a log line by line.
pub(super) struct Progress {
    has_bar: bool,
    /// The current line has a bar.
    drawn: bool,
}

impl Progress {
    pub(super) fn new(log: Log) -> Self {
        Self {
            has_bar: log == Log::Stdout && output::is_terminal(),
            drawn: false,
        }
    }

    pub(super) fn line(&mut self, line: &str) -> Result<()> {
        match share(line) {
            Some(share) if self.has_bar => {
                let width = output::terminal_width();
                let text = format!("{} {}", bar(share), with_units(line));
                output::print(&format!("{CLEAR}{}", cut(&text, width)))?;
                self.drawn = true;
            }
            _ => {
                self.clear()?;
                output::line(line)?;
            }
        }
        Ok(())
    }

    /// Clears the bar.
    pub(super) fn end(&mut self) -> Result<()> {
        self.clear()
    }

    fn clear(&mut self) -> Result<()> {
        if std::mem::take(&mut self.drawn) {
            output::print(CLEAR)?;
        }
        Ok(())
    }
}

/// The share in a line like `transferred 1.0 GiB of 4.0 GiB (25.00%)`, from 0 to 1.
fn share(line: &str) -> Option<f64> {
    let (before, _) = line.rsplit_once("%)")?;
    let (_, number) = before.rsplit_once('(')?;
    let percent: f64 = number.trim().parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

/// Adds units to `N of M bytes`, as tasks log it.
fn with_units(line: &str) -> String {
    let found = || {
        let (before, rest) = line.split_once(" bytes (")?;
        let (before, total) = before.rsplit_once(" of ")?;
        let (what, done) = before.rsplit_once(' ')?;
        let size = |text: &str| text.parse::<u64>().ok().map(|count| bytes(count as f64));
        Some(format!(
            "{what} {} of {} ({rest}",
            size(done)?,
            size(total)?
        ))
    };
    found().unwrap_or_else(|| line.to_owned())
}

/// A line wider than the terminal would wrap, and only its last part would be cleared.
fn cut(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

fn bar(share: f64) -> String {
    let full = (share * BAR_WIDTH as f64).round() as usize;
    let (full, empty) = (full.min(BAR_WIDTH), BAR_WIDTH.saturating_sub(full));
    format!("[{}{}]", "█".repeat(full), "░".repeat(empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_share_makes_a_bar() {
        assert_eq!(share("transferred 1.0 GiB of 4.0 GiB (25.00%)"), Some(0.25));
        assert_eq!(share("done (100%) in 3 s"), Some(1.0));
        for line in ["", "(x%)", "used 25%", "(250%)", "(inf%)"] {
            assert_eq!(share(line), None, "{line}");
        }
    }

    #[test]
    fn what_tasks_log_of_their_progress_has_units_on_one_line() {
        let line = "scsi0: 536870912 of 4294967296 bytes (12.50%)";
        assert_eq!(share(line), Some(0.125));
        assert_eq!(with_units(line), "scsi0: 512.00 MiB of 4.00 GiB (12.50%)");
        for line in ["done (100%)", "x of y bytes (1%)", "1 of 2 bytes"] {
            assert_eq!(with_units(line), line);
        }
        assert_eq!(cut("[█░] x", 3), "[█░");
    }

    #[test]
    fn a_bar_is_always_as_wide() {
        for share in [0.0, 0.01, 0.5, 0.999, 1.0] {
            assert_eq!(bar(share).chars().count(), BAR_WIDTH + 2);
        }
        assert_eq!(bar(0.5), "[████████████░░░░░░░░░░░░]");
    }
}
