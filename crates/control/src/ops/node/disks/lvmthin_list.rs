//! `GET /nodes/{node}/disks/lvmthin`

use model::Error;
use node::host::pools::lvm::{self, ThinPool};
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

pub(super) async fn lvmthin_list(op: Op) -> Result<Answer, Error> {
    let pools = lvm::thin_pools(&op.context.node.host, None).await?;
    let rows: Vec<Value> = pools.iter().map(row).collect();
    Ok(Answer::new(rows))
}

pub(in crate::ops::node) fn row(pool: &ThinPool) -> Value {
    json!({
        "lv": pool.name,
        "vg": pool.group,
        "lv_size": pool.size,
        "used": pool.used,
        "metadata_size": pool.metadata_size,
        "metadata_used": pool.metadata_used,
    })
}
