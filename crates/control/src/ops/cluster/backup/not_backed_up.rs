//! `GET /cluster/backup-info/not-backed-up`: without jobs, that is every guest.

use model::{Error, Privilege};
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

pub(super) async fn not_backed_up(op: Op) -> Result<Answer, Error> {
    let access = op.context.authority.refresh(store::Read::Local).await?;
    let view = access.view(op.identity()?, op.context.authority.now());
    let mut rows: Vec<Value> = Vec::new();
    for guest in op.records.guests().await? {
        let guest = guest?;
        if !view.has(&format!("/vms/{}", guest.vmid), Privilege::VmAudit) {
            continue;
        }
        let mut row = json!({"vmid": guest.vmid, "type": guest.kind.as_str()});
        if let Some(name) = guest.config.text("name") {
            row["name"] = name.into();
        }
        rows.push(row);
    }
    Ok(Answer::new(rows))
}
