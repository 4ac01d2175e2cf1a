//! `POST /nodes/{node}/lxc/{vmid}/migrate`

use model::{Error, NodeName, StorageMap};
use node::tasks::LxcMigrate;
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use crate::ops::Op;
use crate::ops::copies::bytes_per_s;

#[derive(Deserialize)]
struct Migrate {
    target: NodeName,
    /// In KiB/s.
    bwlimit: Option<f64>,
    online: Option<bool>,
    restart: Option<bool>,
    #[serde(rename = "target-storage")]
    target_storage: Option<String>,
    timeout: Option<i64>,
}

pub(super) async fn migrate(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let wanted: Migrate = op.params()?;
    let mut task = LxcMigrate::new(vmid, wanted.target);
    task.online = wanted.online == Some(true);
    task.restart = wanted.restart == Some(true);
    task.timeout_s = wanted.timeout.and_then(|timeout| timeout.try_into().ok());
    if let Some(map) = &wanted.target_storage {
        let map = StorageMap::parse(map);
        task.moving.storages = map.map_err(|why| Error::invalid("target-storage", why))?;
    }
    let limit = wanted.bwlimit.map(|limit| limit as u64);
    task.moving.bytes_per_s = bytes_per_s(&op, "migration", limit).await?;
    let guest = op.records.lxc(vmid).await?.record.data;
    task.check(&op.context.node, &guest).await?;
    op.context.submit(&op, vmid, task).await
}
