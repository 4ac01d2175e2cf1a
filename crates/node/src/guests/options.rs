//! A guest's options in its record, of whatever kind it is: changing them, letting changes wait, and
//! the volumes that they name. Pure.

use std::collections::BTreeMap;

use model::lxc::{MountPoint, MountSlot};
use model::qemu::{Boot, BootDevice, Drive, DriveSlot, is_cloud_init_volume};
use model::schema::PropertyError;
use model::{ByteSize, Error, GuestConfig, GuestRecord, PendingChange, SavedMemory, VolumeId};
use serde_json::Value;
use storage::VolumeNames;

/// What an applied change leaves to be done.
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

/// Whether a snapshot of the guest has this volume.
pub(crate) fn is_in_snapshot(guest: &GuestRecord, volume: &VolumeId, names: &VolumeNames) -> bool {
    let snapshots = guest.snapshots.values();
    let mut named = snapshots.flat_map(|snapshot| volumes_of(&snapshot.config));
    named.any(|(_, named)| names.is_same_image(&named, volume))
}

/// Every volume that a configuration names, with the option that names it.
pub fn volumes_of(config: &GuestConfig) -> Vec<(String, VolumeId)> {
    let named = |name: &String| Some((name.clone(), volume_of(name, config)?));
    config.0.keys().filter_map(named).collect()
}

/// Takes a device that is gone out of the order, also out of one that waits.
pub(crate) fn forget_boot_device(guest: &mut GuestRecord, name: &str) {
    let Ok(gone) = name.parse::<BootDevice>() else {
        return;
    };
    let without = |text: &str| match Boot::parse(text) {
        Ok(Boot::Order(mut devices)) if devices.contains(&gone) => {
            devices.retain(|device| *device != gone);
            Some(Boot::Order(devices).print())
        }
        _ => None,
    };
    if let Some(order) = guest.config.text("boot").as_deref().and_then(without) {
        guest.config.set("boot", order);
    }
    if let Some(PendingChange::Set(value)) = guest.pending.get_mut("boot")
        && let Some(order) = value.as_str().and_then(without)
    {
        *value = order.into();
    }
}
