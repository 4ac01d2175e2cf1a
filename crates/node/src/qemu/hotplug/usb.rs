//! USB devices of the host, in a running guest: plugged and unplugged.

use std::os::fd::AsFd;

use guest::qemu::{Backend, Device, DeviceFile, VmConfig};
use model::ErrorKind;
use model::qemu::{BootDevice, Usb};
use serde_json::{Map, Value};

use super::{Changer, Outcome, Trouble};
use crate::qemu::usb;

impl Changer<'_> {
    /// The controller comes with the first device, where the machine can take it while it runs.
    pub(super) async fn change_usb(
        &mut self,
        index: u8,
        before: &VmConfig,
        after: &VmConfig,
    ) -> Result<Outcome, Trouble> {
        if !before.hotplug.usb {
            return Ok(Outcome::Waits);
        }
        let id = format!("usb{index}");
        let boots = |device: &BootDevice| device.to_string() == id;
        if self.is_recorded(&id) || self.has_device(&id).await? {
            if before.boot_devices().iter().any(boots) {
                let text = format!("can't unplug boot device '{id}'");
                return Err(Trouble::Refused(text));
            }
            self.unplug(&id).await?;
            self.remove_from_layout(std::slice::from_ref(&id)).await?;
        }
        self.forget_usb(&id).await?;
        match after.usbs.get(&index) {
            Some(usb) => self.plug_usb(index, usb, after).await,
            None => Ok(Outcome::Took),
        }
    }

    async fn plug_usb(
        &mut self,
        index: u8,
        usb: &Usb,
        after: &VmConfig,
    ) -> Result<Outcome, Trouble> {
        let planned = self.planned(after)?;
        let Some(devices) = self.file.running_as.plug(&planned, &Backend::Usb(index)) else {
            return Ok(Outcome::Waits);
        };
        let devices = self.without_taken_boot_index(devices);
        let path = match usb::find(self.node, index, usb).await {
            Ok(path) => path,
            // It is not there, or not what the mapping says.
            Err(error) if matches!(error.kind, ErrorKind::Conflict | ErrorKind::NotFound) => {
                return Err(Trouble::Refused(error.message));
            }
            Err(error) => return Err(error.into()),
        };
        let file = self.node.host.open_device(&path).await?;
        let set = self.qmp.free_descriptor_set().await?;
        let id = format!("usb{index}");
        self.qmp.add_descriptor(set, &id, file.as_fd()).await?;
        let number = i32::try_from(set).unwrap_or(i32::MAX);
        let added = self
            .add_usb(&devices, &DeviceFile::Descriptor(number))
            .await;
        if let Err(Trouble::Refused(_)) = added {
            self.forget_usb(&id).await?;
        }
        added?;
        self.record(&devices).await?;
        Ok(Outcome::Took)
    }

    async fn add_usb(&self, devices: &[Device], file: &DeviceFile) -> Result<(), Trouble> {
        for device in devices {
            let behind = match device.backend {
                Backend::Usb(_) => file.joined(),
                _ => Map::new(),
            };
            if !self.has_device(&device.id).await? {
                let arguments = Value::Object(device.arguments(behind));
                self.qmp.add_device(arguments).await?;
            }
        }
        Ok(())
    }

    /// QEMU closes what it has of a device that is gone.
    async fn forget_usb(&self, id: &str) -> Result<(), Trouble> {
        for (set, said) in self.qmp.descriptor_sets().await? {
            if said.iter().any(|said| said == id) {
                self.qmp.remove_descriptors(set).await?;
            }
        }
        Ok(())
    }
}
