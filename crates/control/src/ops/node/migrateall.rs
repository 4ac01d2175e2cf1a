//! `POST /nodes/{node}/migrateall`

use model::{Error, NodeName};
use node::tasks::{Moving, NodeMigrateall};
use proto::wire::Answer;
use serde::Deserialize;

use super::all::chosen;
use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Migrate {
    target: NodeName,
    max_workers: Option<usize>,
    maxworkers: Option<usize>,
    vms: Option<String>,
    with_local_disks: Option<bool>,
}

pub(super) async fn migrateall(op: Op) -> Result<Answer, Error> {
    let migrate: Migrate = op.params()?;
    let options = op.records.cluster_options().await?;
    let workers = migrate.max_workers.or(migrate.maxworkers);
    let workers = workers.or(options.max_workers());
    if workers.is_none() {
        let text = "either 'max-workers' parameter or max_workers in datacenter.cfg must be set!";
        return Err(Error::conflict(text));
    }
    let node = &op.context.node;
    if migrate.target == node.name {
        return Err(Error::invalid("target", "target is local node."));
    }
    let task = NodeMigrateall {
        chosen: chosen(migrate.vms, workers),
        moving: Moving {
            target: migrate.target,
            online: true,
            with_local_disks: migrate.with_local_disks == Some(true),
        },
    };
    op.context.submit(&op, "", task).await
}
