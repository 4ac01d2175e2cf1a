//! `GET /nodes/{node}/lxc/{vmid}/feature`

use model::Error;
use model::lxc::{MountPoint, MountSlot};
use node::tasks::{is_linkable, snapshot_of};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use super::Container;
use crate::ops::Op;

#[derive(Deserialize)]
struct Feature {
    feature: String,
    snapname: Option<String>,
}

pub(super) async fn feature(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let Feature { feature, snapname } = op.params()?;
    let guest = op.records.lxc(vmid).await?.record.data;
    let config = match &snapname {
        Some(name) => &snapshot_of(&guest, name)?.config,
        None => &guest.config,
    };
    let mut has_feature = true;
    for (option, value) in &config.0 {
        let Ok(slot) = option.parse::<MountSlot>() else {
            continue;
        };
        let mount = MountPoint::parse(slot, value.as_str().unwrap_or_default());
        let Some(volume) = mount.ok().and_then(|mount| mount.volume()) else {
            // What is the host's own can none of these.
            has_feature = false;
            continue;
        };
        let storage = op.context.node.storage(volume.storage()).await?;
        let name = volume.name();
        has_feature &= match feature.as_str() {
            "snapshot" => storage.snapshots().is_some_and(|s| s.maker(name).is_some()),
            "clone" => snapname.is_none() && is_linkable(&*storage, &volume)?,
            _ => true,
        };
    }
    Ok(Answer::new(json!({"hasFeature": u8::from(has_feature)})))
}
