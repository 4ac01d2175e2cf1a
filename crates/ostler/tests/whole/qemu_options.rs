//! Options of virtual machines as clients send them, on a real node.

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, about, left_out, until};
use serde_json::{Value, json};
use std::io::Write;

async fn config(node: &TestNode, vmid: u32) -> Value {
    let params = about(vmid, json!({}));
    node.call("qemu_config", params).await.unwrap().data
}

/// A guest without a boot device: it runs, and never shuts down by itself.
async fn create(node: &TestNode, vmid: u32, options: Value) {
    let mut params = about(vmid, json!({"memory": "64", "kvm": 0}));
    params
        .as_object_mut()
        .unwrap()
        .extend(options.as_object().unwrap().clone());
    assert_eq!(node.task("qemu_create", params).await, "OK");
}

#[test]
fn defaults_of_what_is_not_built_are_accepted() {
    with_bridge(async {
        if left_out("qemu_options: defaults") {
            return;
        }
        let node = TestNode::start(async |_| {}).await;
        let defaults = json!({
            "template": 0, "ha-managed": 0, "live-restore": 0, "keephugepages": 0,
            "migrate_downtime": "0.1", "migrate_speed": 0, "scsi0": "local:1,snapshot=0,scsiblock=0",
        });
        create(&node, 100, defaults).await;
        let shown = config(&node, 100).await;
        assert_eq!(
            (&shown["template"], &shown["migrate_speed"]),
            (&json!(0), &json!(0))
        );
        let refused = node
            .call("qemu_configure", about(100, json!({"template": 1})))
            .await;
        let refused = refused.unwrap_err();
        assert_eq!(
            refused.fields["template"],
            "a guest becomes a template by its conversion"
        );
        for no_change in [json!({"delete": "template"}), json!({"template": 0})] {
            node.call("qemu_configure", about(100, no_change))
                .await
                .unwrap();
        }

        // A template stays a template.
        assert_eq!(
            node.task("qemu_template", about(100, json!({}))).await,
            "OK"
        );
        for change in [json!({"template": 0}), json!({"delete": "template"})] {
            let refused = node
                .call("qemu_configure", about(100, change))
                .await
                .unwrap_err();
            let reasons: Vec<&String> = refused.fields.values().collect();
            assert_eq!(reasons, ["a template stays a template"]);
        }
        node.call("qemu_configure", about(100, json!({"template": 1})))
            .await
            .unwrap();
        assert_eq!(config(&node, 100).await["template"], 1);

        // Others are templates from their beginning.
        let new = json!({"template": 1, "scsi0": "local:0.1", "start": 1});
        let refused = node.call("qemu_create", about(101, new.clone())).await;
        let reason = &refused.unwrap_err().fields["start"];
        assert_eq!(reason, "a template cannot be started");
        let mut new = new;
        new["start"] = 0.into();
        assert_eq!(node.task("qemu_create", about(101, new)).await, "OK");
        let made = config(&node, 101).await;
        assert_eq!(made["template"], 1);
        let disk = made["scsi0"].as_str().unwrap();
        assert!(disk.starts_with("local:101/base-101-disk-0.raw"), "{disk}");
        let linked = about(101, json!({"newid": 102}));
        assert_eq!(node.task("qemu_clone", linked).await, "OK");
        let disk = config(&node, 102).await["scsi0"].clone();
        let disk = disk.as_str().unwrap().to_owned();
        assert!(disk.contains("base-101-disk-0.raw/102/"), "{disk}");
    });
}

#[test]
fn a_stop_overrules_the_shutdown_that_waits() {
    with_bridge(async {
        if left_out("qemu_options: stop") {
            return;
        }
        let node = TestNode::start(async |_| {}).await;
        create(&node, 100, json!({})).await;
        assert_eq!(node.task("qemu_start", about(100, json!({}))).await, "OK");
        let patient = about(100, json!({"timeout": 600}));
        let shutdown = node.call("qemu_shutdown", patient).await.unwrap().data;
        let how = json!({"overrule-shutdown": 1, "timeout": 5, "keepActive": 1, "skiplock": 1});
        let stop = node.call("qemu_stop", about(100, how)).await.unwrap().data;
        let (shutdown, stop) = (shutdown.as_str().unwrap(), stop.as_str().unwrap());
        assert_eq!(node.ended(stop).await, "OK");
        assert_ne!(node.ended(shutdown).await, "OK");
        let log = json!({"node": "pve1", "upid": stop});
        let log = node.call("task_log", log).await.unwrap().data;
        assert_eq!(
            log[0]["t"],
            format!("overruled qmshutdown tasks: {shutdown}")
        );
        until("it is stopped", async || {
            let status = node.call("qemu_status", about(100, json!({}))).await;
            status.unwrap().data["status"] == "stopped"
        })
        .await;
    });
}

#[test]
fn a_shutdown_waits_as_long_as_the_guest_says() {
    with_bridge(async {
        if left_out("qemu_options: shutdown") {
            return;
        }
        let node = TestNode::start(async |_| {}).await;
        create(&node, 100, json!({"startup": "down=1"})).await;
        assert_eq!(node.task("qemu_start", about(100, json!({}))).await, "OK");
        let exit = node.task("qemu_shutdown", about(100, json!({}))).await;
        assert_eq!(exit, "VM quit/powerdown failed - got timeout");
    });
}

#[test]
fn options_that_need_each_other_come_in_any_order() {
    with_bridge(async {
        if left_out("qemu_options: order") {
            return;
        }
        let node = TestNode::start(async |_| {}).await;
        let first = json!({"vga": "serial0,clipboard=vnc", "hotplug": "disk,memory"});
        create(&node, 100, first).await;
        let start = async || node.task("qemu_start", about(100, json!({}))).await;
        let set = async |options: Value| {
            let changed = node.call("qemu_configure", about(100, options)).await;
            changed.unwrap();
        };
        assert_eq!(start().await, "vga: there is no serial0");
        set(json!({"serial0": "socket"})).await;
        assert_eq!(start().await, "NUMA needs to be enabled for memory hotplug");
        set(json!({"hotplug": "1"})).await;
        assert_eq!(start().await, "WARNINGS: 1");
        assert_eq!(node.task("qemu_stop", about(100, json!({}))).await, "OK");

        set(json!({"vga": "virtio-gl", "vmgenid": "1"})).await;
        assert_eq!(start().await, "WARNINGS: 1");
        assert_eq!(node.task("qemu_stop", about(100, json!({}))).await, "OK");
        let generation = config(&node, 100).await["vmgenid"]
            .as_str()
            .unwrap()
            .to_owned();
        generation.parse::<uuid::Uuid>().unwrap();
    });
}

#[test]
fn firmware_without_a_disk_forgets() {
    with_bridge(async {
        if left_out("qemu_options: firmware") {
            return;
        }
        let node = TestNode::start(async |_| {}).await;
        create(&node, 100, json!({"bios": "ovmf"})).await;
        let upid = node
            .call("qemu_start", about(100, json!({})))
            .await
            .unwrap()
            .data;
        let upid = upid.as_str().unwrap();
        assert_eq!(node.ended(upid).await, "WARNINGS: 1");
        let log = json!({"node": "pve1", "upid": upid, "limit": 0});
        let log = node.call("task_log", log).await.unwrap().data.to_string();
        assert!(
            log.contains("no efidisk configured! Using temporary efivars disk."),
            "{log}"
        );
        let variables = node.root.join("run/ostler/guests/100.efivars");
        assert!(variables.exists());
        assert_eq!(node.task("qemu_stop", about(100, json!({}))).await, "OK");
        assert!(!variables.exists());
    });
}

#[test]
fn media_become_what_they_are() {
    with_bridge(async {
        if left_out("qemu_options: media") {
            return;
        }
        let node = TestNode::start(async |_| {}).await;
        let folder = node.root.join("var/lib/vz/template/iso");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("x.iso"), vec![0; 1 << 20]).unwrap();
        create(
            &node,
            100,
            json!({"cdrom": "none", "scsi3": "local:iso/x.iso"}),
        )
        .await;
        let shown = config(&node, 100).await;
        assert_eq!(shown["ide2"], "none,media=cdrom");
        assert_eq!(shown["scsi3"], "local:iso/x.iso,media=cdrom,size=1M");
        assert_eq!(node.task("qemu_start", about(100, json!({}))).await, "OK");
        let blocks = about(100, json!({"command": "info block"}));
        let blocks = node.call("qemu_monitor", blocks).await.unwrap().data;
        let blocks = blocks.as_str().unwrap();
        assert!(blocks.contains("(raw, read-only)"), "{blocks}");
        for (drive, field) in [
            ("local:iso/x.iso,media=disk", "scsi4"),
            ("local:iso/x.iso,format=raw", "ide0"),
        ] {
            let refused = node
                .call("qemu_configure", about(100, json!({field: drive})))
                .await;
            assert!(refused.unwrap_err().fields.contains_key(field), "{drive}");
        }
    });
}

#[test]
fn paths_of_the_host_are_disks_and_media() {
    with_bridge(async {
        if left_out("qemu_options: paths") {
            return;
        }
        let node = TestNode::start(async |_| {}).await;
        let disk = node.root.join("disk.img").display().to_string();
        let medium = node.root.join("medium.iso").display().to_string();
        std::fs::write(&disk, vec![0; 2 << 20]).unwrap();
        std::fs::write(&medium, vec![0; 1 << 20]).unwrap();
        create(
            &node,
            100,
            json!({"scsi2": disk, "ide0": medium, "ide2": "cdrom"}),
        )
        .await;
        let shown = config(&node, 100).await;
        assert_eq!(shown["scsi2"], format!("{disk},size=2M"));
        assert_eq!(shown["ide0"], format!("{medium},media=cdrom,size=1M"));
        assert_eq!(shown["ide2"], "cdrom,media=cdrom");
        assert_eq!(node.task("qemu_start", about(100, json!({}))).await, "OK");
        let blocks = async || {
            let command = about(100, json!({"command": "info block"}));
            let printed = node.call("qemu_monitor", command).await.unwrap().data;
            printed.as_str().unwrap().to_owned()
        };
        let printed = blocks().await;
        assert!(
            printed.contains("drive-scsi2") && printed.contains("drive-ide0"),
            "{printed}"
        );
        // A disk is plugged and a medium ejected while it runs.
        let change = json!({"virtio1": format!("{medium},media=disk"), "ide0": "none"});
        node.call("qemu_configure", about(100, change))
            .await
            .unwrap();
        let printed = blocks().await;
        assert!(
            printed.contains("drive-virtio1") && !printed.contains("drive-ide0"),
            "{printed}"
        );

        for (op, more) in [
            ("qemu_snapshot", json!({"snapname": "s1"})),
            ("qemu_clone", json!({"newid": 101})),
        ] {
            let exit = node.task(op, about(100, more)).await;
            assert!(exit.contains("feature is not"), "{op}: {exit}");
        }
        assert_eq!(node.task("qemu_stop", about(100, json!({}))).await, "OK");
        let missing = json!({"scsi2": "/nowhere/x.img"});
        assert!(
            node.call("qemu_configure", about(100, missing))
                .await
                .is_err()
        );
    });
}

/// The types of the tasks that a list shows, oldest first.
async fn kinds_of_tasks(node: &TestNode) -> Vec<String> {
    let all = json!({"node": "pve1", "source": "all"});
    let tasks = node.call("task_list", all).await.unwrap().data;
    let kinds = tasks.as_array().unwrap().iter().rev();
    kinds
        .map(|task| task["type"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_change_within_its_request_is_no_task() {
    with_bridge(async {
        if left_out("qemu_options: no task") {
            return;
        }
        let node = TestNode::start(async |_| {}).await;
        create(&node, 100, json!({"net0": "virtio,bridge=vmbr0"})).await;
        let change = async |options: Value| {
            let changed = node.call("qemu_configure", about(100, options)).await;
            changed.map(|_| ())
        };
        // One commit; a volume is created; a volume is deleted.
        change(json!({"name": "a"})).await.unwrap();
        change(json!({"scsi0": "local:1"})).await.unwrap();
        change(json!({"delete": "scsi0"})).await.unwrap();
        change(json!({"delete": "unused0"})).await.unwrap();
        assert_eq!(node.task("qemu_start", about(100, json!({}))).await, "OK");
        // A device is plugged into the running guest, which has no system and never releases it.
        change(json!({"scsi1": "local:1", "description": "b"}))
            .await
            .unwrap();
        let begun = std::time::Instant::now();
        let refused = change(json!({"delete": "net0"})).await.unwrap_err();
        let waited = begun.elapsed();
        assert_eq!(
            refused.fields["net0"],
            "hotplug problem - error on hot-unplugging device 'net0'"
        );
        println!("waited {waited:?} for the guest to let go of a card");
        assert!(waited.as_secs() >= 5, "{waited:?}");
        // A volume with a name from the client is also created within its request.
        let volume = json!({"node": "pve1", "storage": "local", "vmid": 100, "size": "1M",
            "filename": "vm-100-disk-9.raw"});
        node.call("volume_create", volume).await.unwrap();
        assert_eq!(kinds_of_tasks(&node).await, ["qmcreate", "qmstart"]);
        let logs = std::fs::read_dir(node.root.join("var/lib/ostler/tasks")).unwrap();
        let names = logs.map(|entry| entry.unwrap().file_name());
        let is_log = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".log");
        assert_eq!(names.filter(is_log).count(), 2);

        // The same by POST is a task.
        let posted = about(100, json!({"description": "c", "revert": "net0"}));
        assert_eq!(node.task("qemu_configure_task", posted).await, "OK");
        let kinds = kinds_of_tasks(&node).await;
        assert_eq!(kinds, ["qmcreate", "qmstart", "qmconfig"]);
    });
}

#[test]
fn a_change_that_waits_in_vain_is_not_made_later() {
    with_bridge(async {
        if left_out("qemu_options: waits in vain") {
            return;
        }
        let node = TestNode::start(async |_| {}).await;
        create(&node, 100, json!({})).await;
        assert_eq!(node.task("qemu_start", about(100, json!({}))).await, "OK");
        let patient = about(100, json!({"timeout": 600}));
        let shutdown = node.call("qemu_shutdown", patient).await.unwrap().data;
        // One that is a commit, and one that would be a task.
        for change in [json!({"name": "late"}), json!({"scsi0": "local:1"})] {
            let refused = node.call("qemu_configure", about(100, change)).await;
            assert_eq!(
                refused.unwrap_err().message,
                "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"
            );
        }
        let how = about(100, json!({"overrule-shutdown": 1}));
        assert_eq!(node.task("qemu_stop", how).await, "OK");
        assert_ne!(node.ended(shutdown.as_str().unwrap()).await, "OK");
        // Queued behind all earlier ones.
        let posted = about(100, json!({"description": "c"}));
        assert_eq!(node.task("qemu_configure_task", posted).await, "OK");
        let shown = config(&node, 100).await;
        assert_eq!((shown.get("name"), shown.get("scsi0")), (None, None));
    });
}

/// The cluster's limit, or the storage's, applies to a clone without one of its own, and not to one with.
#[test]
fn a_clone_copies_no_faster_than_cluster_and_storage_say() {
    with_bridge(async {
        if left_out("qemu_options: bwlimit") {
            return;
        }
        const MIB: usize = 8;
        let node = TestNode::start(async |_| {}).await;
        create(&node, 100, json!({"scsi0": "local:1"})).await;
        let disk = node.root.join("var/lib/vz/images/100/vm-100-disk-0.raw");
        let mut file = std::fs::File::options().write(true).open(disk).unwrap();
        file.write_all(&vec![7; MIB << 20]).unwrap();
        let limit = json!({"bwlimit": "clone=2048"});
        node.call("cluster_options_update", limit).await.unwrap();
        let clone = async |newid: u32, more: Value| {
            let mut params = about(100, json!({"newid": newid, "full": 1}));
            params
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            let begun = std::time::Instant::now();
            assert_eq!(node.task("qemu_clone", params).await, "OK");
            begun.elapsed()
        };
        let (limited, free) = (
            clone(101, json!({})).await,
            clone(102, json!({"bwlimit": 0})).await,
        );
        println!("{MIB} MiB at 2 MiB/s took {limited:?}, without a limit {free:?}");
        // The first chunks are not limited.
        assert!(limited.as_secs() >= 2 && free < limited / 4);

        // A storage's own limit counts instead of the cluster's, and not for who may change it.
        let none = json!({"delete": "bwlimit"});
        node.call("cluster_options_update", none).await.unwrap();
        let own = json!({"storage": "local", "bwlimit": "clone=2048,move=1"});
        node.call("storage_update", own).await.unwrap();
        let (limited, free) = (
            clone(103, json!({})).await,
            clone(104, json!({"bwlimit": 0})).await,
        );
        assert!(
            limited.as_secs() >= 2 && free < limited / 4,
            "{limited:?} {free:?}"
        );
    });
}

/// A model of the cluster's own is what QEMU starts with, and what `qm showcmd` shows before.
#[test]
fn a_processor_of_the_clusters_own() {
    with_bridge(async {
        if left_out("qemu_options: processor") {
            return;
        }
        let node = TestNode::start(async |_| {}).await;
        let model = json!({
            "cputype": "custom-old", "reported-model": "Westmere", "flags": "-aes;-pcid", "level": 11,
        });
        node.call("custom_cpu_model_create", model).await.unwrap();
        let guest = json!({"cpu": "custom-old,flags=+pcid"});
        create(&node, 100, guest).await;
        assert_eq!(node.task("qemu_start", about(100, json!({}))).await, "OK");
        let status = node.call("qemu_status", about(100, json!({}))).await;
        let pid = status.unwrap().data["pid"].as_u64().unwrap();
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        let words: Vec<&str> = line.split('\0').collect();
        let place = words.iter().position(|word| *word == "-cpu").unwrap();
        assert_eq!(words[place + 1], "Westmere,-aes,+pcid,level=11");
        let models = node
            .call("qemu_cpu_models", json!({"node": node.name}))
            .await
            .unwrap()
            .data;
        let own = models
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["custom"] == 1);
        assert_eq!(
            own,
            Some(&json!({"name": "custom-old", "vendor": "GenuineIntel", "custom": 1}))
        );
        let flags = json!({"accel": "tcg"});
        let flags = node.call("cluster_cpu_flags", flags).await.unwrap().data;
        let aes = flags
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["name"] == "aes");
        assert_eq!(aes.unwrap()["supported-on"], json!([node.name]));
    });
}
