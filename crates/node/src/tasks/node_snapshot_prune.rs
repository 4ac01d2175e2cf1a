//! Deletes snapshots of this node's guests that a caller has named. One that fails does not hold up the
//! others; the task then ends with an error.

use async_trait::async_trait;
use model::{Error, ErrorKind, GuestKind, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use super::bulk::list;
use super::guest_snapshots::delete;
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeSnapshotPrune {
    snapshots: Vec<(VmId, GuestKind, String)>,
    #[serde(default)]
    failed: Vec<VmId>,
}

impl NodeSnapshotPrune {
    pub fn new(snapshots: Vec<(VmId, GuestKind, String)>) -> Self {
        Self {
            snapshots,
            failed: Vec::new(),
        }
    }
}

impl Task for NodeSnapshotPrune {
    type Node = NodeContext;
    const NAME: &'static str = "node_snapshot_prune";
    const VERSION: u32 = 1;
    const KIND: &'static str = "snapshotprune";
    const ON_FULL_DISK: bool = true;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[],
            after: &[&DeleteSnapshots],
        }
    }

    fn object(&self) -> Option<String> {
        None
    }

    fn verdict(&self) -> Result<(), Error> {
        match self.failed.as_slice() {
            [] => Ok(()),
            failed => Err(Error::conflict(format!("job errors: {}", list(failed)))),
        }
    }
}

type Cx = TaskContext<NodeContext>;

struct DeleteSnapshots;

#[async_trait]
impl Step<NodeSnapshotPrune> for DeleteSnapshots {
    fn name(&self) -> &'static str {
        "delete-snapshots"
    }

    async fn act(&self, cx: &Cx, task: &mut NodeSnapshotPrune) -> Result<(), Error> {
        let mut failed = Vec::new();
        for (vmid, kind, name) in &task.snapshots {
            if let Err(error) = remove(cx, (*vmid, *kind), name).await {
                let word = kind.word();
                cx.log(&format!("ERROR: {word} {vmid}: {error}")).await;
                if !failed.contains(vmid) {
                    failed.push(*vmid);
                }
            }
        }
        task.failed = failed;
        Ok(())
    }
}

async fn remove(cx: &Cx, of: (VmId, GuestKind), name: &str) -> Result<(), Error> {
    let (vmid, kind) = of;
    let is_there = match cx.node.records.guest(vmid).await {
        Ok(entry) => entry.record.data.snapshots.contains_key(name),
        Err(error) if error.kind == ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    if is_there {
        return delete(cx, of, name).await;
    }
    // An earlier attempt may have removed it.
    let word = kind.word();
    let text = format!("{word} {vmid}: there is no snapshot '{name}' on this node any more");
    cx.log(&text).await;
    Ok(())
}
