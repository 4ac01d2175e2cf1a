//! Makes a pool of ZFS on disks, and a storage if wanted.

use std::collections::BTreeSet;
use std::path::Path;

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use storage::{ContentType, StorageSpec, ZfsPoolSpec};
use sys::Command;
use tasks::{Step, Steps, Task, TaskContext};

use super::disk_storage::{AddStorage, AddsStorage, DiskStorage};
use crate::NodeContext;
use crate::host::disk_users::{self, Found, Target};
use crate::host::disk_writes::{self, DISKS};
use crate::host::disks::Block;
use crate::host::pools::zfs;

/// How the disks of a pool stand in for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RaidLevel {
    Single,
    Mirror,
    Raid10,
    Raidz,
    Raidz2,
    Raidz3,
    Draid,
    Draid2,
    Draid3,
}

/// Disks for data in each group of a dRAID, and spares of the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraidConfig {
    pub data: u64,
    pub spares: u64,
}

/// What a caller wants of a pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PoolWanted {
    pub name: StorageId,
    pub devices: Vec<String>,
    pub level: RaidLevel,
    pub draid: Option<DraidConfig>,
    pub ashift: u64,
    pub compression: String,
}

impl RaidLevel {
    fn word(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Mirror => "mirror",
            Self::Raid10 => "raid10",
            Self::Raidz => "raidz",
            Self::Raidz2 => "raidz2",
            Self::Raidz3 => "raidz3",
            Self::Draid => "draid",
            Self::Draid2 => "draid2",
            Self::Draid3 => "draid3",
        }
    }

    /// Source: Proxmox VE.
    fn least_disks(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Mirror => 2,
            Self::Raidz | Self::Draid => 3,
            Self::Raid10 | Self::Raidz2 | Self::Draid2 => 4,
            Self::Raidz3 | Self::Draid3 => 5,
        }
    }

    /// How many disks of a group may fail, of a dRAID.
    fn parity(self) -> Option<u64> {
        match self {
            Self::Draid => Some(1),
            Self::Draid2 => Some(2),
            Self::Draid3 => Some(3),
            _ => None,
        }
    }
}

impl PoolWanted {
    /// Refuses numbers of disks that the level cannot have.
    pub fn check(&self) -> Result<(), Error> {
        let (level, count) = (self.level.word(), self.devices.len());
        let least = self.level.least_disks();
        if self.level == RaidLevel::Single && count > 1 {
            return Err(Error::conflict(
                "please give only one disk for single disk mode",
            ));
        }
        if self.level == RaidLevel::Raid10 && count % 2 != 0 {
            return Err(Error::conflict("raid10 needs an even number of disks"));
        }
        if count < least {
            return Err(Error::conflict(format!(
                "{level} needs at least {least} disks"
            )));
        }
        let Some(draid) = self.draid else {
            return Ok(());
        };
        let Some(parity) = self.level.parity() else {
            return Err(Error::conflict(
                "draid-config set without using dRAID level",
            ));
        };
        let needed = draid
            .data
            .saturating_add(draid.spares)
            .saturating_add(parity);
        if (count as u64) < needed {
            let text = format!("{level} with this draid-config needs at least {needed} disks");
            return Err(Error::conflict(text));
        }
        Ok(())
    }

    /// What `zpool create` gets after the pool's name.
    fn layout(&self, devices: &[String]) -> Vec<String> {
        let mut layout = Vec::new();
        match self.level {
            RaidLevel::Single => {}
            RaidLevel::Raid10 => {
                for pair in devices.chunks(2) {
                    layout.push("mirror".to_owned());
                    layout.extend(pair.iter().cloned());
                }
                return layout;
            }
            level => {
                let mut word = level.word().to_owned();
                if let Some(DraidConfig { data, spares }) = self.draid {
                    word = format!("{word}:{data}d:{spares}s");
                }
                layout.push(word);
            }
        }
        layout.extend(devices.iter().cloned());
        layout
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiskZfsCreate {
    pub pool: PoolWanted,
    add_storage: bool,
    targets: Vec<Target>,
    /// The devices by names that stay theirs.
    names: Vec<String>,
    storage: Option<DiskStorage>,
}

impl DiskZfsCreate {
    pub fn new(pool: PoolWanted, add_storage: bool) -> Self {
        Self {
            pool,
            add_storage,
            targets: Vec::new(),
            names: Vec::new(),
            storage: None,
        }
    }

    /// Refuses disks that are used, and a name that is taken.
    pub async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        self.pool.check()?;
        self.targets.clear();
        self.names.clear();
        let mut disks = BTreeSet::new();
        for device in &self.pool.devices {
            let found = disk_users::find(node, device).await?;
            disk_users::check_unused(node, &found).await?;
            if !disks.insert(found.block().path.clone()) {
                let text = format!("device '{device}' is given twice");
                return Err(Error::conflict(text));
            }
            self.names.push(lasting_name(node, &found).await?);
            self.targets.push(found.target());
        }
        let name = self.pool.name.as_str();
        check_name(name)?;
        let pools = zfs::pools(&node.host).await?;
        if pools.iter().any(|pool| pool.name == name) {
            return Err(Error::conflict(format!(
                "pool '{name}' already exists on node '{}'",
                node.name
            )));
        }
        // The pool is mounted there.
        let folder = Path::new("/").join(name);
        if !node.host.list(&folder).await?.is_empty() {
            let text = format!("'{}' is not empty", folder.display());
            return Err(Error::conflict(text));
        }
        if self.add_storage {
            let spec = StorageSpec::ZfsPool(ZfsPoolSpec {
                pool: name.to_owned(),
                ..ZfsPoolSpec::default()
            });
            let content = vec![ContentType::Rootdir, ContentType::Images];
            let plan = DiskStorage::plan(node, &self.pool.name, spec, content);
            self.storage = Some(plan.await?);
        }
        Ok(())
    }
}

/// Words that ZFS keeps for kinds of devices; a pool's name must not begin with some.
fn check_name(name: &str) -> Result<(), Error> {
    let reserved = ["mirror", "raidz", "draid", "spare"];
    let is_reserved = reserved.iter().any(|word| name.starts_with(word)) || name == "log";
    match is_reserved {
        true => Err(Error::invalid(
            "name",
            format!("'{name}' is a word of ZFS itself"),
        )),
        false => Ok(()),
    }
}

/// A name below `/dev/disk/by-id`, or the kernel's where there is none.
pub(super) async fn lasting_name(node: &NodeContext, found: &Found) -> Result<String, Error> {
    let path = &found.block().path;
    let folder = Path::new("/dev/disk/by-id");
    for entry in node.host.list(folder).await? {
        let name = folder.join(&entry.name);
        let is_it = node.host.resolve(&name).await;
        if is_it.is_ok_and(|resolved| resolved == Path::new(path)) {
            return Ok(name.display().to_string());
        }
    }
    Ok(path.clone())
}

impl Task for DiskZfsCreate {
    type Node = NodeContext;
    const NAME: &'static str = "disk_zfs_create";
    const VERSION: u32 = 1;
    const KIND: &'static str = "zfscreate";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Create, &AddStorage],
            after: &[],
        }
    }

    fn object(&self) -> Option<String> {
        Some(DISKS.to_owned())
    }
}

impl AddsStorage for DiskZfsCreate {
    fn storage(&self) -> Option<&DiskStorage> {
        self.storage.as_ref()
    }
}

type Cx = TaskContext<NodeContext>;

struct Create;

#[async_trait]
impl Step<DiskZfsCreate> for Create {
    fn name(&self) -> &'static str {
        "create"
    }

    async fn plan(&self, cx: &Cx, task: &mut DiskZfsCreate) -> Result<(), Error> {
        task.check(&cx.node).await
    }

    /// Without force: `zpool` too refuses what is used.
    async fn act(&self, cx: &Cx, task: &mut DiskZfsCreate) -> Result<(), Error> {
        for target in &task.targets {
            let gone = || Error::unavailable(format!("{} is another disk by now", target.path));
            let found = target.find(&cx.node).await?.ok_or_else(gone)?;
            disk_writes::clear(cx, &found).await?;
            if let Some(warning) = found.disk.raid_warning() {
                cx.warn(&warning).await;
            }
        }
        let pool = &task.pool;
        let command = Command::new("zpool")
            .args(["create", "-o", &format!("ashift={}", pool.ashift)])
            .args(["-O", &format!("compression={}", pool.compression)])
            .arg(pool.name.as_str())
            .args(pool.layout(&task.names));
        disk_writes::run(cx, command).await?;
        Ok(disk_writes::settle(cx).await?)
    }

    /// The name was free and the disks were empty: what is there by now is ours.
    async fn undo(&self, cx: &Cx, task: &DiskZfsCreate) -> Result<(), Error> {
        let name = task.pool.name.as_str();
        let mut disks = Vec::new();
        for target in &task.targets {
            disks.extend(target.find(&cx.node).await?);
        }
        if is_of(&disks, &zfs::members(&cx.node.host).await?, name) {
            let destroy = Command::new("zpool").args(["destroy", name]);
            disk_writes::or_left(cx, disk_writes::run(cx, destroy)).await?;
        }
        for found in &disks {
            let mut blocks = found.block().all().into_iter();
            if blocks.any(|block| holds_pool(block, name)) {
                disk_writes::or_left(cx, disk_writes::clear(cx, found)).await?;
            }
        }
        Ok(())
    }
}

/// Whether there is a pool of this name, on these disks alone.
fn is_of(disks: &[Found], members: &[(String, String)], name: &str) -> bool {
    let is_on = |path: &str| {
        let mut blocks = disks.iter().flat_map(|found| found.block().all());
        blocks.any(|block| block.path == path)
    };
    let own: Vec<&str> = members
        .iter()
        .filter(|(pool, _)| pool == name)
        .map(|(_, path)| path.as_str())
        .collect();
    !own.is_empty() && own.into_iter().all(is_on)
}

/// Whether it is, or was, a member of a pool of this name.
fn holds_pool(block: &Block, name: &str) -> bool {
    block.fstype.as_deref() == Some("zfs_member") && block.label.as_deref() == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(level: RaidLevel, count: usize, draid: Option<DraidConfig>) -> PoolWanted {
        PoolWanted {
            name: "tank".parse().unwrap(),
            devices: (0..count).map(|number| format!("/dev/d{number}")).collect(),
            level,
            draid,
            ashift: 12,
            compression: "on".to_owned(),
        }
    }

    #[test]
    fn a_level_needs_its_disks() {
        let spared = Some(DraidConfig { data: 2, spares: 1 });
        let cases = [
            (
                wanted(RaidLevel::Single, 2, None),
                "please give only one disk for single disk mode",
            ),
            (
                wanted(RaidLevel::Mirror, 1, None),
                "mirror needs at least 2 disks",
            ),
            (
                wanted(RaidLevel::Raid10, 5, None),
                "raid10 needs an even number of disks",
            ),
            (
                wanted(RaidLevel::Raid10, 2, None),
                "raid10 needs at least 4 disks",
            ),
            (
                wanted(RaidLevel::Raidz3, 4, None),
                "raidz3 needs at least 5 disks",
            ),
            (
                wanted(RaidLevel::Mirror, 2, spared),
                "draid-config set without using dRAID level",
            ),
            (
                wanted(RaidLevel::Draid2, 4, spared),
                "draid2 with this draid-config needs at least 5 disks",
            ),
        ];
        for (wanted, text) in cases {
            assert_eq!(wanted.check().unwrap_err().message, text);
        }
        wanted(RaidLevel::Draid, 4, spared).check().unwrap();
    }

    #[test]
    fn a_layout_is_said_as_zpool_takes_it() {
        let layout = |level, count, draid| {
            let wanted = wanted(level, count, draid);
            wanted.layout(&wanted.devices).join(" ")
        };
        assert_eq!(layout(RaidLevel::Single, 1, None), "/dev/d0");
        assert_eq!(
            layout(RaidLevel::Raid10, 4, None),
            "mirror /dev/d0 /dev/d1 mirror /dev/d2 /dev/d3"
        );
        let spared = Some(DraidConfig { data: 2, spares: 1 });
        assert_eq!(
            layout(RaidLevel::Draid, 4, spared),
            "draid:2d:1s /dev/d0 /dev/d1 /dev/d2 /dev/d3"
        );
    }
}
