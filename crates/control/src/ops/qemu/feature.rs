//! `GET /nodes/{node}/qemu/{vmid}/feature`

use model::Error;
use model::qemu::{Drive, DriveSlot};
use node::tasks::snapshot_of;
use node::volumes_of;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use super::Guest;
use super::clones::is_copied;
use crate::ops::Op;

#[derive(Deserialize)]
struct Feature {
    feature: String,
    snapname: Option<String>,
}

pub(super) async fn feature(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Feature { feature, snapname } = op.params()?;
    let guest = op.records.qemu(vmid).await?.record.data;
    let config = match &snapname {
        Some(name) => &snapshot_of(&guest, name)?.config,
        None => &guest.config,
    };
    let disks = volumes_of(config)
        .into_iter()
        .filter(|(option, _)| is_copied(option, config));
    let mut has_feature = true;
    for (option, volume) in disks {
        let text = config.text(&option).unwrap_or_default();
        let slot: DriveSlot = option
            .parse()
            .map_err(|_| Error::bug("a drive has no slot"))?;
        if Drive::parse(slot.bus(), &text).is_ok_and(|drive| drive.is_cloud_init()) {
            continue;
        }
        let storage = op.context.node.storage(volume.storage()).await?;
        let name = volume.name();
        has_feature &= match feature.as_str() {
            "snapshot" => storage.snapshots().is_some_and(|s| s.maker(name).is_some()),
            "clone" => {
                let is_base = storage.config().parse(name)?.is_base;
                snapname.is_none() && is_base && storage.linked_clones().is_some()
            }
            _ => true,
        };
    }
    Ok(Answer::new(json!({
        "hasFeature": u8::from(has_feature),
        "nodes": [op.context.node.name],
    })))
}
