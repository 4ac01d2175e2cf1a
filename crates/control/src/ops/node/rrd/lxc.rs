//! `GET /nodes/{node}/lxc/{vmid}/rrd`

use model::{Error, GuestKind};
use proto::wire::Answer;

use crate::ops::Op;

pub(super) async fn lxc(op: Op) -> Result<Answer, Error> {
    super::guest(op, GuestKind::Lxc).await
}
