//! `POST /ostler/nodes/{node}/lxc/{vmid}/mount`

use model::Error;
use node::tasks::LxcMount;
use proto::wire::Answer;

use super::Container;
use crate::ops::Op;

pub(super) async fn mount(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    op.records.lxc(vmid).await?;
    op.context.submit(&op, vmid, LxcMount { vmid }).await
}
