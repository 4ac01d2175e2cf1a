//! Commands without arguments, by their names in the API.

use std::time::Duration;

/// A command without arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainCommand {
    /// The guest agent's name: `guest-get-osinfo`.
    pub(super) name: &'static str,
    pub(super) within: Duration,
    /// False if the agent does not answer this command.
    pub(super) is_answered: bool,
}

/// The time limit of commands that only read.
pub(super) const SHORT: Duration = Duration::from_secs(10);
/// A ping is answered at once or not at all.
pub(super) const PING: Duration = Duration::from_secs(5);
/// Freezing writes out all file systems, and giving up early would leave them frozen.
pub(super) const FREEZE: Duration = Duration::from_secs(60 * 60);
/// Thawing does not wait for anything.
pub(super) const THAW: Duration = Duration::from_secs(10);
/// Trimming goes over all free space.
const TRIM: Duration = Duration::from_secs(10 * 60);

const fn plain(name: &'static str, within: Duration) -> PlainCommand {
    PlainCommand {
        name,
        within,
        is_answered: true,
    }
}

const fn silent(name: &'static str) -> PlainCommand {
    PlainCommand {
        name,
        within: PING,
        is_answered: false,
    }
}

/// All of them, sorted by name.
pub const PLAIN_COMMANDS: &[PlainCommand] = &[
    plain("guest-fsfreeze-freeze", FREEZE),
    plain("guest-fsfreeze-status", SHORT),
    plain("guest-fsfreeze-thaw", THAW),
    plain("guest-fstrim", TRIM),
    plain("guest-get-fsinfo", SHORT),
    plain("guest-get-host-name", SHORT),
    plain("guest-get-memory-block-info", SHORT),
    plain("guest-get-memory-blocks", SHORT),
    plain("guest-get-osinfo", SHORT),
    plain("guest-get-time", SHORT),
    plain("guest-get-timezone", SHORT),
    plain("guest-get-users", SHORT),
    plain("guest-get-vcpus", SHORT),
    plain("guest-info", SHORT),
    plain("guest-network-get-interfaces", SHORT),
    plain("guest-ping", PING),
    silent("guest-shutdown"),
    silent("guest-suspend-disk"),
    silent("guest-suspend-hybrid"),
    silent("guest-suspend-ram"),
];

impl PlainCommand {
    /// The command with this name in the API: `get-osinfo`.
    pub fn from_api_name(name: &str) -> Option<Self> {
        let found = PLAIN_COMMANDS.iter().find(|plain| plain.api_name() == name);
        found.copied()
    }

    pub fn api_name(self) -> &'static str {
        self.name.trim_start_matches("guest-")
    }

    pub fn name(self) -> &'static str {
        self.name
    }
}
