//! What of a Proxmox VE is taken over, what is left, and what is refused.

use std::path::Path;

use model::{GuestConfig, GuestKind, VmId};
use serde_json::{Value, json};
use testkit::image_content;

use super::bench::Bench;

const SOURCE: &str = "/root/pve";

const STORAGES: &str = "dir: local\n\tpath /var/lib/vz\n\tcontent iso,vztmpl\n\n\
    dir: data\n\tpath /srv/data\n\tcontent images,rootdir\n\tprune-backups keep-all=1\n\n\
    pbs: backups\n\tserver 10.0.0.1\n\tdatastore main\n\n\
    dir: elsewhere\n\tpath /srv/e\n\tnodes other\n\n\
    dir: off\n\tpath /srv/off\n\tdisable 1\n";

const VM: &str = "#The web%0Aserver\nagent: 1\nboot: order=scsi0;net0\ncores: 2\nide2: local:iso/debian.iso,media=cdrom\n\
    memory: 2048\nmeta: creation-qemu=9.0.2,ctime=1700000000\nname: web\n\
    net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1\nnuma: 0\nostype: l26\nparent: before\n\
    scsi0: data:100/vm-100-disk-0.raw,iothread=1,size=1M\nunused7: data:100/vm-100-disk-9.raw\nscsihw: virtio-scsi-single\n\
    smbios1: uuid=5c4d3c54-3f07-4a1c-9d2b-6f5c0d3c0a11\nsockets: 1\ntags: prod\nvmgenid: 8f3d1f4e-1d2c-4b5a-9e8f-0a1b2c3d4e5f\n\n\
    [PENDING]\nballoon: 1536\ncores: 4\ndelete: numa\n\n\
    [before]\n#first\nmemory: 1024\nname: web\nparent: gone\nscsi0: data:100/vm-100-disk-0.raw,size=1M\nsnaptime: 1700000100\n\
    vmstate: data:100/vm-100-state-before.raw\nrunningmachine: pc-i440fx-9.0+pve0\n";

const CT: &str = "arch: amd64\ncores: 1\nhostname: router\nlxc.cgroup2.devices.allow: c 10:200 rwm\n\
    lxc.mount.entry: /dev/net/tun dev/net/tun none bind,create=file\nmemory: 512\n\
    net0: name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:02,ip=dhcp,type=veth\nostype: debian\n\
    rootfs: data:200/vm-200-disk-0.raw,size=1M\nswap: 512\n";

/// A node with the files of a Proxmox VE, and the volumes of its guests.
async fn bench(files: &[(&str, &str)]) -> Bench {
    let bench = Bench::new().await;
    bench.add_local().await;
    let host = &bench.context.node.host;
    for folder in [
        "/var/lib/vz",
        "/run/ostler",
        "/srv/data/images/100",
        "/srv/data/images/200",
    ] {
        host.create_dir(Path::new(folder), 0o755).await.unwrap();
    }
    for image in [
        "100/vm-100-disk-0",
        "100/vm-100-state-before",
        "200/vm-200-disk-0",
    ] {
        let path = format!("/srv/data/images/{image}.raw");
        let content = image_content(Path::new(&path), 1 << 20, None);
        host.write(Path::new(&path), &content, 0o600).await.unwrap();
    }
    host.create_bridge("vmbr0").await.unwrap();
    for (path, text) in files {
        let path = Path::new(SOURCE).join(path);
        host.create_dir(path.parent().unwrap(), 0o700)
            .await
            .unwrap();
        host.write(&path, text.as_bytes(), 0o600).await.unwrap();
    }
    bench
}

const ALL: [(&str, &str); 5] = [
    ("storage.cfg", STORAGES),
    ("user.cfg", "pool:prod/web:the%20web:100,7:data:\n"),
    ("nodes/old/qemu-server/100.conf", VM),
    ("nodes/old/lxc/200.conf", CT),
    ("nodes/old/pve-ssl.pem", "x"),
];

async fn plan(bench: &Bench, more: Value) -> Value {
    bench.root().ok("node_adopt", wanted(more)).await
}

fn wanted(more: Value) -> Value {
    let mut params = json!({"node": "pve1", "source": SOURCE});
    for (name, value) in more.as_object().unwrap() {
        params[name] = value.clone();
    }
    params
}

async fn refused(bench: &Bench, more: Value) -> String {
    let error = bench.root().error("node_adopt", wanted(more)).await;
    format!("{} {:?}", error.message, error.fields)
}

async fn adopted(bench: &Bench, more: Value) -> Value {
    let plan = plan(bench, more.clone()).await;
    let mut all = more;
    (all["dry-run"], all["confirm"]) = (0.into(), plan["digest"].clone());
    let answer = bench.root().ok("node_adopt", wanted(all)).await;
    bench.finished(&answer["upid"]).await
}

fn row<'a>(plan: &'a Value, what: &str, key: &str, is: &Value) -> &'a Value {
    let mut rows = plan[what].as_array().unwrap().iter();
    rows.find(|row| row[key] == *is)
        .unwrap_or_else(|| panic!("{key} {is}: {plan}"))
}

fn reason(plan: &Value, vmid: u32) -> String {
    let row = row(plan, "guests", "vmid", &vmid.into());
    assert_eq!(row["action"], "leave", "{row}");
    row["reasons"].to_string()
}

async fn is_here(bench: &Bench, vmid: u32) -> bool {
    let found = bench.context.node.records.find(VmId::new(vmid).unwrap());
    found.await.unwrap().is_some()
}

async fn config(bench: &Bench, vmid: u32) -> GuestConfig {
    let found = bench.context.node.records.find(VmId::new(vmid).unwrap());
    found.await.unwrap().unwrap().record.data.config
}

#[tokio::test]
async fn the_plan_is_shown_and_then_carried_out() {
    let bench = bench(&ALL).await;
    let shown = plan(&bench, json!({})).await;
    let action = |id: &str| row(&shown, "storages", "source", &id.into())["action"].clone();
    assert_eq!(
        ["local", "data", "backups", "elsewhere", "off"].map(action),
        ["present", "adopt", "leave", "leave", "leave"]
    );
    let vm = row(&shown, "guests", "vmid", &100.into());
    assert_eq!(
        (&vm["action"], &vm["pool"]),
        (&json!("adopt"), &json!("prod/web")),
        "{vm}"
    );
    assert_eq!(
        (&vm["volumes"], &vm["snapshots"]),
        (&json!(2), &json!(1)),
        "{vm}"
    );
    let left: Vec<&Value> = shown["left"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["path"])
        .collect();
    assert_eq!(left, ["nodes/old/pve-ssl.pem", "user.cfg"]);
    assert!(!is_here(&bench, 100).await);

    assert_eq!(adopted(&bench, json!({})).await, "OK");
    let storage = bench
        .root()
        .ok("storage_get", json!({"storage": "data"}))
        .await;
    assert_eq!(storage["path"], "/srv/data");
    let pool = bench
        .root()
        .ok("pool_get", json!({"poolid": "prod/web"}))
        .await;
    assert_eq!(
        (&pool["comment"], &pool["members"][0]["vmid"]),
        (&json!("the web"), &json!(100))
    );
    let again = plan(&bench, json!({})).await;
    assert!(reason(&again, 100).contains("VM 100 already exists on node 'pve1'"));
    assert_eq!(
        row(&again, "storages", "source", &"data".into())["action"],
        "present"
    );
    let nothing = json!({"dry-run": 0, "confirm": again["digest"]});
    assert!(refused(&bench, nothing).await.contains("nothing to adopt"));
}

#[tokio::test]
async fn a_vm_is_what_it_was() {
    let bench = bench(&ALL).await;
    assert_eq!(adopted(&bench, json!({})).await, "OK");
    let about = json!({"node": "pve1", "vmid": 100});
    let shown = bench.root().ok("qemu_config", about.clone()).await;
    for (name, value) in [
        ("description", "The web\nserver"),
        ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1"),
        ("smbios1", "uuid=5c4d3c54-3f07-4a1c-9d2b-6f5c0d3c0a11"),
        ("meta", "creation-qemu=9.0.2,ctime=1700000000"),
        ("parent", "before"),
        ("unused0", "data:100/vm-100-state-before.raw"),
    ] {
        assert_eq!(
            shown[name].as_str().map(str::trim_end),
            Some(value),
            "{name}"
        );
    }
    let record = bench
        .context
        .node
        .records
        .find(VmId::new(100).unwrap())
        .await;
    let record = record.unwrap().unwrap().record.data;
    assert_eq!(record.kind, GuestKind::Qemu);
    assert!(shown.get("unused7").is_none(), "{shown}");
    let waiting: Vec<&String> = record.pending.keys().collect();
    assert_eq!(waiting, ["balloon", "cores", "numa"]);
    let before = &record.snapshots["before"];
    assert_eq!(
        (before.created, before.memory.is_none()),
        (1_700_000_100, true)
    );
    assert_eq!(before.description.as_deref(), Some("first"));
    assert_eq!(before.config.text("memory").as_deref(), Some("1024"));
}

#[tokio::test]
async fn a_container_keeps_its_devices() {
    let bench = bench(&ALL).await;
    assert_eq!(adopted(&bench, json!({"vmids": "200"})).await, "OK");
    let config = config(&bench, 200).await;
    assert_eq!(config.text("dev0").as_deref(), Some("/dev/net/tun"));
    assert_eq!(config.text("hostname").as_deref(), Some("router"));
    // It is privileged, as one without the line is.
    assert_eq!(config.flag("unprivileged"), None);
    assert!(!is_here(&bench, 100).await);
}

#[tokio::test]
async fn storages_get_other_ids_where_theirs_are_taken() {
    let other = STORAGES.replace("path /var/lib/vz", "path /srv/old");
    let vm = VM.replace("data:", "local:");
    let mut files = ALL;
    files[0].1 = &other;
    files[2].1 = &vm;
    let bench = bench(&files).await;
    let host = &bench.context.node.host;
    host.create_dir(Path::new("/srv/old/images/100"), 0o755)
        .await
        .unwrap();
    let shown = plan(&bench, json!({})).await;
    let taken = row(&shown, "storages", "source", &"local".into());
    assert!(
        taken["reasons"][0]
            .as_str()
            .unwrap()
            .contains("storage-map local:NEW"),
        "{taken}"
    );
    assert!(reason(&shown, 100).contains("storage 'local' is left"));
    for name in ["vm-100-disk-0.raw", "vm-100-state-before.raw"] {
        let path = Path::new("/srv/old/images/100").join(name);
        let content = image_content(&path, 1 << 20, None);
        host.write(&path, &content, 0o600).await.unwrap();
    }
    let map = json!({"storage-map": "local:old"});
    assert_eq!(adopted(&bench, map).await, "OK");
    let config = config(&bench, 100).await;
    let disk = config.text("scsi0").unwrap();
    assert!(disk.starts_with("old:100/vm-100-disk-0.raw,"), "{disk}");
    assert!(
        config
            .text("ide2")
            .unwrap()
            .starts_with("old:iso/debian.iso")
    );
}

#[tokio::test]
async fn a_guest_that_cannot_be_whole_is_left_with_its_reason() {
    for (from, to, word) in [
        (
            "scsi0: data:100/vm-100-disk-0.raw",
            "scsi0: data:100/vm-100-disk-7.raw",
            "does not exist",
        ),
        (
            "scsi0: data:",
            "scsi0: nowhere:",
            "there is no storage 'nowhere'",
        ),
        (
            "scsi0: data:",
            "scsi0: elsewhere:",
            "storage 'elsewhere' is left",
        ),
        ("cores: 2", "cores: many", "cores: type check"),
        (
            "cores: 2",
            "ivshmem: size=1",
            "ivshmem: not supported by this version",
        ),
        ("cores: 2", "newer: 1", "newer: property is not defined"),
        ("cores: 2", "lock: suspended", "its memory is saved"),
        ("cores: 2", "???", "a line is no option: '???'"),
        (
            "scsi0: data:100/vm-100-disk-0.raw",
            "scsi0: data:32",
            "scsi0: it names no volume",
        ),
    ] {
        let vm = VM.replacen(from, to, 1);
        let mut files = ALL;
        files[2].1 = &vm;
        let bench = bench(&files).await;
        let shown = plan(&bench, json!({})).await;
        let why = reason(&shown, 100);
        assert!(why.contains(word), "{to}: {why}");
        // The others are taken over all the same.
        assert_eq!(adopted(&bench, json!({})).await, "OK");
        assert!(is_here(&bench, 200).await);
    }
    let raw = CT.replace("lxc.mount.entry", "lxc.hook.start");
    let mut files = ALL;
    files[3].1 = &raw;
    let bench = bench(&files).await;
    assert!(reason(&plan(&bench, json!({})).await, 200).contains("lxc.hook.start"));
    let without = json!({"drop": "lxc.hook.start"});
    let shown = plan(&bench, without).await;
    assert_eq!(
        row(&shown, "guests", "vmid", &200.into())["action"],
        "adopt"
    );
}

#[tokio::test]
async fn what_the_caller_names_must_be_there() {
    let bench = bench(&ALL).await;
    for (params, word) in [
        (json!({"source": "root/pve"}), "no absolute path"),
        (json!({"source": "/root/none"}), "/root/none"),
        (json!({"source": "/srv"}), "holds neither"),
        (json!({"source-node": "new"}), "there are: old"),
        (json!({"storages": "data,nope"}), "no storage 'nope'"),
        (json!({"vmids": "100,999"}), "no guest 999"),
        (json!({"vmids": "x"}), "'x' is no number"),
        (json!({"storage-map": "data"}), "'data' is not OLD:NEW"),
        (
            json!({"storage-map": "data:a,local:a"}),
            "'a' is named twice",
        ),
        (json!({"dry-run": 0}), "its digest is"),
        (json!({"dry-run": 0, "confirm": "0123"}), "its digest is"),
    ] {
        let why = refused(&bench, params.clone()).await;
        assert!(why.contains(word), "{params}: {why}");
    }
    let jane = Bench::with_jane().await;
    let error = jane
        .jane()
        .await
        .error("node_adopt", wanted(json!({})))
        .await;
    assert_eq!(error.kind, model::ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_plan_that_is_no_longer_true_is_not_carried_out() {
    let bench = bench(&ALL).await;
    let shown = plan(&bench, json!({})).await;
    let changed = VM.replace("cores: 2", "cores: 8");
    let file = Path::new(SOURCE).join("nodes/old/qemu-server/100.conf");
    bench
        .context
        .node
        .host
        .write(&file, changed.as_bytes(), 0o600)
        .await
        .unwrap();
    let old = json!({"dry-run": 0, "confirm": shown["digest"]});
    assert!(refused(&bench, old).await.contains("its digest is"));
}

#[tokio::test]
async fn a_proxmox_ve_that_runs_is_left_alone() {
    let bench = bench(&ALL).await;
    let host = &bench.context.node.host;
    host.create_dir(Path::new("/proc/net"), 0o555)
        .await
        .unwrap();
    for (path, text, word) in [
        (
            "/proc/net/unix",
            "0: 2 0 00010000 0001 01 17 /var/run/qemu-server/100.qmp\n",
            "VM 100",
        ),
        (
            "/proc/mounts",
            "/dev/fuse /etc/pve fuse rw 0 0\n",
            "/etc/pve is mounted",
        ),
    ] {
        host.write(Path::new(path), text.as_bytes(), 0o444)
            .await
            .unwrap();
        assert!(refused(&bench, json!({})).await.contains(word), "{word}");
    }
}
