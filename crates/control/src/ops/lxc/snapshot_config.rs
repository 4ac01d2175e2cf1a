//! `GET /nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config`

use model::Error;
use node::tasks::snapshot_of;
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use super::config::{of_snapshot, sees_environment};
use crate::ops::Op;

#[derive(Deserialize)]
struct Named {
    snapname: String,
}

pub(super) async fn snapshot_config(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let Named { snapname } = op.params()?;
    let guest = op.records.lxc(vmid).await?.record.data;
    let mut shown = of_snapshot(snapshot_of(&guest, &snapname)?);
    if !sees_environment(&op, &guest)? {
        shown.remove("env");
    }
    Ok(Answer::new(shown))
}
