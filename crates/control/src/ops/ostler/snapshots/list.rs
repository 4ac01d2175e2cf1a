//! `GET /ostler/cluster/snapshots`

use model::{Error, Privilege, VmId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;

use super::found;
use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Which {
    vmid: Option<VmId>,
    older_than: Option<f64>,
}

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let Which { vmid, older_than } = op.params()?;
    let all = found(&op, Privilege::VmAudit, vmid, older_than).await?;
    let now = op.context.clock.wall();
    let rows: Vec<Value> = all.iter().map(|found| found.row(now)).collect();
    Ok(Answer::new(rows))
}
