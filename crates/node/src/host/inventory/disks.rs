//! Disks as their controllers know them. How they are used is `host::disks`.

use serde::Serialize;
use sys::SharedHost;

use super::{name_of, names, pci_address};
use crate::host::facts::Facts;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// `sda`, `nvme0n1`.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// In bytes.
    pub size: u64,
    /// It turns, or does not say.
    pub rotational: bool,
    /// The PCI address of its controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
    #[serde(skip)]
    pub firmware: Option<String>,
}

const BLOCK: &str = "/sys/block";
const SECTOR: u64 = 512;

pub(super) async fn disks(host: &SharedHost, facts: &Facts) -> Vec<Disk> {
    let mut disks = Vec::new();
    for name in names(host, BLOCK).await {
        let of = format!("{BLOCK}/{name}");
        let text = async |file: &str| facts.text(&format!("{of}/{file}")).await;
        let size = text("size").await.parse::<u64>().unwrap_or(0) * SECTOR;
        // What stands for something else, such as `loop0` and `dm-0`, has no device.
        let has_device = !names(host, &format!("{of}/device")).await.is_empty();
        if size == 0 || !has_device {
            continue;
        }
        let first = async |files: [&str; 2]| {
            let [one, other] = files;
            name_of(&text(one).await).or(name_of(&text(other).await))
        };
        disks.push(Disk {
            size,
            rotational: text("queue/rotational").await == "1",
            model: name_of(&text("device/model").await),
            serial: first(["device/serial", "serial"]).await,
            firmware: first(["device/firmware_rev", "device/rev"]).await,
            controller: pci_address(host, &of).await,
            name,
        });
    }
    disks
}

#[cfg(test)]
mod tests {
    use super::super::tests::host;
    use super::*;

    #[tokio::test]
    async fn disks_have_a_device_and_others_do_not() {
        let host = host(&[
            ("/sys/block/loop0/size", "8"),
            ("/sys/block/sr0/device/model", "DVD"),
            ("/sys/block/sr0/size", "0"),
            ("/sys/block/nvme0n1/size", "2048"),
            ("/sys/block/nvme0n1/queue/rotational", "0"),
            ("/sys/block/nvme0n1/device/model", "Fast 990   "),
            ("/sys/block/nvme0n1/device/serial", "S1"),
            ("/sys/block/nvme0n1/device/firmware_rev", "4B2Q"),
        ])
        .await;
        let disk = Disk {
            name: "nvme0n1".into(),
            model: Some("Fast 990".into()),
            serial: Some("S1".into()),
            size: 1 << 20,
            rotational: false,
            controller: None,
            firmware: Some("4B2Q".into()),
        };
        assert_eq!(disks(&host, &Facts::new(host.clone())).await, [disk]);
    }
}
