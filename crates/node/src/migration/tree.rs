//! The files of a directory on their way to another node.
//!
//! ```text
//!   source → target   length (4 bytes) · a part of tar's archive, … · length 0
//!   target → source   as for an image
//! ```
//!
//! On both sides tar runs as the container's root in a fence around its files, and the agent carries
//! what it writes.

use std::os::fd::OwnedFd;
use std::time::Duration;

use guest::lxc::CtConfig;
use model::{Error, VmId, VolumeId};
use storage::Attacher;
use sys::{Output, SysError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use super::image::{Sending, broken, connected, read_answer};
use crate::NodeContext;
use crate::cluster::AgentStream;
use crate::lxc::archive;
use crate::volumes::attached::by_task;

/// The largest part.
const PART: usize = 256 * 1024;

type Cx = tasks::TaskContext<NodeContext>;

/// Sends a directory of a guest, and waits until the other node has all of it, durably. `used` is
/// what it takes, for the progress.
pub(crate) async fn send_tree(
    cx: &Cx,
    vmid: VmId,
    stream: AgentStream,
    sending: &Sending<'_>,
    used: Option<u64>,
) -> Result<(), Error> {
    let AgentStream { descriptor, held } = stream;
    let guest = cx.node.records.lxc(vmid).await?.record.data;
    let config = CtConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
    let by = by_task(cx);
    let source = cx.node.file_system(sending.volume, true, &by).await?;
    let (ours, tars) = pair()?;
    let archive = archive::pack(config.first_id(), source, tars);
    let (reader, mut writer) = connected(descriptor)?.into_split();
    let answer = read_answer(reader);
    tokio::pin!(answer);
    let sent = async {
        let (printed, carried) = tokio::join!(
            cx.run(archive),
            carry(cx, ours, &mut writer, sending, used.unwrap_or(0))
        );
        ended(printed)?;
        carried?;
        writer.write_u32(0).await.map_err(broken)
    };
    let sent = tokio::select! {
        // A target that answers before the end has failed.
        early = &mut answer => early,
        sent = sent => match sent {
            Ok(()) => answer.await,
            Err(error) => Err(error),
        },
    };
    drop(held);
    let detached = cx.node.detach(sending.volume, &by).await;
    sent.and(detached)
}

/// Carries what tar writes to the other node.
async fn carry(
    cx: &Cx,
    mut from: UnixStream,
    to: &mut (impl AsyncWrite + Unpin),
    sending: &Sending<'_>,
    total: u64,
) -> Result<(), Error> {
    let started = cx.clock.monotonic();
    let (mut part, mut sent, mut percent) = (vec![0; PART], 0_u64, 0);
    loop {
        let length = from.read(&mut part).await.map_err(broken)?;
        if length == 0 {
            return Ok(());
        }
        to.write_u32(length as u32).await.map_err(broken)?;
        to.write_all(&part[..length]).await.map_err(broken)?;
        sent += length as u64;
        if sent.min(total) * 100 / total.max(1) > percent {
            percent = sent.min(total) * 100 / total.max(1);
            let what = sending.volume.to_string();
            cx.progress(&what, sent.min(total), total).await;
        }
        if let Some(micros) = (sent * 1_000_000).checked_div(sending.bytes_per_s) {
            let due = started + Duration::from_micros(micros);
            cx.clock
                .sleep(due.saturating_sub(cx.clock.monotonic()))
                .await;
        }
    }
}

/// Makes a directory of a container, of what is received.
pub(super) async fn make(
    node: &NodeContext,
    from: &mut (impl AsyncRead + Unpin),
    volume: &VolumeId,
    bytes: u64,
    config: &CtConfig,
    by: &Attacher,
) -> Result<(), Error> {
    let storage = node.storage(volume.storage()).await?;
    let none = || {
        let text = format!("storage '{}' has no directories", volume.storage());
        Error::conflict(text)
    };
    let trees = storage.trees().ok_or_else(none)?;
    trees
        .create_tree(volume.name(), bytes, config.owner())
        .await?;
    let filled = fill(node, from, volume, config, by).await;
    let detached = node.detach(volume, by).await;
    filled.and(detached)
}

async fn fill(
    node: &NodeContext,
    from: &mut (impl AsyncRead + Unpin),
    volume: &VolumeId,
    config: &CtConfig,
    by: &Attacher,
) -> Result<(), Error> {
    let source = node.file_system(volume, false, by).await?;
    let (ours, tars) = pair()?;
    let kept = archive::mount(source.clone(), false);
    let unpack = archive::unpack(config.first_id(), source, tars);
    let (printed, fed) = tokio::join!(node.host.run(unpack), feed(from, ours));
    ended(printed)?;
    fed?;
    Ok(node.host.sync_mount(&kept).await?)
}

/// Gives tar what comes from the other node.
async fn feed(from: &mut (impl AsyncRead + Unpin), mut to: UnixStream) -> Result<(), Error> {
    let mut part = vec![0; PART];
    loop {
        let length = from.read_u32().await.map_err(broken)? as usize;
        if length == 0 {
            return Ok(());
        }
        let part = part.get_mut(..length).ok_or_else(|| {
            let text = "a part of an archive is too long";
            Error::unavailable(text)
        })?;
        from.read_exact(part).await.map_err(broken)?;
        to.write_all(part).await.map_err(broken)?;
    }
}

fn ended(printed: Result<Output, SysError>) -> Result<(), Error> {
    printed?.checked(archive::PROGRAM)?;
    Ok(())
}

/// Our end of a connection, and the one for a program.
pub(crate) fn pair() -> Result<(UnixStream, OwnedFd), Error> {
    let (ours, tars) = std::os::unix::net::UnixStream::pair().map_err(broken)?;
    Ok((connected(ours.into())?, tars.into()))
}
