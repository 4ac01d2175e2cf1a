//! `GET /nodes/{node}/lxc/{vmid}/migrate`

use model::Error;
use node::tasks::check_lock;
use proto::wire::Answer;
use serde_json::json;

use super::Container;
use crate::ops::Op;
use crate::ops::migration::{allowed, not_allowed};

pub(super) async fn migrate_precondition(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let guest = op.records.lxc(vmid).await?.record.data;
    check_lock(&guest, false)?;
    let node = &op.context.node;
    let precheck = node.precheck_migration(&guest).await?;
    let running = node.running.is_running(vmid).await?;
    Ok(Answer::new(json!({
        "running": u8::from(running),
        "allowed-nodes": allowed(&precheck),
        "not-allowed-nodes": not_allowed(&precheck),
    })))
}
