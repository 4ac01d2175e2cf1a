//! Networks of guests: for now, a tap on an existing bridge.
//!
//! ```text
//!   node::tasks ── attach(PortSpec) ──► tap device ── port of ──► bridge
//! ```
//!
//! It creates no bridges: those are the administrator's.
//!
//! **Invariant:** when `attach` has returned, the device exists, is up and is a port of its bridge;
//! when it fails, the task's undo removes the device by its planned name.

mod limit;

pub use limit::limit;

use model::{Error, PortSpec};
use sys::{Host, TapOptions};

/// Creates a guest's tap and joins it to its bridge. May be repeated.
pub async fn attach(host: &dyn Host, tap: &PortSpec, options: &TapOptions) -> Result<(), Error> {
    host.create_tap(&tap.name, options).await?;
    host.join_bridge(&tap.name, &tap.bridge).await?;
    Ok(())
}
