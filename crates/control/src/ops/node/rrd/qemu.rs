//! `GET /nodes/{node}/qemu/{vmid}/rrd`

use model::{Error, GuestKind};
use proto::wire::Answer;

use crate::ops::Op;

pub(super) async fn qemu(op: Op) -> Result<Answer, Error> {
    super::guest(op, GuestKind::Qemu).await
}
