//! Images: what a guest sees, or their files.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{BlockFormat, Error, VolumeId};
use storage::{AttachMode, ChecksumAlgorithm, Hasher, Opened, StreamFormat};
use tokio::net::UnixStream;

use super::disk::{Disk, unwritten, with_disk};
use super::files::{Length, send_bytes, write_stream};
use super::{BLOCK, Cx, Progress, Reader, Writer, check_end, cut, gone, too_short};
use crate::volumes::attached::by_task;
use crate::volumes::images::{Source, check_content, check_image};

/// Sends an image in one of its formats.
pub(crate) async fn send_image(
    cx: &Cx,
    volume: &VolumeId,
    format: StreamFormat,
    to: UnixStream,
    mut progress: Progress<'_>,
) -> Result<(), Error> {
    let source = Source::of_volume(cx, volume, None).await?;
    let image = source.image();
    let mut writer = Writer::new(to);
    let sent = async {
        let size = image.virtual_size();
        let header = writer.write(&size.to_le_bytes()).await;
        header.map_err(|error| gone(&error))?;
        match format.file_format() {
            Some(_) => send_own_file(cx, image, &mut writer, &mut progress).await,
            None => {
                let (writer, progress) = (&mut writer, &mut progress);
                with_disk(cx, image, |disk| send_content(disk, writer, progress)).await
            }
        }?;
        writer.finish().await.map_err(|error| gone(&error))
    };
    let sent = sent.await.map(drop);
    let closed = source.close(cx).await;
    sent.and(closed)
}

/// The file that an image is. One that is a layer lacks what is below.
async fn send_own_file(
    cx: &Cx,
    image: &Opened,
    writer: &mut Writer,
    progress: &mut Progress<'_>,
) -> Result<(), Error> {
    let path = image.path();
    let file = image.only_file().ok_or_else(|| {
        let path = path.display();
        Error::conflict(format!(
            "'{path}' is a linked clone: its file alone is no image, export it as raw+size"
        ))
    })?;
    send_bytes(cx, file, path, writer, progress).await
}

async fn send_content(
    mut disk: Disk,
    writer: &mut Writer,
    progress: &mut Progress<'_>,
) -> Result<(), Error> {
    progress.total = disk.bytes();
    let mut at = 0;
    while at < progress.total {
        let length = BLOCK.min(usize::try_from(progress.total - at).unwrap_or(BLOCK));
        let block = disk.read_at(at, length).await?;
        if block.len() < length {
            return Err(Error::unavailable("the image became shorter meanwhile"));
        }
        writer.write(&block).await.map_err(|error| gone(&error))?;
        at += length as u64;
        progress.at(at).await;
    }
    Ok(())
}

/// Refuses a size that no image has.
pub(crate) fn check_image_size(stream: StreamFormat, size: u64) -> Result<(), Error> {
    const SECTOR: u64 = 512;
    let why = match stream.file_format() {
        _ if size == 0 => "no image is as small".to_owned(),
        Some(format) if !size.is_multiple_of(SECTOR) => {
            format!("images of {} have whole sectors", format.as_str())
        }
        _ => return Ok(()),
    };
    let text = format!("the stream says a size of {size} bytes: {why}");
    Err(Error::conflict(text))
}

/// Fills a new image with what is received: its file, or what a guest is to see. Answers the checksum
/// and the length of what a guest sees, where that was received.
pub(crate) async fn take_image(
    cx: &Cx,
    from: &mut Reader,
    (volume, format): (&VolumeId, BlockFormat),
    (stream, size): (StreamFormat, u64),
    mut progress: Progress<'_>,
) -> Result<Option<(String, u64)>, Error> {
    progress.total = size;
    let (node, by) = (&cx.node, by_task(cx));
    let storage = node.storage(volume.storage()).await?;
    storage.zero(volume.name()).await?;
    let spec = node.attach(volume, AttachMode::Exclusive, &by).await?;
    let taken = match stream.file_format() {
        Some(_) => {
            let path = spec.source.path().map(PathBuf::from);
            let path = path.ok_or_else(|| Error::bug("an image of this format is no file"))?;
            let length = Length::OfImage(stream, size);
            let taken = take_own_file(cx, from, volume, (&path, length), &mut progress).await;
            match taken {
                Ok(()) => check_file(cx, &path, format, size).await.map(|()| None),
                Err(error) => Err(error),
            }
        }
        None => {
            let image = Opened::open(&node.host, &spec, true).await?;
            let progress = &mut progress;
            let taken = with_disk(cx, &image, |disk| {
                take_content(from, disk, volume, progress)
            });
            taken.await.map(|sum| Some((sum, size)))
        }
    };
    let detached = node.detach(volume, &by).await;
    taken.and_then(|sum| detached.map(|()| sum))
}

async fn take_content(
    from: &mut Reader,
    mut disk: Disk,
    volume: &VolumeId,
    progress: &mut Progress<'_>,
) -> Result<String, Error> {
    let total = progress.total;
    let mut hasher = Hasher::new(ChecksumAlgorithm::Sha256);
    let (mut at, zeros, mut block) = (0, vec![0; BLOCK], vec![0; BLOCK]);
    while at < total {
        let length = BLOCK.min(usize::try_from(total - at).unwrap_or(BLOCK));
        let part = &mut block[..length];
        let count = from.fill(part).await.map_err(|error| cut(&error))?;
        if count < length {
            return Err(too_short(at + count as u64, total));
        }
        hasher.update(part);
        // New images are zero.
        if *part != zeros[..length] {
            disk.write_at(volume.storage(), at, part).await?;
        }
        at += length as u64;
        progress.at(at).await;
    }
    check_end(from, total).await?;
    disk.flush(volume.storage()).await?;
    Ok(hasher.finish())
}

async fn take_own_file(
    cx: &Cx,
    from: &mut Reader,
    volume: &VolumeId,
    (path, length): (&Path, Length),
    progress: &mut Progress<'_>,
) -> Result<(), Error> {
    let host = &cx.node.host;
    let file = host.open_image(path, true, false).await?;
    host.make_hole(&file, path, 0).await?;
    write_stream(cx, from, (&file, path), length, progress)
        .await
        .map_err(|error| error.at(volume.storage()))?;
    let synced = host.sync(path).await;
    synced.map_err(|error| unwritten(volume.storage(), error))
}

/// Refuses a file that is not the image that its stream says, or names other files, or was cut.
async fn check_file(cx: &Cx, path: &Path, format: BlockFormat, size: u64) -> Result<(), Error> {
    let host = &cx.node.host;
    let file: Arc<OwnedFd> = host.open_image(path, false, false).await?;
    check_content(host, &file, path, format).await?;
    let source = Source::of_file(host, path, format, file).await?;
    let found = source.bytes();
    if found != size {
        return Err(Error::conflict(format!(
            "the image has a size of {found} bytes, and its stream says {size}"
        )));
    }
    check_image(cx, &source).await
}

/// The checksum of so many bytes of what a guest sees of an image.
pub(crate) async fn sum_of(cx: &Cx, volume: &VolumeId, total: u64) -> Result<String, Error> {
    let source = Source::of_volume(cx, volume, None).await?;
    let summed = with_disk(cx, source.image(), |mut disk| async move {
        let mut hasher = Hasher::new(ChecksumAlgorithm::Sha256);
        let mut at = 0;
        while at < total {
            let length = BLOCK.min(usize::try_from(total - at).unwrap_or(BLOCK));
            let block = disk.read_at(at, length).await?;
            if block.is_empty() {
                return Err(Error::unavailable("the image became shorter meanwhile"));
            }
            hasher.update(&block);
            at += block.len() as u64;
        }
        Ok(hasher.finish())
    });
    let summed = summed.await;
    let closed = source.close(cx).await;
    summed.and_then(|sum| closed.map(|()| sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_sizes() {
        for (stream, size, why) in [
            (StreamFormat::Raw, 0, "as small"),
            (StreamFormat::Qcow2, 0, "as small"),
            (
                StreamFormat::Qcow2,
                1000,
                "images of qcow2 have whole sectors",
            ),
            (StreamFormat::Vmdk, 513, "whole sectors"),
        ] {
            let refused = check_image_size(stream, size).unwrap_err();
            assert!(refused.message.contains(why), "{refused}");
        }
        check_image_size(StreamFormat::Qcow2, 1024).unwrap();
        // The file of a raw image is what a guest sees of it.
        check_image_size(StreamFormat::Raw, 1000).unwrap();
    }
}
