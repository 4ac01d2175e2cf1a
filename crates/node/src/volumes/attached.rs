//! Attaching volumes, for guests and for tasks, and letting them go.

use model::{BlockSpec, Error, ErrorKind, VmId, VolumeId};
use storage::{AttachMode, Attacher};
use tasks::TaskContext;
use tracing::warn;

use crate::NodeContext;

/// A task as an attacher. What it attaches it detaches, when it has done its work and when it is
/// taken back.
pub(crate) fn by_task(cx: &TaskContext<NodeContext>) -> Attacher {
    Attacher::Task(cx.upid.to_string())
}

impl NodeContext {
    /// A guest of this node as an attacher.
    pub(crate) async fn by_guest(&self, vmid: VmId) -> Result<Attacher, Error> {
        let epoch = self.records.local().guest(vmid).await?.record.data.epoch;
        Ok(Attacher::Guest { vmid, epoch })
    }

    /// Attaches a volume of a storage that is made usable first.
    pub(crate) async fn attach(
        &self,
        volume: &VolumeId,
        mode: AttachMode,
        by: &Attacher,
    ) -> Result<BlockSpec, Error> {
        let storage = self.storage(volume.storage()).await?;
        storage.activate().await?;
        Ok(storage.attach(volume.name(), mode, by).await?)
    }

    /// Lets a volume go. Where its storage is gone there is nothing to do.
    pub(crate) async fn detach(&self, volume: &VolumeId, by: &Attacher) -> Result<(), Error> {
        match self.storage(volume.storage()).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            storage => Ok(storage?.detach(volume.name(), by).await?),
        }
    }

    /// Attaches a volume for a guest that runs already. Its run file says so before.
    pub(crate) async fn attach_to_running(
        &self,
        vmid: VmId,
        volume: &VolumeId,
    ) -> Result<BlockSpec, Error> {
        if let Some(mut file) = self.running.run_file(vmid).await?
            && !file.volumes.contains(volume)
        {
            file.volumes.push(volume.clone());
            self.running.write_run_file(&file).await?;
        }
        let by = self.by_guest(vmid).await?;
        self.attach(volume, AttachMode::Exclusive, &by).await
    }

    /// Detaches a volume that a running guest has no more.
    pub(crate) async fn detach_from_running(
        &self,
        vmid: VmId,
        volume: &VolumeId,
    ) -> Result<(), Error> {
        let by = self.by_guest(vmid).await?;
        self.detach(volume, &by).await?;
        if let Some(mut file) = self.running.run_file(vmid).await? {
            file.volumes.retain(|attached| attached != volume);
            self.running.write_run_file(&file).await?;
        }
        Ok(())
    }

    /// Detaches the volumes of a guest that has ended. Failures are only logged: a guest must end even
    /// if the store or a storage does not answer, and a volume that stays attached does no harm.
    pub(crate) async fn detach_all(&self, volumes: &[VolumeId], by: &Attacher) {
        for volume in volumes {
            if let Err(error) = self.detach(volume, by).await {
                warn!(%volume, %error, "a volume stays attached");
            }
        }
    }
}
