//! `GET /nodes/{node}/qemu/{vmid}/migrate`

use model::Error;
use node::migration::{LocalDisk, Precheck};
use node::tasks::check_lock;
use proto::wire::Answer;
use serde_json::{Map, Value, json};

use super::Guest;
use crate::ops::Op;
use crate::ops::migration::{allowed, not_allowed};

pub(super) async fn migrate_precondition(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let guest = op.records.qemu(vmid).await?.record.data;
    check_lock(&guest, false)?;
    let node = &op.context.node;
    let precheck = node.precheck_migration(&guest).await?;
    let running = node.running.is_running(vmid).await?;
    Ok(Answer::new(answer(&precheck, running)))
}

fn answer(precheck: &Precheck, running: bool) -> Value {
    let mapped = precheck.mapped_resources.iter();
    let info: Map<String, Value> = mapped
        .map(|(option, mapping)| (option.clone(), json!({"name": mapping})))
        .collect();
    json!({
        "running": u8::from(running),
        "allowed_nodes": allowed(precheck),
        "not_allowed_nodes": not_allowed(precheck),
        "local_disks": precheck.local_disks.iter().map(local_disk).collect::<Vec<_>>(),
        "local_resources": precheck.local_resources,
        "mapped-resources": precheck.mapped_resources.keys().collect::<Vec<_>>(),
        "mapped-resource-info": info,
        // The host's connection tracking state is not migrated yet.
        "has-dbus-vmstate": 0,
    })
}

fn local_disk(disk: &LocalDisk) -> Value {
    let mut row = json!({
        "volid": disk.volume,
        "cdrom": u8::from(disk.is_cdrom),
        "is_unused": u8::from(disk.is_unused),
    });
    if let Some(size) = disk.size {
        row["size"] = size.into();
    }
    row
}
