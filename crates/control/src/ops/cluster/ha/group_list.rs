//! `GET /cluster/ha/groups`: Proxmox VE 9 has rules instead, and says so.

use model::Error;
use proto::wire::Answer;

use crate::ops::Op;

pub(super) async fn group_list(_: Op) -> Result<Answer, Error> {
    let text = "cannot index groups: ha groups have been migrated to rules";
    Err(Error::unavailable(text))
}
