//! Directories of containers, as archives of tar with the ids of the host.

use model::{Error, VolumeId};
use sys::{Command, Fence, Output, SysError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{BLOCK, Cx, HEADER, Progress, Reader, Writer, connected, cut, gone};
use crate::lxc::archive;
use crate::volumes::attached::by_task;
use crate::volumes::tar::Watch;

fn pair() -> Result<(UnixStream, std::os::fd::OwnedFd), Error> {
    let pair = std::os::unix::net::UnixStream::pair();
    let (ours, tars) =
        pair.map_err(|error| Error::unavailable(format!("cannot open a stream: {error}")))?;
    Ok((connected(ours.into())?, tars.into()))
}

/// A full disk, or the first thing that tar complains of, which is the cause of all others.
fn ended(printed: Result<Output, SysError>) -> Result<(), Error> {
    let printed = printed?;
    if printed.success() {
        return Ok(());
    }
    let complaints = String::from_utf8_lossy(&printed.stderr);
    let mut lines = complaints.lines();
    let first = lines.clone().next().unwrap_or("tar failed");
    Err(Error::unavailable(
        lines.find(|line| is_full(line)).unwrap_or(first),
    ))
}

/// Sends a directory. `used` is what it takes, for the progress.
pub(crate) async fn send_tree(
    cx: &Cx,
    volume: &VolumeId,
    used: Option<u64>,
    to: UnixStream,
    mut progress: Progress<'_>,
) -> Result<(), Error> {
    let by = by_task(cx);
    let source = cx.node.file_system(volume, true, &by).await?;
    progress.total = used.unwrap_or(0);
    let mut writer = Writer::new(to);
    let sent = async {
        let header = writer.write(&[0; HEADER]).await;
        header.map_err(|error| gone(&error))?;
        let (ours, tars) = pair()?;
        let pack = archive::pack(None, source, tars);
        // Where the receiver is gone, tar ends with its connection.
        let (printed, carried) =
            tokio::join!(cx.run(pack), carry(ours, &mut writer, &mut progress));
        carried?;
        ended(printed)?;
        writer.finish().await.map_err(|error| gone(&error))
    };
    let sent = sent.await.map(drop);
    let detached = cx.node.detach(volume, &by).await;
    sent.and(detached)
}

async fn carry(
    mut from: UnixStream,
    writer: &mut Writer,
    progress: &mut Progress<'_>,
) -> Result<(), Error> {
    let (mut block, mut at) = (vec![0; BLOCK], 0);
    loop {
        let count = from.read(&mut block).await;
        let count = count.map_err(|error| Error::unavailable(format!("tar: {error}")))?;
        if count == 0 {
            return Ok(());
        }
        let written = writer.write(&block[..count]).await;
        written.map_err(|error| gone(&error))?;
        at += count as u64;
        progress.at(at).await;
    }
}

/// Ids in an archive are the host's: its unpacking makes no device, whatever the watch takes it for.
fn without_devices(unpack: Command) -> Command {
    Command {
        fence: unpack.fence.map(Fence::without_devices),
        ..unpack
    }
}

/// Fills a new directory with what is received.
pub(crate) async fn take_tree(cx: &Cx, from: &mut Reader, volume: &VolumeId) -> Result<(), Error> {
    let (node, by) = (&cx.node, by_task(cx));
    let source = node.file_system(volume, false, &by).await?;
    let filled = async {
        let (ours, tars) = pair()?;
        let kept = archive::mount(source.clone(), false);
        let unpack = without_devices(archive::unpack(None, source, tars));
        let mut watch = Watch::default();
        let (printed, fed) = tokio::join!(cx.run(unpack), feed(from, &mut watch, ours));
        if fed? {
            watch.end()?;
        }
        ended(printed).map_err(|error| full_or(volume, error))?;
        Ok(node.host.sync_mount(&kept).await?)
    };
    let filled = filled.await;
    let detached = node.detach(volume, &by).await;
    filled.and(detached)
}

/// Whether tar complains of a full disk, which first ends a write early.
fn is_full(complaint: &str) -> bool {
    complaint.contains("No space left on device") || complaint.contains(": Wrote only ")
}

fn full_or(volume: &VolumeId, error: Error) -> Error {
    match is_full(&error.message) {
        true => Error::unavailable(format!("no space left on storage '{}'", volume.storage())),
        false => error,
    }
}

/// Gives tar what is received, as long as it is an archive that is unpacked here. False where tar has
/// ended before.
async fn feed(from: &mut Reader, watch: &mut Watch, mut to: UnixStream) -> Result<bool, Error> {
    let mut block = vec![0; BLOCK];
    loop {
        let count = from.read(&mut block).await.map_err(|error| cut(&error))?;
        if count == 0 {
            return Ok(true);
        }
        watch.see(&block[..count])?;
        // What follows an archive it does not read; where it stops before, it says why.
        if to.write_all(&block[..count]).await.is_err() && !watch.is_over() {
            return Ok(false);
        }
    }
}
