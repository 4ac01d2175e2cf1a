//! `POST /ostler/nodes/{node}/pools/{name}/add`: says what would be added, unless `dry-run` is 0. A
//! group of disks that was added stays in most pools for good.

use model::Error;
use model::schema::format::split_list;
use node::tasks::ZpoolAdd;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use super::Named;
use crate::ops::Op;

#[derive(Deserialize)]
struct Add {
    devices: String,
    raidlevel: Option<String>,
    #[serde(default)]
    force: bool,
    #[serde(rename = "dry-run")]
    dry_run: Option<bool>,
}

pub(super) async fn add(op: Op) -> Result<Answer, Error> {
    let Named { name } = op.params()?;
    let wanted: Add = op.params()?;
    let devices = split_list(&wanted.devices).map(str::to_owned).collect();
    let mut task = ZpoolAdd::new(name.clone(), devices, wanted.raidlevel, wanted.force);
    let plan = task.check(&op.context.node).await?;
    let mut shown = json!({
        "layout": plan.layout,
        "size": plan.size,
        "size-after": plan.size_after,
        "warnings": plan.warnings,
    });
    if wanted.dry_run == Some(false) {
        shown["upid"] = op.context.submit(&op, name, task).await?.data;
    }
    Ok(Answer::new(shown))
}
