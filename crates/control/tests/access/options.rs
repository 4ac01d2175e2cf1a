//! Who may change which option of a guest, by its new and its old value.

use model::ErrorKind;
use serde_json::{Value, json};

use super::bench::{Bench, Caller, JANE};

fn request(options: Value) -> Value {
    let mut request = json!({"node": "pve1", "vmid": 100});
    for (name, value) in options.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

/// Grants Jane a role of these privileges on a path, replacing the previous one.
async fn grant(bench: &Bench, path: &str, privileges: &str) {
    let roleid = format!("R-{}", path.replace('/', "-"));
    let root = bench.root();
    let role = json!({"roleid": roleid, "privs": privileges});
    if root.ask("role_create", role.clone()).await.is_err() {
        root.ok("role_update", role).await;
    }
    let entry = json!({"path": path, "users": JANE, "roles": roleid});
    root.ok("acl_update", entry).await;
}

/// Guest 100 with an option of each kind, on storages that Jane may use.
async fn bench() -> Bench {
    let bench = Bench::with_jane().await;
    bench.add_guest(100, "web").await;
    let root = bench.root();
    let storage = json!({"storage": "s1", "type": "dir", "path": "/srv/s1"});
    root.ok("storage_create", storage).await;
    grant(
        &bench,
        "/storage/s1",
        "Datastore.AllocateSpace,Datastore.Audit",
    )
    .await;
    let devices = json!({
        "scsi0": "s1:1", "ide2": "none,media=cdrom", "ide0": "s1:cloudinit", "affinity": "0",
        "net0": "virtio,bridge=vmbr0", "serial0": "socket", "rng0": "/dev/hwrng",
    });
    root.ok("qemu_configure", request(devices)).await;
    bench
}

async fn refused(caller: &Caller<'_>, op: &str, options: Value) -> String {
    caller.error(op, request(options)).await.message
}

fn missing(path: &str, privilege: &str) -> String {
    format!("Permission check failed ({path}, {privilege})")
}

#[tokio::test]
async fn who_changes_cdroms_touches_no_disk() {
    let bench = bench().await;
    let jane = bench.jane().await;
    grant(&bench, "/vms/100", "VM.Config.CDROM").await;
    let disk = missing("/vms/100", "VM.Config.Disk");
    for options in [
        json!({"scsi0": "none,media=cdrom"}),
        json!({"delete": "scsi0"}),
        json!({"revert": "scsi0"}),
        json!({"scsi1": "s1:1,serial=media=cdrom"}),
        json!({"ide2": "s1:1"}),
        json!({"unused0": "s1:100/vm-100-disk-0.raw"}),
    ] {
        for op in ["qemu_configure", "qemu_configure_task"] {
            assert_eq!(refused(&jane, op, options.clone()).await, disk, "{options}");
        }
    }
    let cloud_init = missing("/vms/100", "VM.Config.Cloudinit");
    for options in [
        json!({"ide0": "none,media=cdrom"}),
        json!({"delete": "ide0"}),
    ] {
        assert_eq!(refused(&jane, "qemu_configure", options).await, cloud_init);
    }
    for options in [json!({"ide2": "none"}), json!({"delete": "ide2"})] {
        jane.ok("qemu_configure", request(options)).await;
    }
    let config = bench.root().ok("qemu_config", request(json!({}))).await;
    assert_eq!(config["scsi0"], "s1:100/vm-100-disk-0.raw,size=1G");
    assert_eq!(config.get("ide2"), None);
}

#[tokio::test]
async fn each_option_wants_its_own_privilege() {
    let bench = bench().await;
    let jane = bench.jane().await;
    grant(&bench, "/vms/100", "VM.Config.Options").await;
    for (option, value) in [
        ("kvm", "0"),
        ("hotplug", "disk"),
        ("smbios1", "family=x"),
        ("acpi", "0"),
        ("machine", "q35"),
        ("serial0", "socket"),
        ("rng0", "/dev/urandom"),
    ] {
        let text = refused(&jane, "qemu_configure", json!({option: value})).await;
        assert_eq!(text, missing("/vms/100", "VM.Config.HWType"), "{option}");
    }
    let startup = refused(&jane, "qemu_configure", json!({"startup": "order=1"})).await;
    assert_eq!(startup, missing("/", "Sys.Modify"));
    jane.ok(
        "qemu_configure",
        request(json!({"onboot": 1, "description": "x"})),
    )
    .await;

    grant(&bench, "/vms/100", "VM.Config.Network").await;
    for options in [json!({"net0": "virtio"}), json!({"delete": "net0"})] {
        let text = refused(&jane, "qemu_configure", options).await;
        assert_eq!(text, missing("/sdn/zones/localnetwork/vmbr0", "SDN.Use"));
    }
    grant(&bench, "/sdn/zones/localnetwork/vmbr0", "SDN.Use").await;
    jane.ok(
        "qemu_configure",
        request(json!({"net0": "virtio,bridge=vmbr0"})),
    )
    .await;
    let tagged = json!({"net0": "virtio,bridge=vmbr1,tag=7"});
    let text = refused(&jane, "qemu_configure", tagged).await;
    assert_eq!(text, missing("/sdn/zones/localnetwork/vmbr1/7", "SDN.Use"));
}

#[tokio::test]
async fn a_clone_needs_the_bridges_of_its_original() {
    let bench = bench().await;
    let jane = bench.jane().await;
    grant(&bench, "/vms/100", "VM.Clone").await;
    grant(&bench, "/vms/101", "VM.Allocate").await;
    let text = refused(&jane, "qemu_clone", json!({"newid": 101})).await;
    assert_eq!(text, missing("/sdn/zones/localnetwork/vmbr0", "SDN.Use"));
    grant(&bench, "/sdn/zones/localnetwork/vmbr0", "SDN.Use").await;
    jane.ok("qemu_clone", request(json!({"newid": 101}))).await;
}

#[tokio::test]
async fn what_reaches_the_host_is_roots() {
    let bench = bench().await;
    let jane = bench.jane().await;
    grant(
        &bench,
        "/",
        "VM.Config.Options,VM.Config.HWType,VM.Config.CPU,VM.Config.Disk",
    )
    .await;
    for (option, value) in [
        ("affinity", "1"),
        ("arch", "x86_64"),
        ("args", "-S"),
        ("hookscript", "s1:snippets/x"),
        ("lock", "backup"),
        ("vmgenid", "1"),
    ] {
        let text = format!("only root can set '{option}' config");
        for options in [json!({option: value}), json!({"delete": option})] {
            assert_eq!(refused(&jane, "qemu_configure", options).await, text);
        }
        let unlink = json!({"idlist": option});
        assert_eq!(refused(&jane, "qemu_unlink", unlink).await, text);
    }
    for options in [
        json!({"rng0": "/dev/urandom"}),
        json!({"delete": "rng0"}),
        json!({"serial1": "/dev/ttyS0"}),
    ] {
        let error = jane.error("qemu_configure", request(options.clone())).await;
        assert_eq!(error.kind, ErrorKind::Conflict);
        assert!(
            error.message.ends_with("config for real devices"),
            "{options}: {error}"
        );
    }
}

#[tokio::test]
async fn a_larger_disk_takes_space_of_its_storage() {
    let bench = bench().await;
    let jane = bench.jane().await;
    grant(&bench, "/vms/100", "VM.Config.Disk").await;
    grant(&bench, "/storage/s1", "Datastore.Audit").await;
    let larger = json!({"disk": "scsi0", "size": "+1G"});
    let text = refused(&jane, "qemu_resize", larger.clone()).await;
    assert_eq!(text, missing("/storage/s1", "Datastore.AllocateSpace"));
    grant(&bench, "/storage/s1", "Datastore.AllocateSpace").await;
    let upid = jane.ok("qemu_resize", request(larger)).await;
    assert!(upid.as_str().unwrap().starts_with("UPID:pve1:"), "{upid}");
}

#[tokio::test]
async fn a_new_guest_takes_the_rights_that_its_options_would() {
    let bench = bench().await;
    let jane = bench.jane().await;
    let root = bench.root();
    root.ok("pool_create", json!({"poolid": "p"})).await;
    let create = |vmid: u32, options: Value| {
        let mut request = request(options);
        request["vmid"] = vmid.into();
        request
    };
    // By its number or by its pool; its disks need only space.
    grant(&bench, "/pool/p", "VM.Allocate,VM.Config.CPU").await;
    let disks = json!({"scsi0": "s1:1", "ide2": "none,media=cdrom", "cores": 2, "pool": "p"});
    jane.ok("qemu_create", create(200, disks)).await;
    grant(&bench, "/vms/201", "VM.Allocate").await;
    jane.ok("qemu_create", create(201, json!({"pool": "p"})))
        .await;
    for (options, text) in [
        (
            json!({"pool": "p", "kvm": 0}),
            missing("/vms/202", "VM.Config.HWType"),
        ),
        (json!({"cores": 2}), missing("/vms/202", "VM.Allocate")),
        (
            json!({"pool": "p", "startup": "order=1"}),
            missing("/vms/202", "VM.Config.Options"),
        ),
        (
            json!({"pool": "p", "rng0": "/dev/hwrng"}),
            "only root can set 'rng0' config for real devices".to_owned(),
        ),
        (
            json!({"pool": "p", "lock": "backup"}),
            "only root can set 'lock' config".to_owned(),
        ),
        (
            json!({"pool": "p", "args": "-S"}),
            "only root can set 'args' config".to_owned(),
        ),
    ] {
        let error = jane.error("qemu_create", create(202, options)).await;
        assert_eq!(error.message, text);
    }
}
