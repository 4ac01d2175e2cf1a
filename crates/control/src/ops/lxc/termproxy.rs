//! `POST /nodes/{node}/lxc/{vmid}/termproxy`

use model::Error;
use proto::wire::Answer;

use super::Container;
use super::console::reserve;
use crate::ops::Op;

pub(super) async fn termproxy(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    Ok(Answer::new(reserve(&op, vmid, None).await?))
}
