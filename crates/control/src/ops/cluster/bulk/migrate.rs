//! `POST /cluster/bulk-action/guest/migrate`

use model::{Error, NodeName};
use node::tasks::{BulkMigrate, Chosen, Moving};
use proto::wire::Answer;
use serde::Deserialize;

use super::Guests;
use crate::ops::Op;

#[derive(Deserialize)]
struct Migrate {
    #[serde(flatten)]
    guests: Guests,
    target: NodeName,
    online: Option<bool>,
    #[serde(rename = "with-local-disks")]
    with_local_disks: Option<bool>,
}

/// How many guests move at the same time where nothing says.
const WORKERS: usize = 1;

pub(super) async fn migrate(op: Op) -> Result<Answer, Error> {
    let migrate: Migrate = op.params()?;
    let options = op.records.cluster_options().await?;
    let mut chosen: Chosen = migrate.guests.into();
    chosen.workers = chosen.workers.or(options.max_workers()).or(Some(WORKERS));
    let task = BulkMigrate {
        chosen,
        moving: Moving {
            target: migrate.target,
            online: migrate.online == Some(true),
            with_local_disks: migrate.with_local_disks == Some(true),
        },
        failed: Vec::new(),
    };
    op.context.submit(&op, "", task).await
}
