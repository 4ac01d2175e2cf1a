//! `POST /ostler/nodes/{node}/volume-export`

use model::Error;
use node::tasks::VolumeExport;
use proto::wire::{Answer, Streamed};

use super::storage_volumes::find;
use super::volume_streams::{NamedVolume, StreamParams, open_stream};
use crate::ops::Op;

async fn checked(op: &Op) -> Result<(StreamParams, NamedVolume), Error> {
    let params: StreamParams = op.params()?;
    let found = params.named_volume(op).await?;
    find(op, &found.volume).await?;
    Ok((params, found))
}

/// Checks everything, and answers the stream that the volume will come in.
pub(super) async fn open(op: Op) -> Result<Streamed, Error> {
    let (_, found) = checked(&op).await?;
    open_stream(&op, found.volume)
}

/// Sends the volume into the stream, by a task.
pub(super) async fn volume_export(op: Op) -> Result<Answer, Error> {
    let (params, found) = checked(&op).await?;
    let NamedVolume { volume, named } = found;
    let stream = params.stream()?.to_owned();
    let streams = &op.context.node.streams;
    streams.claim(&stream, &volume)?;
    let task = VolumeExport::new(volume, named.owner, params.format, stream.clone());
    let submitted = op.context.submit(&op, "", task).await;
    if submitted.is_err() {
        streams.forget(&stream);
    }
    submitted
}
