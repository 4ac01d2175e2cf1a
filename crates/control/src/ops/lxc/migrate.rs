//! `POST /nodes/{node}/lxc/{vmid}/migrate`

use model::{Error, NodeName, StorageMap};
use node::tasks::LxcMigrate;
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use crate::ops::Op;
use crate::ops::copies::{bytes_per_s, storages_moved};

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
    let negative = |_| Error::invalid("timeout", "value must have a minimum value of 0");
    let timeout = wanted.timeout.map(u64::try_from).transpose();
    task.timeout_s = timeout.map_err(negative)?;
    if let Some(map) = &wanted.target_storage {
        let map = StorageMap::parse(map);
        task.moving.storages = map.map_err(|why| Error::invalid("target-storage", why))?;
    }
    let guest = op.records.lxc(vmid).await?.record.data;
    let storages = storages_moved(&op, &guest.config, &task.moving.storages).await?;
    task.moving.bytes_per_s = bytes_per_s(&op, "migration", storages, wanted.bwlimit).await?;
    task.check(&op.context.node, &guest).await?;
    op.context.submit(&op, vmid, task).await
}
