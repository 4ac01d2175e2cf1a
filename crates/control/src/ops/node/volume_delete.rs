//! `DELETE /nodes/{node}/storage/{storage}/content/{volume}`

use model::Error;
use node::tasks::VolumeDelete;
use proto::wire::Answer;
use serde::Deserialize;
use storage::ContentType;

use super::storage_volumes::{Named, check_delete, ended_well, find, read_name, wait};
use crate::ops::Op;

#[derive(Deserialize)]
struct Delete {
    /// How many seconds to wait for the end of the task.
    delay: Option<u64>,
}

pub(super) async fn volume_delete(op: Op) -> Result<Answer, Error> {
    let volume = Named::of(&op)?;
    let Delete { delay } = op.params()?;
    let named = read_name(&op, &volume).await?;
    check_delete(&op, &volume, &named)?;
    let found = find(&op, &volume).await?;
    let image_owner = found.owner.filter(|_| found.content == ContentType::Images);
    op.context.node.check_unused(&volume, image_owner).await?;
    let owner = found
        .owner
        .map(|owner| format!("{owner}@"))
        .unwrap_or_default();
    let id = format!("{owner}{}", volume.storage());
    let task = VolumeDelete {
        volume,
        owner: image_owner,
    };
    let upid = op.context.submit(&op, id, task).await?;
    let Some(delay) = delay else { return Ok(upid) };
    tokio::select! {
        ended = wait(&op, &upid) => {
            ended_well(&ended?)?;
            Ok(Answer::null())
        }
        () = op.context.clock.sleep(std::time::Duration::from_secs(delay)) => Ok(upid),
    }
}
