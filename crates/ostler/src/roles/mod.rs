//! The long-running roles.

mod api;
mod certificate;
mod node;
mod supervise;

pub(crate) use api::api;
pub(crate) use node::node;
pub(crate) use supervise::supervise;

use tokio::signal::unix::{SignalKind, signal};

/// Waits until somebody asks us to end.
async fn asked_to_end() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
