//! Devices of the host in a container: files of its own for them, with its owners and modes.

use std::path::Path;

use guest::lxc::{CtConfig, PassedDevice};
use model::lxc::Device;
use model::{Error, VmId};
use sys::DeviceNumber;

use crate::NodeContext;

impl NodeContext {
    /// Makes sure that all devices of a container are there.
    pub(crate) async fn check_devices(&self, config: &CtConfig) -> Result<(), Error> {
        for (index, device) in &config.devices {
            self.number_of(*index, device).await?;
        }
        Ok(())
    }

    async fn number_of(&self, index: u16, device: &Device) -> Result<DeviceNumber, Error> {
        let path = &device.path;
        let wrong = |text: String| Error::conflict(format!("dev{index}: {text}"));
        match self.host.device_number(Path::new(path)).await {
            Ok(Some(number)) => Ok(number),
            Ok(None) => Err(wrong(format!("{path} is not a device"))),
            Err(error) if error.is_not_found() => {
                Err(wrong(format!("Device {path} does not exist")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the files of a container's devices. May be repeated.
    pub(crate) async fn make_devices(
        &self,
        vmid: VmId,
        config: &CtConfig,
    ) -> Result<Vec<PassedDevice>, Error> {
        let mut passed = Vec::new();
        if config.devices.is_empty() {
            return Ok(passed);
        }
        let folder = self.paths.devices(vmid);
        self.host.create_dir(&folder, 0o711).await?;
        let first = config.first_id().unwrap_or(0);
        for (index, device) in &config.devices {
            let number = self.number_of(*index, device).await?;
            let file = folder.join(index.to_string());
            self.host.make_device(&file, number, device.mode).await?;
            let (uid, gid) = (first + device.uid, first + device.gid);
            self.host.chown(&file, uid, gid).await?;
            passed.push(PassedDevice {
                file: file.display().to_string(),
                path: device.path.clone(),
                number: number.to_string(),
                denies_write: device.denies_write,
            });
        }
        Ok(passed)
    }
}
