//! Makes a directory on a disk of its own: partition, file system, mount, and a storage if wanted.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use storage::{ContentType, DirSpec, StorageSpec};
use sys::Command;
use tasks::{Step, Steps, Task, TaskContext};
use uuid::Uuid;

use super::disk_storage::{AddStorage, AddsStorage, DiskStorage};
use crate::NodeContext;
use crate::host::disk_users::{self, Found, Target};
use crate::host::disk_writes::{self, DISKS, LINUX};
use crate::host::facts::Facts;
use crate::host::mount_units::{self, Mount};

/// What the storage takes. Source: Proxmox VE.
const CONTENT: [ContentType; 6] = [
    ContentType::Rootdir,
    ContentType::Images,
    ContentType::Iso,
    ContentType::Backup,
    ContentType::Vztmpl,
    ContentType::Snippets,
];

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileSystem {
    #[default]
    Ext4,
    Xfs,
}

impl FileSystem {
    fn word(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiskDirectoryCreate {
    pub name: StorageId,
    pub device: String,
    pub kind: FileSystem,
    pub add_storage: bool,
    target: Option<Target>,
    /// The id of the partition table: a disk with it is ours to clear.
    table: String,
    /// The id of the file system.
    uuid: String,
    storage: Option<DiskStorage>,
}

impl DiskDirectoryCreate {
    pub fn new(name: StorageId, device: String, kind: FileSystem, add_storage: bool) -> Self {
        Self {
            name,
            device,
            kind,
            add_storage,
            target: None,
            table: Uuid::new_v4().to_string(),
            uuid: Uuid::new_v4().to_string(),
            storage: None,
        }
    }

    /// Refuses a disk that is used and a name that is taken.
    pub async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        let found = disk_users::find(node, &self.device).await?;
        disk_users::check_unused(node, &found).await?;
        let unit = mount_units::unit_file(self.name.as_str());
        if node.host.stat(&unit).await?.is_some() {
            let text = format!("a systemd mount unit already exists: {}", unit.display());
            return Err(Error::conflict(text));
        }
        let folder = mount_units::folder(self.name.as_str());
        let point = folder.display().to_string();
        let mounts = Facts::new(node.host.clone()).text("/proc/mounts").await;
        let mut points = mounts.lines().map(|line| line.split(' ').nth(1));
        if points.any(|mounted| mounted == Some(&*point)) {
            return Err(Error::conflict(format!(
                "something is mounted at '{point}'"
            )));
        }
        if !node.host.list(&folder).await?.is_empty() {
            return Err(Error::conflict(format!("'{point}' is not empty")));
        }
        if self.add_storage {
            let spec = StorageSpec::Dir(DirSpec {
                path: point,
                is_mountpoint: Some("1".to_owned()),
                ..DirSpec::default()
            });
            let plan = DiskStorage::plan(node, &self.name, spec, CONTENT.to_vec());
            self.storage = Some(plan.await?);
        }
        self.target = Some(found.target());
        Ok(())
    }

    async fn found(&self, cx: &Cx) -> Result<Option<Found>, Error> {
        match &self.target {
            Some(target) => target.find(&cx.node).await,
            None => Ok(None),
        }
    }

    /// The disk or partition as it is now, which must still be the one that was chosen.
    async fn disk(&self, cx: &Cx) -> Result<Found, Error> {
        let gone = || Error::unavailable(format!("{} is another disk by now", self.device));
        self.found(cx).await?.ok_or_else(gone)
    }
}

impl Task for DiskDirectoryCreate {
    type Node = NodeContext;
    const NAME: &'static str = "disk_directory_create";
    const VERSION: u32 = 1;
    const KIND: &'static str = "dircreate";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Partition, &Format, &MountIt, &AddStorage],
            after: &[],
        }
    }

    fn object(&self) -> Option<String> {
        Some(DISKS.to_owned())
    }
}

impl AddsStorage for DiskDirectoryCreate {
    fn storage(&self) -> Option<&DiskStorage> {
        self.storage.as_ref()
    }
}

type Cx = TaskContext<NodeContext>;

/// What the file system goes to: the partition that was given, or the one that was made.
fn partition(found: &Found) -> Option<String> {
    let made = || found.disk.partitions().next();
    let part = found.part.as_ref().or_else(made)?;
    Some(part.path.clone())
}

struct Partition;

#[async_trait]
impl Step<DiskDirectoryCreate> for Partition {
    fn name(&self) -> &'static str {
        "partition"
    }

    async fn plan(&self, cx: &Cx, task: &mut DiskDirectoryCreate) -> Result<(), Error> {
        task.check(&cx.node).await
    }

    async fn act(&self, cx: &Cx, task: &mut DiskDirectoryCreate) -> Result<(), Error> {
        let found = task.disk(cx).await?;
        if found.part.is_some() {
            return Ok(disk_writes::mark(cx, &found, LINUX).await?);
        }
        let script = format!("label: gpt\nlabel-id: {}\ntype={LINUX}\n", task.table);
        Ok(disk_writes::sfdisk(cx, &found.disk.path, script).await?)
    }

    async fn undo(&self, cx: &Cx, task: &DiskDirectoryCreate) -> Result<(), Error> {
        let Some(found) = task.found(cx).await? else {
            return Ok(());
        };
        if found.part.is_some() {
            let before = task
                .target
                .as_ref()
                .and_then(|target| target.parttype.as_deref());
            return match before {
                Some(kind) => disk_writes::or_left(cx, disk_writes::mark(cx, &found, kind)).await,
                None => Ok(()),
            };
        }
        let table = found.disk.ptuuid.as_deref().unwrap_or_default();
        match table.eq_ignore_ascii_case(&task.table) {
            true => disk_writes::or_left(cx, disk_writes::clear(cx, &found)).await,
            false => Ok(()),
        }
    }
}

struct Format;

#[async_trait]
impl Step<DiskDirectoryCreate> for Format {
    fn name(&self) -> &'static str {
        "format"
    }

    async fn act(&self, cx: &Cx, task: &mut DiskDirectoryCreate) -> Result<(), Error> {
        let found = task.disk(cx).await?;
        let missing = || Error::unavailable(format!("{} has no partition", found.disk.path));
        let path = partition(&found).ok_or_else(missing)?;
        let command = match task.kind {
            FileSystem::Ext4 => Command::new("mkfs.ext4").args(["-q", "-U", &task.uuid]),
            FileSystem::Xfs => {
                let id = format!("uuid={}", task.uuid);
                Command::new("mkfs.xfs").args(["-q", "-m", &id])
            }
        };
        cx.log(&format!("{} on {path}", task.kind.word())).await;
        disk_writes::run(cx, command.arg(path)).await?;
        Ok(disk_writes::settle(cx).await?)
    }

    /// What is on a disk goes with its partition table.
    async fn undo(&self, cx: &Cx, task: &DiskDirectoryCreate) -> Result<(), Error> {
        let found = task.found(cx).await?;
        let Some(part) = found.and_then(|found| found.part) else {
            return Ok(());
        };
        match part.uuid.as_deref() == Some(&*task.uuid) {
            true => disk_writes::or_left(cx, disk_writes::erase(cx, &part)).await,
            false => Ok(()),
        }
    }
}

struct MountIt;

#[async_trait]
impl Step<DiskDirectoryCreate> for MountIt {
    fn name(&self) -> &'static str {
        "mount"
    }

    async fn act(&self, cx: &Cx, task: &mut DiskDirectoryCreate) -> Result<(), Error> {
        let mount = Mount {
            name: task.name.as_str(),
            uuid: &task.uuid,
            kind: task.kind.word(),
        };
        Ok(mount.set_up(cx).await?)
    }

    async fn undo(&self, cx: &Cx, task: &DiskDirectoryCreate) -> Result<(), Error> {
        let name = task.name.as_str();
        disk_writes::or_left(cx, mount_units::unmount(cx, name)).await?;
        disk_writes::or_left(cx, mount_units::forget(cx, name)).await
    }
}
