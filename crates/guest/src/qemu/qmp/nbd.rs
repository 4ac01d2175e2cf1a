//! Disks that go to another QEMU: one exports its nodes, the other one mirrors to them (NBD).
//!
//! ```text
//!   source: drive-scsi0 ─ mirror ─► an NBD node ══ socket … socket ══ export ─► drive-scsi0 :target
//! ```

use serde_json::{Value, json};

use super::commands::SLOW;
use super::{NodeCopy, Qmp, QmpError};

/// A node that is what another QEMU exports under `export`, at this unix socket.
pub fn exported_node(name: &str, socket: &str, export: &str) -> Value {
    json!({
        "driver": "nbd",
        "node-name": name,
        "server": {"type": "unix", "path": socket},
        "export": export,
        "discard": "unmap",
    })
}

impl Qmp {
    /// Listens for clients of exports at this unix socket.
    pub async fn serve_exports(&self, socket: &str) -> Result<(), QmpError> {
        let address = json!({"type": "unix", "data": {"path": socket}});
        self.execute("nbd-server-start", json!({"addr": address}))
            .await
            .map(drop)
    }

    /// Lets clients write to a node, under the name `export`.
    pub async fn export_node(&self, node: &str, export: &str) -> Result<(), QmpError> {
        let arguments = json!({
            "type": "nbd",
            "id": export,
            "node-name": node,
            "name": export,
            "writable": true,
        });
        self.execute("block-export-add", arguments).await.map(drop)
    }

    /// Closes all exports. No error if there are none.
    pub async fn close_exports(&self) -> Result<(), QmpError> {
        match self
            .execute_within("nbd-server-stop", Value::Null, SLOW)
            .await
        {
            Err(QmpError::Refused { .. }) => Ok(()),
            stopped => stopped.map(drop),
        }
    }

    /// Copies a node including all writes in the meantime, which complete once the target has them.
    /// The node keeps its image. The job stays until dismissed.
    pub async fn mirror_away(&self, copy: NodeCopy<'_>) -> Result<(), QmpError> {
        let arguments = json!({
            "job-id": copy.job,
            "device": copy.node,
            "target": copy.target,
            "sync": "full",
            "speed": copy.bytes_per_s,
            "copy-mode": "write-blocking",
            "auto-dismiss": false,
        });
        self.execute_within("blockdev-mirror", arguments, SLOW)
            .await
            .map(drop)
    }

    /// Ends a mirror that is ready: the target has all that was written until then.
    pub async fn end_mirror(&self, id: &str) -> Result<(), QmpError> {
        self.execute("block-job-cancel", json!({"device": id, "force": false}))
            .await
            .map(drop)
    }
}
