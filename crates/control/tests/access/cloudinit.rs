//! Who may change a guest's cloud-init options, and who sees which of them.

use super::bench::{Bench, JANE};
use serde_json::{Value, json};

/// Jane with these privileges on guest 100.
async fn jane_with(privileges: &str) -> Bench {
    let bench = Bench::with_jane().await;
    bench.add_guest(100, "web").await;
    let root = bench.root();
    let role = json!({"roleid": "R1", "privs": privileges});
    root.ok("role_create", role).await;
    let grant = json!({"path": "/vms/100", "users": JANE, "roles": "R1"});
    root.ok("acl_update", grant).await;
    bench
}

fn guest(more: Value) -> Value {
    let mut params = json!({"node": "pve1", "vmid": 100});
    let params_of = params.as_object_mut().unwrap();
    params_of.extend(more.as_object().unwrap().clone());
    params
}

#[tokio::test]
async fn one_of_two_privileges_is_enough_for_its_options() {
    for privilege in ["VM.Config.Cloudinit", "VM.Config.Network"] {
        let bench = jane_with(privilege).await;
        let jane = bench.jane().await;
        let options = json!({"ciuser": "lab", "ipconfig0": "ip=dhcp", "nameserver": "10.0.0.1"});
        jane.ok("qemu_configure", guest(options)).await;
        jane.ok("qemu_configure", guest(json!({"delete": "ciuser"})))
            .await;
        let other = guest(json!({"ciuser": "lab", "cores": 2}));
        let refused = jane.error("qemu_configure", other).await;
        assert_eq!(
            refused.message,
            "Permission check failed (/vms/100, VM.Config.CPU)"
        );
    }
    let bench = jane_with("VM.Config.Options").await;
    let refused = bench
        .jane()
        .await
        .error("qemu_configure", guest(json!({"sshkeys": "x"})))
        .await;
    assert_eq!(
        refused.message,
        "Permission check failed (/vms/100, VM.Config.Cloudinit|VM.Config.Network)"
    );
}

#[tokio::test]
async fn its_drive_needs_the_right_to_media_and_space_too() {
    let cases = [
        ("VM.Config.Cloudinit", "/vms/100, VM.Config.CDROM"),
        ("VM.Config.CDROM", "/vms/100, VM.Config.Cloudinit"),
        (
            "VM.Config.Cloudinit,VM.Config.CDROM",
            "/storage/local, Datastore.AllocateSpace",
        ),
    ];
    for (privileges, missing) in cases {
        let bench = jane_with(privileges).await;
        let jane = bench.jane().await;
        // In every spelling.
        for drive in [
            json!({"ide2": "local:cloudinit"}),
            json!({"cdrom": "local:cloudinit"}),
            json!({"sata0": "media=cdrom,file=local:cloudinit"}),
        ] {
            let refused = jane.error("qemu_configure", guest(drive.clone())).await;
            let wanted = format!("Permission check failed ({missing})");
            assert_eq!(refused.message, wanted, "{privileges}: {drive}");
        }
    }
    let bench = jane_with("VM.Config.Disk,VM.Audit").await;
    let refused = bench
        .jane()
        .await
        .error("qemu_cloudinit_update", guest(json!({})))
        .await;
    assert_eq!(
        refused.message,
        "Permission check failed (/vms/100, VM.Config.Cloudinit)"
    );
}

/// Only callers who could set a password see the hash of one.
#[tokio::test]
async fn who_only_looks_on_sees_no_password() {
    for (privileges, sees) in [("VM.Audit", false), ("VM.Audit,VM.Config.Cloudinit", true)] {
        let bench = jane_with(privileges).await;
        let options = json!({"ciuser": "lab", "cipassword": "$5$salt$hash"});
        bench.root().ok("qemu_configure", guest(options)).await;
        let jane = bench.jane().await;
        for op in ["qemu_config", "qemu_pending", "qemu_cloudinit"] {
            let shown = jane.ok(op, guest(json!({}))).await.to_string();
            assert!(shown.contains("**********"), "{op}: {shown}");
            assert!(
                !shown.contains("hash") && !shown.contains("sealed"),
                "{op}: {shown}"
            );
        }
        let dump = guest(json!({"type": "user"}));
        let user = jane.ok("qemu_cloudinit_dump", dump).await;
        let user = user.as_str().unwrap();
        assert!(user.contains("\nuser: lab\n"), "{user}");
        assert_eq!(user.contains("password: $5$salt$hash"), sees, "{user}");
        let record = bench
            .context
            .node
            .records
            .guest("100".parse().unwrap())
            .await;
        let stored = record.unwrap().record.data.config.text("cipassword");
        assert!(stored.unwrap().starts_with("sealed:1:"));
    }
}

/// The agent for Windows needs the plain password, so it is stored unhashed, but sealed.
#[tokio::test]
async fn a_password_is_hashed_but_for_windows() {
    let bench = Bench::new().await;
    bench.add_guest(100, "web").await;
    let root = bench.root();
    let options = json!({"ostype": "win11", "cipassword": "plain words"});
    root.ok("qemu_configure", guest(options)).await;
    let dump = async |kind: &str| {
        let params = guest(json!({"type": kind}));
        let text = root.ok("qemu_cloudinit_dump", params).await;
        text.as_str().unwrap().to_owned()
    };
    assert!(
        dump("meta")
            .await
            .contains("\"admin_pass\": \"plain words\"")
    );
    assert!(!dump("user").await.contains("password"));
    let options = json!({"ostype": "l26", "cipassword": "plain words"});
    root.ok("qemu_configure", guest(options)).await;
    let user = dump("user").await;
    assert!(user.contains("\npassword: $5$rounds=5000$"), "{user}");
    assert!(!user.contains("plain words"));
}
