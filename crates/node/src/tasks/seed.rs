//! The steps that make a guest's cloud-init medium. A guest without one passes them by.

use async_trait::async_trait;
use guest::qemu::VmConfig;
use model::{Error, GuestConfig, VmId, VolumeId};
use tasks::{Step, Task, TaskContext};

use crate::{NodeContext, SeedRecord};

/// A task that makes a medium. It has the guest claimed.
pub(super) trait Seeds: Task<Node = NodeContext> {
    fn vmid(&self) -> VmId;

    /// False where the guest is to find its medium as it left it.
    fn seeds(&self) -> bool {
        true
    }
}

type Cx = TaskContext<NodeContext>;

/// The guest's configuration and its medium's volume.
async fn medium_of(
    cx: &Cx,
    vmid: VmId,
) -> Result<Option<(GuestConfig, VmConfig, VolumeId)>, Error> {
    let stored = cx.node.records.qemu(vmid).await?.record.data.config;
    let config = VmConfig::parse(&stored).map_err(Error::invalid_fields)?;
    let volume = config
        .cloud_init_drive()
        .and_then(|(_, drive)| drive.volume());
    Ok(volume.map(|volume| (stored, config, volume)))
}

/// Makes the medium beside its volume, and finds out all that could be wrong with it.
pub(super) struct PrepareSeed;

#[async_trait]
impl<T: Seeds> Step<T> for PrepareSeed {
    fn name(&self) -> &'static str {
        "prepare-seed"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let vmid = task.vmid();
        if !task.seeds() {
            return Ok(());
        }
        let Some((_, config, _)) = medium_of(cx, vmid).await? else {
            return Ok(());
        };
        let seed = cx.node.render_seed(vmid, &config).await?;
        cx.node.build_medium(vmid, &seed).await
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        cx.node.clear_seed_folder(task.vmid()).await
    }
}

/// Writes it into its volume and notes what it was made of. Where the task fails later on, the
/// medium stays as it is: it is what the configuration says.
pub(super) struct WriteSeed;

#[async_trait]
impl<T: Seeds> Step<T> for WriteSeed {
    fn name(&self) -> &'static str {
        "write-seed"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let vmid = task.vmid();
        if !task.seeds() {
            return Ok(());
        }
        let Some((stored, _, volume)) = medium_of(cx, vmid).await? else {
            return Ok(());
        };
        // Without one it was written before, or the host was restarted meanwhile: then the guest
        // does not run, and its next start makes the medium again.
        if cx.node.has_medium(vmid).await? {
            cx.log("generating cloud-init ISO").await;
            let is_running = cx.node.running.is_running(vmid).await?;
            NodeContext::write_medium(cx, vmid, &volume, is_running).await?;
            let seed = SeedRecord::of(&stored);
            if cx.node.records.seed(vmid).await?.as_ref() != Some(&seed) {
                cx.committed(cx.node.records.note_seed(vmid, seed).await?.0);
            }
        }
        cx.node.clear_seed_folder(vmid).await
    }
}
