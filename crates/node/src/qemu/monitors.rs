//! The QMP connections to running guests: one a guest, made when it is first needed, that lives as
//! long as the guest.
//!
//! ```text
//!   tasks ───┐
//!   samples ─┼─ connection(vmid) ─► Monitors ─► Qmp ═══ control socket ═══ QEMU
//!   consoles ┤                                   └─ events ─► the reaper, jobs, hotplug
//!   reaper ──┘
//! ```
//!
//! A socket of QEMU's serves one client at a time, so everything that talks to a guest shares this
//! connection. A job of hours keeps it no busier than a question does: QEMU answers a job's start
//! at once and reports the rest by events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use guest::qemu::Qmp;
use model::{Error, VmId};
use sys::SharedHost;

/// How long a guest, or a storage, may take to answer a question that a measurement asks.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// The connection to one guest. Locked while it is made, so that it is made once.
type Slot = Arc<tokio::sync::Mutex<Option<Qmp>>>;

pub(crate) struct Monitors {
    host: SharedHost,
    slots: Mutex<HashMap<VmId, Slot>>,
}

impl Monitors {
    pub(crate) fn new(host: SharedHost) -> Self {
        Self {
            host,
            slots: Mutex::default(),
        }
    }

    /// The connection to a guest that listens at this socket.
    pub(crate) async fn connection(&self, vmid: VmId, socket: &str) -> Result<Qmp, Error> {
        let slot = Arc::clone(self.slots().entry(vmid).or_default());
        let mut slot = slot.lock().await;
        if let Some(qmp) = slot.as_ref().filter(|qmp| !qmp.is_lost()) {
            return Ok(qmp.clone());
        }
        let qmp = self.connect(vmid, socket).await?;
        *slot = Some(qmp.clone());
        Ok(qmp)
    }

    /// Closes the connection to a guest that has ended; calls that wait for it fail.
    pub(crate) fn close(&self, vmid: VmId) {
        self.slots().remove(&vmid);
    }

    async fn connect(&self, vmid: VmId, socket: &str) -> Result<Qmp, Error> {
        let unavailable = |text: String| Error::unavailable(format!("VM {vmid}: {text}"));
        let stream = self.host.connect(socket.as_ref()).await?;
        let pass = stream.pass_descriptors();
        let pass = pass.map_err(|error| unavailable(error.to_string()))?;
        let qmp = Qmp::connect_passing(stream, Some(pass)).await;
        qmp.map_err(|error| unavailable(Error::chain(&error)))
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<VmId, Slot>> {
        // No code panics while it holds the lock.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
