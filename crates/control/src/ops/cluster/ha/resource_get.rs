//! `GET /cluster/ha/resources/{sid}`

use model::{Error, VmId};
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Resource {
    sid: String,
}

pub(super) async fn resource_get(op: Op) -> Result<Answer, Error> {
    let Resource { sid } = op.params()?;
    // A bare number stands for the guest with that number.
    let sid = match sid.parse::<VmId>() {
        Ok(vmid) => {
            let absent = || Error::not_found(format!("no such guest '{vmid}'"));
            let guest = op.records.find(vmid).await?.ok_or_else(absent)?;
            let prefix = match guest.record.data.kind {
                model::GuestKind::Qemu => "vm",
                model::GuestKind::Lxc => "ct",
            };
            format!("{prefix}:{vmid}")
        }
        Err(_) => sid,
    };
    Err(Error::not_found(format!("no such resource '{sid}'")))
}
