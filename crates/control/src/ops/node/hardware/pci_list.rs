//! `GET /nodes/{node}/hardware/pci`

use model::Error;
use model::schema::format::split_list;
use node::host::pci::{self, Device};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ops::Op;

/// Memory, bridges and processors, which cannot be passed through to a guest.
const LEFT_OUT: &str = "05;06;0b";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct List {
    pci_class_blacklist: Option<String>,
    verbose: Option<bool>,
}

pub(super) async fn pci_list(op: Op) -> Result<Answer, Error> {
    let wanted: List = op.params()?;
    let left_out = wanted.pci_class_blacklist.as_deref().unwrap_or(LEFT_OUT);
    let is_left_out = |device: &Device| {
        let class = device.class.trim_start_matches("0x");
        split_list(left_out).any(|prefix| class.starts_with(prefix.trim_start_matches("0x")))
    };
    let devices = pci::devices(&op.context.node.host).await;
    let shown = devices.iter().filter(|device| !is_left_out(device));
    let rows = shown.map(|device| match wanted.verbose {
        Some(false) => json!({"id": device.address}),
        _ => row(device),
    });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}

fn row(device: &Device) -> Value {
    let mut row = json!({
        "id": device.address,
        "class": device.class,
        "vendor": device.vendor,
        "device": device.device,
        "iommugroup": device.iommu_group.map_or(-1, i64::from),
        "subsystem_vendor": device.subsystem_vendor,
        "subsystem_device": device.subsystem_device,
    });
    let names = [
        ("vendor_name", &device.vendor_name),
        ("device_name", &device.device_name),
        ("subsystem_vendor_name", &device.subsystem_vendor_name),
        ("subsystem_device_name", &device.subsystem_device_name),
    ];
    for (key, name) in names {
        if let Some(name) = name {
            row[key] = name.as_str().into();
        }
    }
    if device.mediates {
        row["mdev"] = 1.into();
    }
    row
}
