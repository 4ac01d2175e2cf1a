//! What a guest gets of its host: folders, serial ports, pages of its memory; and its sound card.

use std::fs::File;
use std::io::{Read, Write};

use crate::harness::namespace::with_bridge;
use crate::harness::{Serial, TestNode, left_out, tiny_disk, until};
use serde_json::{Value, json};

/// The kernel's pool of pages of 2 MiB.
const POOL: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";

fn guest() -> Value {
    json!({"node": "pve1", "vmid": 100})
}

async fn change(node: &TestNode, options: Value) -> Result<Value, model::Error> {
    let mut params = guest();
    params
        .as_object_mut()
        .unwrap()
        .extend(options.as_object().unwrap().clone());
    Ok(node.call("qemu_configure", params).await?.data)
}

async fn started(node: &TestNode) -> Serial {
    assert_eq!(
        node.task("qemu_start", guest()).await,
        "OK",
        "{}",
        node.log()
    );
    let socket = node.root.join("run/ostler/guests/100/serial0.sock");
    let mut serial = Serial::connect(&socket);
    serial.expect("tiny: ready");
    serial
}

fn pages() -> u64 {
    std::fs::read_to_string(POOL)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// A terminal of the host, whose other side has a path.
fn terminal() -> (File, String) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    (ours.into(), name.into_string().unwrap())
}

#[test]
fn a_guest_mounts_a_folder_of_its_host() {
    if left_out("host_devices: virtiofs") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let node = TestNode::with_tiny(&disk).await;
        let folder = node.root.join("share");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("from-host"), "good day\n").unwrap();
        let map = format!("node=pve1,path={}", folder.display());
        let mapping = json!({"id": "data", "map": [map]});
        node.call("mapping_dir_create", mapping).await.unwrap();

        change(&node, json!({"virtiofs0": "data,cache=never"}))
            .await
            .unwrap();
        let mut serial = started(&node).await;
        let mounted = serial.ask("mkdir -p /mnt && mount -t virtiofs data /mnt; echo status $?");
        assert!(mounted.contains("status 0"), "{mounted}");
        assert!(serial.ask("cat /mnt/from-host").contains("good day"));
        serial.ask("echo 'good night' > /mnt/from-guest; sync");
        until("the host has what the guest wrote", async || {
            let written = std::fs::read_to_string(folder.join("from-guest"));
            written.is_ok_and(|text| text == "good night\n")
        })
        .await;
        // What lies beside the folder is not the guest's.
        let beside = serial.ask("ls /mnt/.. | grep -c supervisor; ls /mnt/../share 2>&1");
        assert!(beside.contains("No such file"), "{beside}");

        // Its program ends with it.
        assert_eq!(node.task("qemu_stop", guest()).await, "OK");
        let guests = node.root.join("run/ostler/guests");
        assert_eq!(std::fs::read_dir(guests).unwrap().count(), 0);

        std::fs::remove_dir_all(&folder).unwrap();
        let why = node.task("qemu_start", guest()).await;
        let missing = format!("virtiofs0: Path {} does not exist", folder.display());
        assert_eq!(why, missing);
    });
}

#[test]
fn memory_of_huge_pages_is_made_and_given_back() {
    if left_out("host_devices: hugepages") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    // Pages that a broken run has left would be used.
    if std::fs::write(POOL, "0").is_err() {
        return testkit::left_out::missing("hugepages", "the pool of pages cannot be changed here");
    }
    with_bridge(async {
        let node = TestNode::with_tiny(&disk).await;
        let before = pages();
        change(&node, json!({"hugepages": "2"})).await.unwrap();
        started(&node).await;
        assert_eq!(pages(), before + 64);
        let pid = node.call("qemu_status", guest()).await.unwrap().data["pid"].clone();
        let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
        let huge = maps.lines().filter(|line| line.contains("_Hugetlb:"));
        let kib = huge.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        assert_eq!(kib.sum::<u64>(), 128 << 10);
        assert_eq!(node.task("qemu_stop", guest()).await, "OK");
        assert_eq!(pages(), before);

        // Those that are kept are there for the next start.
        change(&node, json!({"keephugepages": 1})).await.unwrap();
        for _ in 0..2 {
            started(&node).await;
            assert_eq!(node.task("qemu_stop", guest()).await, "OK");
            assert_eq!(pages(), before + 64);
        }
        std::fs::write(POOL, before.to_string()).unwrap();

        change(&node, json!({"hugepages": "1024"})).await.unwrap();
        let why = node.task("qemu_start", guest()).await;
        assert!(why.contains("1024"), "{why}");
        assert_eq!(pages(), before);
    });
}

#[test]
fn a_guest_has_a_serial_port_and_a_sound_card() {
    if left_out("host_devices: serial, audio") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let node = TestNode::with_tiny(&disk).await;
        let (mut ours, path) = terminal();
        let options = json!({
            "serial1": path, "audio0": "device=ich9-intel-hda,driver=none",
            "machine": "q35,viommu=virtio",
        });
        change(&node, options).await.unwrap();
        let mut serial = started(&node).await;
        serial.ask("exec 3<>/dev/ttyS1; stty raw -echo <&3");
        serial.type_line("echo 'from the guest' >&3; read line <&3; echo \"got: $line\"");
        let mut seen = [0; 14];
        ours.read_exact(&mut seen).unwrap();
        assert_eq!(std::str::from_utf8(&seen), Ok("from the guest"));
        ours.write_all(b"good day\n").unwrap();
        serial.expect("got: good day");
        let devices = serial.ask("cat /sys/bus/pci/devices/*/device | sort -u | tr '\\n' ' '");
        // The sound card, and the IOMMU.
        assert!(
            devices.contains("0x293e") && devices.contains("0x1057"),
            "{devices}"
        );

        let refused = change(&node, json!({"serial2": "/dev/shm/none"})).await;
        assert_eq!(refused, Ok(Value::Null));
        assert_eq!(node.task("qemu_stop", guest()).await, "OK");
        let why = node.task("qemu_start", guest()).await;
        assert_eq!(why, "serial2: no such device '/dev/shm/none'");
    });
}
