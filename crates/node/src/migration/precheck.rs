//! What keeps a guest on its node, or away from others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use guest::lxc::CtConfig;
use guest::qemu::VmConfig;
use model::qemu::VirtioFs;
use model::{
    Error, GuestConfig, GuestKind, GuestRecord, NodeName, StorageId, VmId, VolumeId, with_timeout,
};
use storage::StorageConfig;

use super::mapped::{Mapped, while_it_runs};
use super::shown::Shown;
use super::{GuestCpu, Look};
use crate::NodeContext;
use crate::cluster::Hearing;
use crate::guests::options::{volumes_of, volumes_of_guest};

/// A volume that other nodes do not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDisk {
    pub volume: VolumeId,
    /// In bytes; none if the storage does not have it, or cannot say.
    pub size: Option<u64>,
    pub is_cdrom: bool,
    /// Kept as `unused0`.
    pub is_unused: bool,
}

/// What a migration of a guest meets.
#[derive(Debug, Default)]
pub struct Precheck {
    pub local_disks: Vec<LocalDisk>,
    /// Options whose devices are this host's, `usb0`.
    pub local_resources: Vec<String>,
    /// Options whose devices are found by a mapping, with its name.
    pub mapped_resources: BTreeMap<String, String>,
    /// The other nodes.
    pub nodes: BTreeMap<NodeName, Fit>,
}

/// What keeps a guest away from a node; nothing if it may come.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Storages of the guest that the node may not use.
    pub unavailable: BTreeSet<StorageId>,
    /// Options whose mappings have nothing on the node.
    pub missing_mapped: Vec<String>,
    /// What else, in words.
    pub reasons: Vec<String>,
}

impl Fit {
    pub fn is_allowed(&self) -> bool {
        self.unavailable.is_empty() && self.missing_mapped.is_empty() && self.reasons.is_empty()
    }
}

/// What a guest requires of another node.
struct Requirements {
    /// The guest, if it runs: then it needs room.
    running: Option<VmId>,
    /// Of one that runs.
    cpu: Option<GuestCpu>,
    bridges: BTreeSet<String>,
    shown: Shown,
    /// Why it cannot be said of storages that they are shared.
    unprovable: Vec<String>,
}

/// The bridges that a guest's cards are on.
pub(crate) fn bridges(guest: &GuestRecord) -> Result<BTreeSet<String>, Error> {
    Ok(match guest.kind {
        GuestKind::Qemu => {
            let config = VmConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
            let nets = config.nets.values();
            nets.filter_map(|net| net.bridge.clone()).collect()
        }
        GuestKind::Lxc => {
            let config = CtConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
            let nets = config.nets.values();
            nets.filter_map(|net| Some(net.bridge()?.to_owned()))
                .collect()
        }
    })
}

/// The media in a VM's drives.
fn media(guest: &GuestRecord) -> Result<BTreeSet<VolumeId>, Error> {
    if guest.kind == GuestKind::Lxc {
        return Ok(BTreeSet::new());
    }
    let config = VmConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
    let drives = config.drives.values().filter(|drive| drive.is_cdrom());
    Ok(drives.filter_map(|drive| drive.volume()).collect())
}

/// How long another node may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

impl NodeContext {
    /// Looks at a guest of this node, with all other members as possible targets. Changes nothing.
    pub async fn precheck_migration(&self, guest: &GuestRecord) -> Result<Precheck, Error> {
        let members = self.cluster.members.all();
        let others = members.keys().filter(|name| **name != self.name).cloned();
        let media = media(guest)?;
        let (local_resources, mapped_resources) = resources(&guest.config);
        let mut precheck = Precheck {
            local_resources,
            mapped_resources,
            ..Precheck::default()
        };
        let mut storages = BTreeMap::new();
        for volume in volumes_of_guest(guest) {
            let storage = self.storage(volume.storage()).await?;
            storages.insert(volume.storage().clone(), storage.config().clone());
            if storage.config().spec.is_shared() {
                continue;
            }
            let option = volumes_of(&guest.config)
                .into_iter()
                .find_map(|(option, named)| (named == volume).then_some(option));
            let info = storage.stat(volume.name()).await.ok().flatten();
            precheck.local_disks.push(LocalDisk {
                size: info.map(|info| info.size),
                is_cdrom: media.contains(&volume),
                is_unused: option.is_some_and(|option| option.starts_with("unused")),
                volume,
            });
        }
        let runs = self.running.is_running(guest.vmid).await?;
        let cpu = match self.running.run_file(guest.vmid).await? {
            Some(file) if runs => Some(self.guest_cpu(guest.vmid, &file.running_as).await?),
            _ => None,
        };
        let shared = storages
            .iter()
            .filter(|(_, config)| config.spec.is_shared());
        let shared = shared.map(|(id, _)| id.clone()).collect();
        let (shown, unprovable) = Shown::on(self, shared).await;
        let cards = match runs {
            true => bridges(guest)?,
            false => BTreeSet::new(),
        };
        let wanted = Requirements {
            running: runs.then_some(guest.vmid),
            cpu,
            bridges: cards,
            shown,
            unprovable,
        };
        let mapped = &precheck.mapped_resources;
        let fits = others.map(|node| self.fit(node, &wanted, &storages, mapped));
        let nodes = join_all(fits).await.into_iter();
        precheck.nodes = nodes.collect::<Result<_, _>>()?;
        Ok(precheck)
    }

    /// What keeps a guest away from one node.
    async fn fit(
        &self,
        node: NodeName,
        wanted: &Requirements,
        storages: &BTreeMap<StorageId, StorageConfig>,
        mapped: &Mapped,
    ) -> Result<(NodeName, Fit), Error> {
        let unavailable = lacking(&node, storages);
        let mut reasons = self.why_not_there(&node, wanted, &unavailable).await;
        if wanted.cpu.is_some() && !mapped.is_empty() {
            reasons.push(while_it_runs(mapped));
        }
        let fit = Fit {
            unavailable,
            missing_mapped: self.missing_mapped(mapped, &node).await?,
            reasons,
        };
        Ok((node, fit))
    }

    /// What another node lacks of what a guest requires.
    async fn why_not_there(
        &self,
        node: &NodeName,
        wanted: &Requirements,
        unavailable: &BTreeSet<StorageId>,
    ) -> Vec<String> {
        let asked = async {
            if let Err(error) = self.check_heard(node) {
                return vec![error.message];
            }
            let mut reasons = wanted.unprovable.clone();
            reasons.extend(wanted.shown.to(self, node, unavailable).await);
            let cpu = async {
                match &wanted.cpu {
                    Some(cpu) => self.check_cpu(cpu, node).await.map(drop),
                    None => Ok(()),
                }
            };
            let bridges = self.check_bridges(&wanted.bridges, node);
            let room = async {
                match wanted.running {
                    Some(vmid) => self.check_room_there(vmid, node).await,
                    None => Ok(()),
                }
            };
            let (cpu, bridges, room) = tokio::join!(cpu, bridges, room);
            let refused = [cpu, bridges, room].into_iter().filter_map(Result::err);
            reasons.extend(refused.map(|error| error.message));
            reasons
        };
        let asked = with_timeout(&*self.clock, PATIENCE, asked).await;
        asked.unwrap_or_else(|| vec![format!("node '{node}' did not answer in time")])
    }

    /// Refuses a node without bridges that the guest's cards are on.
    pub(crate) async fn check_bridges(
        &self,
        bridges: &BTreeSet<String>,
        target: &NodeName,
    ) -> Result<(), Error> {
        if bridges.is_empty() {
            return Ok(());
        }
        let missing: Vec<String> = self.look(target, Look::Bridges(bridges.clone())).await?;
        match missing.is_empty() {
            true => Ok(()),
            false => {
                let missing = missing.join(", ");
                let text = format!("node '{target}' lacks bridges of the guest's cards: {missing}");
                Err(Error::conflict(text))
            }
        }
    }

    /// Refuses a node whose policy has no room for a guest that runs.
    async fn check_room_there(&self, vmid: VmId, target: &NodeName) -> Result<(), Error> {
        let why: Option<String> = self.look(target, Look::Room(vmid)).await?;
        match why {
            None => Ok(()),
            Some(why) => Err(Error::unavailable(format!("node '{target}': {why}"))),
        }
    }

    /// Refuses a node that is silent.
    pub(crate) fn check_heard(&self, node: &NodeName) -> Result<(), Error> {
        let link = self.cluster.link(node);
        match link.is_none_or(|link| link.hearing() == Hearing::Silent) {
            true => Err(Error::unavailable(format!("node '{node}' is not online"))),
            false => Ok(()),
        }
    }
}

fn lacking(node: &NodeName, storages: &BTreeMap<StorageId, StorageConfig>) -> BTreeSet<StorageId> {
    let lacking = storages
        .iter()
        .filter(|(_, config)| !config.is_enabled_on(node));
    lacking.map(|(id, _)| id.clone()).collect()
}

/// Options that give the guest devices of its host: those that are bound to this host, and those
/// that each host looks up in a mapping.
pub(super) fn resources(config: &GuestConfig) -> (Vec<String>, BTreeMap<String, String>) {
    let (mut local, mut mapped) = (Vec::new(), BTreeMap::new());
    for name in config.0.keys() {
        let text = config.text(name).unwrap_or_default();
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let mapping = text
            .split(',')
            .find_map(|part| part.strip_prefix("mapping="));
        match (kind, mapping) {
            ("usb" | "hostpci", Some(mapping)) => {
                mapped.insert(name.clone(), mapping.to_owned());
            }
            ("virtiofs", _) => {
                let share = VirtioFs::parse(&text);
                mapped.extend(share.map(|share| (name.clone(), share.mapping)));
            }
            ("usb", None) if !is_spice(&text) => local.push(name.clone()),
            ("hostpci" | "parallel", None) => local.push(name.clone()),
            ("serial", None) if text != "socket" => local.push(name.clone()),
            ("ivshmem", None) => local.push(name.clone()),
            _ => {}
        }
    }
    (local, mapped)
}

/// A USB port of a SPICE client is not this host's.
fn is_spice(text: &str) -> bool {
    text.split(',')
        .any(|part| matches!(part, "spice" | "host=spice"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn devices_of_the_host_are_named() {
        let options = [
            ("hostpci0", "0000:01:00.0"),
            ("hostpci1", "mapping=gpu,pcie=1"),
            ("ivshmem", "size=32"),
            ("memory", "512"),
            ("serial0", "socket"),
            ("serial1", "/dev/ttyS0"),
            ("usb0", "host=046d:c52b"),
            ("usb1", "spice"),
            ("usb2", "host=spice,usb3=1"),
            ("virtiofs0", "data,cache=never"),
        ];
        let options = options.map(|(name, value)| (name.to_owned(), Value::from(value)));
        let (local, mapped) = resources(&GuestConfig(options.into_iter().collect()));
        assert_eq!(local, ["hostpci0", "ivshmem", "serial1", "usb0"]);
        let wanted = [("hostpci1", "gpu"), ("virtiofs0", "data")];
        let wanted = wanted.map(|(option, id)| (option.to_owned(), id.to_owned()));
        assert_eq!(mapped.into_iter().collect::<Vec<_>>(), wanted);
    }
}
