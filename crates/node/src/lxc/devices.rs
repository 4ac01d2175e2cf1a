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
            let found = self.device_number(device).await;
            found.map_err(|error| Error {
                message: format!("dev{index}: {}", error.message),
                ..error
            })?;
        }
        Ok(())
    }

    /// Which device of this host an option names, which must be there.
    pub async fn device_number(&self, device: &Device) -> Result<DeviceNumber, Error> {
        let path = &device.path;
        match self.host.device_number(Path::new(path)).await {
            Ok(Some(number)) => Ok(number),
            Ok(None) => Err(Error::conflict(format!("{path} is not a device"))),
            Err(error) if error.is_not_found() => {
                Err(Error::conflict(format!("Device {path} does not exist")))
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
            let number = self.device_number(device).await?;
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
