//! The USB devices of a host, as the kernel lists them.

use std::path::Path;

use sys::{SharedHost, SysError};

use crate::host::facts::Facts;

const DEVICES: &str = "/sys/bus/usb/devices";

/// A device or a hub.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    pub bus: u32,
    pub number: u32,
    /// The way from the root hub, port by port: `2.3`. None for a root hub itself.
    pub path: Option<String>,
    pub class: u32,
    /// Four hexadecimal digits each.
    pub vendor: String,
    pub product: String,
    /// In Mbit/s, as the kernel writes it.
    pub speed: String,
    pub manufacturer_name: Option<String>,
    pub product_name: Option<String>,
    pub serial: Option<String>,
}

impl Device {
    /// How many hubs lie between it and the host.
    pub fn level(&self) -> usize {
        self.path.as_ref().map_or(0, |path| path.split('.').count())
    }

    /// `1234:5678`
    pub fn id(&self) -> String {
        format!("{}:{}", self.vendor, self.product)
    }

    /// Where it is plugged in, `1-2.3`: the bus, and the way from its root hub. None for a root hub.
    pub fn place(&self) -> Option<String> {
        let path = self.path.as_ref()?;
        Some(format!("{}-{path}", self.bus))
    }

    /// The port of the last hub; 0 for a root hub.
    pub fn port(&self) -> u32 {
        let last = self.path.as_ref().and_then(|path| path.rsplit('.').next());
        last.and_then(|port| port.parse().ok()).unwrap_or(0)
    }
}

/// All devices, by name; none where they cannot be listed.
pub async fn devices(host: &SharedHost) -> Vec<Device> {
    read_devices(host).await.unwrap_or_default()
}

/// The same; an error if it cannot be said where which device is. Interfaces of devices, which have
/// a colon in their names, are not listed.
pub async fn read_devices(host: &SharedHost) -> Result<Vec<Device>, SysError> {
    let facts = Facts::new(host.clone());
    let mut devices = Vec::new();
    for entry in host.list(Path::new(DEVICES)).await? {
        if entry.name.contains(':') {
            continue;
        }
        let folder = format!("{DEVICES}/{}", entry.name);
        let identity = async |name: &str| identity(host, &format!("{folder}/{name}")).await;
        let text = async |name: &str| facts.text(&format!("{folder}/{name}")).await;
        let some = async |name: &str| Some(text(name).await).filter(|text| !text.is_empty());
        let place = (identity("busnum").await?, identity("devnum").await?);
        let (Ok(bus), Ok(number)) = (place.0.parse(), place.1.parse()) else {
            continue;
        };
        let path = identity("devpath").await?;
        devices.push(Device {
            bus,
            number,
            path: Some(path).filter(|path| !path.is_empty() && path != "0"),
            class: u32::from_str_radix(&text("bDeviceClass").await, 16).unwrap_or(0),
            vendor: identity("idVendor").await?,
            product: identity("idProduct").await?,
            speed: text("speed").await,
            manufacturer_name: some("manufacturer").await,
            product_name: some("product").await,
            serial: some("serial").await,
        });
    }
    Ok(devices)
}

/// A file that says where or what a device is; empty if the device is gone.
async fn identity(host: &SharedHost, path: &str) -> Result<String, SysError> {
    match host.read(Path::new(path)).await {
        Ok(content) => Ok(String::from_utf8_lossy(&content).trim_end().to_owned()),
        Err(error) if error.is_not_found() => Ok(String::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_from_the_way_to_it() {
        let device = Device {
            path: Some("2.3".into()),
            ..Device::default()
        };
        assert_eq!((device.level(), device.port()), (2, 3));
        assert_eq!(
            (Device::default().level(), Device::default().port()),
            (0, 0)
        );
    }
}
