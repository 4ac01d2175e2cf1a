//! The long-running roles.

mod api;
mod certificate;
mod node;
mod supervise;

pub(crate) use api::{api, become_api_user};
pub(crate) use node::node;
pub(crate) use supervise::supervise;

/// The program that runs, also where its file was replaced or lies below a folder that its user
/// may not enter.
const ITSELF: &str = "/proc/self/exe";

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
