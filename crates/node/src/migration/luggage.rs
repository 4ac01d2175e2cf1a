//! What a guest takes along: which volumes are copied, which stay on storages that both nodes have.

use std::collections::{BTreeMap, BTreeSet};

use guest::lxc::CtConfig;
use guest::qemu::VmConfig;
use model::lxc::MountSource;
use model::qemu::{Drive, DriveSlot, DriveSource};
use model::{
    BlockFormat, Error, ErrorKind, GuestKind, GuestRecord, NodeName, StorageId, StorageMap,
    VolumeId,
};
use storage::{ContentType, SnapshotMaker, Storage, StorageConfig, VolumeNames};

use super::Wanted;
use super::precheck::resources;
use crate::guests::options::volumes_of_guest;
use crate::qemu::drives;
use crate::{NodeContext, volumes_of};

/// What is done about local disks that a running guest has attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiveDisks {
    Move,
    /// They keep the guest where it is.
    Stay,
}

const NO_LOCAL_DISKS: &str =
    "can't live migrate attached local disks without with-local-disks option";

/// The volumes that a guest's QEMU writes to, each with its drive.
fn written_by_qemu(config: &VmConfig) -> BTreeMap<VolumeId, DriveSlot> {
    let drives = drives::volumes_of(config).into_iter();
    let is_medium = |slot: &DriveSlot| config.drives.get(slot).is_some_and(Drive::is_cdrom);
    drives
        .filter(|(slot, _)| !is_medium(slot))
        .map(|(slot, volume)| (volume, slot))
        .collect()
}

/// What moves, and what stands in the way.
#[derive(Debug)]
pub(crate) struct Luggage {
    /// `VM` or `CT`.
    guest: &'static str,
    /// Storages that both nodes must see.
    pub(crate) shared: Vec<StorageId>,
    pub(crate) wanted: Vec<Wanted>,
    /// Options with devices of this host.
    pub(crate) local_resources: Vec<String>,
    /// Why volumes cannot be copied, one line each.
    pub(crate) blockers: Vec<String>,
}

impl Luggage {
    /// Refuses what cannot be moved; `force`: devices of this host are no hindrance.
    pub(crate) fn check(&self, force: bool) -> Result<(), Error> {
        if !self.blockers.is_empty() {
            return Err(Error::conflict(self.blockers.join("; ")));
        }
        if !force && !self.local_resources.is_empty() {
            let devices = self.local_resources.join(", ");
            let guest = self.guest;
            let text = format!("can't migrate {guest} which uses local devices: {devices}");
            return Err(Error::conflict(text));
        }
        Ok(())
    }
}

impl NodeContext {
    /// Looks through a guest of this node. Changes nothing. An error is about the storages.
    pub(crate) async fn luggage(
        &self,
        guest: &GuestRecord,
        target: &NodeName,
        storages: &StorageMap,
        live: Option<LiveDisks>,
    ) -> Result<Luggage, Error> {
        let names = self.records.volume_names().await?;
        let (local_resources, mapped) = resources(&guest.config);
        let mut luggage = Luggage {
            guest: guest.kind.word(),
            shared: Vec::new(),
            wanted: Vec::new(),
            local_resources,
            blockers: self
                .mapped_blockers(&mapped, target, live.is_some())
                .await?,
        };
        luggage.blockers.extend(files_of_host(guest)?);
        let mut attached: BTreeMap<VolumeId, DriveSlot> = BTreeMap::new();
        if live.is_some() {
            let config = VmConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
            attached = written_by_qemu(&config);
            if config.tpm.is_some() {
                let text = "the state of a TPM cannot move while the guest runs".to_owned();
                luggage.blockers.push(text);
            }
        }
        let mut shared = BTreeSet::new();
        for volume in volumes_of_guest(guest) {
            let storage = self.storage(volume.storage()).await?;
            if storage.config().spec.is_shared() && storages.is_identity(volume.storage()) {
                self.check_has(target, volume.storage()).await?;
                shared.insert(volume.storage().clone());
                continue;
            }
            let slot = attached.get(&volume).copied();
            let why = match (slot, live) {
                (Some(_), Some(LiveDisks::Stay)) => Some(NO_LOCAL_DISKS.to_owned()),
                _ => {
                    let is_live = slot.is_some();
                    self.why_not(guest, &*storage, &volume, &names, is_live)
                        .await?
                }
            };
            match why {
                Some(why) => {
                    let text = format!("can't migrate local disk '{volume}': {why}");
                    luggage.blockers.push(text);
                }
                None => {
                    let to = storages.target(volume.storage()).clone();
                    let wanted = Going {
                        kind: guest.kind,
                        from: volume,
                        to,
                        live: slot,
                    };
                    let wanted = self.wanted(target, &*storage, wanted).await?;
                    luggage.wanted.push(wanted);
                }
            }
        }
        luggage.shared = shared.into_iter().collect();
        Ok(luggage)
    }

    /// Refuses a storage that the other node may not use.
    async fn check_has(&self, target: &NodeName, id: &StorageId) -> Result<(), Error> {
        let config = self.records.storage(id).await?.config;
        match config.is_enabled_on(target) {
            true => Ok(()),
            false => Err(Error::conflict(format!(
                "storage '{id}' is not available on node '{target}'"
            ))),
        }
    }

    /// Why a volume cannot be copied; none if it can.
    async fn why_not(
        &self,
        guest: &GuestRecord,
        storage: &dyn Storage,
        volume: &VolumeId,
        names: &VolumeNames,
        is_live: bool,
    ) -> Result<Option<String>, Error> {
        let why = |text: &str| Ok(Some(text.to_owned()));
        let Some(name) = names.parse(volume) else {
            return why("its name has no meaning on its storage");
        };
        let is_tree = name.content == ContentType::Rootdir;
        match name.owner {
            None => return why("local cdrom image"),
            Some(owner) if owner != guest.vmid => {
                return Ok(Some(format!("owned by other VM (owner = VM {owner})")));
            }
            // QEMU's mirror has all of it; an image that is sent as it is would lack its base.
            Some(_) if name.base.is_some() && !is_live && !is_tree => {
                return why("linked clones move only while they run, or as full clones");
            }
            Some(_) if name.is_base => return why("it is the base of a template"),
            Some(_) => {}
        }
        let maker = storage.snapshots().and_then(|all| all.maker(volume.name()));
        let is_in_snapshot = guest.snapshots.values().any(|snapshot| {
            let mut named = volumes_of(&snapshot.config).into_iter();
            named.any(|(_, named)| names.is_same_image(&named, volume))
        });
        if is_live && is_in_snapshot {
            return why("online storage migration not possible if non-replicated snapshot exists");
        }
        let is_in_image = maker == Some(SnapshotMaker::Qemu);
        if maker.is_some() && !is_in_image && is_in_snapshot {
            return why("non-migratable snapshot exists");
        }
        let unused = self.check_no_clones(std::slice::from_ref(volume), names);
        match unused.await {
            Ok(()) => Ok(None),
            Err(error) if error.kind == ErrorKind::Conflict => why("referenced by linked clone(s)"),
            Err(error) => Err(error),
        }
    }

    async fn wanted(
        &self,
        target: &NodeName,
        storage: &dyn Storage,
        going: Going,
    ) -> Result<Wanted, Error> {
        let Going {
            kind,
            from,
            to,
            live,
        } = going;
        self.check_has(target, &to).await?;
        let config = self.records.storage(&to).await?.config;
        check_takes(&config, kind, &from)?;
        storage.activate().await?;
        let info = crate::volumes::info_of(storage, &from).await?;
        if info.content == ContentType::Rootdir {
            return Ok(Wanted {
                from,
                storage: to,
                format: BlockFormat::Raw,
                bytes: info.size,
                used: info.used,
                live: None,
                is_tree: true,
            });
        }
        check_snapshots_stay(storage, &from, &config).await?;
        let format = storage.config().image_format(from.name())?;
        let format = match live {
            // QEMU reads the one and writes the other.
            Some(_) => config.spec.format_of_copy(format),
            None => format,
        };
        if !config.spec.formats().contains(&format) {
            let format = format.as_str();
            let text = format!("storage '{to}' has no images of format '{format}'");
            return Err(Error::conflict(format!("{from}: {text}")));
        }
        Ok(Wanted {
            from,
            storage: to,
            format,
            bytes: info.size,
            used: info.used,
            live,
            is_tree: false,
        })
    }
}

/// Refuses an image with snapshots inside of it for a storage whose snapshots are layers.
async fn check_snapshots_stay(
    storage: &dyn Storage,
    volume: &VolumeId,
    target: &StorageConfig,
) -> Result<(), Error> {
    if !target.spec.has_layers() {
        return Ok(());
    }
    let Some(snapshots) = storage.snapshots() else {
        return Ok(());
    };
    let is_inside = snapshots.maker(volume.name()) == Some(SnapshotMaker::Qemu);
    if is_inside && !snapshots.list_snapshots(volume.name()).await?.is_empty() {
        let id = target.id();
        let text =
            format!("'{volume}' has snapshots inside of it, those of storage '{id}' are layers");
        return Err(Error::conflict(text));
    }
    Ok(())
}

/// A volume on its way to a storage.
struct Going {
    /// Of its guest.
    kind: GuestKind,
    from: VolumeId,
    to: StorageId,
    live: Option<DriveSlot>,
}

/// Refuses a storage that takes no volumes of such guests.
pub(super) fn check_takes(
    config: &StorageConfig,
    kind: GuestKind,
    volume: &VolumeId,
) -> Result<(), Error> {
    let content = match kind {
        GuestKind::Qemu => ContentType::Images,
        GuestKind::Lxc => ContentType::Rootdir,
    };
    if config.takes(content) {
        return Ok(());
    }
    let (id, content) = (config.id(), content.as_str());
    let text = format!("content type '{content}' is not available on storage '{id}'");
    Err(Error::conflict(format!("{volume}: {text}")))
}

/// What a guest has that is no volume but its host's: one line each.
fn files_of_host(guest: &GuestRecord) -> Result<Vec<String>, Error> {
    if guest.kind == GuestKind::Lxc {
        let config = CtConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
        let hosts = config.mounts.iter().filter_map(|(slot, mount)| {
            let kind = match mount.source() {
                MountSource::Bind(_) if !mount.is_shared() => "bind",
                MountSource::Device(_) if !mount.is_shared() => "device",
                _ => return None,
            };
            Some(format!("cannot migrate local {kind} mount point '{slot}'"))
        });
        return Ok(hosts.collect());
    }
    let config = VmConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
    let paths = config.drives.iter().filter_map(|(slot, drive)| {
        let DriveSource::Path(path) = drive.source() else {
            return None;
        };
        Some(format!(
            "can't migrate local disk '{slot}': local file/device '{path}'"
        ))
    });
    Ok(paths.collect())
}
