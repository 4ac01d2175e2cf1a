//! `GET /nodes/{node}/qemu/{vmid}/migrate`

use model::Error;
use node::migration::{Fit, LocalDisk, Precheck};
use node::tasks::check_lock;
use proto::wire::Answer;
use serde_json::{Map, Value, json};

use super::Guest;
use crate::ops::Op;

pub(super) async fn migrate_precondition(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let guest = op.records.qemu(vmid).await?.record.data;
    check_lock(&guest, false)?;
    let node = &op.context.node;
    let members = node.cluster.members.all();
    let others = members.keys().filter(|name| **name != node.name).cloned();
    let precheck = node.precheck_migration(&guest, others).await?;
    let running = node.running.is_running(vmid).await?;
    Ok(Answer::new(answer(&precheck, running)))
}

fn answer(precheck: &Precheck, running: bool) -> Value {
    let (mut allowed, mut not_allowed) = (Vec::new(), Map::new());
    for (node, fit) in &precheck.nodes {
        match fit.is_allowed() {
            true => allowed.push(node),
            false => drop(not_allowed.insert(node.to_string(), why_not(fit))),
        }
    }
    let mapped = precheck.mapped_resources.iter();
    let info: Map<String, Value> = mapped
        .map(|(option, mapping)| (option.clone(), json!({"name": mapping})))
        .collect();
    json!({
        "running": u8::from(running),
        "allowed_nodes": allowed,
        "not_allowed_nodes": not_allowed,
        "local_disks": precheck.local_disks.iter().map(local_disk).collect::<Vec<_>>(),
        "local_resources": precheck.local_resources,
        "mapped-resources": precheck.mapped_resources.keys().collect::<Vec<_>>(),
        "mapped-resource-info": info,
        // The host's connection tracking state is not migrated yet.
        "has-dbus-vmstate": 0,
    })
}

/// `reasons` are our own: Proxmox VE finds them out when the guest moves.
fn why_not(fit: &Fit) -> Value {
    let mut why = Map::new();
    if !fit.unavailable.is_empty() {
        why.insert("unavailable_storages".to_owned(), json!(fit.unavailable));
    }
    if !fit.missing_mapped.is_empty() {
        why.insert(
            "unavailable-resources".to_owned(),
            json!(fit.missing_mapped),
        );
    }
    if !fit.reasons.is_empty() {
        why.insert("reasons".to_owned(), json!(fit.reasons));
    }
    Value::Object(why)
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
