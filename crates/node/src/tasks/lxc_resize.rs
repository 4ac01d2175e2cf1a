//! Makes a file system of a container larger, while the container runs or not.
//!
//! ```text
//!   claim ─ grow ┃ grow-file-system ─ note-size ─ release
//!                ┃ a volume does not shrink again
//! ```

use async_trait::async_trait;
use model::lxc::{MountPoint, MountSlot, MountSource};
use model::{BlockSource, ByteSize, Error, GuestConfig, GuestRecord, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{AttachMode, ContentType};
use sys::{Command, Fence, Output};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release, check_digest, check_lock};
use super::lxc_snapshot::mounts_in_use;
use super::{NewSize, guest_object};
use crate::guests::options::note_size;
use crate::volumes::attached::by_task;
use crate::{NodeContext, volumes};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcResize {
    pub vmid: VmId,
    pub slot: MountSlot,
    pub size: NewSize,
    pub digest: Option<String>,
    /// Chosen by `grow`.
    #[serde(default)]
    target: Option<Target>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Target {
    volume: VolumeId,
    bytes: u64,
    is_tree: bool,
}

impl LxcResize {
    pub fn new(vmid: VmId, slot: MountSlot, size: NewSize, digest: Option<String>) -> Self {
        Self {
            vmid,
            slot,
            size,
            digest,
            target: None,
        }
    }

    /// Refuses what could not be done, before it is a task.
    pub async fn check(&self, node: &NodeContext, guest: &GuestRecord) -> Result<(), Error> {
        Claims::check(self, guest)?;
        self.choose(node, &guest.config).await.map(drop)
    }

    async fn choose(&self, node: &NodeContext, config: &GuestConfig) -> Result<Target, Error> {
        let slot = self.slot;
        let volume = volume_of(slot, config)?;
        let storage = node.storage(volume.storage()).await?;
        storage.activate().await?;
        let now = volumes::info_of(&*storage, &volume).await?.size;
        let is_tree = storage.config().parse(volume.name())?.content == ContentType::Rootdir;
        let bytes = match self.size {
            NewSize::Exactly(size) => Some(size.bytes()),
            NewSize::LargerBy(size) => now.checked_add(size.bytes()),
        };
        let bytes = bytes.map(ByteSize).and_then(ByteSize::whole_kib);
        let bytes = bytes.ok_or_else(|| Error::invalid("size", "value is too large"))?;
        let bytes = bytes.bytes();
        if is_tree && now == 0 {
            let text = format!("volume '{volume}' has no size: it takes what its storage has");
            return Err(Error::conflict(text));
        }
        if bytes < now {
            return Err(Error::conflict("unable to shrink disk size"));
        }
        if bytes == now {
            return Err(Error::conflict("disk is already at specified size"));
        }
        Ok(Target {
            volume,
            bytes,
            is_tree,
        })
    }

    fn target(&self) -> Result<&Target, Error> {
        let missing = || Error::bug("the new size was not planned");
        self.target.as_ref().ok_or_else(missing)
    }
}

/// What Proxmox VE says of a mount point that is not there.
pub fn no_mount_point() -> Error {
    let required = "property is missing and it is not optional";
    let fields = ["mp", "volume"].map(|name| (name.to_owned(), required.to_owned()));
    Error {
        fields: fields.into(),
        ..Error::conflict("format error")
    }
}

/// The volume of a mount point.
pub(super) fn volume_of(slot: MountSlot, config: &GuestConfig) -> Result<VolumeId, Error> {
    let text = config.text(&slot.to_string()).ok_or_else(no_mount_point)?;
    let mount = MountPoint::parse(slot, &text)
        .map_err(|error| Error::invalid(slot.to_string(), error.to_string()))?;
    match mount.source() {
        MountSource::Volume(volume) => Ok(volume),
        MountSource::Bind(path) | MountSource::Device(path) => {
            let text = format!("unable to parse volume ID '{path}'");
            Err(Error::conflict(text))
        }
        MountSource::New { .. } => Err(Error::bug("a volume was not made")),
    }
}

impl Task for LxcResize {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_resize";
    const VERSION: u32 = 1;
    const KIND: &'static str = "resize";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Grow],
            after: &[&GrowFileSystem, &NoteSize, &Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for LxcResize {
    const SHOWN_AS: &'static str = "disk";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_digest(guest, self.digest.as_deref())?;
        check_lock(guest, false)
    }
}

type Cx = TaskContext<NodeContext>;

struct Grow;

#[async_trait]
impl Step<LxcResize> for Grow {
    fn name(&self) -> &'static str {
        "grow"
    }

    async fn plan(&self, cx: &Cx, task: &mut LxcResize) -> Result<(), Error> {
        let guest = cx.node.records.lxc(task.vmid).await?.record.data;
        let target = task.choose(&cx.node, &guest.config).await?;
        let names = cx.node.records.volume_names().await?;
        let volumes = std::slice::from_ref(&target.volume);
        cx.node.check_no_clones(volumes, &names).await?;
        task.target = Some(target);
        Ok(())
    }

    async fn probe(&self, cx: &Cx, task: &mut LxcResize) -> Result<Probe, Error> {
        let Target { volume, bytes, .. } = task.target()?;
        let storage = cx.node.storage(volume.storage()).await?;
        let now = volumes::info_of(&*storage, volume).await?.size;
        Ok(if now >= *bytes {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut LxcResize) -> Result<(), Error> {
        let Target {
            volume,
            bytes,
            is_tree,
        } = task.target()?;
        let storage = cx.node.storage(volume.storage()).await?;
        match storage.trees() {
            Some(trees) if *is_tree => trees.resize_tree(volume.name(), *bytes).await?,
            _ => storage.resize(volume.name(), *bytes).await?,
        }
        cx.log("Image resized.").await;
        Ok(())
    }
}

/// A file system that cannot be grown now stays smaller than its volume: the next resize grows both.
struct GrowFileSystem;

#[async_trait]
impl Step<LxcResize> for GrowFileSystem {
    fn name(&self) -> &'static str {
        "grow-file-system"
    }

    async fn probe(&self, _: &Cx, _: &mut LxcResize) -> Result<Probe, Error> {
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut LxcResize) -> Result<(), Error> {
        let target = task.target()?;
        if target.is_tree {
            return Ok(());
        }
        let refusal = match cx.node.running.is_running(task.vmid).await? {
            true => grow_mounted(cx, task).await?,
            false => grow_image(cx, &target.volume).await?,
        };
        if let Some(why) = refusal {
            let text = format!("Failed to update the container's filesystem: {why}");
            cx.warn(&text).await;
        }
        Ok(())
    }
}

/// Why a file system does not grow, if it does not.
type Refusal = Option<String>;

async fn grow_mounted(cx: &Cx, task: &LxcResize) -> Result<Refusal, Error> {
    let guest = cx.node.records.lxc(task.vmid).await?.record.data;
    let slot = task.slot;
    let text = guest.config.text(&slot.to_string()).unwrap_or_default();
    let mount = MountPoint::parse(slot, &text)
        .map_err(|error| Error::invalid(slot.to_string(), error.to_string()))?;
    let mounts = mounts_in_use(cx, task.vmid).await?;
    let mounted = mounts.iter().find(|found| found.at == mount.path());
    let missing = || Error::conflict(format!("{slot} is not mounted"));
    let mounted = mounted.ok_or_else(missing)?;
    let grown = cx.node.host.grow_mount(mounted).await;
    Ok(grown.err().map(|error| Error::chain(&error)))
}

const TUNE: &str = "tune2fs";

/// The host's mounts.
const MOUNTS: &str = "/proc/self/mounts";

/// Checks the file system of an image that is not mounted, and makes it as large as its image.
async fn grow_image(cx: &Cx, volume: &VolumeId) -> Result<Refusal, Error> {
    let by = by_task(cx);
    let attached = cx.node.attach(volume, AttachMode::Exclusive, &by).await;
    let grown = match attached.map(|spec| spec.source) {
        Ok(BlockSource::File(path) | BlockSource::Device(path)) => grow_at(cx, &path).await,
        Ok(other) => Err(Error::bug(format!("{other:?} has no path"))),
        Err(error) => Err(error),
    };
    // An attachment that failed may have been made.
    cx.node.detach(volume, &by).await?;
    grown
}

/// What e2fsck writes into an image with `mmp` while it works, in the words of debugfs. If it is killed
/// it stays, and neither the kernel nor e2fsck takes the image.
const CHECKED: &str = "e24d4d50";

/// Takes the mark of a check off an image that this task has attached, for itself alone. Another mark
/// stays: it may be a mount's.
pub(super) async fn clear_check_mark(cx: &Cx, path: &str) -> Result<(), Error> {
    let said = run_at(cx, "debugfs", &["-R", "dump_mmp"], path).await?;
    if !is_check_mark(&String::from_utf8_lossy(&said.stdout)) {
        return Ok(());
    }
    let cleared = run_at(cx, TUNE, &["-f", "-E", "clear_mmp"], path).await?;
    cleared.checked(TUNE)?;
    cx.log("Took off the mark of a check that did not end.")
        .await;
    Ok(())
}

fn is_check_mark(said: &str) -> bool {
    let words = said.lines().filter_map(|line| line.split_once(':'));
    let mut marks = words.filter(|(name, _)| name.trim() == "sequence");
    marks.any(|(_, mark)| mark.trim().trim_start_matches("0x") == CHECKED)
}

/// Runs a program of ext4's on an image that is not mounted, in a fence. What it prints is logged.
pub(super) async fn on_image(
    cx: &Cx,
    program: &str,
    args: &[&str],
    path: &str,
) -> Result<Output, Error> {
    let output = run_at(cx, program, args, path).await?;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        cx.log(line).await;
    }
    Ok(output)
}

async fn run_at(cx: &Cx, program: &str, args: &[&str], path: &str) -> Result<Output, Error> {
    let host = &cx.node.host;
    let image = host.open_image(path.as_ref(), true, false).await?;
    // Without this list the programs refuse to work: what they change must not be mounted.
    let mounts = host.open_image(MOUNTS.as_ref(), false, false).await?;
    let fence = Fence::new(None).file(path, image, true);
    let command = Command::new(program)
        .args(args.iter().copied())
        .arg(path)
        .timeout(None)
        .fence(fence.file("/etc/mtab", mounts, false));
    Ok(cx.run(command).await?)
}

async fn grow_at(cx: &Cx, path: &str) -> Result<Refusal, Error> {
    // Without it e2fsck says what is wrong.
    if let Err(error) = clear_check_mark(cx, path).await {
        let text = format!("looking for the mark of a check: {}", Error::chain(&error));
        cx.log(&text).await;
    }
    for (program, args) in [("e2fsck", &["-f", "-y"][..]), ("resize2fs", &["-f"])] {
        let output = on_image(cx, program, args, path).await?;
        // 1: e2fsck has mended something.
        let is_well = output.success() || (program == "e2fsck" && output.code == Some(1));
        if !is_well {
            return Ok(Some(format!("{program}: {}", output.complaint())));
        }
    }
    Ok(None)
}

/// The configuration shows the size too.
struct NoteSize;

#[async_trait]
impl Step<LxcResize> for NoteSize {
    fn name(&self) -> &'static str {
        "note-size"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcResize) -> Result<(), Error> {
        let volume = &task.target()?.volume;
        let storage = cx.node.storage(volume.storage()).await?;
        let bytes = volumes::info_of(&*storage, volume).await?.size;
        let option = task.slot.to_string();
        let note = |guest: &mut GuestRecord| note_size(&mut guest.config, &option, bytes);
        let revision = cx.node.records.change_guest(task.vmid, note).await?;
        cx.committed(revision.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_mark_of_a_check_is_one() {
        let said = |mark: &str| format!("block_number: 1460\nsequence: {mark}\ntime: 1\n");
        assert!(is_check_mark(&said("e24d4d50")));
        // Clean, and mounted.
        assert!(!is_check_mark(&said("ff4d4d50")));
        assert!(!is_check_mark(&said("1a2b3c4d")));
        assert!(!is_check_mark("dump_mmp: MMP: feature not enabled.\n"));
    }
}
