//! `GET /nodes/{node}/subscription`: none is sold for this product.

use model::{Error, Privilege};
use node::text_digest;
use proto::wire::Answer;
use serde_json::json;

use super::OnNode;
use crate::ops::Op;

/// The number of digits of a server id.
const ID_DIGITS: usize = 32;

pub(super) async fn subscription(op: Op) -> Result<Answer, Error> {
    let OnNode { node } = op.params()?;
    let mut answer = json!({
        "status": "notfound",
        "message": "There is no subscription key",
        "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
    });
    if op
        .has(&format!("/nodes/{node}"), Privilege::SysAudit)
        .await?
    {
        // The machine id is confidential, so the answer contains a hash of it.
        let machine = op.context.node.etc("machine-id").await?.unwrap_or_default();
        let id = text_digest(&[b"ostler server id ", machine.as_slice()].concat());
        answer["serverid"] = id[..ID_DIGITS].to_uppercase().into();
    }
    Ok(Answer::new(answer))
}
