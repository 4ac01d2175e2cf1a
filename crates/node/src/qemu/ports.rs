//! Serial and parallel ports of this host that a guest gets.

use std::path::Path;

use guest::qemu::{DeviceFile, Ports, VmConfig};
use model::Error;

use super::drives::{Descriptors, next_descriptor};
use crate::NodeContext;

/// Makes sure that the ports are there, before anything is made for the guest.
pub(crate) async fn check(node: &NodeContext, config: &VmConfig) -> Result<(), Error> {
    for (option, path) in config.ports_of_host() {
        if node.host.stat(Path::new(path)).await?.is_none() {
            return Err(Error::conflict(format!(
                "{option}: no such device '{path}'"
            )));
        }
    }
    Ok(())
}

/// Opens the ports, each a descriptor: the guest's user need not be able to open the files.
pub(crate) async fn open(
    node: &NodeContext,
    config: &VmConfig,
    descriptors: &mut Descriptors,
) -> Result<Ports, Error> {
    let mut ports = Ports::new();
    for (option, path) in config.ports_of_host() {
        // A device may have a name of its own that leads to it: /dev/serial/by-id/….
        let path = node.host.resolve(Path::new(path)).await?;
        let number = next_descriptor(descriptors);
        descriptors.push((number, node.host.open_device(&path).await?));
        ports.insert(option, DeviceFile::Descriptor(number));
    }
    Ok(ports)
}
