//! Changes of a guest that a snapshot may be made before.

use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Of the configuration, but for what only describes the guest.
    Config,
    /// A disk or mount point is made larger.
    Resize,
    /// A program is run or a file written inside the guest, by the API.
    Exec,
}

/// Options that a guest runs as before without: a change of these alone is no risk.
const DESCRIBING: [&str; 8] = [
    "description",
    "hostname",
    "lock",
    "name",
    "onboot",
    "protection",
    "startup",
    "tags",
];

impl Change {
    pub const ALL: [Self; 3] = [Self::Config, Self::Resize, Self::Exec];

    /// The word for it in a job's option `before`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Resize => "resize",
            Self::Exec => "exec",
        }
    }

    /// Whether a change of these options is a risk.
    pub fn is_risk<'a>(mut options: impl Iterator<Item = &'a String>) -> bool {
        options.any(|option| !DESCRIBING.contains(&option.as_str()))
    }
}

impl FromStr for Change {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|change| change.as_str() == word);
        found.ok_or_else(|| format!("'{word}' is none of config, resize, exec"))
    }
}
