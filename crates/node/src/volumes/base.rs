//! The unit that a volume group lies on: `base` of a storage of LVM.

use std::sync::Arc;
use std::time::Duration;

use model::{BlockSource, Error, VolumeId};
use serde::Deserialize;
use storage::{
    AttachMode, Attacher, LvmPrograms, Storage, StorageConfig, StorageSpec, StorageType,
};

use crate::NodeContext;
use crate::host::disks;

/// LVM writes a few sectors.
const CHANGE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Volume {
    vg_name: String,
}

/// The storage of a base, which must be usable before what lies on it is. Its units are disks of the
/// node.
pub(crate) async fn storage_of(
    node: &NodeContext,
    base: &VolumeId,
) -> Result<Arc<dyn Storage>, Error> {
    let entry = node.records.local().storage(base.storage()).await?;
    let kind = entry.config.spec.kind();
    if kind != StorageType::Iscsi {
        let text = format!(
            "'{base}' is on a storage of type '{}', not iscsi",
            kind.as_str()
        );
        return Err(Error::invalid("base", text));
    }
    if !entry.config.is_enabled_on(&node.name) {
        let (storage, node) = (base.storage(), &node.name);
        let text = format!("storage '{storage}' is not available on node '{node}'");
        return Err(Error::unavailable(text));
    }
    let driver = node.drivers.of(&entry);
    driver.activate().await?;
    Ok(driver)
}

/// Makes the group of a storage on its base, where it is not there yet. What is on the unit already is
/// left alone, and refused.
pub async fn make_group(node: &NodeContext, config: &StorageConfig) -> Result<(), Error> {
    let StorageSpec::Lvm(spec) = &config.spec else {
        return Ok(());
    };
    let Some(base) = &spec.base else {
        return Ok(());
    };
    let units = storage_of(node, base).await?;
    let by = Attacher::Task(format!("base of {}", config.id()));
    let attached = units
        .attach(base.name(), AttachMode::Exclusive, &by)
        .await?;
    let made = match &attached.source {
        BlockSource::Device(device) => make_on(node, device, &spec.vgname).await,
        _ => Err(Error::invalid(
            "base",
            format!("'{base}' is no disk of the node"),
        )),
    };
    units.detach(base.name(), &by).await?;
    made
}

async fn make_on(node: &NodeContext, device: &str, group: &str) -> Result<(), Error> {
    let turn = node.drivers.take_turn(&format!("lvm/{group}")).await?;
    let made = make_in_turn(node, device, group).await;
    turn.end().await;
    made
}

async fn make_in_turn(node: &NodeContext, device: &str, group: &str) -> Result<(), Error> {
    let programs = LvmPrograms::new(node.host.clone());
    let select = format!("pv_name=\"{device}\"");
    let volumes: Vec<Volume> = programs
        .list("pvs", "vg_name", &["--select", &select])
        .await?;
    let found = volumes.into_iter().next().map(|volume| volume.vg_name);
    match found.as_deref() {
        Some(found) if found == group => return Ok(()),
        // It is a physical volume of no group.
        Some("") => {}
        Some(found) => {
            let text = format!("device '{device}' is already used by volume group '{found}'");
            return Err(Error::conflict(text));
        }
        None => {
            if let Some(content) = disks::content_of(&node.host, device).await? {
                let text = format!("device '{device}' is not empty: it has {content}");
                return Err(Error::conflict(text));
            }
        }
    }
    let groups: Vec<Volume> = programs.list("vgs", "vg_name", &[]).await?;
    if groups.iter().any(|other| other.vg_name == group) {
        let text = format!("volume group '{group}' exists, on another device than '{device}'");
        return Err(Error::conflict(text));
    }
    if found.is_none() {
        // So much metadata lets the first extent begin at 512 sectors. Source: Proxmox VE's layout.
        let how = ["--yes", "--metadatasize", "250k", device];
        programs.run("pvcreate", &how, CHANGE).await?;
    }
    programs.run("vgcreate", &[group, device], CHANGE).await?;
    Ok(())
}
