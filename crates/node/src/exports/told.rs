//! What this agent knows of the kernel's server.

use tokio::sync::Mutex;

/// Whether the kernel was told what the file of exports says; held while it is.
#[derive(Default)]
pub(crate) struct Told(pub(super) Mutex<bool>);
