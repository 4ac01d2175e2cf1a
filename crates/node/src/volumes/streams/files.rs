//! Files that people have brought: ISO images, templates, snippets, images to import.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use model::{Error, StorageId, VolumeId};
use sys::SysError;
use tokio::net::UnixStream;

use super::disk::unwritten;
use super::{BLOCK, Cx, Progress, Reader, Writer, check_end, cut, gone, size_of, too_short};

/// Sends a file.
pub(crate) async fn send_file(
    cx: &Cx,
    volume: &VolumeId,
    to: UnixStream,
    mut progress: Progress<'_>,
) -> Result<(), Error> {
    let storage = cx.node.storage(volume.storage()).await?;
    storage.activate().await?;
    let path = storage.path(volume.name())?;
    let host = &cx.node.host;
    let file = host.open_image(&path, false, false).await?;
    let size = host.measure(&file, &path).await?.bytes;
    let mut writer = Writer::new(to);
    let header = writer.write(&size.to_le_bytes()).await;
    header.map_err(|error| gone(&error))?;
    send_bytes(cx, &file, &path, &mut writer, &mut progress).await?;
    writer.finish().await.map_err(|error| gone(&error))?;
    Ok(())
}

/// Sends the bytes of an open file, as many as it has now.
pub(super) async fn send_bytes(
    cx: &Cx,
    file: &Arc<OwnedFd>,
    path: &Path,
    writer: &mut Writer,
    progress: &mut Progress<'_>,
) -> Result<(), Error> {
    let host = &cx.node.host;
    progress.total = host.measure(file, path).await?.bytes;
    let mut at = 0;
    while at < progress.total {
        let length = BLOCK.min(usize::try_from(progress.total - at).unwrap_or(BLOCK));
        let block = host.read_at(file, path, at, length).await?;
        if block.is_empty() {
            let path = path.display();
            return Err(Error::unavailable(format!(
                "'{path}' became shorter meanwhile"
            )));
        }
        writer.write(&block).await.map_err(|error| gone(&error))?;
        at += block.len() as u64;
        progress.at(at).await;
    }
    Ok(())
}

/// Makes a file of what is received, durably.
pub(crate) async fn take_file(
    cx: &Cx,
    from: &mut Reader,
    storage: &StorageId,
    path: &Path,
    mut progress: Progress<'_>,
) -> Result<(), Error> {
    let host = &cx.node.host;
    let size = size_of(from).await?;
    progress.total = size;
    host.write(path, b"", 0o644).await?;
    let file = host.open_image(path, true, false).await?;
    let poured = pour(cx, from, (&file, path), Some(size), &mut progress).await;
    poured.map_err(|error| error.at(storage))?;
    let synced = host.sync(path).await;
    synced.map_err(|error| unwritten(storage, error))
}

/// Why bytes did not get into a file.
pub(super) enum Unpoured {
    Stream(Error),
    Host(SysError),
}

impl Unpoured {
    pub(super) fn at(self, storage: &StorageId) -> Error {
        match self {
            Self::Stream(error) => error,
            Self::Host(error) => unwritten(storage, error),
        }
    }
}

/// Writes what is received to a file, until the stream ends, which must be after so many bytes where
/// that is known.
pub(super) async fn pour(
    cx: &Cx,
    from: &mut Reader,
    (file, path): (&Arc<OwnedFd>, &Path),
    size: Option<u64>,
    progress: &mut Progress<'_>,
) -> Result<(), Unpoured> {
    let (mut at, mut block) = (0, vec![0; BLOCK]);
    loop {
        let left = size.map_or(u64::MAX, |size| size - at);
        let length = BLOCK.min(usize::try_from(left).unwrap_or(BLOCK));
        if length == 0 {
            break;
        }
        let count = from.fill(&mut block[..length]).await;
        let count = count.map_err(|error| Unpoured::Stream(cut(&error)))?;
        if count == 0 {
            break;
        }
        let written = cx
            .node
            .host
            .write_at(file, path, at, block[..count].to_vec());
        written.await.map_err(Unpoured::Host)?;
        at += count as u64;
        progress.at(at).await;
    }
    match size {
        Some(size) if at < size => Err(Unpoured::Stream(too_short(at, size))),
        Some(size) => check_end(from, size).await.map_err(Unpoured::Stream),
        None => Ok(()),
    }
}
