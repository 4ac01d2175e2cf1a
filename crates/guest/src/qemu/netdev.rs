//! The host's side of a network card, for `-netdev` and `netdev_add`.

use model::PortSpec;
use model::qemu::{Net, NetModel};
use serde_json::{Value, json};

/// A tap device, by one of the ways to pass it to QEMU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tap {
    /// QEMU opens the interface by name and needs the right to.
    Named(PortSpec),
    /// Descriptors in the QEMU process, one per queue, and as many of vhost-net or none.
    Descriptors {
        spec: PortSpec,
        taps: Vec<i32>,
        vhost: Vec<i32>,
    },
    /// Descriptors that were passed to the running QEMU under these names, one per queue.
    Passed { spec: PortSpec, names: Vec<String> },
}

impl Tap {
    pub fn spec(&self) -> &PortSpec {
        match self {
            Self::Named(spec) | Self::Descriptors { spec, .. } | Self::Passed { spec, .. } => spec,
        }
    }
}

/// The id of the netdev of a card.
pub fn netdev_id(index: u8) -> String {
    format!("netdev{index}")
}

/// A card on a bridge.
pub fn tap_netdev(index: u8, net: &Net, tap: &Tap) -> Value {
    let id = netdev_id(index);
    let list = |numbers: &[i32]| {
        numbers
            .iter()
            .map(i32::to_string)
            .collect::<Vec<_>>()
            .join(":")
    };
    match tap {
        Tap::Named(spec) => {
            let mut netdev = json!({
                "type": "tap",
                "id": id,
                "ifname": spec.name,
                "script": "no",
                "downscript": "no",
                "vhost": false,
            });
            if let Some(queues) = net
                .queues
                .filter(|n| *n > 1 && net.model == NetModel::VIRTIO)
            {
                netdev["queues"] = queues.into();
            }
            netdev
        }
        Tap::Descriptors { taps, vhost, .. } => {
            let (fd, vhost_fd) = if taps.len() == 1 {
                ("fd", "vhostfd")
            } else {
                ("fds", "vhostfds")
            };
            let mut netdev = json!({"type": "tap", "id": id, "vhost": !vhost.is_empty()});
            netdev[fd] = list(taps).into();
            if !vhost.is_empty() {
                netdev[vhost_fd] = list(vhost).into();
            }
            netdev
        }
        Tap::Passed { names, .. } => {
            let fd = if names.len() == 1 { "fd" } else { "fds" };
            let mut netdev = json!({"type": "tap", "id": id, "vhost": false});
            netdev[fd] = names.join(":").into();
            netdev
        }
    }
}

/// A card without a bridge: behind QEMU's own address translation.
pub fn user_netdev(index: u8) -> Value {
    json!({"type": "user", "id": netdev_id(index)})
}
