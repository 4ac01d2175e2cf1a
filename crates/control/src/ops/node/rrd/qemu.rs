//! `GET /nodes/{node}/qemu/{vmid}/rrd`

use history::Object;
use model::{Error, GuestKind, VmId};
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Guest {
    vmid: VmId,
}

pub(super) async fn qemu(op: Op) -> Result<Answer, Error> {
    let Guest { vmid } = op.params()?;
    op.records.of_kind(vmid, GuestKind::Qemu).await?;
    let file = format!("/var/lib/rrdcached/db/pve-vm-9.0/{vmid}");
    super::picture(&op, &Object::Guest(vmid), &file).await
}
