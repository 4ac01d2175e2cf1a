//! `POST /nodes/{node}/disks/initgpt`

use model::Error;
use node::tasks::{DiskInitgpt, check_initgpt};
use proto::wire::Answer;
use serde::Deserialize;
use uuid::Uuid;

use super::last_word;
use crate::ops::Op;

#[derive(Deserialize)]
struct Initgpt {
    disk: String,
    uuid: Option<String>,
}

pub(super) async fn initgpt(op: Op) -> Result<Answer, Error> {
    let Initgpt { disk, uuid } = op.params()?;
    if uuid
        .as_deref()
        .is_some_and(|uuid| Uuid::try_parse(uuid).is_err())
    {
        return Err(Error::invalid("uuid", "value is no UUID"));
    }
    let found = check_initgpt(&op.context.node, &disk).await?;
    let id = last_word(&found.disk.path).to_owned();
    let task = DiskInitgpt::new(disk, uuid);
    op.context.submit(&op, id, task).await
}
