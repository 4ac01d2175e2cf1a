//! `GET /nodes/{node}/disks/zfs/{name}`

use model::Error;
use node::host::pools::zfs::{self, Device, Status};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ops::Op;

#[derive(Deserialize)]
struct Named {
    name: String,
}

pub(super) async fn zfs_get(op: Op) -> Result<Answer, Error> {
    let Named { name } = op.params()?;
    let status = zfs::status(&op.context.node.host, &name).await?;
    Ok(Answer::new(shown(&name, &status)))
}

fn shown(name: &str, status: &Status) -> Value {
    let mut shown = json!({
        "name": name,
        "state": status.state,
        "errors": status.errors,
        "leaf": 0,
        "children": status.devices.iter().map(device).collect::<Vec<Value>>(),
    });
    let texts = [
        ("status", &status.status),
        ("action", &status.action),
        ("scan", &status.scan),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            shown[key] = text.as_str().into();
        }
    }
    shown
}

fn device(device: &Device) -> Value {
    let mut row = json!({
        "name": device.name,
        "msg": device.message,
        "leaf": u8::from(device.children.is_empty()),
    });
    if let Some(state) = &device.state {
        row["state"] = state.as_str().into();
    }
    if let Some(counts) = device.errors {
        for (key, count) in ["read", "write", "cksum"].into_iter().zip(counts) {
            row[key] = (count as u64).into();
        }
    }
    if !device.children.is_empty() {
        row["children"] = device.children.iter().map(self::device).collect();
    }
    row
}
