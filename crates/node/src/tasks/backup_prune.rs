//! Removes the backups of a storage that a rule does not keep. One that cannot be removed does not hold up
//! the others; the task then ends with an error.

use async_trait::async_trait;
use model::{Error, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use crate::NodeContext;
use crate::volumes::backups::{PruneMark, Pruning};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupPrune {
    pruning: Pruning,
    /// Chosen by `choose`.
    #[serde(default)]
    surplus: Vec<VolumeId>,
    #[serde(default)]
    has_failed: bool,
}

impl BackupPrune {
    pub fn new(pruning: Pruning) -> Self {
        Self {
            pruning,
            surplus: Vec::new(),
            has_failed: false,
        }
    }
}

impl Task for BackupPrune {
    type Node = NodeContext;
    const NAME: &'static str = "backup_prune";
    const VERSION: u32 = 1;
    const KIND: &'static str = "prunebackups";
    const ON_FULL_DISK: bool = true;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Choose],
            after: &[&Remove],
        }
    }

    /// Rules of one storage are applied one after the other.
    fn object(&self) -> Option<String> {
        Some(format!("backups/{}", self.pruning.storage))
    }

    fn verdict(&self) -> Result<(), Error> {
        match self.has_failed {
            false => Ok(()),
            true => Err(Error::conflict("error pruning backups - check log")),
        }
    }
}

type Cx = TaskContext<NodeContext>;

struct Choose;

#[async_trait]
impl Step<BackupPrune> for Choose {
    fn name(&self) -> &'static str {
        "choose"
    }

    async fn plan(&self, cx: &Cx, task: &mut BackupPrune) -> Result<(), Error> {
        let marked = cx.node.mark_backups(&task.pruning).await?;
        let surplus = marked
            .into_iter()
            .filter(|backup| backup.mark == PruneMark::Remove);
        task.surplus = surplus.map(|backup| backup.volume).collect();
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut BackupPrune) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut BackupPrune) -> Result<(), Error> {
        Ok(())
    }
}

struct Remove;

#[async_trait]
impl Step<BackupPrune> for Remove {
    fn name(&self) -> &'static str {
        "remove"
    }

    async fn act(&self, cx: &Cx, task: &mut BackupPrune) -> Result<(), Error> {
        let mut has_failed = false;
        for volume in &task.surplus {
            cx.log(&format!("removing backup '{volume}'")).await;
            if let Err(error) = remove(cx, volume).await {
                has_failed = true;
                let error = Error::chain(&error);
                cx.log(&format!("error when removing backup '{volume}' - {error}"))
                    .await;
            }
        }
        task.has_failed = has_failed;
        Ok(())
    }
}

async fn remove(cx: &Cx, volume: &VolumeId) -> Result<(), Error> {
    cx.node.check_unprotected(volume).await?;
    let storage = cx.node.storage(volume.storage()).await?;
    match storage.free(volume.name()).await {
        // It may have happened although something after it failed.
        Err(error) if storage.stat(volume.name()).await?.is_some() => Err(error.into()),
        _ => Ok(()),
    }
}
