//! The steps that make a guest a template, of whatever kind it is: its disks become bases of linked
//! clones.

use async_trait::async_trait;
use model::{Error, GuestRecord};
use tasks::{Probe, Step, TaskContext};

use super::bases::{Renaming, convert, rename, rename_back, renamings};
use super::claim::{Claims, check_lock};
use crate::NodeContext;
use crate::guests::disks::disks_of;

type Cx = TaskContext<NodeContext>;

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
