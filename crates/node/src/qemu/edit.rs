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
use model::qemu::{
    CLOUD_INIT_BYTES, Drive, DriveBus, DriveSlot, DriveSource, EfiDisk, ImportSource, Net,
    TpmState, is_cloud_init_option,
};
use model::schema::Values;
use model::{
    BlockFormat, ByteSize, Error, FieldErrors, GuestConfig, GuestRecord, PendingChange, StorageId,
    VolumeId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::VolumeNames;

use crate::guests::options::{Applied, Changes, is_indexed};

/// Options that change nothing for QEMU and so take effect at once.
const AT_ONCE: [&str; 14] = [
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
    "vmstatestorage",
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

impl Edit {
    /// All options that it touches.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.set.keys().chain(&self.delete).chain(&self.revert)
    }

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
