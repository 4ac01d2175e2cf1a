//! The long-running roles.

mod api;
mod certificate;
mod cluster;
mod container_copy;
mod container_files;
mod container_image;
mod node;
mod ordered;
mod supervise;
mod witness;

pub(crate) use api::{api, become_api_user};
pub(crate) use container_copy::{Attributes, CopyOrder, Direction, container_copy};
pub(crate) use container_files::container_files;
pub(crate) use container_image::container_image;
pub(crate) use node::node;
pub(crate) use supervise::supervise;
pub(crate) use witness::witness;

/// The running program, even if its file was replaced or is below a folder that its user may not
/// enter.
pub(crate) const ITSELF: &str = "/proc/self/exe";

use tokio::signal::unix::{SignalKind, signal};

/// Waits for a signal to end.
async fn asked_to_end() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
