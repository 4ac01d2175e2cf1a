//! The USB devices of a host, as the kernel lists them.

use std::path::Path;

use sys::SharedHost;

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

/// All devices, by name. Interfaces of devices, which have a colon in their names, are not.
pub async fn devices(host: &SharedHost) -> Vec<Device> {
    let facts = Facts::new(host.clone());
    let entries = host.list(Path::new(DEVICES)).await.unwrap_or_default();
    let mut devices = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.name.contains(':')) {
        let text = async |name: &str| {
            facts
                .text(&format!("{DEVICES}/{}/{name}", entry.name))
                .await
        };
        let some = async |name: &str| Some(text(name).await).filter(|text| !text.is_empty());
        let (Ok(bus), Ok(number)) = (text("busnum").await.parse(), text("devnum").await.parse())
        else {
            continue;
        };
        devices.push(Device {
            bus,
            number,
            path: some("devpath").await.filter(|path| path != "0"),
            class: u32::from_str_radix(&text("bDeviceClass").await, 16).unwrap_or(0),
            vendor: text("idVendor").await,
            product: text("idProduct").await,
            speed: text("speed").await,
            manufacturer_name: some("manufacturer").await,
            product_name: some("product").await,
            serial: some("serial").await,
        });
    }
    devices
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
