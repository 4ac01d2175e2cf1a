//! `GET /nodes/{node}/scan/lvmthin`

use model::Error;
use node::host::pools::lvm as pools;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;

use crate::ops::Op;
use crate::ops::node::disks::lvmthin_list::row;

#[derive(Deserialize)]
struct Asked {
    vg: String,
}

pub(super) async fn lvmthin(op: Op) -> Result<Answer, Error> {
    let Asked { vg } = op.params()?;
    let pools = pools::thin_pools(&op.context.node.host, Some(&vg)).await?;
    Ok(Answer::new(pools.iter().map(row).collect::<Vec<Value>>()))
}
