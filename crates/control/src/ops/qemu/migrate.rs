//! `POST /nodes/{node}/qemu/{vmid}/migrate`

use ipnet::IpNet;
use model::{Error, NodeName, StorageMap};
use node::tasks::QemuMigrate;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;
use crate::ops::copies::{bytes_per_s, storages_moved};

#[derive(Deserialize)]
struct Migrate {
    target: NodeName,
    /// In KiB/s.
    bwlimit: Option<f64>,
    force: Option<bool>,
    migration_network: Option<IpNet>,
    /// Guests are always sent encrypted.
    migration_type: Option<String>,
    online: Option<bool>,
    targetstorage: Option<String>,
    #[serde(rename = "with-local-disks")]
    with_local_disks: Option<bool>,
}

pub(super) async fn migrate(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let wanted: Migrate = op.params()?;
    if !op.identity()?.is_root() {
        let given = [
            ("force", wanted.force.is_some()),
            ("migration_network", wanted.migration_network.is_some()),
            ("migration_type", wanted.migration_type.is_some()),
        ];
        if let Some((name, _)) = given.iter().find(|(_, given)| *given) {
            return Err(Error::invalid(*name, "Only root may use this option."));
        }
    }
    let mut task = QemuMigrate::new(vmid, wanted.target);
    task.online = wanted.online == Some(true);
    task.with_local_disks = wanted.with_local_disks == Some(true);
    task.moving.network = wanted.migration_network;
    task.force = wanted.force == Some(true);
    if let Some(map) = &wanted.targetstorage {
        let map = StorageMap::parse(map);
        task.moving.storages = map.map_err(|why| Error::invalid("targetstorage", why))?;
    }
    let guest = op.records.qemu(vmid).await?.record.data;
    let storages = storages_moved(&op, &guest.config, &task.moving.storages).await?;
    task.moving.bytes_per_s = bytes_per_s(&op, "migration", storages, wanted.bwlimit).await?;
    task.check(&op.context.node, &guest).await?;
    op.context.submit(&op, vmid, task).await
}
