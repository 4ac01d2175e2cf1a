//! The bytes of a volume on their way to another node.
//!
//! ```text
//!   source → target   length (8 bytes) · blocks: offset (8) length (4) bytes · a block of length 0
//!   target → source   length (4) of an error's text, 0 for none · text
//! ```
//!
//! Numbers are big-endian. What no block has is zero. A qcow2 image travels as the file that it is,
//! with its snapshots: nothing reads its header on the way.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{BlockFormat, Error, VolumeId};
use storage::{AttachMode, Attacher};
use tasks::TaskContext;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::NodeContext;
use crate::cluster::AgentStream;
use crate::volumes::attached::by_task;
use crate::volumes::streams::stream_of;

/// The largest block.
const BLOCK: usize = 1 << 20;

/// The longest text of an error.
pub(super) const TEXT: usize = 64 * 1024;

type Cx = TaskContext<NodeContext>;

/// A volume to be sent.
pub(crate) struct Sending<'a> {
    pub(crate) volume: &'a VolumeId,
    /// How fast at most; 0 for as fast as it goes.
    pub(crate) bytes_per_s: u64,
}

/// Sends a volume, and waits until the other node has all of it, durably.
pub(crate) async fn send(cx: &Cx, stream: AgentStream, sending: &Sending<'_>) -> Result<(), Error> {
    let AgentStream { descriptor, held } = stream;
    let (node, by) = (&cx.node, by_task(cx));
    let spec = node
        .attach(sending.volume, AttachMode::ReadOnly, &by)
        .await?;
    let path = path_of(&spec)?;
    let file = node.host.open_image(&path, false, false).await?;
    let (reader, mut writer) = connected(descriptor)?.into_split();
    let answer = read_answer(reader);
    tokio::pin!(answer);
    let sent = tokio::select! {
        // A target that answers before the end has failed.
        early = &mut answer => early,
        sent = send_blocks(cx, &file, &path, sending, &mut writer) => match sent {
            Ok(()) => answer.await,
            Err(error) => Err(error),
        },
    };
    drop((file, held));
    let detached = node.detach(sending.volume, &by).await;
    sent.and(detached)
}

async fn send_blocks(
    cx: &Cx,
    file: &Arc<OwnedFd>,
    path: &Path,
    sending: &Sending<'_>,
    to: &mut (impl AsyncWrite + Unpin),
) -> Result<(), Error> {
    let host = &cx.node.host;
    let total = host.measure(file, path).await?.bytes;
    to.write_u64(total).await.map_err(broken)?;
    let (started, mut sent, mut percent) = (cx.clock.monotonic(), 0_u64, 0);
    let (mut at, zeros) = (0, vec![0; BLOCK]);
    while let Some(data) = host.next_data(file, path, at).await? {
        let block = host.read_at(file, path, data, BLOCK).await?;
        if block.is_empty() {
            break;
        }
        at = data + block.len() as u64;
        if block != zeros[..block.len()] {
            write_block(to, data, &block).await.map_err(broken)?;
            sent += block.len() as u64;
        }
        if at * 100 / total.max(1) > percent {
            percent = at * 100 / total.max(1);
            cx.progress(&sending.volume.to_string(), at, total).await;
        }
        if let Some(micros) = (sent * 1_000_000).checked_div(sending.bytes_per_s) {
            let due = started + Duration::from_micros(micros);
            cx.clock
                .sleep(due.saturating_sub(cx.clock.monotonic()))
                .await;
        }
    }
    write_block(to, total, &[]).await.map_err(broken)
}

async fn write_block(
    to: &mut (impl AsyncWrite + Unpin),
    offset: u64,
    block: &[u8],
) -> std::io::Result<()> {
    to.write_u64(offset).await?;
    to.write_u32(block.len() as u32).await?;
    to.write_all(block).await?;
    to.flush().await
}

pub(super) async fn read_answer(mut from: impl AsyncRead + Unpin) -> Result<(), Error> {
    let length = from.read_u32().await.map_err(broken)? as usize;
    if length == 0 {
        return Ok(());
    }
    let mut text = vec![0; length.min(TEXT)];
    from.read_exact(&mut text).await.map_err(broken)?;
    Err(Error::unavailable(String::from_utf8_lossy(&text)))
}

/// Makes a volume of what is received.
pub(super) async fn make(
    node: &NodeContext,
    from: &mut (impl AsyncRead + Unpin),
    volume: &VolumeId,
    (format, bytes): (BlockFormat, u64),
    by: &Attacher,
) -> Result<(), Error> {
    let storage = node.storage(volume.storage()).await?;
    storage.allocate(volume.name(), format, bytes).await?;
    storage.zero(volume.name()).await?;
    let spec = node.attach(volume, AttachMode::Exclusive, by).await?;
    let filled = fill(node, from, &path_of(&spec)?).await;
    let detached = node.detach(volume, by).await;
    filled.and(detached)
}

async fn fill(
    node: &NodeContext,
    from: &mut (impl AsyncRead + Unpin),
    path: &Path,
) -> Result<(), Error> {
    let host = &node.host;
    let file = host.open_image(path, true, false).await?;
    let total = from.read_u64().await.map_err(broken)?;
    host.make_hole(&file, path, total).await?;
    loop {
        let offset = from.read_u64().await.map_err(broken)?;
        let length = from.read_u32().await.map_err(broken)? as usize;
        if length == 0 {
            break;
        }
        if length > BLOCK || offset.saturating_add(length as u64) > total {
            return Err(Error::unavailable("a block is outside of the volume"));
        }
        let mut block = vec![0; length];
        from.read_exact(&mut block).await.map_err(broken)?;
        host.write_at(&file, path, offset, block).await?;
    }
    Ok(host.sync(path).await?)
}

fn path_of(spec: &model::BlockSpec) -> Result<PathBuf, Error> {
    let missing = || {
        let text = "volumes of a cluster are not sent: both nodes reach it by themselves";
        Error::conflict(text)
    };
    spec.source.path().map(PathBuf::from).ok_or_else(missing)
}

pub(super) fn connected(descriptor: OwnedFd) -> Result<UnixStream, Error> {
    stream_of(descriptor).map_err(broken)
}

pub(super) fn broken(error: std::io::Error) -> Error {
    Error::unavailable(format!("the connection to the other node broke: {error}"))
}
