//! `GET /nodes/{node}/lxc/{vmid}/pending`

use model::Error;
use proto::wire::Answer;

use super::Container;
use super::config::{end_description, sees_environment};
use crate::ops::Op;
use crate::ops::qemu::pending_rows;

pub(super) async fn pending(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let guest = op.records.lxc(vmid).await?.record.data;
    let mut rows = pending_rows(&guest);
    // Keys of LXC are no options, and never pending.
    rows.retain(|row| row["key"] != "lxc");
    if !sees_environment(&op, &guest)? {
        rows.retain(|row| row["key"] != "env");
    }
    for row in rows.iter_mut().filter(|row| row["key"] == "description") {
        end_description(row.get_mut("value"));
        end_description(row.get_mut("pending"));
    }
    Ok(Answer::new(rows))
}
