//! `GET /nodes/{node}/disks/zfs`

use model::Error;
use node::host::pools::zfs::{self, Pool};
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

/// Besides Proxmox VE's fields, how well each pool compresses.
pub(super) async fn zfs_list(op: Op) -> Result<Answer, Error> {
    let pools = zfs::pools(&op.context.node.host).await?;
    let rows: Vec<Value> = pools.iter().map(row).collect();
    Ok(Answer::new(rows))
}

fn row(pool: &Pool) -> Value {
    json!({
        "name": pool.name,
        "size": pool.size,
        "alloc": pool.alloc,
        "free": pool.free,
        "frag": pool.frag,
        "dedup": pool.dedup,
        "compressratio": pool.compression,
        "health": pool.health,
    })
}
