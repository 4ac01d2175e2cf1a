//! Records of guests are brought in line with their volumes.

use std::path::Path;

use model::{GuestRecord, VmId};
use serde_json::{Value, json};

use super::bench::Bench;

/// A guest with a disk whose size is noted wrongly, and another that nothing names.
async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.add_local().await;
    bench.add_guest(100, "web").await;
    let host = &bench.context.node.host;
    for folder in [
        "images/100",
        "template/cache",
        "template/iso",
        "dump",
        "snippets",
        "import",
        "private",
    ] {
        let folder = Path::new("/var/lib/vz").join(folder);
        host.create_dir(&folder, 0o755).await.unwrap();
    }
    for (name, mib) in [("vm-100-disk-0.raw", 2), ("vm-100-disk-1.raw", 1)] {
        let path = Path::new("/var/lib/vz/images/100").join(name);
        host.write(&path, &vec![0; mib << 20], 0o600).await.unwrap();
    }
    let disk = |guest: &mut GuestRecord| {
        guest
            .config
            .set("scsi0", "local:100/vm-100-disk-0.raw,size=1M");
        Ok(())
    };
    let vmid = VmId::new(100).unwrap();
    bench
        .context
        .node
        .records
        .change_guest(vmid, disk)
        .await
        .unwrap();
    bench
}

#[tokio::test]
async fn a_volume_that_nothing_names_is_found_again() {
    let bench = bench().await;
    let root = bench.root();
    let params = |more: Value| {
        let mut params = json!({"node": "pve1", "type": "qemu"});
        for (name, value) in more.as_object().unwrap() {
            params[name] = value.clone();
        }
        params
    };
    let config = async || {
        root.ok("qemu_config", json!({"node": "pve1", "vmid": 100}))
            .await
    };
    let before = config().await;
    let shown = root.ok("ostler_rescan", params(json!({"dryrun": 1}))).await;
    assert_eq!(config().await, before);
    assert_eq!(
        shown,
        json!([
            {"vmid": 100, "type": "qemu", "option": "scsi0", "noted": 1 << 20, "size": 2 << 20,
             "volume": "local:100/vm-100-disk-0.raw"},
            {"vmid": 100, "type": "qemu", "option": "unused0", "volume": "local:100/vm-100-disk-1.raw"},
        ])
    );
    assert_eq!(root.ok("ostler_rescan", params(json!({}))).await, shown);
    let after = config().await;
    assert_eq!(after["scsi0"], "local:100/vm-100-disk-0.raw,size=2M");
    assert_eq!(after["unused0"], "local:100/vm-100-disk-1.raw");
    assert_eq!(root.ok("ostler_rescan", params(json!({}))).await, json!([]));
    assert_eq!(
        root.ok("ostler_rescan", params(json!({"type": "lxc"})))
            .await,
        json!([])
    );
    let error = root
        .error("ostler_rescan", params(json!({"vmid": 101})))
        .await;
    assert!(
        error.fields["vmid"].contains("no such guest 101"),
        "{error:?}"
    );
}
