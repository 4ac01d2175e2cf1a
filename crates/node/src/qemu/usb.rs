//! USB devices of this host that a guest gets.

use std::path::PathBuf;

use guest::qemu::{DeviceFile, Usbs, VmConfig};
use model::qemu::{Usb, UsbSource};
use model::{Error, MappingKind};

use super::drives::{Descriptors, next_descriptor};
use crate::NodeContext;
use crate::host::usb::{self, Device};
use crate::mappings::check_entry;

/// Where the kernel has the files of devices, by bus and number.
const FILES: &str = "/dev/bus/usb";

/// The file of a device.
fn file(device: &Device) -> PathBuf {
    PathBuf::from(format!("{FILES}/{:03}/{:03}", device.bus, device.number))
}

/// The device of the host that an option names, which must be there.
pub(crate) async fn find(node: &NodeContext, index: u8, usb: &Usb) -> Result<PathBuf, Error> {
    let wanted = match &usb.source {
        UsbSource::Mapping(id) => mapped(node, id).await,
        UsbSource::Spice => Err(Error::conflict("SPICE is not supported")),
        source => Ok(source.clone()),
    };
    let named = |error: Error| Error {
        message: format!("usb{index}: {}", error.message),
        ..error
    };
    let wanted = wanted.map_err(named)?;
    let devices = usb::read_devices(&node.host).await?;
    let found = devices.iter().find(|device| match &wanted {
        UsbSource::Id(id) => device.id() == *id,
        UsbSource::Place(place) => device.place().as_ref() == Some(place),
        UsbSource::Mapping(_) | UsbSource::Spice => false,
    });
    let missing = || {
        let (UsbSource::Id(name) | UsbSource::Place(name)) = &wanted else {
            return Error::conflict("no device");
        };
        Error::conflict(format!("usb device '{name}' not found"))
    };
    found.map(file).ok_or_else(missing).map_err(named)
}

/// What a mapping is on this node: the very device that it says.
async fn mapped(node: &NodeContext, id: &str) -> Result<UsbSource, Error> {
    let kind = MappingKind::Usb;
    let (mapping, entries) = node.records.mapped_on(kind, id, &node.name).await?;
    let [entry] = entries.as_slice() else {
        let text = "More than one USB mapping per host not supported";
        return Err(Error::conflict(text));
    };
    let checked = check_entry(&node.host, kind, (id, &mapping), entry).await;
    checked.map_err(Error::conflict)?;
    let text = |key: &str| entry.text(key).map(str::to_owned);
    Ok(match text("path") {
        Some(place) => UsbSource::Place(place),
        None => UsbSource::Id(text("id").unwrap_or_default().to_ascii_lowercase()),
    })
}

/// Makes sure that all devices of a guest are there, before anything is made for it.
pub(crate) async fn check(node: &NodeContext, config: &VmConfig) -> Result<(), Error> {
    for (index, usb) in &config.usbs {
        find(node, *index, usb).await?;
    }
    Ok(())
}

/// Opens the devices, each a descriptor: the guest's user need not be able to open the files.
pub(crate) async fn open(
    node: &NodeContext,
    config: &VmConfig,
    descriptors: &mut Descriptors,
) -> Result<Usbs, Error> {
    let mut usbs = Usbs::new();
    for (index, usb) in &config.usbs {
        let path = find(node, *index, usb).await?;
        let number = next_descriptor(descriptors);
        descriptors.push((number, node.host.open_device(&path).await?));
        usbs.insert(*index, DeviceFile::Descriptor(number));
    }
    Ok(usbs)
}
