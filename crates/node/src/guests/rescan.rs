//! Brings a guest's record in line with its volumes: those that nothing names become unused ones, and sizes
//! are noted as they are. Pure.

use model::lxc::{MountPoint, MountSlot};
use model::qemu::{Drive, DriveSlot, is_cloud_init_volume};
use model::{ByteSize, Error, GuestConfig, GuestRecord, VolumeId};
use storage::VolumeNames;

use super::options::{is_indexed, note_size, volumes_of, volumes_of_guest};

/// A volume of a guest, as its storage has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnVolume {
    pub volume: VolumeId,
    /// In bytes.
    pub size: u64,
}

/// What a record lacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescanned {
    pub option: String,
    pub volume: VolumeId,
    /// What was noted and what it is, in bytes; none for a volume that nothing named.
    pub size: Option<(Option<u64>, u64)>,
}

/// Changes a record by the volumes that its guest has on all storages.
pub fn rescan(
    guest: &mut GuestRecord,
    volumes: &[OwnVolume],
    names: &VolumeNames,
) -> Result<Vec<Rescanned>, Error> {
    let mut found = Vec::new();
    let named = volumes_of_guest(guest);
    for OwnVolume { volume, size } in volumes {
        let is_it = |other: &VolumeId| names.is_same_image(other, volume);
        if is_cloud_init_volume(volume) {
            continue;
        }
        if named.iter().any(is_it) {
            found.extend(resize(&mut guest.config, *size, is_it)?);
        } else if let Some(option) = free_slot(&guest.config) {
            guest.config.set(&option, volume.to_string());
            found.push(Rescanned {
                option,
                volume: volume.clone(),
                size: None,
            });
        }
    }
    Ok(found)
}

/// Notes the size of a volume with every option that names it.
fn resize(
    config: &mut GuestConfig,
    bytes: u64,
    is_it: impl Fn(&VolumeId) -> bool,
) -> Result<Vec<Rescanned>, Error> {
    let mut found = Vec::new();
    // A directory without a limit has no size.
    let options = volumes_of(config).into_iter().filter(|_| bytes > 0);
    for (option, volume) in options.filter(|(_, volume)| is_it(volume)) {
        let noted = noted_size(config, &option).map(ByteSize::bytes);
        if noted != Some(bytes) && !is_indexed(&option, "unused") {
            note_size(config, &option, bytes)?;
            let size = Some((noted, bytes));
            found.push(Rescanned {
                option,
                volume,
                size,
            });
        }
    }
    Ok(found)
}

fn noted_size(config: &GuestConfig, option: &str) -> Option<ByteSize> {
    let text = config.text(option)?;
    if let Ok(slot) = option.parse::<MountSlot>() {
        return MountPoint::parse(slot, &text).ok()?.size();
    }
    let slot: DriveSlot = option.parse().ok()?;
    Drive::parse(slot.bus(), &text).ok()?.size()
}

fn free_slot(config: &GuestConfig) -> Option<String> {
    let mut slots = (0..256).map(|number| format!("unused{number}"));
    slots.find(|slot| !config.0.contains_key(slot))
}

#[cfg(test)]
mod tests {
    use model::GuestKind;
    use storage::StorageConfig;

    use super::*;

    fn own(volume: &str, size: u64) -> OwnVolume {
        let volume = volume.parse().unwrap();
        OwnVolume { volume, size }
    }

    #[test]
    fn what_nothing_names_becomes_unused_and_sizes_are_noted() {
        let mut guest = GuestRecord::new(
            "100".parse().unwrap(),
            GuestKind::Qemu,
            "pve1".parse().unwrap(),
            0,
        );
        for (name, value) in [
            ("scsi0", "local:100/vm-100-disk-0.raw,size=1G"),
            ("scsi1", "local:100/vm-100-disk-1.raw"),
            ("ide2", "local:100/vm-100-cloudinit.qcow2,media=cdrom"),
            ("unused0", "local:100/vm-100-disk-2.raw"),
        ] {
            guest.config.set(name, value);
        }
        let names = VolumeNames::of([&StorageConfig::dir("local".parse().unwrap(), "/srv")]);
        let volumes = [
            own("local:100/vm-100-disk-0.raw", 2 << 30),
            own("local:100/vm-100-disk-1.raw", 1 << 20),
            own("local:100/vm-100-cloudinit.qcow2", 4 << 20),
            own("local:100/vm-100-disk-2.raw", 1 << 30),
            own("local:100/vm-100-disk-3.raw", 1 << 30),
        ];
        let found = rescan(&mut guest, &volumes, &names).unwrap();
        let options: Vec<&str> = found.iter().map(|found| found.option.as_str()).collect();
        assert_eq!(options, ["scsi0", "scsi1", "unused1"]);
        let sizes: Vec<_> = found.iter().map(|found| found.size).collect();
        assert_eq!(
            sizes,
            [Some((Some(1 << 30), 2 << 30)), Some((None, 1 << 20)), None]
        );
        let text = |name: &str| guest.config.text(name).unwrap();
        assert_eq!(text("scsi0"), "local:100/vm-100-disk-0.raw,size=2G");
        assert_eq!(text("unused1"), "local:100/vm-100-disk-3.raw");
        assert_eq!(text("ide2"), "local:100/vm-100-cloudinit.qcow2,media=cdrom");
        assert!(rescan(&mut guest, &volumes, &names).unwrap().is_empty());
    }
}
