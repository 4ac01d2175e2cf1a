//! Makes volumes of this node what the tiers of their guests say.
//!
//! ```text
//!   choose ┃ settle
//!     │       each volume by one look and one change, which may be repeated
//!     the volumes, as their tiers are now
//! ```
//!
//! A volume that refuses does not hold up the others; the task then ends with an error.

use async_trait::async_trait;
use model::{Error, StorageId, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{Difference, StorageError, Verdict};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use crate::NodeContext;
use crate::host::disk_writes::is_final;
use crate::tiers::Selected;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TierApply {
    storage: Option<StorageId>,
    vmid: Option<VmId>,
    /// Chosen by `choose`.
    volumes: Vec<VolumeId>,
    /// The volumes and storages that something failed of.
    failed: Vec<String>,
}

impl TierApply {
    pub fn new(selected: Selected) -> Self {
        Self {
            storage: selected.storage,
            vmid: selected.vmid,
            volumes: Vec::new(),
            failed: Vec::new(),
        }
    }
}

impl Task for TierApply {
    type Node = NodeContext;
    const NAME: &'static str = "tier_apply";
    const VERSION: u32 = 1;
    const KIND: &'static str = "tierapply";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Choose],
            after: &[&Settle],
        }
    }

    fn object(&self) -> Option<String> {
        Some("tiers".to_owned())
    }

    fn verdict(&self) -> Result<(), Error> {
        match self.failed.as_slice() {
            [] => Ok(()),
            failed => Err(Error::unavailable(format!(
                "not as their tiers say: {}",
                failed.join(", ")
            ))),
        }
    }
}

type Cx = TaskContext<NodeContext>;

struct Choose;

#[async_trait]
impl Step<TierApply> for Choose {
    fn name(&self) -> &'static str {
        "choose"
    }

    async fn plan(&self, cx: &Cx, task: &mut TierApply) -> Result<(), Error> {
        let selected = Selected {
            storage: task.storage.clone(),
            vmid: task.vmid,
        };
        let found = selected.find(&cx.node).await?;
        let differ = found
            .volumes
            .into_iter()
            .filter(|(_, volume)| !volume.differences.is_empty());
        task.volumes = differ.map(|(id, _)| id).collect();
        task.failed = Vec::new();
        for (id, reason) in found.failed {
            cx.warn(&format!("storage '{id}': {reason}")).await;
            task.failed.push(id.to_string());
        }
        Ok(())
    }

    /// What is chosen is in the journal.
    async fn probe(&self, _cx: &Cx, _task: &mut TierApply) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _cx: &Cx, _task: &mut TierApply) -> Result<(), Error> {
        Ok(())
    }
}

struct Settle;

#[async_trait]
impl Step<TierApply> for Settle {
    fn name(&self) -> &'static str {
        "settle"
    }

    async fn act(&self, cx: &Cx, task: &mut TierApply) -> Result<(), Error> {
        let mut failed = task.failed.clone();
        let storages = cx.node.storages().await?;
        for volume in &task.volumes {
            let mut drivers = storages.iter();
            let driver = drivers.find(|driver| driver.config().id() == volume.storage());
            let Some(tiered) = driver.and_then(|driver| driver.tiered()) else {
                cx.log(&format!("{volume}: its storage is gone")).await;
                continue;
            };
            match tiered.settle(volume.name()).await {
                Ok(differences) => {
                    for difference in &differences {
                        cx.log(&format!("{volume}: {}", sentence(difference))).await;
                    }
                }
                Err(StorageError::NoVolume { .. }) => {
                    cx.log(&format!("{volume}: it is gone")).await;
                }
                Err(error) if may_pass(&error) => return Err(error.into()),
                Err(error) => {
                    cx.warn(&format!("{volume}: {}", Error::chain(&error)))
                        .await;
                    failed.push(volume.to_string());
                }
            }
        }
        task.failed = failed;
        Ok(())
    }
}

/// Whether it makes sense to try again: no program has said no.
fn may_pass(error: &StorageError) -> bool {
    match error {
        StorageError::Host { source, .. } => !is_final(source),
        StorageError::NoTier { .. } => true,
        _ => false,
    }
}

/// What a task's log says of a property.
fn sentence(difference: &Difference) -> String {
    let Difference {
        property,
        from,
        to,
        verdict,
    } = difference;
    let to = to.as_deref().unwrap_or("what it inherits");
    match verdict {
        Verdict::Set | Verdict::Inherit => format!("{property} from {from} to {to}"),
        Verdict::Kept => {
            format!("{property} stays {from}: it was not set by a tier, which says {to}")
        }
        Verdict::OnlyNew => {
            format!("{property} stays {from}: only a new volume can have {to}")
        }
    }
}
