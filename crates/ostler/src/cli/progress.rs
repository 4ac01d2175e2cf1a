//! A task's log on a terminal: lines that say how far it is become one bar that moves.

use anyhow::Result;

use super::follow::Log;
use super::output;

const BAR_WIDTH: usize = 24;

/// Back to the line's beginning, and clear it.
const CLEAR: &str = "\r\x1b[K";

/// Shows a log line by line.
pub(super) struct Progress {
    has_bar: bool,
    /// A bar stands on the current line.
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
                output::print(&format!("{CLEAR}{} {line}", bar(share)))?;
                self.drawn = true;
            }
            _ => {
                self.clear()?;
                output::line(line)?;
            }
        }
        Ok(())
    }

    /// Leaves nothing of the bar behind.
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

/// The share that a line like `transferred 1.0 GiB of 4.0 GiB (25.00%)` tells, from 0 to 1.
fn share(line: &str) -> Option<f64> {
    let (before, _) = line.rsplit_once("%)")?;
    let (_, number) = before.rsplit_once('(')?;
    let percent: f64 = number.trim().parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
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
    fn a_bar_is_always_as_wide() {
        for share in [0.0, 0.01, 0.5, 0.999, 1.0] {
            assert_eq!(bar(share).chars().count(), BAR_WIDTH + 2);
        }
        assert_eq!(bar(0.5), "[████████████░░░░░░░░░░░░]");
    }
}
