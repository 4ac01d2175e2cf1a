//! Ports of guests on bridges of a kernel that has VLANs.

use lab::{Lab, Node};
use serde_json::{Value, json};

use crate::product::{Kvm, boot_sector, installed};

/// A bridge that knows VLANs and one that does not, each with a card of the node.
const BRIDGES: &str = "set -e
    ip link add vmbr1 type bridge vlan_filtering 1; ip link set eth1 master vmbr1 up
    ip link add vmbr2 type bridge; ip link set eth2 master vmbr2 up
    ip link set vmbr1 up; ip link set vmbr2 up
    printf 'iface vmbr1 inet manual\\n\\tbridge-ports eth1\\n\\tbridge-vlan-aware yes\\n' \
        >>/etc/network/interfaces
    printf '\\tbridge-vids 2-20 30\\n' >>/etc/network/interfaces";

/// The VLANs of a port, with what is said of each: `5 PVID Egress Untagged`.
fn vlans(node: &Node, port: &str) -> Vec<String> {
    let text = node
        .check(&format!("bridge -j vlan show dev {port}"))
        .unwrap();
    let shown: Value = serde_json::from_str(&text).unwrap();
    let rows = shown[0]["vlans"].as_array().unwrap().iter();
    rows.map(|row| {
        let flags = row["flags"].as_array().into_iter().flatten();
        let flags: String = flags
            .map(|flag| format!(" {}", flag.as_str().unwrap()))
            .collect();
        match row["vlanEnd"].as_u64() {
            Some(end) => format!("{}-{end}{flags}", row["vlan"]),
            None => format!("{}{flags}", row["vlan"]),
        }
    })
    .collect()
}

fn master(node: &Node, port: &str) -> String {
    let link = format!("basename $(readlink /sys/class/net/{port}/master)");
    node.check(&link).unwrap().trim().to_owned()
}

/// covers: S0.11
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn guests_get_the_vlans_of_their_cards() {
    let lab = Lab::start(1).unwrap();
    let node = installed(&lab, Kvm::Given);
    node.check(BRIDGES).unwrap();
    node.check(
        "pvesh create /nodes/n1/qemu --vmid 100 --memory 64 --cpu host --serial0 socket --virtio0 local:1 \
         --net0 virtio=BC:24:11:00:00:01,bridge=vmbr1,tag=5 \
         --net1 'virtio,bridge=vmbr1,trunks=10;12-14' --net2 virtio,bridge=vmbr2,tag=7 \
         --net3 virtio,bridge=vmbr1 --net4 'virtio,bridge=vmbr1,tag=9,trunks=11'",
    )
    .unwrap();
    node.put("/root/sector", &boot_sector(), 0o644).unwrap();
    node.check("dd if=/root/sector of=/var/lib/vz/images/100/vm-100-disk-0.raw conv=notrunc")
        .unwrap();
    node.check("qm start 100").unwrap();
    assert_eq!(vlans(node, "tap100i0"), ["5 PVID Egress Untagged"]);
    let trunks = ["1 PVID Egress Untagged", "10", "12", "13", "14"];
    assert_eq!(vlans(node, "tap100i1"), trunks);
    assert_eq!(vlans(node, "tap100i4"), ["9 PVID Egress Untagged", "11"]);
    assert_eq!(vlans(node, "tap100i3").len(), 4094);
    assert_eq!(master(node, "tap100i2"), "vmbr2v7");
    assert_eq!(master(node, "eth2.7"), "vmbr2v7");

    // The cards of a guest that runs.
    node.check("qm set 100 --net0 virtio=BC:24:11:00:00:01,bridge=vmbr1,tag=6")
        .unwrap();
    assert_eq!(vlans(node, "tap100i0"), ["6 PVID Egress Untagged"]);
    node.check("qm set 100 --net0 virtio=BC:24:11:00:00:01,bridge=vmbr2,tag=8")
        .unwrap();
    assert_eq!(master(node, "tap100i0"), "vmbr2v8");
    let state = "cat /sys/class/net/tap100i0/operstate";
    assert_ne!(node.check(state).unwrap().trim(), "down");
    node.check("qm stop 100").unwrap();

    // What a bridge does not let through is refused before the start.
    for (card, why) in [
        (
            "bridge=vmbr1,tag=25",
            "VLAN 25 does not pass bridge 'vmbr1' (bridge-vids 2-20 30)",
        ),
        (
            "bridge=vmbr2,trunks=4",
            "vlan aware feature need to be enabled to use trunks",
        ),
        ("bridge=vmbr9,tag=4", "bridge 'vmbr9' does not exist"),
    ] {
        node.check(&format!("qm set 100 --net0 'virtio,{card}'"))
            .unwrap();
        let refused = node.run("qm start 100 2>&1").unwrap();
        assert!(
            !refused.success() && refused.text().contains(why),
            "{card}: {}",
            refused.text()
        );
        let links = node.check("ls /sys/class/net").unwrap();
        assert!(!links.contains("tap100"), "{links}");
    }
    let status = node.check("pvesh get /nodes/n1/qemu/100/status/current --output-format json");
    let status: Value = serde_json::from_str(&status.unwrap()).unwrap();
    assert_eq!(status["status"], json!("stopped"));
}
