//! `POST /ostler/nodes/{node}/lxc/{vmid}/unmount`

use model::Error;
use node::tasks::LxcUnmount;
use proto::wire::Answer;

use super::Container;
use crate::ops::Op;

pub(super) async fn unmount(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    op.records.lxc(vmid).await?;
    op.context.submit(&op, vmid, LxcUnmount { vmid }).await
}
