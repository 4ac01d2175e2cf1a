//! The steps that make a guest a template, of whatever kind it is: its disks become bases of linked
//! clones.

use async_trait::async_trait;
use model::{Error, GuestConfig, GuestRecord, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::LinkedClones;
use tasks::{Probe, Step, TaskContext};

use super::claim::{Claims, check_lock};
use super::new_guest::NewGuest;
use crate::guests::disks::disks_of;
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

/// A task that makes a template.
#[async_trait]
pub(super) trait MakesTemplate: Claims {
    /// Only this disk becomes a base; the guest does not become a template.
    fn only(&self) -> Option<String> {
        None
    }

    /// Refuses a guest that runs.
    async fn check_stopped(&self, node: &NodeContext) -> Result<(), Error>;

    fn renamings(&self) -> &[Renaming];

    fn set_renamings(&mut self, renamings: Vec<Renaming>);
}

/// Refuses a guest that cannot become a template.
pub(super) fn check_guest(guest: &GuestRecord, only: Option<&str>) -> Result<(), Error> {
    if !guest.snapshots.is_empty() {
        let word = guest.kind.word();
        return Err(Error::conflict(format!(
            "unable to create template, because {word} contains snapshots"
        )));
    }
    if guest.config.flag("template") == Some(true) && only.is_none() {
        return Err(Error::conflict(
            "you can't convert a template to a template",
        ));
    }
    check_lock(guest, false)
}

pub(super) struct Rename;

#[async_trait]
impl<T: MakesTemplate> Step<T> for Rename {
    fn name(&self) -> &'static str {
        "rename"
    }

    async fn plan(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        task.check_stopped(&cx.node).await?;
        let guest = cx.node.records.guest(task.vmid()).await?.record.data;
        let only = task.only();
        let disks = disks_of(guest.kind, &guest.config)?;
        let is_meant = |option: &str| only.as_ref().is_none_or(|only| only == option);
        let disks = disks.into_iter().filter(|(option, _)| is_meant(option));
        let renamings = renamings(&cx.node, guest.vmid, disks.collect()).await?;
        if let Some(only) = only
            && renamings.is_empty()
        {
            let text = format!("disk '{only}' cannot become a base image");
            return Err(Error::conflict(text));
        }
        task.set_renamings(renamings);
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        rename(cx, task.renamings()).await
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        rename_back(cx, task.renamings()).await
    }
}

/// The disks of a guest that become bases, with names that are free.
async fn renamings(
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

async fn rename(cx: &Cx, renamings: &[Renaming]) -> Result<(), Error> {
    for Renaming { from, to, .. } in renamings {
        let storage = cx.node.storage(from.storage()).await?;
        storage.rename(from.name(), to.name()).await?;
        cx.log(&format!("'{from}' becomes '{to}'")).await;
    }
    Ok(())
}

async fn rename_back(cx: &Cx, renamings: &[Renaming]) -> Result<(), Error> {
    for Renaming { from, to, .. } in renamings {
        let storage = cx.node.storage(from.storage()).await?;
        if storage.stat(from.name()).await?.is_none() {
            storage.rename(to.name(), from.name()).await?;
        }
    }
    Ok(())
}

/// What a new guest has that is a template from its beginning.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NewTemplate {
    #[serde(default)]
    renamings: Vec<Renaming>,
}

impl NewTemplate {
    pub(super) fn convert(&self, config: &mut GuestConfig) -> Result<(), Error> {
        convert(&self.renamings, config)?;
        config.set("template", 1);
        Ok(())
    }
}

/// The disks of a new guest become bases, if it is to be a template.
pub(super) struct RenameNew;

#[async_trait]
impl<T: NewGuest> Step<T> for RenameNew {
    fn name(&self) -> &'static str {
        "make-bases"
    }

    async fn plan(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        if task.template().is_none() {
            return Ok(());
        }
        let disks = disks_of(T::GUEST, &task.options())?;
        let renamings = renamings(&cx.node, task.vmid(), disks).await?;
        if let Some(template) = task.template_mut() {
            template.renamings = renamings;
        }
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut T) -> Result<Probe, Error> {
        // Before the point of no return nothing is gone on with.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        match task.template() {
            Some(template) => rename(cx, &template.renamings).await,
            None => Ok(()),
        }
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        match task.template() {
            Some(template) => rename_back(cx, &template.renamings).await,
            None => Ok(()),
        }
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

pub(super) struct Publish;

#[async_trait]
impl<T: MakesTemplate> Step<T> for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    async fn probe(&self, cx: &Cx, task: &mut T) -> Result<Probe, Error> {
        let before = cx.node.records.guest(task.vmid()).await?.record.data;
        let mut after = before.clone();
        publish(task, &mut after)?;
        Ok(if after == before {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let change = |guest: &mut GuestRecord| publish(task, guest);
        let revision = cx.node.records.change_guest(task.vmid(), change).await?;
        cx.committed(revision.0);
        Ok(())
    }
}

/// Names the bases in a record, and says that it is a template.
fn publish<T: MakesTemplate>(task: &T, guest: &mut GuestRecord) -> Result<(), Error> {
    convert(task.renamings(), &mut guest.config)?;
    if task.only().is_none() {
        guest.config.set("template", 1);
    }
    Ok(())
}

fn convert(renamings: &[Renaming], config: &mut GuestConfig) -> Result<(), Error> {
    for Renaming { option, to, .. } in renamings {
        set_volume(config, option, to)?;
    }
    Ok(())
}
