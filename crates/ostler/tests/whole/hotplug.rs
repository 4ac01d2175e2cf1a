//! Hot-plug and unplug, seen from inside a real guest.

use std::path::Path;

use crate::harness::namespace::with_bridge;
use crate::harness::{Serial, TestNode, left_out, put_guest, tiny_disk, until};
use serde_json::{Value, json};

/// A guest with every kind of hot-plug enabled, and its console.
struct Hot {
    node: TestNode,
    serial: Serial,
}

impl Hot {
    async fn start(disk: &Path, more: &[(&str, Value)]) -> Self {
        let node = TestNode::start(async |store| {
            let mut options: Vec<(&str, Value)> = vec![
                ("name", "tiny".into()),
                ("memory", "128".into()),
                ("kvm", 0.into()),
                ("serial0", "socket".into()),
                ("scsihw", "virtio-scsi-single".into()),
                ("virtio0", "local:100/vm-100-disk-0.qcow2,size=64M".into()),
                ("boot", "order=virtio0".into()),
            ];
            options.extend_from_slice(more);
            put_guest(store, 100, &options).await;
        })
        .await;
        let images = node.root.join("var/lib/vz/images/100");
        std::fs::create_dir_all(&images).unwrap();
        std::fs::copy(disk, images.join("vm-100-disk-0.qcow2")).unwrap();
        let params = json!({"node": "pve1", "vmid": 100});
        assert_eq!(node.task("qemu_start", params).await, "OK");
        let socket = node.root.join("run/ostler/guests/100/serial0.sock");
        let mut serial = Serial::connect(&socket);
        serial.expect("tiny: ready");
        Self { node, serial }
    }

    async fn change(&self, change: Value) -> Result<Value, model::Error> {
        let mut params = json!({"node": "pve1", "vmid": 100});
        params
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        Ok(self.node.call("qemu_configure", params).await?.data)
    }

    async fn made(&self, change: Value) {
        let answer = self.change(change.clone()).await;
        assert_eq!(answer, Ok(Value::Null), "{change}\n{}", self.node.log());
        let waiting = self.waiting().await;
        assert!(waiting.is_empty(), "{change} waits: {waiting:?}");
    }

    /// The options with pending changes.
    async fn waiting(&self) -> Vec<Value> {
        let params = json!({"node": "pve1", "vmid": 100});
        let rows = self.node.call("qemu_pending", params).await.unwrap().data;
        let waits = |row: &&Value| row.get("pending").is_some() || row.get("delete").is_some();
        rows.as_array()
            .unwrap()
            .iter()
            .filter(waits)
            .cloned()
            .collect()
    }

    async fn monitor(&self, command: &str) -> String {
        let params = json!({"node": "pve1", "vmid": 100, "command": command});
        let answer = self.node.call("qemu_monitor", params).await.unwrap();
        answer.data.as_str().unwrap().to_owned()
    }

    async fn status(&self) -> Value {
        let params = json!({"node": "pve1", "vmid": 100});
        self.node.call("qemu_status", params).await.unwrap().data
    }

    async fn config(&self) -> Value {
        let params = json!({"node": "pve1", "vmid": 100});
        self.node.call("qemu_config", params).await.unwrap().data
    }

    /// Waits until a command succeeds inside of the guest.
    fn until_inside(&mut self, condition: &str) {
        self.serial.type_line(&format!(
            "until {condition}; do usleep 50000; done; echo seen-$((40+2))"
        ));
        self.serial.expect("seen-42");
    }
}

#[test]
fn drives_come_and_go_while_it_runs() {
    if left_out("hotplug: drives") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let mut hot = Hot::start(&disk, &[("ide2", "none,media=cdrom".into())]).await;
        hot.made(json!({"virtio1": "local:1,iothread=1"})).await;
        hot.until_inside("[ -b /dev/vdb ]");
        assert_eq!(
            hot.config().await["virtio1"],
            "local:100/vm-100-disk-1.raw,iothread=1,size=1G"
        );

        // Written through the new device and found in the image.
        hot.serial
            .type_line("echo here-it-is > /dev/vdb; sync; echo wrote-$((40+2))");
        hot.serial.expect("wrote-42");
        let image = hot
            .node
            .root
            .join("var/lib/vz/images/100/vm-100-disk-1.raw");
        assert!(std::fs::read(&image).unwrap().starts_with(b"here-it-is"));

        hot.made(
            json!({"virtio1": "local:100/vm-100-disk-1.raw,iothread=1,size=1G,iops=77,mbps_rd=3"}),
        )
        .await;
        let limits = hot
            .monitor("qom-get /objects/throttle-virtio1 limits")
            .await;
        assert!(
            limits.contains("\"iops-total\": 77") && limits.contains("3145728"),
            "{limits}"
        );

        // The cache mode cannot be changed while it runs, so the whole change is pending.
        let cached = "local:100/vm-100-disk-1.raw,iothread=1,size=1G,cache=writeback";
        hot.change(json!({"virtio1": cached})).await.unwrap();
        assert_eq!(hot.waiting().await[0]["key"], "virtio1");
        hot.change(json!({"revert": "virtio1"})).await.unwrap();

        hot.made(json!({"delete": "virtio1"})).await;
        hot.until_inside("[ ! -b /dev/vdb ]");
        assert_eq!(hot.config().await["unused0"], "local:100/vm-100-disk-1.raw");
        assert!(image.exists());
        let nodes = hot.monitor("info block -n").await;
        assert!(!nodes.contains("virtio1"), "{nodes}");
        hot.made(json!({"delete": "unused0"})).await;
        assert!(!image.exists());

        let refused = hot.change(json!({"delete": "virtio0"})).await.unwrap_err();
        assert_eq!(
            refused.fields["virtio0"],
            "hotplug problem - can't unplug bootdisk 'virtio0'"
        );
        hot.change(json!({"revert": "virtio0"})).await.unwrap();
    });
}

#[test]
fn a_medium_is_changed_while_it_runs() {
    if left_out("hotplug: media") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let mut hot = Hot::start(&disk, &[("ide2", "none,media=cdrom".into())]).await;
        for (name, text) in [("a.iso", "first-medium"), ("b.iso", "second-medium")] {
            let path = hot.node.root.join("var/lib/vz/template/iso").join(name);
            std::fs::write(path, format!("{text:\0<32768}")).unwrap();
        }
        for (medium, text) in [
            ("local:iso/a.iso", "first-medium"),
            ("local:iso/b.iso", "second-medium"),
        ] {
            hot.made(json!({"ide2": format!("{medium},media=cdrom")}))
                .await;
            hot.until_inside(&format!(
                "dd if=/dev/sr0 bs=2048 count=1 2>/dev/null | grep -q {text}"
            ));
        }
        hot.made(json!({"ide2": "none,media=cdrom"})).await;
        let drives = hot.monitor("info block").await;
        assert!(drives.contains("ide2: [not inserted]"), "{drives}");
        // A CD-ROM drive cannot be changed to a disk.
        let refused = hot.change(json!({"ide2": "local:1"})).await.unwrap_err();
        assert_eq!(
            refused.fields["ide2"],
            "hotplug problem - unable to change media type"
        );
    });
}

#[test]
fn cards_come_and_go_while_it_runs() {
    if left_out("hotplug: cards") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let mut hot = Hot::start(&disk, &[]).await;
        let card = "virtio=BC:24:11:00:00:07,bridge=vmbr0";
        hot.made(json!({"net1": card})).await;
        hot.until_inside("grep -q -i bc:24:11:00:00:07 /sys/class/net/*/address");
        assert_eq!(master("tap100i1").as_deref(), Some("vmbr0"));

        // Another bridge, a limit, the link down: the same card.
        hot.made(json!({"net1": "virtio=BC:24:11:00:00:07,bridge=vmbr1,rate=2"}))
            .await;
        assert_eq!(master("tap100i1").as_deref(), Some("vmbr1"));
        let queue = output("tc", &["qdisc", "show", "dev", "tap100i1"]);
        assert!(
            queue.contains("tbf") && queue.contains("rate 16777Kbit"),
            "{queue}"
        );
        hot.serial.type_line("ip link set eth0 up");
        hot.made(json!({"net1": format!("{card},link_down=1")}))
            .await;
        hot.until_inside("[ \"$(cat /sys/class/net/eth0/carrier)\" = 0 ]");
        hot.made(json!({"net1": card})).await;
        hot.until_inside("[ \"$(cat /sys/class/net/eth0/carrier)\" = 1 ]");
        let queue = output("tc", &["qdisc", "show", "dev", "tap100i1"]);
        assert!(!queue.contains("tbf"), "{queue}");

        // Another model means another card.
        hot.made(json!({"net1": "e1000=BC:24:11:00:00:08,bridge=vmbr0"}))
            .await;
        hot.until_inside(
            "grep -q 0x8086:0x100e /dev/null || grep -q 100e /sys/bus/pci/devices/*/device",
        );

        // A restarted agent still knows the plugged devices.
        hot.node.kill_role("node").await;
        hot.made(json!({"delete": "net1"})).await;
        hot.until_inside(
            "[ ! -e /sys/class/net/eth0 ] && ! grep -q 100e /sys/bus/pci/devices/*/device",
        );
        assert_eq!(master("tap100i1"), None);
        assert!(!Path::new("/sys/class/net/tap100i1").exists());
    });
}

#[test]
fn processors_balloon_and_tablet_change_while_it_runs() {
    if left_out("hotplug: board") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let more: [(&str, Value); 3] = [
            ("hotplug", "network,disk,usb,cpu".into()),
            ("cores", 2.into()),
            ("vcpus", 1.into()),
        ];
        let mut hot = Hot::start(&disk, &more).await;
        hot.made(json!({"vcpus": 2})).await;
        hot.until_inside("[ -e /sys/devices/system/cpu/cpu1 ]");
        hot.serial
            .type_line("echo 1 > /sys/devices/system/cpu/cpu1/online");
        hot.until_inside("[ \"$(grep -c ^processor /proc/cpuinfo)\" = 2 ]");
        hot.made(json!({"vcpus": 1})).await;
        hot.until_inside("[ ! -e /sys/devices/system/cpu/cpu1 ]");

        assert!(hot.monitor("info usb").await.contains("Tablet"));
        hot.made(json!({"tablet": 0})).await;
        assert!(!hot.monitor("info usb").await.contains("Tablet"));
        hot.made(json!({"tablet": 1})).await;
        assert!(hot.monitor("info usb").await.contains("Tablet"));

        hot.made(json!({"balloon": 96})).await;
        let reached = async || hot.monitor("info balloon").await.contains("actual=96");
        until("the balloon has its size", reached).await;
        let told = async || hot.status().await["ballooninfo"]["total_mem"].is_u64();
        until("the guest reports its memory", told).await;
        let shown = hot.status().await;
        let info = &shown["ballooninfo"];
        assert_eq!(info["max_mem"], 128 << 20);
        assert_eq!(
            (&info["actual"], &shown["balloon"]),
            (&json!(96 << 20), &json!(96 << 20))
        );
        let number = |value: &Value| value.as_u64().unwrap();
        let used = number(&info["total_mem"]) - number(&info["free_mem"]);
        assert_eq!(
            (number(&shown["mem"]), &shown["freemem"]),
            (used, &info["free_mem"])
        );

        // Other changes are pending.
        hot.change(json!({"memory": "256", "cpulimit": 0.5}))
            .await
            .unwrap();
        let waiting = hot.waiting().await;
        assert_eq!((waiting.len(), &waiting[0]["key"]), (1, &json!("memory")));
    });
}

/// A SCSI disk brings its own controller, on either machine type.
#[test]
fn scsi_disks_come_and_go_while_it_runs() {
    if left_out("hotplug: SCSI disks") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        for machine in ["pc", "q35"] {
            let mut hot = Hot::start(&disk, &[("machine", machine.into())]).await;
            hot.made(json!({"scsi0": "local:1,iothread=1,discard=on"}))
                .await;
            hot.until_inside("[ -b /dev/sda ]");
            hot.made(json!({"scsi7": "local:1"})).await;
            hot.until_inside("[ -b /dev/sdb ]");
            hot.made(json!({"delete": "scsi0"})).await;
            hot.until_inside("[ ! -b /dev/sda ]");
            hot.made(json!({"delete": "scsi7"})).await;
            hot.until_inside("[ ! -b /dev/sdb ]");
        }
    });
}

/// Memory is plugged in modules, which the guest finds, uses and releases.
#[test]
fn memory_comes_and_goes_while_it_runs() {
    if left_out("hotplug: memory") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let more: [(&str, Value); 3] = [
            ("hotplug", "memory".into()),
            ("numa", 1.into()),
            ("memory", "1536".into()),
        ];
        let mut hot = Hot::start(&disk, &more).await;
        let refused = hot.change(json!({"memory": "1600"})).await.unwrap_err();
        assert_eq!(
            refused.fields["memory"],
            "hotplug problem - memory size (1600) must be aligned to 512 for hotplugging"
        );
        hot.made(json!({"memory": "2560"})).await;
        let modules = hot.monitor("info memory-devices").await;
        assert!(
            modules.contains("dimm2") && !modules.contains("dimm3"),
            "{modules}"
        );
        // 2.5 GiB in blocks of 128 MiB; plugged ones were brought online by hand.
        let count = "ls -d /sys/devices/system/memory/memory[0-9]* | wc -l";
        hot.until_inside(&format!("[ $({count}) = 20 ]"));
        let online = "for state in /sys/devices/system/memory/memory*/state; do \
             grep -q online $state || echo online_movable > $state; done";
        hot.serial.type_line(online);
        hot.until_inside("[ $(grep MemTotal: /proc/meminfo | tr -dc 0-9) -gt 2300000 ]");
        let status = hot.status().await;
        assert_eq!(status["maxmem"], 2560_u64 << 20);
        hot.made(json!({"memory": "1536"})).await;
        let modules = hot.monitor("info memory-devices").await;
        assert!(
            modules.contains("dimm0") && !modules.contains("dimm1"),
            "{modules}"
        );
        hot.until_inside(&format!("[ $({count}) = 12 ]"));

        // A snapshot restores the modules of its time.
        hot.made(json!({"memory": "2048"})).await;
        let guest = |more: Value| {
            let mut params = json!({"node": "pve1", "vmid": 100});
            let more = more.as_object().unwrap().clone();
            params.as_object_mut().unwrap().extend(more);
            params
        };
        let snapshot = guest(json!({"snapname": "s1", "vmstate": 1}));
        assert_eq!(hot.node.task("qemu_snapshot", snapshot).await, "OK");
        hot.made(json!({"memory": "2560"})).await;
        let back = guest(json!({"snapname": "s1"}));
        assert_eq!(hot.node.task("qemu_rollback", back).await, "OK");
        let modules = hot.monitor("info memory-devices").await;
        assert!(
            modules.contains("dimm1") && !modules.contains("dimm2"),
            "{modules}"
        );
    });
}

/// Memory moves between host and guests when the host is short of it, but never below a guest's
/// minimum.
// covers: S4.11
#[test]
fn balloons_follow_the_hosts_need() {
    if left_out("auto-ballooning") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let more: [(&str, Value); 2] = [("memory", "192".into()), ("balloon", 128.into())];
        let hot = Hot::start(&disk, &more).await;
        let target = async |percent: u32| {
            let config = json!({"node": "pve1", "ballooning-target": percent});
            hot.node.call("node_config_update", config).await.unwrap();
        };
        let has = async |mib: u32| {
            let wanted = format!("actual={mib}");
            hot.monitor("info balloon").await.contains(&wanted)
        };
        target(100).await;
        until("the guest has all", async || has(192).await).await;
        target(1).await;
        until("the guest gave back what it may", async || has(128).await).await;
        // With 0 shares it keeps the size set by hand.
        hot.made(json!({"shares": 0})).await;
        hot.made(json!({"balloon": 160})).await;
        until("the guest has what it was given", async || has(160).await).await;
        target(100).await;
        let before = hot.status().await["ballooninfo"]["last_update"].clone();
        until("it was measured twice", async || {
            let now = hot.status().await["ballooninfo"]["last_update"].clone();
            now.as_i64() > before.as_i64().map(|before| before + 10)
        })
        .await;
        assert!(has(160).await);
    });
}

/// A guest that does not release a device keeps it, and the caller gets an error.
#[test]
fn what_the_guest_does_not_let_go_of_stays_pending() {
    if left_out("hotplug: a guest that holds on") {
        return;
    }
    with_bridge(async {
        // Nothing in it reacts: there is no system to boot.
        let node = TestNode::start(async |store| {
            let options: [(&str, Value); 4] = [
                ("memory", "32".into()),
                ("kvm", 0.into()),
                ("net0", "virtio=BC:24:11:00:00:01".into()),
                ("boot", "order=net0".into()),
            ];
            put_guest(store, 100, &options).await;
        })
        .await;
        let guest = json!({"node": "pve1", "vmid": 100});
        assert_eq!(node.task("qemu_start", guest.clone()).await, "OK");
        let out = json!({"node": "pve1", "vmid": 100, "delete": "net0"});
        let refused = node.call("qemu_configure", out.clone()).await.unwrap_err();
        let told = "hotplug problem - error on hot-unplugging device 'net0'";
        assert_eq!(refused.fields["net0"], told);
        let rows = node.call("qemu_pending", guest.clone()).await.unwrap().data;
        let row = rows
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["key"] == "net0");
        assert_eq!(row.unwrap()["delete"], 1);
        // As a task it fails with the same text, and the next start is without the card.
        let upid = node.call("qemu_configure_task", out).await.unwrap().data;
        let status = node.ended(upid.as_str().unwrap()).await;
        assert_eq!(
            status,
            format!("Parameter verification failed. net0: {told}")
        );
        assert_eq!(node.task("qemu_stop", guest.clone()).await, "OK");
        assert_eq!(node.task("qemu_start", guest.clone()).await, "OK");
        let config = node.call("qemu_config", guest).await.unwrap().data;
        assert!(config.get("net0").is_none(), "{config}");
    });
}

fn master(link: &str) -> Option<String> {
    let target = std::fs::read_link(format!("/sys/class/net/{link}/master")).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

fn output(program: &str, args: &[&str]) -> String {
    let output = std::process::Command::new(program)
        .args(args)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}
