//! Whether a member is heard.

/// Whether a member reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// It may still report, or is silent: there was no time to find out.
    Unknown,
    Heard,
    Silent,
}
