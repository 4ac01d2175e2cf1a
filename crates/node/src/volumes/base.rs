//! The unit that a volume group lies on: `base` of a storage of LVM.

use std::sync::Arc;
use std::time::Duration;

use model::{BlockSource, Error, ErrorKind, VolumeId};
use serde::Deserialize;
use storage::{
    AttachMode, Attacher, LvmPrograms, Storage, StorageConfig, StorageSpec, StorageType, Turn,
};

use crate::NodeContext;
use crate::host::disks;

/// What blkid(8) calls it.
const PHYSICAL_VOLUME: &str = "LVM2_member";

/// LVM writes a few sectors.
const CHANGE: Duration = Duration::from_secs(60);

/// A physical volume, or a group.
#[derive(Deserialize)]
struct Volume {
    #[serde(default)]
    pv_uuid: String,
    vg_name: String,
}

/// The storage of a base, which must be usable before what lies on it is. Its units are disks of the
/// node.
pub(crate) async fn storage_of(
    node: &NodeContext,
    base: &VolumeId,
) -> Result<Arc<dyn Storage>, Error> {
    let id = base.storage();
    let found = node.records.local().storage(id).await;
    let entry = found.map_err(|mut error| {
        if error.kind == ErrorKind::NotFound {
            error.message = format!("base storage ID '{id}' does not exist");
        }
        error
    })?;
    let kind = entry.config.spec.kind();
    if kind != StorageType::Iscsi {
        let text = format!(
            "'{base}' is on a storage of type '{}', not iscsi",
            kind.as_str()
        );
        return Err(Error::invalid("base", text));
    }
    if entry.config.common.disable == Some(true) {
        return Err(Error::unavailable(format!("storage '{id}' is disabled")));
    }
    if !entry.config.is_enabled_on(&node.name) {
        let node = &node.name;
        let text = format!("storage '{id}' is not available on node '{node}'");
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
    let detached = units.detach(base.name(), &by).await;
    made.and(detached.map_err(Error::from))
}

async fn make_on(node: &NodeContext, device: &str, group: &str) -> Result<(), Error> {
    let turn = node.drivers.take_turn(&format!("lvm/{group}")).await?;
    let made = make_in_turn(node, &*turn, (device, group)).await;
    turn.end().await;
    made
}

async fn make_in_turn(
    node: &NodeContext,
    turn: &dyn Turn,
    (device, group): (&str, &str),
) -> Result<(), Error> {
    let programs = LvmPrograms::new(node.host.clone());
    let listed: Vec<Volume> = programs.list("pvs", "pv_uuid,vg_name", &[]).await?;
    if listed.iter().any(|volume| volume.vg_name == group) {
        return match group_on(node, device, &listed).await? {
            Some(found) if found == group => Ok(()),
            _ => Err(Error::conflict(format!(
                "volume group '{group}' exists, on another device than '{device}'"
            ))),
        };
    }
    let change = async |program: &str, args: &[&str]| {
        // Another node may have been here before the turn was ours.
        let found = group_on(node, device, &listed).await?;
        if let Some(found) = found.filter(|found| !found.is_empty()) {
            let text = format!("device '{device}' is already used by volume group '{found}'");
            return Err(Error::conflict(text));
        }
        // Nothing comes between this and the program, which has only so long.
        let deadline = turn.keep().await?;
        programs.run_until(program, args, CHANGE, deadline).await?;
        Ok(())
    };
    if group_on(node, device, &listed).await?.is_none() {
        // So much metadata lets the first extent begin at 512 sectors. Source: Proxmox VE's layout.
        let how = ["--yes", "--metadatasize", "250k", device];
        change("pvcreate", &how).await?;
    }
    change("vgcreate", &[group, device]).await
}

/// The group that a unit is a physical volume of; empty where it is of none. None: the unit is empty.
/// It is found by the volume's id: a unit that is reached in two ways is listed once.
async fn group_on(
    node: &NodeContext,
    device: &str,
    listed: &[Volume],
) -> Result<Option<String>, Error> {
    let found = disks::probed(&node.host, device).await?;
    let (kind, table) = (found.fstype, found.pttype);
    if kind.as_deref() == Some(PHYSICAL_VOLUME) {
        let id = found.uuid.unwrap_or_default();
        let volume = listed.iter().find(|volume| volume.pv_uuid == id);
        return Ok(Some(
            volume.map_or_else(String::new, |volume| volume.vg_name.clone()),
        ));
    }
    let table = table.map(|kind| format!("a partition table ({kind})"));
    match kind.or(table) {
        None => Ok(None),
        Some(content) => Err(Error::conflict(format!(
            "device '{device}' is not empty: it has {content}"
        ))),
    }
}
