//! Migrations to another member, and what they would meet.

use model::{Error, ErrorKind, GuestRecord, VmId};
use proto::Credential;
use proto::wire::Request;
use serde_json::{Value, json};

use crate::net::{Net, Node, until};

/// Two members, and guest 100 with a disk at the first one.
async fn with_guest() -> (Net, Node, Node) {
    let (net, one, two) = Net::two().await;
    one.bench.add_local().await;
    let create = json!({
        "node": "pve1", "vmid": 100, "kvm": 0, "memory": 64,
        "scsi0": "local:1", "serial0": "socket",
    });
    done(&one, "qemu_create", create).await.unwrap();
    (net, one, two)
}

/// Submits a task at a node and waits for its end there; its status is the error.
async fn done(node: &Node, op: &str, params: Value) -> Result<Vec<String>, Error> {
    let context = &node.bench.context;
    let upid = node.bench.root().ask(op, params).await?.data;
    let upid = upid.as_str().unwrap().parse().unwrap();
    let ended = context.tasks.wait(&upid).await?;
    match ended.is_ok() {
        true => context.tasks.log(&upid).await,
        false => Err(Error::conflict(format!("{:?}", ended.state))),
    }
}

async fn record(node: &Node) -> GuestRecord {
    let vmid = VmId::new(100).unwrap();
    let found = node.bench.context.node.records.find(vmid).await;
    found.unwrap().unwrap().record.data
}

fn to(target: &str) -> Value {
    json!({"node": "pve1", "vmid": 100, "target": target})
}

#[tokio::test]
async fn a_guest_moves_with_its_disk_there_and_back() {
    let (_net, one, two) = with_guest().await;
    for (from, target) in [(&one, &two), (&two, &one)] {
        let mut params = to(target.name.as_str());
        params["node"] = from.name.as_str().into();
        let log = done(from, "qemu_migrate", params).await.unwrap();
        let volume = "local:100/vm-100-disk-0.raw";
        let lines = [
            format!("starting migration of VM 100 to node '{}'", target.name),
            format!("found local disk '{volume}'"),
            format!("volume '{volume}' is '{volume}' on the target"),
        ];
        for line in lines {
            assert!(log.contains(&line), "{log:?}");
        }
        let is_end = |line: &String| line.starts_with("migration finished successfully");
        assert!(log.iter().any(is_end), "{log:?}");
        assert_eq!(record(&two).await.node, target.name);
        let images = std::path::Path::new("/var/lib/vz/images/100/vm-100-disk-0.raw");
        let is_at = async |node: &Node| {
            let host = &node.bench.context.node.host;
            host.stat(images).await.unwrap().is_some()
        };
        assert!(is_at(target).await && !is_at(from).await);
    }
    let guest = record(&one).await;
    assert_eq!((guest.epoch, guest.busy), (3, None));
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_moves() {
    let (_net, one, two) = with_guest().await;
    let before = record(&one).await;
    let storage = json!({"storage": "here", "type": "dir", "path": "/here", "nodes": "pve1"});
    one.bench.root().ok("storage_create", storage).await;
    let refused = async |more: Value| {
        let mut params = to("pve2");
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        one.bench.root().error("qemu_migrate", params).await
    };
    let field = |error: Error, name: &str| error.fields[name].clone();
    let error = refused(json!({"target": "pve1"})).await;
    assert_eq!(field(error, "target"), "target is local node.");
    let error = refused(json!({"target": "pve9"})).await;
    assert_eq!(error.message, "no such cluster node 'pve9'");
    let error = refused(json!({"targetstorage": "here"})).await;
    assert_eq!(
        error.message,
        "storage 'here' is not available on node 'pve2'"
    );
    let error = refused(json!({"targetstorage": "a1,b1"})).await;
    let why = field(error, "targetstorage");
    assert!(
        why.contains("default target ID can only be provided once"),
        "{why}"
    );
    let vmid = VmId::new(100).unwrap();
    let usb = |guest: &mut GuestRecord| {
        guest.config.set("usb0", "host=046d:c52b");
        Ok(())
    };
    let records = &one.bench.context.node.records;
    records.change_guest(vmid, usb).await.unwrap();
    let error = refused(json!({})).await;
    assert_eq!(
        error.message,
        "can't migrate VM which uses local devices: usb0"
    );
    drop(two);
    one.misses(&"pve2".parse().unwrap()).await;
    let error = refused(json!({"force": 1})).await;
    assert_eq!(error.message, "node 'pve2' is not online");
    let after = record(&one).await;
    assert_eq!((after.node, after.epoch), (before.node, before.epoch));
}

/// A request of the protocol between agents, about a task that the sender makes up.
fn asked(what: Value) -> Request {
    let upid = "UPID:pve1:00000001:00000001:00000001:qmigrate:100:root@pam:";
    let params = json!({"vmid": 100, "upid": upid, "what": what});
    Request {
        op: node::migration::OP.to_owned(),
        params: params.as_object().unwrap().clone(),
        credential: Credential::None,
        id: String::new(),
        address: None,
    }
}

#[tokio::test]
async fn only_the_owner_with_a_claim_gets_anything_from_a_target() {
    let (net, one, two) = with_guest().await;
    let prepare = json!({"prepare": {"version": 2, "volumes": []}});
    let three = net.authority.issue("pve3.agent");
    let stranger = net.intruder("pve3", &three, &two).await;
    let refused = stranger.client.request(asked(prepare.clone())).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::NodeLost);
    let hostile = net.intruder("pve1", net.certificate("pve1"), &two).await;
    let refused = hostile.client.request(asked(prepare.clone())).await;
    assert_eq!(
        refused.unwrap_err().message,
        "node 'pve1' does not move guest 100"
    );
    let volume = json!({"volume": "local:100/x.raw", "format": "raw", "bytes": 1});
    let refused = hostile
        .client
        .stream(asked(json!({"receive": volume})))
        .await;
    assert_eq!(refused.err().unwrap().message, "guest 100 is not expected");
    // Not even root of a unix socket.
    let what = asked(prepare).params;
    let error = one
        .bench
        .root()
        .error(node::migration::OP, what.into())
        .await;
    assert_eq!(error.kind, ErrorKind::NotImplemented);
    let look = json!({"look": {"processor": {"accel": "tcg"}}});
    let error = one.bench.root().error(node::migration::OP, look).await;
    assert_eq!(error.kind, ErrorKind::NotImplemented);
}

#[tokio::test]
async fn a_guest_moves_where_its_mappings_have_a_device() {
    let (_net, one, _two) = with_guest().await;
    let root = one.bench.root();
    let stick = json!({"id": "stick", "map": "node=pve1,id=1234:5678"});
    root.ok("mapping_usb_create", stick).await;
    let usb = json!({"node": "pve1", "vmid": 100, "usb0": "mapping=stick"});
    root.ok("qemu_configure", usb).await;
    let guest = json!({"node": "pve1", "vmid": 100});
    let found = root.ok("qemu_migrate_precondition", guest.clone()).await;
    assert_eq!(found["mapped-resources"], json!(["usb0"]));
    let pve2 = &found["not_allowed_nodes"]["pve2"];
    assert_eq!(pve2["unavailable-resources"], json!(["usb0"]));
    let refused = root.error("qemu_migrate", to("pve2")).await;
    assert_eq!(
        refused.message,
        "can't migrate to 'pve2': missing mapped devices usb0"
    );
    let map = json!(["node=pve1,id=1234:5678", "node=pve2,id=1234:5678"]);
    let both = json!({"id": "stick", "map": map});
    root.ok("mapping_usb_update", both).await;
    let found = root.ok("qemu_migrate_precondition", guest).await;
    assert_eq!(found["allowed_nodes"], json!(["pve2"]));
}

/// covers: S3.84
#[tokio::test]
async fn a_member_without_the_guests_storage_is_no_target() {
    let (_net, one, _two) = with_guest().await;
    let root = one.bench.root();
    let storage = json!({"storage": "here", "type": "dir", "path": "/here", "nodes": "pve1"});
    root.ok("storage_create", storage).await;
    let guest = json!({"node": "pve1", "vmid": 100});
    let precheck = async || {
        let found = root.ask("qemu_migrate_precondition", guest.clone()).await;
        found.map(|found| found.data)
    };
    let found = precheck().await.unwrap();
    assert_eq!(found["running"], 0);
    assert_eq!(found["local_resources"], json!([]));
    assert_eq!(found["allowed_nodes"], json!(["pve2"]));
    let disk: &Value = &found["local_disks"][0];
    assert_eq!(disk["volid"], "local:100/vm-100-disk-0.raw");
    assert_eq!(disk["size"], 1_u64 << 30);

    let more = json!({"node": "pve1", "vmid": 100, "scsi1": "here:1"});
    root.ok("qemu_configure", more).await;
    until("the other disk is made", async || {
        precheck()
            .await
            .is_ok_and(|found| found["allowed_nodes"] == json!([]))
    })
    .await;
    let found = precheck().await.unwrap();
    let why = json!({"pve2": {"unavailable_storages": ["here"]}});
    assert_eq!(found["not_allowed_nodes"], why);
}

/// covers: S0.19
#[tokio::test]
async fn the_precheck_finds_a_storage_that_is_not_shared() {
    let (_net, one, _two) = with_guest().await;
    let root = one.bench.root();
    let storage = json!({"storage": "common", "type": "dir", "path": "/common", "shared": 1});
    root.ok("storage_create", storage).await;
    let more = json!({"node": "pve1", "vmid": 100, "scsi1": "common:1"});
    root.ok("qemu_configure", more).await;
    let guest = json!({"node": "pve1", "vmid": 100});
    // The hosts of these nodes share nothing.
    let text = "storage 'common' is marked as shared, but node 'pve2' does not see what is \
                written here";
    let why = json!({"pve2": {"reasons": [text]}});
    until("the storage is found out", async || {
        let found = root.ask("qemu_migrate_precondition", guest.clone()).await;
        found.is_ok_and(|found| found.data["not_allowed_nodes"] == why)
    })
    .await;
    let host = &one.bench.context.node.host;
    until("no proof is left", async || {
        let files = host.list("/common".as_ref()).await.unwrap();
        !files.iter().any(|file| file.name.starts_with(".ostler-"))
    })
    .await;
}

#[tokio::test]
async fn what_is_linked_stays_while_it_is_stopped() {
    let (_net, one, _two) = with_guest().await;
    let guest = json!({"node": "pve1", "vmid": 100});
    done(&one, "qemu_template", guest).await.unwrap();
    let clone = json!({"node": "pve1", "vmid": 100, "newid": 101});
    done(&one, "qemu_clone", clone).await.unwrap();
    let root = one.bench.root();
    let error = root.error("qemu_migrate", to("pve2")).await;
    let base = "can't migrate local disk 'local:100/base-100-disk-0.raw'";
    assert_eq!(
        error.message,
        format!("{base}: it is the base of a template")
    );
    let clone = json!({"node": "pve1", "vmid": 101, "target": "pve2"});
    let error = root.error("qemu_migrate", clone).await;
    let why = "linked clones move only while they run, or as full clones";
    assert!(error.message.ends_with(why), "{error}");
}
