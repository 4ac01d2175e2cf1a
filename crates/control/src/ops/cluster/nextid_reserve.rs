//! `POST /cluster/nextid`

use model::Error;
use proto::wire::Answer;

use crate::ops::Op;

pub(super) async fn nextid_reserve(op: Op) -> Result<Answer, Error> {
    let user = op.identity()?.label();
    let vmid = op.records.reserve_vmid(&user).await?;
    Ok(Answer::new(vmid.to_string()))
}
