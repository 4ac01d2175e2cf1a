//! Disks that become bases of linked clones.

use model::{Error, GuestConfig, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::LinkedClones;
use tasks::TaskContext;

use crate::guests::options::set_volume;
use crate::{NodeContext, volumes};

type Cx = TaskContext<NodeContext>;

/// A disk that becomes a base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Renaming {
    /// The option that names it.
    #[serde(rename = "slot")]
    option: String,
    from: VolumeId,
    to: VolumeId,
}

/// The disks of a guest that become bases, with names that are free.
pub(super) async fn renamings(
    node: &NodeContext,
    vmid: VmId,
    disks: Vec<(String, VolumeId)>,
) -> Result<Vec<Renaming>, Error> {
    let mut renamings = Vec::new();
    for (option, from) in disks {
        let storage = node.storage(from.storage()).await?;
        let clones = linked_clones_of(&*storage, &from)?;
        let said = storage.config().parse(from.name())?;
        if said.is_base || said.owner != Some(vmid) {
            continue;
        }
        storage.activate().await?;
        clones.check_fit_for_base(from.name()).await?;
        let name = clones.base_name(from.name())?;
        let to = volumes::named(from.storage(), name)?;
        if storage.stat(to.name()).await?.is_some() {
            return Err(Error::conflict(format!("volume '{to}' already exists")));
        }
        renamings.push(Renaming { option, from, to });
    }
    Ok(renamings)
}

pub(super) async fn rename(cx: &Cx, renamings: &[Renaming]) -> Result<(), Error> {
    for Renaming { from, to, .. } in renamings {
        let storage = cx.node.storage(from.storage()).await?;
        storage.rename(from.name(), to.name()).await?;
        cx.log(&format!("'{from}' becomes '{to}'")).await;
    }
    Ok(())
}

pub(super) async fn rename_back(cx: &Cx, renamings: &[Renaming]) -> Result<(), Error> {
    for Renaming { from, to, .. } in renamings {
        let storage = cx.node.storage(from.storage()).await?;
        if storage.stat(from.name()).await?.is_none() {
            storage.rename(to.name(), from.name()).await?;
        }
    }
    Ok(())
}

pub(super) fn convert(renamings: &[Renaming], config: &mut GuestConfig) -> Result<(), Error> {
    for Renaming { option, to, .. } in renamings {
        set_volume(config, option, to)?;
    }
    Ok(())
}

/// What a new guest has that is a template from its beginning.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NewTemplate {
    #[serde(default)]
    pub(super) renamings: Vec<Renaming>,
}

impl NewTemplate {
    pub(super) fn convert(&self, config: &mut GuestConfig) -> Result<(), Error> {
        convert(&self.renamings, config)?;
        config.set("template", 1);
        Ok(())
    }
}

/// How a storage makes linked clones; a clear word where it has no such thing.
pub(super) fn linked_clones_of<'a>(
    storage: &'a dyn storage::Storage,
    volume: &VolumeId,
) -> Result<&'a dyn LinkedClones, Error> {
    let id = volume.storage();
    let none = || Error::conflict(format!("storage '{id}' does not support base images"));
    storage.linked_clones().ok_or_else(none)
}
