//! `POST /ostler/nodes/{node}/lxc/{vmid}/df`

use model::Error;
use node::tasks::LxcDf;
use proto::wire::Answer;

use super::Container;
use crate::ops::Op;

pub(super) async fn df(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    op.records.lxc(vmid).await?;
    op.context.submit(&op, vmid, LxcDf { vmid }).await
}
