//! `GET /cluster/nextid`

use model::{Error, VmId};
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct NextId {
    vmid: Option<VmId>,
}

/// The number is a string on the wire, in spite of the schema: clients expect that.
pub(super) async fn nextid(op: Op) -> Result<Answer, Error> {
    let NextId { vmid } = op.params()?;
    let records = &op.records;
    let free = match vmid {
        None => records.free_vmid().await?,
        Some(vmid) if records.has_guest(vmid).await? => {
            return Err(Error::invalid("vmid", format!("VM {vmid} already exists")));
        }
        Some(vmid) => vmid,
    };
    Ok(Answer::new(free.to_string()))
}
