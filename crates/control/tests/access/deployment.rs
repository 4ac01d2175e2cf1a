//! New guests of approved templates and images only.

use model::GuestRecord;
use model::VmId;
use serde_json::{Value, json};

use super::bench::{Bench, Caller, JANE};

/// Two templates, and Jane who may make guests.
async fn bench() -> Bench {
    let bench = Bench::with_jane().await;
    bench.add_local().await;
    for vmid in [9000, 9001] {
        bench.add_guest(vmid, "template").await;
        let template = |guest: &mut GuestRecord| {
            guest.config.set("template", 1);
            Ok(())
        };
        let records = &bench.context.node.records;
        records
            .change_guest(VmId::new(vmid).unwrap(), template)
            .await
            .unwrap();
    }
    let acl =
        json!({"path": "/", "roles": "PVEVMAdmin,PVEDatastoreUser,PVESDNUser", "users": JANE});
    bench.root().ok("acl_update", acl).await;
    bench
}

async fn refused(caller: &Caller<'_>, op: &str, mut params: Value) -> String {
    params["node"] = "pve1".into();
    let error = caller.error(op, params).await;
    assert_eq!(error.kind, model::ErrorKind::Forbidden, "{op}: {error}");
    error.message
}

// covers: S1.26
#[tokio::test]
async fn guests_are_made_of_what_is_approved() {
    let bench = bench().await;
    let root = bench.root();
    assert!(
        root.ok("ostler_deployment", json!({}))
            .await
            .get("mode")
            .is_none()
    );
    let policy = json!({"mode": "approved", "templates": "9000", "volumes": "local:import/good.qcow2,local:iso/good.iso,local:vztmpl/good.tar.gz"});
    root.ok("ostler_deployment_update", policy).await;
    let jane = bench.jane().await;
    let clone = |vmid: u32| json!({"vmid": vmid, "newid": 200});
    let why = refused(&jane, "qemu_clone", clone(9001)).await;
    assert!(why.contains("guest 9001 is not approved"), "{why}");
    for (options, word) in [
        (json!({"scsi0": "local:8"}), "made of nothing"),
        (
            json!({"scsi0": "local:8", "ide2": "local:iso/other.iso,media=cdrom"}),
            "other.iso",
        ),
        (
            json!({"scsi0": "local:0,import-from=local:import/other.qcow2"}),
            "other.qcow2",
        ),
        (json!({}), "made of nothing"),
    ] {
        let mut params = options;
        params["vmid"] = 201.into();
        let why = refused(&jane, "qemu_create", params).await;
        assert!(why.contains(word), "{why}");
    }
    let archive =
        json!({"vmid": 202, "ostemplate": "local:vztmpl/other.tar.gz", "rootfs": "local:1"});
    let why = refused(&jane, "lxc_create", archive).await;
    assert!(why.contains("other.tar.gz"), "{why}");

    // What is approved passes the policy; what else is missing, the task says.
    let mut params = clone(9000);
    params["node"] = "pve1".into();
    jane.ok("qemu_clone", params).await;
    let installed = json!({"node": "pve1", "vmid": 203, "scsi0": "local:1"});
    // A caller who could change the policy is not bound by it.
    let made = root.ok("qemu_create", installed.clone()).await;
    assert_eq!(bench.finished(&made).await, "OK");
    root.ok("ostler_deployment_update", json!({"mode": "all"}))
        .await;
    let mut free = installed;
    free["vmid"] = 204.into();
    let made = bench.jane().await.ok("qemu_create", free).await;
    assert_eq!(bench.finished(&made).await, "OK");
}

#[tokio::test]
async fn a_policy_names_what_it_means() {
    let bench = bench().await;
    for (params, field) in [
        (json!({"volumes": "good.iso"}), "volumes"),
        (json!({"templates": "web"}), "templates"),
        (json!({"mode": "some"}), "mode"),
    ] {
        let error = bench.root().error("ostler_deployment_update", params).await;
        assert!(error.fields.contains_key(field), "{field}: {error:?}");
    }
    let error = bench
        .jane()
        .await
        .error("ostler_deployment_update", json!({"mode": "all"}))
        .await;
    assert_eq!(error.kind, model::ErrorKind::Forbidden);
}
