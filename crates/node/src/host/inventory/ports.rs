//! Network ports: cards, not bridges or what else is made of them.

use serde::Serialize;
use sys::{Command, SharedHost};

use super::{names, pci_address, some};
use crate::host::facts::Facts;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Port {
    /// `enp1s0`.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Its hardware address.
    pub address: String,
    /// A cable is in it, with something at the other end.
    pub link: bool,
    /// In Mbit/s; none without a link, or where the card does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<u64>,
    /// The bridge or bond that it is part of.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub used_by: Option<String>,
    /// The PCI address of its card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
    #[serde(skip)]
    pub firmware: Option<String>,
}

const NET: &str = "/sys/class/net";

pub(super) async fn ports(host: &SharedHost, facts: &Facts) -> Vec<Port> {
    let mut ports = Vec::new();
    for name in names(host, NET).await {
        let of = format!("{NET}/{name}");
        let text = async |file: &str| facts.text(&format!("{of}/{file}")).await;
        let device = text("device/uevent").await;
        if device.is_empty() {
            continue;
        }
        let speed: Option<i64> = text("speed").await.parse().ok();
        ports.push(Port {
            driver: value(&device, "DRIVER"),
            address: text("address").await,
            link: text("carrier").await == "1",
            speed: speed.and_then(|speed| u64::try_from(speed).ok()),
            used_by: value(&text("master/uevent").await, "INTERFACE"),
            controller: pci_address(host, &of).await,
            firmware: firmware(host, &name).await,
            name,
        });
    }
    ports
}

/// A value of the kernel's `KEY=value` lines.
pub(super) fn value(lines: &str, key: &str) -> Option<String> {
    let mut pairs = lines.lines().filter_map(|line| line.split_once('='));
    pairs
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| some(value.to_owned()))
}

/// What `ethtool` says, where it is installed.
async fn firmware(host: &SharedHost, name: &str) -> Option<String> {
    let output = host.run(Command::new("ethtool").args(["-i", name])).await;
    let said = output.ok()?.checked("ethtool").ok()?;
    firmware_of(&String::from_utf8_lossy(&said))
}

fn firmware_of(said: &str) -> Option<String> {
    let version = said
        .lines()
        .find_map(|line| line.strip_prefix("firmware-version:"));
    some(version?.trim().to_owned()).filter(|version| version != "N/A")
}

#[cfg(test)]
mod tests {
    use super::super::tests::host;
    use super::*;

    #[tokio::test]
    async fn a_port_has_a_card_and_a_bridge_has_none() {
        let host = host(&[
            ("/sys/class/net/vmbr0/address", "02:00:00:00:00:01"),
            ("/sys/class/net/enp1s0/address", "02:00:00:00:00:02"),
            ("/sys/class/net/enp1s0/carrier", "1"),
            ("/sys/class/net/enp1s0/speed", "2500"),
            (
                "/sys/class/net/enp1s0/device/uevent",
                "DRIVER=igc\nPCI_CLASS=20000",
            ),
            (
                "/sys/class/net/enp1s0/master/uevent",
                "INTERFACE=vmbr0\nIFINDEX=4",
            ),
            ("/sys/class/net/enp2s0/device/uevent", "DRIVER=igc"),
            ("/sys/class/net/enp2s0/speed", "-1"),
        ])
        .await;
        let found = ports(&host, &Facts::new(host.clone())).await;
        let first = Port {
            name: "enp1s0".into(),
            driver: Some("igc".into()),
            address: "02:00:00:00:00:02".into(),
            link: true,
            speed: Some(2500),
            used_by: Some("vmbr0".into()),
            ..Port::default()
        };
        assert_eq!(found[0], first);
        assert_eq!((found[1].link, found[1].speed), (false, None));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_firmware_that_is_none_is_not_shown() {
        let said = "driver: igc\nfirmware-version: 2017:888d\nexpansion-rom-version:";
        assert_eq!(firmware_of(said).as_deref(), Some("2017:888d"));
        assert_eq!(firmware_of("firmware-version: N/A"), None);
        assert_eq!(firmware_of("firmware-version: "), None);
    }
}
