//! `GET /cluster/ha/groups/{group}`: Proxmox VE 9 has rules instead, and says so.

use model::Error;
use proto::wire::Answer;

use crate::ops::Op;

pub(super) async fn group_get(_: Op) -> Result<Answer, Error> {
    let text = "cannot read group: ha groups have been migrated to rules";
    Err(Error::unavailable(text))
}
