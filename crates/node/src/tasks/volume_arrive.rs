//! What every file that becomes a volume goes through, once it lies in the storage's folder for
//! uploads.
//!
//! ```text
//!   … ─ verify ─ place ┃ clear
//!                      ┃ point of no return: the volume is the new file
//! ```
//!
//! A volume of the same name is replaced by an upload, as in Proxmox VE, by exchanging the two names at
//! once: there is no moment without the volume, and until the point of no return the old file
//! can be put back. A download refuses to replace anything; a volume that its checksum describes
//! already is left as it is.

use std::fs::File;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use model::{Error, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{Checksum, ContentType, Probed};
use sys::FileKind;
use tasks::{Probe, Step, Task, TaskContext};

use crate::NodeContext;

/// A file on its way to a volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Arriving {
    pub volume: VolumeId,
    pub checksum: Option<Checksum>,
    /// Where the file lies until it is a volume, and where the volume will be.
    #[serde(default)]
    paths: Option<(PathBuf, PathBuf)>,
    /// Distinguishes our file from the one that it replaces, whichever name it has.
    #[serde(default)]
    inode: Option<u64>,
    #[serde(default)]
    replaces: bool,
    /// A volume that is there already is not replaced.
    #[serde(default)]
    spares: bool,
    /// The volume is there already, and is what was to come: nothing arrives.
    #[serde(default)]
    is_here: bool,
}

type Cx = TaskContext<NodeContext>;

impl Arriving {
    pub(super) fn new(volume: VolumeId, checksum: Option<Checksum>) -> Self {
        Self {
            volume,
            checksum,
            paths: None,
            inode: None,
            replaces: false,
            spares: false,
            is_here: false,
        }
    }

    /// The same, but for a volume that is there already: it stays.
    pub(super) fn sparing(self) -> Self {
        Self {
            spares: true,
            ..self
        }
    }

    /// Whether there is nothing to be done: the volume is what was to come.
    pub(super) fn is_here(&self) -> bool {
        self.is_here
    }

    /// Looks whether the volume is there already. One that is to stay must be what was to come.
    pub(super) async fn look(&mut self, cx: &Cx) -> Result<(), Error> {
        let target = &self.chosen()?.1;
        if cx.node.host.stat(target).await?.is_none() {
            return Ok(());
        }
        let Some(checksum) = &self.checksum else {
            return Err(self.refusal(target));
        };
        cx.log("calculating checksum").await;
        verify(cx, checksum, target).await?;
        cx.log("OK, got correct file already, no need to download")
            .await;
        self.is_here = true;
        Ok(())
    }

    /// Refuses a volume that is there already, before anything is fetched for it.
    pub(super) async fn refuse_existing(&self, cx: &Cx) -> Result<(), Error> {
        let target = &self.chosen()?.1;
        match cx.node.host.stat(target).await? {
            None => Ok(()),
            Some(_) => Err(self.refusal(target)),
        }
    }

    fn refusal(&self, target: &Path) -> Error {
        let target = target.display();
        Error::conflict(format!("refusing to override existing file '{target}'"))
    }

    /// What tasks of one volume take turns at.
    pub(super) fn object(&self) -> String {
        format!("volume/{}", self.volume)
    }

    /// Chooses where the file lies meanwhile.
    pub(super) async fn choose(&mut self, cx: &Cx, file_name: &str) -> Result<(), Error> {
        let storage = cx.node.storage(self.volume.storage()).await?;
        storage.activate().await?;
        let files = storage.files().ok_or_else(|| {
            Error::conflict(format!(
                "storage '{}' takes no files",
                self.volume.storage()
            ))
        })?;
        let target = storage.path(self.volume.name())?;
        self.paths = Some((files.uploads().join(file_name), target));
        Ok(())
    }

    pub(super) fn arrived(&self) -> Result<&Path, Error> {
        Ok(&self.chosen()?.0)
    }

    fn chosen(&self) -> Result<&(PathBuf, PathBuf), Error> {
        self.paths
            .as_ref()
            .ok_or_else(|| Error::bug("the file has no place yet"))
    }

    /// Remembers which file is ours. False where none has arrived.
    pub(super) async fn recognise(&mut self, cx: &Cx) -> Result<bool, Error> {
        let entry = cx.node.host.stat(self.arrived()?).await?;
        self.inode = entry.map(|entry| entry.inode);
        Ok(self.inode.is_some())
    }

    /// Removes what has arrived.
    pub(super) async fn discard(&self, cx: &Cx) -> Result<(), Error> {
        if let Some((arrived, _)) = &self.paths {
            cx.node.host.remove(arrived).await?;
        }
        Ok(())
    }

    async fn is_placed(&self, cx: &Cx) -> Result<bool, Error> {
        let entry = cx.node.host.stat(&self.chosen()?.1).await?;
        Ok(entry.is_some_and(|entry| Some(entry.inode) == self.inode))
    }

    async fn swap(&self, cx: &Cx, from: &Path, to: &Path) -> Result<(), Error> {
        let host = &cx.node.host;
        let moved = if self.replaces {
            host.exchange(from, to).await
        } else {
            host.rename(from, to).await
        };
        Ok(moved?)
    }
}

/// A task that makes a volume of a file.
pub(super) trait Arrives: Task<Node = NodeContext> {
    fn arriving(&self) -> &Arriving;
    fn arriving_mut(&mut self) -> &mut Arriving;
}

async fn verify(cx: &Cx, checksum: &Checksum, path: &Path) -> Result<(), Error> {
    let file = cx.node.host.open_image(path, false, false).await?;
    let checksum = checksum.clone();
    let check = move || checksum.check(&File::from(file.try_clone()?));
    let checked = tokio::task::spawn_blocking(check).await;
    let checked = checked.map_err(|error| Error::bug(format!("the checksum: {error}")))?;
    checked.map_err(|error| Error::unavailable(format!("cannot read the file: {error}")))??;
    Ok(())
}

/// Refuses an image to be imported that is not what its name says, or refers to other files: its
/// author would read the host's files through it.
async fn check_image(cx: &Cx, volume: &VolumeId, path: &Path) -> Result<(), Error> {
    let storage = cx.node.storage(volume.storage()).await?;
    let named = storage.config().parse(volume.name())?;
    if named.content != ContentType::Import {
        return Ok(());
    }
    let refused = |why: String| Error::conflict(format!("'{volume}' is refused: {why}"));
    let host = &cx.node.host;
    let file = host.open_image(path, false, false).await?;
    let content = storage::probe(host, &file, path).await?;
    let format = match (named.format.as_str(), content) {
        ("ova", Probed::Archive) | ("ovf", _) => return Ok(()),
        (name, Probed::Image(format)) if format.as_str() == name => format,
        (name, _) => return Err(refused(format!("the file is no {name}"))),
    };
    let header = storage::header_of(host, &file, path, format).await;
    let header = header.map_err(|error| refused(Error::chain(&error)))?;
    match header.is_whole() {
        true => Ok(()),
        false => Err(refused("it refers to other files".to_owned())),
    }
}

/// Holds the file against its checksum, and what is to be an image against its name.
pub(super) struct Verify;

#[async_trait]
impl<T: Arrives> Step<T> for Verify {
    fn name(&self) -> &'static str {
        "verify"
    }

    async fn plan(&self, _: &Cx, _: &mut T) -> Result<(), Error> {
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let arriving = task.arriving();
        if arriving.is_here {
            return Ok(());
        }
        let path = arriving.arrived()?;
        let size = cx.node.host.stat(path).await?.map_or(0, |entry| entry.size);
        cx.log(&format!("file size is: {size} bytes")).await;
        if let Some(checksum) = &arriving.checksum {
            cx.log("calculating checksum").await;
            verify(cx, checksum, path).await?;
            cx.log("OK, checksum verified").await;
        }
        check_image(cx, &arriving.volume, path).await
    }
}

/// Gives the file the volume's name.
pub(super) struct Place;

#[async_trait]
impl<T: Arrives> Step<T> for Place {
    fn name(&self) -> &'static str {
        "place"
    }

    async fn plan(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let arriving = task.arriving_mut();
        if arriving.is_here {
            return Ok(());
        }
        let target = &arriving.chosen()?.1;
        cx.log(&format!("target file: {}", target.display())).await;
        let entry = cx.node.host.stat(target).await?;
        if entry
            .as_ref()
            .is_some_and(|entry| entry.kind != FileKind::File)
        {
            let text = format!("'{}' exists and is no file", target.display());
            return Err(Error::conflict(text));
        }
        if arriving.spares && entry.is_some() {
            return Err(arriving.refusal(target));
        }
        arriving.replaces = entry.is_some();
        Ok(())
    }

    async fn probe(&self, cx: &Cx, task: &mut T) -> Result<Probe, Error> {
        let arriving = task.arriving();
        let placed = arriving.is_here || arriving.is_placed(cx).await?;
        Ok(if placed { Probe::Done } else { Probe::NotDone })
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let arriving = task.arriving();
        if arriving.is_here {
            return Ok(());
        }
        let (arrived, target) = arriving.chosen()?;
        match arriving.swap(cx, arrived, target).await {
            // It may have happened although something after it failed.
            Err(error) if !arriving.is_placed(cx).await? => Err(error),
            _ => Ok(()),
        }
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        let arriving = task.arriving();
        if arriving.is_here || arriving.paths.is_none() || !arriving.is_placed(cx).await? {
            return Ok(());
        }
        let (arrived, target) = arriving.chosen()?;
        arriving.swap(cx, target, arrived).await
    }
}

/// Removes what was replaced.
pub(super) struct Clear;

#[async_trait]
impl<T: Arrives> Step<T> for Clear {
    fn name(&self) -> &'static str {
        "clear"
    }

    async fn plan(&self, _: &Cx, _: &mut T) -> Result<(), Error> {
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        task.arriving().discard(cx).await
    }
}
