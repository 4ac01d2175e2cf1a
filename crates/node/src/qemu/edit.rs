//! Changing a guest's options: from what a caller asks to what is stored. Pure.
//!
//! ```text
//!   typed parameters ──► Edit ──(volumes get names)──► apply(record) ─┬─► config
//!                                                                    └─► pending, while it runs
//! ```

mod boot;
mod normal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use guest::qemu::VmConfig;
use model::lxc::{MountPoint, MountSlot};
use model::qemu::{
    CLOUD_INIT_BYTES, Drive, DriveBus, DriveSlot, DriveSource, EfiDisk, ImportSource, Net,
    TpmState, is_cloud_init_option, is_cloud_init_volume,
};
use model::schema::{PropertyError, Values};
use model::{
    BlockFormat, ByteSize, Error, FieldErrors, GuestConfig, GuestRecord, PendingChange,
    SavedMemory, StorageId, VolumeId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::VolumeNames;

pub(crate) use boot::forget_boot_device;

/// Options that change nothing for QEMU and so take effect at once.
const AT_ONCE: [&str; 13] = [
    "autostart",
    "description",
    "lock",
    "name",
    "onboot",
    "protection",
    "shares",
    "startup",
    "tags",
    "migrate_downtime",
    "migrate_speed",
    "hotplug",
    "hookscript",
];

/// What Proxmox VE says to who wants to fill something else than a new volume.
const IMPORT_SYNTAX: &str =
    "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>";
/// Whether an option's change takes effect while the guest runs. Cloud-init's options change the
/// guest when its medium is made anew, which `…/cloudinit` shows and does.
fn is_at_once(option: &str) -> bool {
    AT_ONCE.contains(&option) || is_cloud_init_option(option)
}

/// What a caller wants changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// Options with their new values, as they are stored.
    pub set: BTreeMap<String, Value>,
    pub delete: Vec<String>,
    pub revert: Vec<String>,
    /// Volumes of deleted drives go too.
    pub force: bool,
    /// Volumes that the new values need. Their names are chosen by the task.
    pub new_volumes: Vec<NewVolume>,
}

/// A volume that an edit asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewVolume {
    pub slot: DriveSlot,
    pub storage: StorageId,
    /// As large as what it is filled from, where that is given.
    pub bytes: u64,
    pub format: Option<BlockFormat>,
    #[serde(default)]
    pub source: Option<ImportSource>,
    /// Chosen before it is made.
    pub name: Option<String>,
}

/// What an applied edit leaves to be done.
#[derive(Debug)]
pub(crate) struct Applied<'a> {
    /// Volumes that no option names any more and that the caller wants gone.
    pub(crate) unwanted: Vec<VolumeId>,
    names: &'a VolumeNames,
}

impl<'a> Applied<'a> {
    fn new(names: &'a VolumeNames) -> Self {
        Self {
            unwanted: Vec::new(),
            names,
        }
    }
}

impl Edit {
    /// Reads the options among checked parameters. `new_mac` makes up an address for a card
    /// that was given none.
    pub fn new(options: &Values, new_mac: &dyn Fn() -> String) -> Result<Self, Error> {
        let mut edit = Self::default();
        let mut errors = FieldErrors::new();
        for (name, value) in options {
            let name = if name == "cdrom" { "ide2" } else { name };
            match edit.read(name, value, new_mac) {
                Ok(stored) => {
                    edit.set.insert(name.to_owned(), stored);
                }
                Err(reason) => {
                    errors.insert(name.to_owned(), reason);
                }
            }
        }
        edit.normalise();
        if errors.is_empty() {
            Ok(edit)
        } else {
            Err(Error::invalid_fields(errors))
        }
    }

    fn read(
        &mut self,
        name: &str,
        value: &Value,
        new_mac: &dyn Fn() -> String,
    ) -> Result<Value, String> {
        let Value::String(text) = value else {
            return Ok(match value {
                Value::Bool(flag) => u8::from(*flag).into(),
                other => other.clone(),
            });
        };
        if let Ok(slot) = name.parse::<DriveSlot>() {
            return self.read_drive(slot, text).map(Value::from);
        }
        if is_indexed(name, "net") {
            let mut net = Net::parse(text).map_err(|error| error.for_parameter(name))?;
            net.mac.get_or_insert_with(new_mac);
            return Ok(net.print().into());
        }
        Ok(text.clone().into())
    }

    fn read_drive(&mut self, slot: DriveSlot, text: &str) -> Result<String, String> {
        let name = slot.to_string();
        if slot.bus() == DriveBus::Efi {
            EfiDisk::parse(text).map_err(|error| error.for_parameter(&name))?;
        }
        let mut drive =
            Drive::parse(slot.bus(), text).map_err(|error| error.for_parameter(&name))?;
        if slot.bus().is_seen() && !drive.normalize() {
            return Err("unable to parse drive options".to_owned());
        }
        if let DriveSource::NewCloudInit { storage } = drive.source() {
            self.new_volumes.push(NewVolume {
                slot,
                storage,
                bytes: CLOUD_INIT_BYTES,
                format: drive.format(),
                source: None,
                name: None,
            });
        }
        if let DriveSource::New { storage, gib } = drive.source() {
            let mut bytes = ByteSize::of_gib(gib).bytes();
            let mut format = drive.format();
            let source = drive.import_source();
            if source.is_some() && bytes != 0 {
                return Err(IMPORT_SYNTAX.to_owned());
            }
            if slot.bus() == DriveBus::Tpm {
                (bytes, format) = (TpmState::BYTES, Some(BlockFormat::Raw));
            }
            if source.is_none() && bytes == 0 && slot.bus() != DriveBus::Efi {
                return Err("a new volume needs a size".to_owned());
            }
            self.new_volumes.push(NewVolume {
                slot,
                storage,
                bytes,
                format,
                source,
                name: None,
            });
        } else if drive.import_source().is_some() {
            return Err(IMPORT_SYNTAX.to_owned());
        }
        Ok(drive.print())
    }

    /// What the guest will be, as far as it can be known before volumes have names; for refusing
    /// what could never start.
    pub fn check(&self, before: Option<&GuestRecord>) -> Result<(), Error> {
        if let Some(guest) = before {
            self.check_boot_order(guest)?;
        }
        let mut config = before.map_or_else(GuestConfig::default, |guest| self.awaited(guest));
        for name in &self.delete {
            config.0.remove(name);
        }
        for (name, value) in &self.set {
            let is_new = self
                .new_volumes
                .iter()
                .any(|volume| volume.slot.to_string() == *name);
            if !is_new {
                config.set(name, value.clone());
            }
        }
        let after = VmConfig::parse(&config).map_err(Error::invalid_fields)?;
        if after.balloon_mib.is_some_and(|mib| mib > after.memory_mib) {
            let text = "balloon value too large (must be smaller than assigned memory)";
            return Err(Error::conflict(text));
        }
        self.check_one_cloud_init(&after)
    }

    /// A guest's options from its next start on, without what is reverted.
    fn awaited(&self, guest: &GuestRecord) -> GuestConfig {
        let mut config = guest.config.clone();
        let waiting = guest.pending.iter();
        for (name, change) in waiting.filter(|(name, _)| !self.revert.contains(name)) {
            match change {
                PendingChange::Set(value) => config.set(name, value.clone()),
                PendingChange::Delete { .. } => {
                    config.0.remove(name);
                }
            }
        }
        config
    }

    /// Whether a new volume is to hold cloud-init's data.
    pub(crate) fn is_cloud_init(&self, volume: &NewVolume) -> bool {
        self.is_cloud_init_slot(volume.slot)
    }

    fn is_cloud_init_slot(&self, slot: DriveSlot) -> bool {
        let text = self.set.get(&slot.to_string()).and_then(Value::as_str);
        text.and_then(|text| Drive::parse(slot.bus(), text).ok())
            .is_some_and(|drive| drive.is_cloud_init())
    }

    /// A guest reads one medium; a second one would have the same name.
    fn check_one_cloud_init(&self, after: &VmConfig) -> Result<(), Error> {
        let kept = after
            .drives
            .iter()
            .filter(|(_, drive)| drive.is_cloud_init());
        let kept = kept.map(|(slot, _)| *slot).filter(|slot| {
            let is_replaced = self.new_volumes.iter().any(|volume| volume.slot == *slot);
            !is_replaced
        });
        let new = self.new_volumes.iter().map(|volume| volume.slot);
        let new = new.filter(|slot| self.is_cloud_init_slot(*slot));
        let slots: Vec<DriveSlot> = kept.chain(new).collect();
        match slots[..] {
            [first, second, ..] => Err(Error::conflict(format!(
                "{second} - cloud-init drive is already attached at '{first}'"
            ))),
            _ => Ok(()),
        }
    }

    /// The volumes that are there already and that a drive is to show; not cloud-init's, which is
    /// made anew as it is needed.
    pub(crate) fn named_volumes(&self) -> Vec<(DriveSlot, VolumeId)> {
        let drives = self.set.iter().filter_map(|(name, value)| {
            let slot: DriveSlot = name.parse().ok()?;
            Some((slot, Drive::parse(slot.bus(), value.as_str()?).ok()?))
        });
        drives
            .filter(|(_, drive)| !drive.is_cloud_init())
            .filter_map(|(slot, drive)| match drive.source() {
                DriveSource::Volume(volume) => Some((slot, volume)),
                _ => None,
            })
            .collect()
    }

    /// Whether a drive is set: a volume has to be made or measured then.
    pub(crate) fn names_drives(&self) -> bool {
        let mut names = self.set.keys();
        names.any(|name| name.parse::<DriveSlot>().is_ok())
    }

    /// Whether a drive is set or taken out, or a volume is forgotten: then it matters what volumes'
    /// names mean.
    pub(crate) fn touches_volumes(&self) -> bool {
        let removed = self.delete.iter().chain(&self.revert);
        let names_volume =
            |name: &String| name.parse::<DriveSlot>().is_ok() || is_indexed(name, "unused");
        self.names_drives() || removed.into_iter().any(names_volume)
    }

    /// The drives that are set, as far as the guest sees them.
    pub(crate) fn drives(&self) -> Vec<(DriveSlot, Drive)> {
        let drives = self.set.iter().filter_map(|(name, value)| {
            let slot: DriveSlot = name.parse().ok()?;
            Some((slot, Drive::parse(slot.bus(), value.as_str()?).ok()?))
        });
        drives.filter(|(slot, _)| slot.bus().is_seen()).collect()
    }

    /// Notes how large a named volume is, whatever the caller said.
    pub(crate) fn set_size(&mut self, slot: DriveSlot, bytes: u64) {
        let text = self.set.get(&slot.to_string()).and_then(Value::as_str);
        let drive = text.and_then(|text| Drive::parse(slot.bus(), text).ok());
        if let Some(mut drive) = drive {
            drive.set_size(ByteSize(bytes));
            self.set.insert(slot.to_string(), drive.print().into());
        }
    }

    /// Puts the volumes' names into the drives' values. To be called once all have names.
    pub(crate) fn name_volumes(&mut self) -> Result<(), Error> {
        for volume in &self.new_volumes {
            let slot = volume.slot;
            let missing = || Error::bug(format!("{slot} has no volume yet"));
            let name = volume.name.as_ref().ok_or_else(missing)?;
            let id = VolumeId::new(volume.storage.clone(), name.as_str())
                .map_err(|error| Error::bug(error.to_string()))?;
            let text = self
                .set
                .get(&slot.to_string())
                .and_then(Value::as_str)
                .unwrap_or_default();
            let mut drive = Drive::parse(slot.bus(), text)
                .map_err(|error| Error::invalid(slot.to_string(), error.for_parameter("")))?;
            drive.set_volume(&id);
            drive.set_size(ByteSize(volume.bytes));
            drive.clear_request();
            self.set.insert(slot.to_string(), drive.print().into());
        }
        Ok(())
    }

    /// Changes a record. While the guest runs, what QEMU would have to know waits in `pending`.
    pub(crate) fn apply<'a>(
        &self,
        guest: &mut GuestRecord,
        is_running: bool,
        names: &'a VolumeNames,
    ) -> Applied<'a> {
        let changes = Changes {
            set: &self.set,
            delete: &self.delete,
            revert: &self.revert,
            force: self.force,
        };
        changes.apply(guest, |name| is_running && !is_at_once(name), names)
    }
}

/// Changes of a guest's options, of whatever kind it is.
pub(crate) struct Changes<'a> {
    pub(crate) set: &'a BTreeMap<String, Value>,
    pub(crate) delete: &'a [String],
    pub(crate) revert: &'a [String],
    /// Volumes of deleted options go too.
    pub(crate) force: bool,
}

impl Changes<'_> {
    /// Changes a record. What `waits` waits in `pending`.
    pub(crate) fn apply<'a>(
        &self,
        guest: &mut GuestRecord,
        waits: impl Fn(&str) -> bool,
        names: &'a VolumeNames,
    ) -> Applied<'a> {
        let mut applied = Applied::new(names);
        for name in self.revert {
            applied.forget(guest, name, false);
        }
        for name in self.delete {
            if waits(name) {
                if guest.config.0.contains_key(name) {
                    let change = PendingChange::Delete { force: self.force };
                    applied.wait(guest, name, change);
                } else {
                    applied.forget(guest, name, self.force);
                }
            } else {
                applied.take_out(guest, name, self.force);
                applied.forget(guest, name, self.force);
            }
        }
        for (name, value) in self.set {
            let same = guest.config.0.get(name) == Some(value);
            if !waits(name) {
                applied.put_in(guest, name, value);
                applied.forget(guest, name, false);
            } else if same {
                applied.forget(guest, name, false);
            } else {
                applied.wait(guest, name, PendingChange::Set(value.clone()));
            }
        }
        applied
    }
}

/// Moves these pending options into the configuration: they have taken effect.
pub(crate) fn apply_taken<'a>(
    guest: &mut GuestRecord,
    taken: &[String],
    names: &'a VolumeNames,
) -> Applied<'a> {
    let mut applied = Applied::new(names);
    for name in taken {
        match guest.pending.remove(name) {
            Some(PendingChange::Set(value)) => applied.put_in(guest, name, &value),
            Some(PendingChange::Delete { force }) => applied.take_out(guest, name, force),
            None => {}
        }
    }
    applied
}

/// Moves what waited into the configuration of a guest that is about to start.
pub(crate) fn apply_pending<'a>(guest: &mut GuestRecord, names: &'a VolumeNames) -> Applied<'a> {
    let options: Vec<String> = guest.pending.keys().cloned().collect();
    apply_taken(guest, &options, names)
}

/// Makes a guest's options what they were at a snapshot. Its description stays, and disks that it
/// got since become unused.
///
/// A snapshot with memory leaves the word that its memory fits, for the start that comes next.
pub(crate) fn return_to<'a>(
    guest: &mut GuestRecord,
    name: &str,
    names: &'a VolumeNames,
) -> Applied<'a> {
    let mut applied = Applied::new(names);
    let Some(snapshot) = guest.snapshots.get(name) else {
        return applied;
    };
    guest.wakes_at = snapshot.memory.as_ref().map(|_| name.to_owned());
    let wanted = snapshot.config.clone();
    let named: Vec<VolumeId> = volumes_of(&wanted).into_iter().map(|(_, v)| v).collect();
    let before = std::mem::replace(&mut guest.config, wanted);
    let waiting = std::mem::take(&mut guest.pending);
    applied.forget_suspension(guest);
    guest.config.set("parent", name);
    for (option, value) in &before.0 {
        let is_unused = is_indexed(option, "unused")
            && volume_of(option, &before).is_some_and(|volume| !named.contains(&volume));
        if is_unused || option == "description" {
            guest.config.set(option, value.clone());
        }
    }
    let waiting = waiting.iter();
    let waiting = waiting.filter_map(|(name, change)| volume_waiting(name, Some(change)));
    for volume in volumes_of(&before)
        .into_iter()
        .map(|(_, v)| v)
        .chain(waiting)
    {
        applied.retire(guest, Some(volume), false);
    }
    applied
}

/// Takes out of a record that the guest is suspended.
pub(crate) fn forget_suspension(guest: &mut GuestRecord) -> Option<SavedMemory> {
    let memory = guest.suspended.take()?;
    guest.config.0.remove("lock");
    guest.config.0.remove("vmstate");
    Some(memory)
}

/// Puts another image, of this size, behind an option. The one that was there becomes unused, or is freed
/// if it is to be removed.
pub(crate) fn replace_volume(
    guest: &mut GuestRecord,
    option: &str,
    volume: &VolumeId,
    bytes: u64,
    names: &VolumeNames,
    remove: bool,
) -> Result<(), Error> {
    let before = volume_of(option, &guest.config);
    set_volume(&mut guest.config, option, volume)?;
    note_size(&mut guest.config, option, bytes)?;
    if before.as_ref() != Some(volume) {
        Applied::new(names).retire(guest, before, remove);
    }
    Ok(())
}

/// Puts another volume behind an option; its other keys stay.
pub(crate) fn set_volume(
    config: &mut GuestConfig,
    option: &str,
    volume: &VolumeId,
) -> Result<(), Error> {
    let set = |keys: &mut Keys| match keys {
        Keys::Drive(drive) => drive.set_volume(volume),
        Keys::Mount(mount) => mount.set_volume(volume),
    };
    if !change_keys(config, option, set)? {
        config.set(option, volume.to_string());
    }
    Ok(())
}

/// Notes how large the volume behind an option is.
pub(crate) fn note_size(config: &mut GuestConfig, option: &str, bytes: u64) -> Result<(), Error> {
    let set = |keys: &mut Keys| match keys {
        Keys::Drive(drive) => drive.set_size(ByteSize(bytes)),
        Keys::Mount(mount) => mount.set_size(ByteSize(bytes)),
    };
    change_keys(config, option, set).map(drop)
}

/// The keys of an option that names a volume.
enum Keys {
    Drive(Drive),
    Mount(MountPoint),
}

/// False for an option without keys.
fn change_keys(
    config: &mut GuestConfig,
    option: &str,
    change: impl FnOnce(&mut Keys),
) -> Result<bool, Error> {
    let text = config.text(option).unwrap_or_default();
    let bug = |error: PropertyError| Error::bug(error.to_string());
    let mut keys = if let Ok(slot) = option.parse::<DriveSlot>() {
        Keys::Drive(Drive::parse(slot.bus(), &text).map_err(bug)?)
    } else if let Ok(slot) = option.parse::<MountSlot>() {
        Keys::Mount(MountPoint::parse(slot, &text).map_err(bug)?)
    } else {
        return Ok(false);
    };
    change(&mut keys);
    let printed = match keys {
        Keys::Drive(drive) => drive.print(),
        Keys::Mount(mount) => mount.print(),
    };
    config.set(option, printed);
    Ok(true)
}

impl Applied<'_> {
    /// Lets a change wait, in place of one that waited for the same option. The volume that only
    /// the other would have put in becomes unused.
    fn wait(&mut self, guest: &mut GuestRecord, name: &str, change: PendingChange) {
        let after = volume_waiting(name, Some(&change));
        let before = volume_waiting(name, guest.pending.get(name));
        guest.pending.insert(name.to_owned(), change);
        if before != after {
            self.retire(guest, before, false);
        }
    }

    /// Forgets a change that waits. The volume that it would have put in becomes unused, or goes
    /// where that is wanted.
    fn forget(&mut self, guest: &mut GuestRecord, name: &str, force: bool) {
        let change = guest.pending.remove(name);
        self.retire(guest, volume_waiting(name, change.as_ref()), force);
    }

    /// Sets an option. A volume that it named before becomes unused.
    fn put_in(&mut self, guest: &mut GuestRecord, name: &str, value: &Value) {
        let before = volume_of(name, &guest.config);
        guest.config.set(name, value.clone());
        let after = volume_of(name, &guest.config);
        if before.is_some() && before != after {
            self.retire(guest, before, false);
        }
        if let Some(volume) = after.filter(|_| !is_indexed(name, "unused")) {
            no_longer_unused(guest, &volume, self.names);
        }
    }

    /// Removes an option. Its volume becomes unused, or goes where that is wanted; an unused
    /// volume always goes.
    fn take_out(&mut self, guest: &mut GuestRecord, name: &str, force: bool) {
        if name == "lock" || name == "vmstate" {
            // Unlocked, a guest that was suspended boots next time: its memory is of no use.
            self.forget_suspension(guest);
        }
        let volume = volume_of(name, &guest.config);
        guest.config.0.remove(name);
        forget_boot_device(guest, name);
        self.retire(guest, volume, force || is_indexed(name, "unused"));
    }

    fn forget_suspension(&mut self, guest: &mut GuestRecord) {
        if let Some(memory) = forget_suspension(guest) {
            self.unwanted.push(memory.volume);
        }
    }

    fn retire(&mut self, guest: &mut GuestRecord, volume: Option<VolumeId>, remove: bool) {
        let Some(volume) = volume else { return };
        // Only what was made for this guest is its own: an ISO image is not.
        let is_own = self.names.owner(&volume) == Some(guest.vmid);
        let mut named = volumes_of_guest(guest).into_iter();
        let is_named = named.any(|named| self.names.is_same_image(&named, &volume));
        if !is_own || is_named {
            return;
        }
        // What is on a cloud-init medium can be made again at any time.
        if remove || is_cloud_init_volume(&volume) {
            self.unwanted.push(volume);
            return;
        }
        let free = (0..256).map(|n| format!("unused{n}"));
        if let Some(slot) = free
            .into_iter()
            .find(|slot| !guest.config.0.contains_key(slot))
        {
            guest.config.set(slot, volume.to_string());
        }
    }
}

/// Takes a volume that is in use out of the list of those that are not.
fn no_longer_unused(guest: &mut GuestRecord, volume: &VolumeId, names: &VolumeNames) {
    let config = &guest.config;
    let stale = config.0.keys().filter(|name| {
        is_indexed(name, "unused")
            && volume_of(name, config).is_some_and(|unused| names.is_same_image(&unused, volume))
    });
    for name in stale.cloned().collect::<Vec<_>>() {
        guest.config.0.remove(&name);
        guest.pending.remove(&name);
    }
}

/// Whether a name is `stem` and a number.
pub(crate) fn is_indexed(name: &str, stem: &str) -> bool {
    name.strip_prefix(stem)
        .is_some_and(|index| !index.is_empty() && index.chars().all(|c| c.is_ascii_digit()))
}

/// The volume that an option names.
pub(crate) fn volume_of(name: &str, config: &GuestConfig) -> Option<VolumeId> {
    volume_in(name, &config.text(name)?)
}

/// The volume that an option will name.
fn volume_waiting(name: &str, change: Option<&PendingChange>) -> Option<VolumeId> {
    match change? {
        PendingChange::Set(value) => volume_in(name, value.as_str()?),
        PendingChange::Delete { .. } => None,
    }
}

fn volume_in(name: &str, text: &str) -> Option<VolumeId> {
    if is_indexed(name, "unused") {
        return text.split(',').next()?.parse().ok();
    }
    if let Ok(slot) = name.parse::<MountSlot>() {
        return MountPoint::parse(slot, text).ok()?.volume();
    }
    let slot: DriveSlot = name.parse().ok()?;
    Drive::parse(slot.bus(), text).ok()?.volume()
}

/// Every volume that a guest has a use for: now, from its next start on, in a snapshot, for its
/// memory.
pub fn volumes_of_guest(guest: &GuestRecord) -> Vec<VolumeId> {
    let snapshots = guest.snapshots.values();
    let configs = std::iter::once(&guest.config).chain(snapshots.clone().map(|s| &s.config));
    let memories = guest
        .suspended
        .iter()
        .chain(snapshots.filter_map(|s| s.memory.as_ref()));
    let pending = guest.pending.iter();
    let pending = pending.filter_map(|(name, change)| volume_waiting(name, Some(change)));
    let mut volumes: Vec<VolumeId> = configs
        .flat_map(volumes_of)
        .map(|(_, volume)| volume)
        .chain(pending)
        .chain(memories.map(|memory| memory.volume.clone()))
        .collect();
    volumes.sort();
    volumes.dedup();
    volumes
}

/// Every volume that a configuration names, with the option that names it.
pub fn volumes_of(config: &GuestConfig) -> Vec<(String, VolumeId)> {
    let named = |name: &String| Some((name.clone(), volume_of(name, config)?));
    config.0.keys().filter_map(named).collect()
}
