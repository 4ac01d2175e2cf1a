//! `rrddata` of nodes, guests and storages: empty, since no history is kept yet.

mod lxc;
mod node;
mod qemu;
mod storage;

use model::{Error, GuestKind, VmId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use crate::ops::{Op, Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("lxc_rrddata", lxc::lxc),
    pair!("node_rrddata", node::node),
    pair!("qemu_rrddata", qemu::qemu),
    pair!("storage_rrddata", storage::storage),
];

#[derive(Deserialize)]
struct Guest {
    vmid: VmId,
}

async fn guest(op: Op, kind: GuestKind) -> Result<Answer, Error> {
    let Guest { vmid } = op.params()?;
    op.records.of_kind(vmid, kind).await?;
    Ok(Answer::new(json!([])))
}
