//! Copies of a container's file systems, for the tasks that make them.
//!
//! ```text
//!   a base              linked clone           the storage's own
//!   image  ─► image     block by block         qemu-img, with holes
//!   folder ─► any       file by file           rsync as the container's root, in a fence
//!   image  ─► folder        "
//! ```

use guest::lxc::CtConfig;
use model::{BlockFormat, Error, StorageId, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{ContentType, Storage};
use sys::{Cell, CellMount, CellSource, Command, Fence};
use tasks::TaskContext;
use tokio::sync::mpsc;

use super::bases::linked_clones_of;
use super::file_systems::{choose, clear_mark, make};
use super::qemu_move_disk::warn_unencrypted;
use crate::guests::disk_snapshots::snapshots_of;
use crate::volumes::attached::by_task;
use crate::volumes::images::{self, Copying, Source};
use crate::{NodeContext, volumes};

type Cx = TaskContext<NodeContext>;

const PROGRAM: &str = "rsync";

/// A file system that is copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FileSystemCopy {
    /// The option that names it.
    pub(super) option: String,
    pub(super) from: VolumeId,
    /// What is copied is not the present but this snapshot.
    snapshot: Option<String>,
    pub(super) to: VolumeId,
    /// 0 where it is not limited.
    pub(super) bytes: u64,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    Linked,
    Blocks,
    /// Into a new image or a new directory.
    Files {
        is_tree: bool,
    },
}

/// What is to be copied.
pub(super) struct Original<'a> {
    pub(super) option: &'a str,
    pub(super) volume: VolumeId,
    pub(super) snapshot: Option<&'a str>,
}

impl FileSystemCopy {
    /// Chooses a copy's name and how it is made. On the original's storage if none is given.
    pub(super) async fn plan(
        cx: &Cx,
        owner: VmId,
        original: Original<'_>,
        storage: Option<&StorageId>,
        taken: &[String],
    ) -> Result<Self, Error> {
        let Original {
            option,
            volume: from,
            snapshot,
        } = original;
        let source = cx.node.storage(from.storage()).await?;
        source.activate().await?;
        let bytes = volumes::info_of(&*source, &from).await?.size;
        let was_tree = source.config().parse(from.name())?.content == ContentType::Rootdir;
        let id = storage.unwrap_or(from.storage());
        warn_unencrypted(cx, &*source, &*cx.node.storage(id).await?).await;
        let (name, is_tree) = choose(cx, owner, option, (id, bytes), taken).await?;
        Ok(Self {
            option: option.to_owned(),
            to: volumes::named(id, name)?,
            from,
            snapshot: snapshot.map(str::to_owned),
            bytes,
            how: match was_tree || is_tree {
                true => How::Files { is_tree },
                false => How::Blocks,
            },
        })
    }

    /// Chooses the name of a linked clone. Refuses what has none that can be mounted.
    pub(super) async fn plan_linked(
        cx: &Cx,
        owner: VmId,
        option: &str,
        from: VolumeId,
        taken: &[String],
    ) -> Result<Self, Error> {
        let storage = cx.node.storage(from.storage()).await?;
        storage.activate().await?;
        check_linkable(&*storage, &from)?;
        let clones = linked_clones_of(&*storage, &from)?;
        let clone = clones.plan_clone(from.name(), owner, taken).await?;
        Ok(Self {
            option: option.to_owned(),
            to: volumes::named(from.storage(), clone.name)?,
            from,
            snapshot: None,
            bytes: clone.size,
            how: How::Linked,
        })
    }

    /// Makes the copy of a container of this configuration, which does not run.
    pub(super) async fn make(
        &self,
        cx: &Cx,
        config: &CtConfig,
        bytes_per_s: u64,
    ) -> Result<(), Error> {
        let Self {
            option, from, to, ..
        } = self;
        match self.how {
            How::Linked => {
                let text = format!("create linked clone of mount point {option} ({from})");
                cx.log(&text).await;
                let storage = cx.node.storage(to.storage()).await?;
                let clones = linked_clones_of(&*storage, to)?;
                Ok(clones.create_clone(from.name(), to.name()).await?)
            }
            How::Blocks => {
                cx.log(&format!(
                    "create full clone of mountpoint {option} ({from})"
                ))
                .await;
                let storage = cx.node.storage(to.storage()).await?;
                storage
                    .allocate(to.name(), BlockFormat::Raw, self.bytes)
                    .await?;
                self.copy_blocks(cx, bytes_per_s).await?;
                clear_mark(cx, to).await
            }
            How::Files { is_tree } => {
                cx.log(&format!(
                    "create full clone of mountpoint {option} ({from})"
                ))
                .await;
                make(cx, to, is_tree, self.bytes, config.owner()).await?;
                let copied = self.copy_files(cx, config, bytes_per_s).await;
                self.let_go(cx).await?;
                copied
            }
        }
    }

    /// Removes what is there of a copy that was broken off.
    pub(super) async fn remove(&self, cx: &Cx) -> Result<(), Error> {
        self.let_go(cx).await?;
        let storage = cx.node.storage(self.to.storage()).await?;
        storage.free(self.to.name()).await?;
        Ok(())
    }

    async fn copy_blocks(&self, cx: &Cx, bytes_per_s: u64) -> Result<(), Error> {
        let source = Source::of_volume(cx, &self.from, self.snapshot.as_deref()).await?;
        let copying = Copying {
            what: &self.option,
            to: &self.to,
            bytes: self.bytes,
            bytes_per_s,
        };
        images::copy(cx, source, copying).await
    }

    async fn copy_files(&self, cx: &Cx, config: &CtConfig, bytes_per_s: u64) -> Result<(), Error> {
        let by = by_task(cx);
        let from = match &self.snapshot {
            None => cx.node.file_system(&self.from, true, &by).await?,
            Some(snapshot) => {
                let node = &cx.node;
                node.snapshot_of_file_system(&self.from, snapshot, &by)
                    .await?
            }
        };
        let to = cx.node.file_system(&self.to, false, &by).await?;
        let mounted = |source: CellSource, read_only: bool| CellMount {
            source,
            at: "/".to_owned(),
            read_only,
            options: match read_only {
                true => vec!["noload".to_owned()],
                false => Vec::new(),
            },
            acl: None,
            in_use: false,
        };
        let cell = Cell {
            mounts: vec![mounted(to, false)],
            at: Cell::INSIDE.into(),
            beside: Some(mounted(from, true)),
            first_id: config.first_id(),
            hides: None,
            program: None,
        };
        self.run_copy(cx, cell, bytes_per_s).await
    }

    async fn run_copy(&self, cx: &Cx, cell: Cell, bytes_per_s: u64) -> Result<(), Error> {
        let (listener, heard) = mpsc::unbounded_channel();
        let command = Command::new(PROGRAM)
            .args(arguments(bytes_per_s))
            .timeout(None)
            .fence(Fence::new(None))
            .cell(cell)
            .heard_by(listener);
        let shown = show(cx, &self.option, heard);
        let (ended, ()) = tokio::join!(cx.run(command), shown);
        let printed = ended?.checked(PROGRAM)?;
        for line in lines(&String::from_utf8_lossy(&printed)) {
            cx.log(line).await;
        }
        Ok(())
    }

    async fn let_go(&self, cx: &Cx) -> Result<(), Error> {
        let by = by_task(cx);
        match self.how {
            How::Linked => return Ok(()),
            How::Blocks => images::let_go(cx, &self.from, self.snapshot.as_deref()).await?,
            How::Files { .. } => self.let_go_original(cx).await?,
        }
        cx.node.detach(&self.to, &by).await
    }

    async fn let_go_original(&self, cx: &Cx) -> Result<(), Error> {
        let (by, from) = (by_task(cx), &self.from);
        let Some(snapshot) = &self.snapshot else {
            return cx.node.detach(from, &by).await;
        };
        let storage = cx.node.storage(from.storage()).await?;
        if storage.config().parse(from.name())?.content == ContentType::Rootdir {
            return Ok(());
        }
        let snapshots = snapshots_of(&*storage, from)?;
        Ok(snapshots
            .detach_snapshot(from.name(), snapshot, &by)
            .await?)
    }
}

/// Whether a volume has linked clones which a container can have: of a file only qcow2 images are
/// made, which cannot be mounted.
pub fn is_linkable(storage: &dyn Storage, volume: &VolumeId) -> Result<bool, Error> {
    let said = storage.config().parse(volume.name())?;
    let clones = storage.linked_clones();
    let is_mountable = clones.is_some_and(|clones| clones.clone_format() == BlockFormat::Raw);
    Ok(said.is_base && is_mountable)
}

pub(super) fn check_linkable(storage: &dyn Storage, volume: &VolumeId) -> Result<(), Error> {
    match is_linkable(storage, volume)? {
        true => Ok(()),
        false => Err(Error::conflict(format!(
            "Linked clone feature for '{volume}' is not available"
        ))),
    }
}

fn arguments(bytes_per_s: u64) -> Vec<String> {
    let mut arguments = [
        "--archive",
        "--hard-links",
        "--acls",
        "--xattrs",
        "--numeric-ids",
        "--whole-file",
        "--sparse",
        "--one-file-system",
        "--no-inc-recursive",
        "--stats",
        "--info=progress2",
    ]
    .map(str::to_owned)
    .to_vec();
    if bytes_per_s > 0 {
        arguments.push(format!("--bwlimit={}", (bytes_per_s / 1024).max(1)));
    }
    arguments.extend([format!("{}/", Cell::BESIDE), format!("{}/", Cell::INSIDE)]);
    arguments
}

/// Turns the program's progress into lines of the log, one for each percent at most.
async fn show(cx: &Cx, what: &str, mut heard: mpsc::UnboundedReceiver<Vec<u8>>) {
    let mut shown = None;
    while let Some(part) = heard.recv().await {
        let percent = last_percent(&String::from_utf8_lossy(&part));
        if let Some(percent) = percent.filter(|percent| shown != Some(*percent)) {
            shown = Some(percent);
            cx.progress(what, percent, 100).await;
        }
    }
}

/// The last figure in what `rsync --info=progress2` prints: `  1,024  12%  1.00MB/s  0:00:01\r`.
fn last_percent(printed: &str) -> Option<u64> {
    let (before, _) = printed.rsplit_once('%')?;
    before.rsplit(' ').next()?.parse().ok()
}

/// What the program prints besides its progress.
fn lines(printed: &str) -> impl Iterator<Item = &str> {
    printed
        .lines()
        .map(|line| line.rsplit('\r').next().unwrap_or_default())
        .filter(|line| !line.is_empty() && !line.contains('%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\r         12,345  45%    1.00MB/s    0:00:01\r         22,345 100%  \
        2.00MB/s    0:00:00 (xfr#2, to-chk=0/3)\n\nNumber of files: 3 (reg: 2, dir: 1)\n\
        Total file size: 91,830 bytes\n";

    #[test]
    fn progress_and_figures_are_told_apart() {
        assert_eq!(last_percent(PRINTED), Some(100));
        assert_eq!(last_percent("sending incremental file list\n"), None);
        let shown: Vec<&str> = lines(PRINTED).collect();
        assert_eq!(
            shown,
            [
                "Number of files: 3 (reg: 2, dir: 1)",
                "Total file size: 91,830 bytes"
            ]
        );
    }

    #[test]
    fn a_limit_is_given_in_kib() {
        assert!(arguments(3 << 20).contains(&"--bwlimit=3072".to_owned()));
        assert!(
            !arguments(0)
                .iter()
                .any(|argument| argument.contains("bwlimit"))
        );
        assert_eq!(arguments(0).last().unwrap(), "/container/");
    }
}
