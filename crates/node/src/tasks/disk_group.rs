//! A volume group of LVM on a disk of its own: what the tasks for plain and for thin volumes share.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use storage::LvmPrograms;
use sys::SysError;
use tasks::{Step, Task, TaskContext};
use uuid::Uuid;

use crate::NodeContext;
use crate::host::disk_users::{self, Found, Target};
use crate::host::disk_writes;
use crate::host::pools::lvm;

/// A partition for LVM.
const LVM: &str = "E6D6D379-F507-44C2-A23C-238F2A3DF928";

/// How long LVM's programs may take. Zeroing the metadata of a pool is their longest work.
const LONG: Duration = Duration::from_secs(600);

/// A volume group that a task makes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct NewGroup {
    pub name: StorageId,
    device: String,
    target: Option<Target>,
    /// The id of the physical volume, by which it is known as ours.
    uuid: String,
}

/// A task that makes a volume group.
#[async_trait]
pub(super) trait MakesGroup: Task<Node = NodeContext> {
    fn group(&self) -> &NewGroup;

    /// Refuses what cannot be made, and chooses what will be.
    async fn check(&mut self, node: &NodeContext) -> Result<(), Error>;
}

#[derive(Deserialize)]
struct Volume {
    vg_name: String,
}

type Cx = TaskContext<NodeContext>;

pub(super) async fn run(cx: &Cx, program: &str, args: &[&str]) -> Result<(), SysError> {
    let programs = LvmPrograms::new(cx.node.host.clone());
    let printed = programs.run(program, args, LONG).await?;
    for line in String::from_utf8_lossy(&printed).lines() {
        cx.log(line.trim()).await;
    }
    Ok(())
}

/// An id as LVM has them: 32 letters and digits in seven groups.
fn new_id() -> String {
    let digits = Uuid::new_v4().simple().to_string();
    let mut rest = digits.as_str();
    let groups = [6, 4, 4, 4, 4, 4, 6].map(|length| {
        let (group, others) = rest.split_at(length);
        rest = others;
        group
    });
    groups.join("-")
}

impl NewGroup {
    pub(super) fn new(name: StorageId, device: String) -> Self {
        Self {
            name,
            device,
            target: None,
            uuid: new_id(),
        }
    }

    /// Refuses a disk that is used and a name that is taken; answers how large the disk is.
    pub(super) async fn check(&mut self, node: &NodeContext) -> Result<u64, Error> {
        let found = disk_users::find(node, &self.device).await?;
        disk_users::check_unused(node, &found).await?;
        let name = &self.name;
        let groups = lvm::groups(&node.host).await?;
        if groups.iter().any(|group| group.name == name.as_str()) {
            let text = format!("volume group with name '{name}' already exists");
            return Err(Error::conflict(text));
        }
        // LVM puts the devices of volumes there.
        let folder = Path::new("/dev").join(name.as_str());
        if node.host.stat(&folder).await?.is_some() {
            return Err(Error::conflict(format!(
                "'{}' already exists",
                folder.display()
            )));
        }
        let bytes = found.block().size;
        self.target = Some(found.target());
        Ok(bytes)
    }

    async fn found(&self, cx: &Cx) -> Result<Option<Found>, Error> {
        match &self.target {
            Some(target) => target.find(&cx.node).await,
            None => Ok(None),
        }
    }

    async fn disk(&self, cx: &Cx) -> Result<Found, Error> {
        let gone = || Error::unavailable(format!("{} is another disk by now", self.device));
        self.found(cx).await?.ok_or_else(gone)
    }

    /// The group that our physical volume is in, which may be none yet; none if there is no such
    /// physical volume.
    pub(super) async fn ours(&self, cx: &Cx) -> Result<Option<String>, SysError> {
        let programs = LvmPrograms::new(cx.node.host.clone());
        let select = format!("pv_uuid={}", self.uuid);
        let rows: Vec<Volume> = programs
            .list("pvs", "vg_name", &["--select", &select])
            .await?;
        Ok(rows.into_iter().next().map(|row| row.vg_name))
    }
}

/// Makes a disk a physical volume of LVM.
pub(super) struct Label;

#[async_trait]
impl<T: MakesGroup> Step<T> for Label {
    fn name(&self) -> &'static str {
        "label"
    }

    async fn plan(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        task.check(&cx.node).await
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let group = task.group();
        let found = group.disk(cx).await?;
        // An empty partition table would keep LVM from the disk.
        disk_writes::clear(cx, &found).await?;
        disk_writes::mark(cx, &found, LVM).await?;
        let path = &found.block().path;
        let how = [
            "--yes",
            "--metadatasize",
            "250k",
            "--norestorefile",
            "--uuid",
        ];
        run(cx, "pvcreate", &[&how[..], &[&group.uuid, path]].concat()).await?;
        Ok(disk_writes::settle(cx).await?)
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        let group = task.group();
        let Some(found) = group.found(cx).await? else {
            return Ok(());
        };
        if group.ours(cx).await?.as_deref() == Some("") {
            let remove = ["--yes", &found.block().path];
            disk_writes::or_left(cx, run(cx, "pvremove", &remove)).await?;
        }
        let before = group.target.as_ref();
        match before.and_then(|target| target.parttype.as_deref()) {
            Some(kind) => disk_writes::or_left(cx, disk_writes::mark(cx, &found, kind)).await,
            None => Ok(disk_writes::settle(cx).await?),
        }
    }
}

pub(super) struct Group;

#[async_trait]
impl<T: MakesGroup> Step<T> for Group {
    fn name(&self) -> &'static str {
        "group"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let group = task.group();
        let path = group.disk(cx).await?.block().path.clone();
        run(cx, "vgcreate", &[group.name.as_str(), &path]).await?;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        let group = task.group();
        let name = group.name.as_str();
        if group.ours(cx).await?.as_deref() != Some(name) {
            return Ok(());
        }
        disk_writes::or_left(cx, run(cx, "vgremove", &[name])).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_the_form_of_lvms() {
        let lengths: Vec<usize> = new_id().split('-').map(str::len).collect();
        assert_eq!(lengths, [6, 4, 4, 4, 4, 4, 6]);
    }
}
