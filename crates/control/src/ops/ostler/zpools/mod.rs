//! `/ostler/nodes/{node}/pools`: pools of ZFS in full, their growth and repair

mod add;
mod attach;
mod clear;
mod detach;
mod get;
mod list;
mod online;
mod replace;
mod scrub;

use model::StorageId;
use node::host::pools::zfs::Device;
use node::host::pools::zpool::{Scan, State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("zpool_add", add::add),
    pair!("zpool_attach", attach::attach),
    pair!("zpool_clear", clear::clear),
    pair!("zpool_detach", detach::detach),
    pair!("zpool_get", get::get),
    pair!("zpool_list", list::list),
    pair!("zpool_online", online::online),
    pair!("zpool_replace", replace::replace),
    pair!("zpool_scrub", scrub::scrub),
];

#[derive(Deserialize)]
struct Named {
    name: StorageId,
}

/// A device of the pool, and the one that joins it.
#[derive(Deserialize)]
struct Devices {
    device: String,
    new: String,
}

fn row(state: &State) -> Value {
    let State { pool, status, .. } = state;
    let mut row = json!({
        "name": pool.name,
        "size": pool.size,
        "alloc": pool.alloc,
        "free": pool.free,
        "used": state.used(),
        "frag": pool.frag,
        "dedup": pool.dedup,
        "compressratio": pool.compression,
        "health": pool.health,
        "errors": status.errors,
    });
    for (key, text) in [("status", &status.status), ("action", &status.action)] {
        if let Some(text) = text {
            row[key] = text.as_str().into();
        }
    }
    if let Some(scan) = &state.scan {
        row["scan"] = self::scan(scan);
    }
    row
}

fn scan(scan: &Scan) -> Value {
    let mut shown = json!({
        "kind": scan.kind.as_str(),
        "state": scan.state.as_str(),
        "at": scan.at,
    });
    if let Some(progress) = scan.progress {
        shown["progress"] = progress.into();
    }
    if let Some(errors) = scan.errors {
        shown["errors"] = errors.into();
    }
    if let Some(repaired) = &scan.repaired {
        shown["repaired"] = repaired.as_str().into();
    }
    shown
}

/// A device as a tree.
fn device(device: &Device) -> Value {
    let mut shown = json!({"name": device.name});
    let texts = [
        ("state", device.state.as_deref()),
        ("guid", device.guid.as_deref()),
        (
            "message",
            Some(&*device.message).filter(|text| !text.is_empty()),
        ),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            shown[key] = text.into();
        }
    }
    if let Some(counts) = device.errors {
        for (key, count) in ["read", "write", "checksum"].into_iter().zip(counts) {
            shown[key] = (count as u64).into();
        }
    }
    if !device.children.is_empty() {
        shown["children"] = device.children.iter().map(self::device).collect();
    }
    shown
}
