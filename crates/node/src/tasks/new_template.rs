//! The step that makes a new guest a template from its beginning.

use async_trait::async_trait;
use model::Error;
use tasks::{Probe, Step, TaskContext};

use super::bases::{rename, rename_back, renamings};
use super::new_guest::NewGuest;
use crate::NodeContext;
use crate::guests::disks::disks_of;

type Cx = TaskContext<NodeContext>;

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
