//! A PCI device of a node in a guest, by a real kernel's VFIO and an IOMMU.

use std::time::Duration;

use lab::{Board, Lab, Node};

use crate::product::{Kvm, boot_sector, get, installed};

/// How long a node may take that boots from the beginning.
const BOOT: Duration = Duration::from_secs(180);

/// The USB controller that nothing needs.
const ID: (&str, &str) = ("0x1b36", "0x000d");

fn run(node: &Node, command: &str) -> String {
    // A machine with an IOMMU is slow where both are emulated.
    node.check_within(BOOT, &format!("{command} 2>&1")).unwrap()
}

/// What must be refused, and is, for a reason.
fn refused(node: &Node, command: &str, why: &str) {
    let output = node.run(&format!("{command} 2>&1")).unwrap();
    let text = output.text();
    assert!(!output.success() && text.contains(why), "{command}: {text}");
}

fn driver(node: &Node, address: &str) -> String {
    let link = format!("/sys/bus/pci/devices/{address}/driver");
    let path = node.check(&format!("readlink -f {link} || true")).unwrap();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn make_guest(node: &Node, vmid: u32, address: &str) {
    run(
        node,
        &format!(
            "qm create {vmid} --memory 64 --cpu host --machine q35 --serial0 socket --vga none --boot order=virtio0 \
             --virtio0 local:1,format=raw --hostpci0 {address},pcie=1"
        ),
    );
    node.put("/root/sector", &boot_sector(), 0o644).unwrap();
    let image = format!("/var/lib/vz/images/{vmid}/vm-{vmid}-disk-0.raw");
    run(
        node,
        &format!("dd if=/root/sector of={image} conv=notrunc status=none"),
    );
}

// covers: S1.51
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_guest_gets_a_pci_device_of_its_node() {
    let lab = Lab::start(1).unwrap();
    let node = lab.node(1);
    node.kill().unwrap();
    node.exchange_board(Board::WithIommu);
    node.start().unwrap();
    node.wait_for_boot(None).unwrap();
    // It is not restored but boots, and its disks have their names last.
    node.check_within(BOOT, "systemctl is-system-running --wait; udevadm settle")
        .unwrap();
    installed(&lab, Kvm::Given);

    let rows = get(node, "/nodes/n1/hardware/pci");
    let mut rows = rows.as_array().unwrap().iter();
    let spare = rows
        .find(|row| (row["vendor"].as_str(), row["device"].as_str()) == (Some(ID.0), Some(ID.1)))
        .expect("the spare device");
    let address = spare["id"].as_str().unwrap().to_owned();
    let group = spare["iommugroup"].as_i64().unwrap();
    assert!(group >= 0, "{spare}");
    println!(
        "{address} is in group {group}, the driver is '{}'",
        driver(node, &address)
    );

    make_guest(node, 100, &address);
    make_guest(node, 101, &address);
    run(node, "qm start 100");
    assert_eq!(driver(node, &address), "vfio-pci");
    let owner = format!("stat -c %u /dev/vfio/{group}");
    assert_eq!(node.check(&owner).unwrap().trim(), "1879048292");
    let devices = run(node, "echo 'info pci' | qm monitor 100");
    assert!(devices.contains("1b36:000d"), "{devices}");
    let in_use = format!("hostpci0: PCI device '{address}' already in use by VMID '100'");
    refused(node, "qm start 101", &in_use);

    // It can be had again, by the other one, under the name of a mapping.
    run(node, "qm stop 100");
    assert_eq!(node.check(&owner).unwrap().trim(), "0");
    let digits = |key: &str| {
        spare[key]
            .as_str()
            .unwrap()
            .trim_start_matches("0x")
            .to_owned()
    };
    let subsystem = [digits("subsystem_vendor"), digits("subsystem_device")].join(":");
    let id = format!("id=1b36:000d,subsystem-id={subsystem},iommugroup={group}");
    let map = format!("node=n1,path={address},{id}");
    run(
        node,
        &format!("pvesh create /cluster/mapping/pci --id usb --map {map}"),
    );
    run(node, "qm set 101 --hostpci0 mapping=usb,pcie=1,rombar=0");
    run(node, "qm start 101");
    assert_eq!(driver(node, &address), "vfio-pci");
    run(node, "qm stop 101");
    run(node, "qm destroy 100 && qm destroy 101");
}
