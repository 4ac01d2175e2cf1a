//! `GET /nodes/{node}/disks/list`

use model::Error;
use node::host::disks::{self, Block, Health};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct List {
    include_partitions: Option<bool>,
    skipsmart: Option<bool>,
    r#type: Option<String>,
}

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let wanted: List = op.params()?;
    let host = &op.context.node.host;
    let mut disks = disks::disks(host).await?;
    disks.retain(|disk| is_wanted(disk, wanted.r#type.as_deref()));
    let healths = match wanted.skipsmart {
        Some(true) => vec![Health::default(); disks.len()],
        _ => disks::healths(host, &disks).await,
    };
    let mut rows = Vec::new();
    for (disk, health) in disks.iter().zip(&healths) {
        rows.push(row(disk, health));
        if wanted.include_partitions == Some(true) {
            rows.extend(disk.partitions().map(|part| partition(disk, part)));
        }
    }
    Ok(Answer::new(rows))
}

/// A journal may also be on a disk with room for another partition.
fn is_wanted(disk: &Block, kind: Option<&str>) -> bool {
    match kind {
        Some("unused") => disk.used().is_none(),
        Some(_) => disk.used().is_none() || (disk.is_gpt() && disk.used_by_partitions()),
        None => true,
    }
}

fn row(disk: &Block, health: &Health) -> Value {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let rpm = disk.rpm.or(health.rpm);
    let medium = disk.medium(rpm);
    let rpm: i64 = match (medium, rpm) {
        ("hdd", Some(rpm)) => i64::try_from(rpm).unwrap_or(-1),
        ("ssd" | "nvme" | "usb", _) => 0,
        _ => -1,
    };
    let mut row = json!({
        "devpath": disk.path,
        "size": disk.size,
        "type": medium,
        "rpm": rpm,
        "vendor": text(&disk.vendor),
        "model": text(&disk.model),
        "serial": text(&disk.serial),
        "wwn": text(&disk.wwn),
        "gpt": u8::from(disk.is_gpt()),
        "mounted": u8::from(disk.is_mounted()),
        "health": health.word(),
        "wearout": health.left.map_or_else(|| "N/A".into(), Value::from),
        // No disk is used by Ceph.
        "osdid": -1,
        "osdid-list": null,
    });
    if let Some(used) = disk.used() {
        row["used"] = used.into();
    }
    row
}

fn partition(disk: &Block, part: &Block) -> Value {
    let mut row = json!({
        "devpath": part.path,
        "parent": disk.path,
        "type": "partition",
        "size": part.size,
        "gpt": u8::from(disk.is_gpt()),
        "mounted": u8::from(part.is_mounted()),
        "osdid": -1,
        "osdid-list": null,
    });
    if let Some(used) = part.used() {
        row["used"] = used.into();
    }
    row
}
