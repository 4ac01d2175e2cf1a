//! `POST /ostler/nodes/{node}/volume-export`

use model::Error;
use node::tasks::VolumeExport;
use proto::wire::{Answer, Streamed};

use super::storage_volumes::find;
use super::volume_streams::{Travel, Traveller, lend};
use crate::ops::Op;

async fn checked(op: &Op) -> Result<(Travel, Traveller), Error> {
    let travel: Travel = op.params()?;
    let traveller = travel.traveller(op).await?;
    find(op, &traveller.volume).await?;
    Ok((travel, traveller))
}

/// Checks everything, and answers the stream that the volume will come in.
pub(super) async fn open(op: Op) -> Result<Streamed, Error> {
    let (_, traveller) = checked(&op).await?;
    lend(&op, traveller.volume)
}

/// Sends the volume into the stream, by a task.
pub(super) async fn volume_export(op: Op) -> Result<Answer, Error> {
    let (travel, traveller) = checked(&op).await?;
    let Traveller { volume, named } = traveller;
    let stream = travel.stream()?.to_owned();
    let streams = &op.context.node.streams;
    streams.claim(&stream, &volume)?;
    let task = VolumeExport::new(volume, named.owner, travel.format, stream.clone());
    let submitted = op.context.submit(&op, "", task).await;
    if submitted.is_err() {
        streams.forget(&stream);
    }
    submitted
}
