//! Starts of guests that take devices, folders and pages of the host, broken at every call.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod scene;

use std::path::Path;

use node::tasks::{QemuStart, QemuStop};
use scene::*;
use testkit::Disk;

/// A display with its sound in one group, a card that makes devices, and a disk of the host.
fn hardware(disk: &mut Disk) {
    for (address, class, driver, group) in [
        ("0000:01:00.0", "0x030000", "nouveau", 5),
        ("0000:01:00.1", "0x040300", "snd_hda_intel", 5),
        ("0000:00:01.0", "0x060400", "pcieport", 5),
        ("0000:02:00.0", "0x030000", "i915", 6),
        ("0000:03:00.0", "0x020000", "igc", 7),
    ] {
        let file = |name: &str| format!("/sys/bus/pci/devices/{address}/{name}");
        for (name, text) in [
            ("class", class),
            ("vendor", "0x10de"),
            ("device", "0x1b80"),
            ("uevent", &format!("DRIVER={driver}")),
            ("driver_override", ""),
            ("driver/unbind", ""),
        ] {
            disk.file(&file(name), text);
        }
        disk.folder(Path::new(&format!(
            "/sys/kernel/iommu_groups/{group}/devices/{address}"
        )));
        disk.file(&format!("/dev/vfio/{group}"), "");
    }
    let kind = "/sys/bus/pci/devices/0000:02:00.0/mdev_supported_types/i915-GVTg_V5_4";
    disk.file(&format!("{kind}/create"), "");
    disk.file(&format!("{kind}/available_instances"), "1");
    disk.file("/dev/vfio/77", "");
    disk.folder(Path::new("/sys/kernel/iommu_groups/77/devices"));
    disk.folder(Path::new("/sys/bus/mdev/devices"));
    disk.file("/sys/bus/pci/drivers_probe", "");
    disk.folder(Path::new("/sys/bus/pci/drivers/vfio-pci"));
}

/// Pools of both sizes, of which the kernel can make so many.
fn pools(disk: &mut Disk, most: &str) {
    for size in ["2048kB", "1048576kB"] {
        let folder = format!("/sys/kernel/mm/hugepages/hugepages-{size}");
        let most = if size == "2048kB" { most } else { "0" };
        for (name, text) in [
            ("nr_hugepages", "10"),
            ("free_hugepages", "4"),
            ("most", most),
        ] {
            disk.file(&format!("{folder}/{name}"), text);
        }
        disk.file(&format!("{folder}/resv_hugepages"), "1");
    }
}

async fn starting(options: &'static [(&'static str, &'static str)]) -> Node<QemuStart> {
    let node = node_with(|vmid| QemuStart::new(vmid, None, false), options).await;
    node.host.change_files(|disk| {
        hardware(disk);
        pools(disk, "1000");
    });
    node
}

fn content<T>(node: &Node<T>, path: &str) -> String {
    let mut text = String::new();
    node.host.change_files(|disk| {
        let content = disk.content(Path::new(path)).unwrap_or_default();
        text = String::from_utf8_lossy(&content).trim().to_owned();
    });
    text
}

#[tokio::test]
async fn qemu_start_with_a_pci_device() {
    let scene = || starting(&[("hostpci0", "01:00"), ("hostpci1", "03:00.0,rombar=0")]);
    let swept = sweep_all(move || Box::pin(scene()), 60).await;
    assert!(swept.failed > 20 && swept.went_through > 20, "{swept:?}");
}

#[tokio::test]
async fn qemu_start_with_a_mediated_device() {
    let scene = || starting(&[("hostpci0", "02:00.0,mdev=i915-GVTg_V5_4")]);
    let swept = sweep_all(move || Box::pin(scene()), 50).await;
    assert!(swept.failed > 20 && swept.went_through > 20, "{swept:?}");
}

#[tokio::test]
async fn qemu_start_in_huge_pages() {
    let scene = || starting(&[("memory", "64"), ("hugepages", "any")]);
    let swept = sweep_all(move || Box::pin(scene()), 50).await;
    assert!(swept.failed > 20 && swept.went_through > 20, "{swept:?}");
}

/// What a guest had is the host's again when it has ended, but for its drivers.
#[tokio::test]
async fn what_a_guest_has_had_is_given_back() {
    let node = starting(&[
        ("memory", "64"),
        ("hugepages", "2"),
        ("hostpci0", "01:00"),
        ("hostpci1", "02:00.0,mdev=i915-GVTg_V5_4"),
    ])
    .await;
    let made = "/sys/bus/mdev/devices/00000001-0000-0000-0000-000000000100/remove";
    let pages = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
    assert_eq!(node.run().await, "OK");
    for function in ["0000:01:00.0", "0000:01:00.1"] {
        let events = format!("/sys/bus/pci/devices/{function}/uevent");
        assert_eq!(content(&node, &events), "DRIVER=vfio-pci", "{function}");
    }
    assert!(
        node.host
            .inventory(&[])
            .iter()
            .any(|name| name.contains(made))
    );
    // 32 are needed, and 3 of 10 are free.
    assert_eq!(content(&node, pages), "39");
    // QEMU would have taken all of them.
    let node = node.then(QemuStop::new);
    assert_eq!(node.run().await, "OK");
    assert!(
        !node
            .host
            .inventory(&[])
            .iter()
            .any(|name| name.contains(made))
    );
    assert_eq!(content(&node, pages), "10");
    let wanted = "/sys/bus/pci/devices/0000:01:00.0/driver_override";
    assert_eq!(content(&node, wanted), "");
}

#[tokio::test]
async fn devices_that_cannot_be_had_are_refused_by_name() {
    for (option, value, why) in [
        (
            "hostpci0",
            "04:00",
            "hostpci0: no PCI device found for '0000:04:00'",
        ),
        (
            "hostpci0",
            "01:00.0",
            "PCI device '0000:01:00.0' cannot be kept apart from '0000:01:00.1' (IOMMU group 5): \
             the host's driver 'snd_hda_intel' has it",
        ),
        (
            "hostpci0",
            "03:00.0;03:00",
            "hostpci0: PCI device '0000:03:00.0' is named twice",
        ),
        (
            "hostpci0",
            "03:00;03:00;03:00;03:00;03:00;03:00;03:00;03:00;03:00",
            "hostpci0: 8 functions have room at one place",
        ),
        (
            "hostpci1",
            "02:00.0,mdev=nvidia-63",
            "hostpci1: PCI device '0000:02:00.0' makes no 'nvidia-63'",
        ),
        (
            "hostpci0",
            "mapping=gpu",
            "hostpci0: mapping 'gpu' not found",
        ),
        (
            "hugepages",
            "1024",
            "hugepages: memory is not a multiple of 1024 MiB",
        ),
        ("virtiofs0", "data", "virtiofs0: mapping 'data' not found"),
        (
            "serial0",
            "/dev/ttyUSB7",
            "serial0: no such device '/dev/ttyUSB7'",
        ),
        (
            "parallel2",
            "/dev/parport0",
            "parallel2: no such device '/dev/parport0'",
        ),
    ] {
        let node = node_with(
            |vmid| QemuStart::new(vmid, None, false),
            &[(option, value), ("memory", "64")],
        )
        .await;
        node.host.change_files(|disk| {
            hardware(disk);
            pools(disk, "1000");
        });
        assert_eq!(node.run().await, why);
        let calls = node.host.faults().calls();
        let changes = calls
            .iter()
            .find(|call| call.starts_with("spawn") || call.starts_with("set"));
        assert_eq!(changes, None, "{option}");
    }
}

/// The start ends, and with it all that was begun.
#[tokio::test]
async fn a_kernel_without_the_driver_for_guests_gives_no_device() {
    let node = starting(&[("hostpci0", "03:00.0")]).await;
    node.host.change_files(|disk| {
        for path in ["/sys/bus/pci/drivers/vfio-pci", "/dev/vfio/7"] {
            assert!(disk.take_away(Path::new(path)), "{path}");
        }
    });
    let inventory = || node.host.inventory(&["/var/lib/ostler"]);
    let before = inventory();
    assert_eq!(node.run().await, "modprobe is not installed");
    assert_eq!(inventory(), before);
}

#[tokio::test]
async fn pages_that_the_kernel_cannot_make_are_not_kept() {
    let node = node_with(
        |vmid| QemuStart::new(vmid, None, false),
        &[("memory", "64"), ("hugepages", "2")],
    )
    .await;
    node.host.change_files(|disk| pools(disk, "20"));
    let why = "hugepage allocation failed: 20 of 39 pages of 2 MiB";
    assert_eq!(node.run().await, why);
    let pages = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
    assert_eq!(content(&node, pages), "10");
}
