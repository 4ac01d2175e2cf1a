//! Files that people have brought: ISO images, templates, snippets, images to import.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use model::{Error, ErrorKind, StorageId, VolumeId};
use storage::StreamFormat;
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
    let length = Length::Exactly(size);
    let written = write_stream(cx, from, (&file, path), length, &mut progress).await;
    written.map_err(|error| error.at(storage))?;
    let synced = host.sync(path).await;
    synced.map_err(|error| unwritten(storage, error))
}

/// Why bytes did not get into a file.
pub(super) enum NotWritten {
    Stream(Error),
    Host(SysError),
}

impl NotWritten {
    pub(super) fn at(self, storage: &StorageId) -> Error {
        match self {
            Self::Stream(error) => error,
            Self::Host(error) => unwritten(storage, error),
        }
    }
}

/// How many bytes a stream has after its size.
#[derive(Clone, Copy)]
pub(super) enum Length {
    Exactly(u64),
    /// The file of an image whose guest sees so many bytes.
    OfImage(StreamFormat, u64),
}

impl Length {
    /// What may come at most, by the beginning of what has come.
    fn most(self, head: &[u8]) -> u64 {
        match self {
            Self::Exactly(size) => size,
            Self::OfImage(format, size) => format.file_bytes_max(size, head),
        }
    }

    /// Refuses a stream that ends or goes on after so many bytes.
    async fn check_end(self, from: &mut Reader, at: u64, most: u64) -> Result<(), Error> {
        match self {
            Self::Exactly(size) if at < size => Err(too_short(at, size)),
            Self::Exactly(size) => check_end(from, size).await,
            Self::OfImage(..) if at < most => Ok(()),
            Self::OfImage(_, size) => check_end(from, most).await.map_err(|error| {
                let text = format!("the file is too long for an image of {size} bytes");
                match error.kind {
                    ErrorKind::Conflict => Error::conflict(text),
                    _ => error,
                }
            }),
        }
    }
}

/// Writes what is received to a file, until the stream ends, which must be where `length` says.
pub(super) async fn write_stream(
    cx: &Cx,
    from: &mut Reader,
    (file, path): (&Arc<OwnedFd>, &Path),
    length: Length,
    progress: &mut Progress<'_>,
) -> Result<(), NotWritten> {
    let (mut at, mut block, mut most): (u64, _, _) = (0, vec![0; BLOCK], None);
    loop {
        let left = most.unwrap_or_else(|| length.most(&[])) - at;
        let wanted = BLOCK.min(usize::try_from(left).unwrap_or(BLOCK));
        if wanted == 0 {
            break;
        }
        let count = from.fill(&mut block[..wanted]).await;
        let count = count.map_err(|error| NotWritten::Stream(cut(&error)))?;
        if count == 0 {
            break;
        }
        most.get_or_insert_with(|| length.most(&block[..count]));
        let written = cx
            .node
            .host
            .write_at(file, path, at, block[..count].to_vec());
        written.await.map_err(NotWritten::Host)?;
        at += count as u64;
        progress.at(at).await;
    }
    let most = most.unwrap_or_else(|| length.most(&[]));
    let ended = length.check_end(from, at, most).await;
    ended.map_err(NotWritten::Stream)
}
