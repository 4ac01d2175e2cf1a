//! `PUT /nodes/{node}/disks/wipedisk`

use model::Error;
use node::tasks::{DiskWipe, check_wipe};
use proto::wire::Answer;
use serde::Deserialize;

use super::last_word;
use crate::ops::Op;

#[derive(Deserialize)]
struct Wipe {
    disk: String,
}

pub(super) async fn wipe(op: Op) -> Result<Answer, Error> {
    let Wipe { disk } = op.params()?;
    let found = check_wipe(&op.context.node, &disk).await?;
    let id = last_word(&found.block().path).to_owned();
    op.context.submit(&op, id, DiskWipe::new(disk)).await
}
