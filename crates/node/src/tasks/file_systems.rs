//! The step that makes the file systems which an edit of a container asks for.

use async_trait::async_trait;
use model::{BlockFormat, Error, StorageId, VmId, VolumeId};
use storage::{AttachMode, ContentType};
use sys::{Command, Fence, Output};
use tasks::{Probe, Step, Task, TaskContext};

use crate::lxc::edit::CtEdit;
use crate::volumes::attached::by_task;
use crate::{NodeContext, volumes};

type Cx = TaskContext<NodeContext>;

const MKFS: &str = "mkfs.ext4";
const TUNE: &str = "tune2fs";
/// Lets programs of e2fsprogs do without a list of what is mounted, which a fence does not have.
const NO_MTAB: &str = "EXT2FS_NO_MTAB_OK";

/// A task that makes file systems.
#[async_trait]
pub(super) trait MakesFileSystems: Task<Node = NodeContext> {
    fn owner(&self) -> VmId;
    fn edit(&self) -> &CtEdit;
    fn edit_mut(&mut self) -> &mut CtEdit;

    /// An error in the words of the task.
    fn failed(&self, error: Error) -> Error {
        error
    }

    /// Whom the top of a new file system belongs to.
    async fn ids(&self, cx: &Cx) -> Result<(u32, u32), Error>;

    /// What must hold before anything is made.
    async fn check_before(&self, _cx: &Cx) -> Result<(), Error> {
        Ok(())
    }
}

pub(super) struct MakeFileSystems;

#[async_trait]
impl<T: MakesFileSystems> Step<T> for MakeFileSystems {
    fn name(&self) -> &'static str {
        "make-file-systems"
    }

    async fn plan(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let checked = task.check_before(cx).await;
        checked.map_err(|error| task.failed(error))?;
        let mut new = task.edit().new_volumes.clone();
        let mut taken = Vec::new();
        for volume in &mut new {
            let what = volume.slot.to_string();
            let place = (&volume.storage, volume.bytes);
            let chosen = choose(cx, task.owner(), &what, place, &taken).await;
            let (name, is_tree) = chosen.map_err(|error| task.failed(error))?;
            taken.push(name.clone());
            (volume.name, volume.is_tree) = (Some(name), is_tree);
        }
        task.edit_mut().new_volumes = new;
        task.edit_mut().name_volumes()
    }

    async fn probe(&self, _: &Cx, _: &mut T) -> Result<Probe, Error> {
        // Before the point of no return nothing is gone on with.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let owner = task.ids(cx).await?;
        for volume in &task.edit().new_volumes {
            let missing = || Error::bug(format!("{} has no name yet", volume.slot));
            let name = volume.name.clone().ok_or_else(missing)?;
            let id = volumes::named(&volume.storage, name)?;
            let made = make(cx, &id, volume.is_tree, volume.bytes, owner).await;
            made.map_err(|error| task.failed(error))?;
        }
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        // As with images: what is there under a name that we chose is what we made.
        for volume in &task.edit().new_volumes {
            let Some(name) = &volume.name else { continue };
            let id = volumes::named(&volume.storage, name.clone())?;
            if !volume.is_tree {
                cx.node.detach(&id, &by_task(cx)).await?;
            }
            cx.node.storage(&volume.storage).await?.free(name).await?;
        }
        Ok(())
    }
}

/// Chooses the name of a new file system, and whether it is a directory.
pub(super) async fn choose(
    cx: &Cx,
    owner: VmId,
    what: &str,
    (id, bytes): (&StorageId, u64),
    taken: &[String],
) -> Result<(String, bool), Error> {
    let storage = cx.node.storage(id).await?;
    if !storage.config().takes(ContentType::Rootdir) {
        return Err(Error::conflict(format!(
            "content type 'rootdir' is not available or configured on storage '{id}'"
        )));
    }
    storage.activate().await?;
    let trees = storage.trees();
    if let Some(trees) = trees.filter(|trees| bytes == 0 || trees.has_quotas()) {
        return Ok((trees.choose_tree_name(owner, taken).await?, true));
    }
    if bytes == 0 {
        let text = format!("{what}: a new volume needs a size");
        return Err(Error::conflict(text));
    }
    if !storage.config().spec.kind().has_paths() {
        let text = format!("storage '{id}' does not support containers");
        return Err(Error::conflict(text));
    }
    let name = storage
        .choose_image_name(owner, BlockFormat::Raw, taken)
        .await?;
    Ok((name, false))
}

/// Makes a file system, whose top belongs to `owner`. On an image as Proxmox VE makes it: it refuses
/// to be mounted twice.
pub(super) async fn make(
    cx: &Cx,
    volume: &VolumeId,
    is_tree: bool,
    bytes: u64,
    owner: (u32, u32),
) -> Result<(), Error> {
    let storage = cx.node.storage(volume.storage()).await?;
    if is_tree {
        let none = || Error::bug("the storage has no directories");
        let trees = storage.trees().ok_or_else(none)?;
        return Ok(trees.create_tree(volume.name(), bytes, owner).await?);
    }
    storage
        .allocate(volume.name(), BlockFormat::Raw, bytes)
        .await?;
    let (uid, gid) = owner;
    let owner = format!("root_owner={uid}:{gid}");
    let printed = run_on_image(cx, volume, MKFS, &["-F", "-O", "mmp", "-E", &owner]).await?;
    let printed = printed.checked(MKFS)?;
    for line in String::from_utf8_lossy(&printed).lines() {
        let told = ["Creating filesystem", "Filesystem UUID"];
        if told.iter().any(|begin| line.starts_with(begin)) {
            cx.log(line).await;
        }
    }
    Ok(())
}

/// Takes the mark of a mounted file system off an image that was copied while it was one: at the
/// next mount the kernel would wait up to a minute for whatever else has it mounted, and each
/// `sync` of the machine with it. What is not ext4 has no such mark.
pub(super) async fn clear_mark(cx: &Cx, volume: &VolumeId) -> Result<(), Error> {
    let arguments = ["-f", "-E", "clear_mmp"];
    run_on_image(cx, volume, TUNE, &arguments).await.map(drop)
}

/// Runs a program on an image that nothing else uses; its path is the last argument.
async fn run_on_image(
    cx: &Cx,
    volume: &VolumeId,
    program: &str,
    arguments: &[&str],
) -> Result<Output, Error> {
    let by = by_task(cx);
    let spec = cx.node.attach(volume, AttachMode::Exclusive, &by).await?;
    let none = || Error::bug("an image has no path");
    let path = spec.source.path().ok_or_else(none)?;
    let ended = async {
        let image = cx.node.host.open_image(path.as_ref(), true, false).await?;
        let mut command = Command::new(program)
            .args(arguments.iter().copied().chain([path]))
            .timeout(None)
            .fence(Fence::new(None).file(path, image, true));
        command.env.push((NO_MTAB.to_owned(), "1".to_owned()));
        cx.run(command).await
    };
    let ended = ended.await;
    cx.node.detach(volume, &by).await?;
    Ok(ended?)
}
