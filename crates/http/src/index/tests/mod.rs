//! The index, fed from a store and from status updates as an agent sends them.

mod followed;
mod kept;
mod members;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use auth::keys;
use auth::records::{AclEntry, AclNode, Pool, SubjectKind, User};
use model::schema::Values;
use model::{GuestConfig, GuestKind, GuestRecord, PoolId, Pressure, Record, Stall, UserId, VmId};
use proto::status::{GuestUsage, NodeUsage, StatusUpdate, StorageUsage, WatchMessage};
use proto::{Identity, table};
use serde_json::{Value, json};
use store::{Commit, Key, MemoryStore, SharedStore};
use testkit::ManualClock;

use super::{Content, Index};

/// An index with a store that it is fed from.
struct Fixture {
    clock: ManualClock,
    store: SharedStore,
    feed: store::Feed,
    index: Index,
}

impl Fixture {
    fn new() -> Self {
        let clock = ManualClock::default();
        let store: SharedStore = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
        let feed = store::feed(store.clone(), Vec::new());
        let index = Index::new(Arc::new(clock.clone())).with_fingerprint("pve1", "AA:BB".into());
        Self {
            clock,
            store,
            feed,
            index,
        }
    }

    async fn put(&self, key: Key, record: impl serde::Serialize + serde::de::DeserializeOwned) {
        let value = Record::new(record).encode().unwrap();
        self.store
            .commit(Commit::new().put(key, value))
            .await
            .unwrap();
    }

    async fn put_guest(&self, vmid: u32, name: &str) {
        self.put(
            Key::new(format!("guest/{vmid}")).unwrap(),
            guest(vmid, name),
        )
        .await;
    }

    /// Brings the index to where the store is.
    async fn catch_up(&mut self) {
        let (_, revision) = self
            .store
            .get(&Key::new("x").unwrap(), store::Read::Local)
            .await
            .unwrap();
        loop {
            let at = self.index.snapshot().revision;
            if at.is_some_and(|at| at >= revision) {
                return;
            }
            let message = self.feed.next().await.unwrap();
            self.index.accept(WatchMessage::Store(message)).unwrap();
        }
    }

    fn status(&self, update: StatusUpdate) {
        self.index.accept(WatchMessage::Status(update)).unwrap();
    }

    fn ask(&self, who: &Identity, op: &str, params: Value) -> Result<Value, model::Error> {
        let Value::Object(params) = params else {
            panic!("parameters are an object")
        };
        let row = table::row(op).unwrap();
        let params: Values = row.check_params(&params)?;
        Ok(self.index.ask(row, who, &params)?.data)
    }

    fn root(&self, op: &str, params: Value) -> Value {
        self.ask(&Identity::root(), op, params).unwrap()
    }
}

fn guest(vmid: u32, name: &str) -> GuestRecord {
    let mut config = GuestConfig::default();
    config.set("name", name);
    config.set("memory", "64");
    config.set("tags", "lab;web");
    config.set(
        "scsi0",
        format!("local:{vmid}/vm-{vmid}-disk-0.qcow2,size=1G"),
    );
    config.set("boot", "order=scsi0");
    config.set("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0");
    GuestRecord {
        config,
        ..GuestRecord::new(
            VmId::new(vmid).unwrap(),
            GuestKind::Qemu,
            "pve1".parse().unwrap(),
            0,
        )
    }
}

fn running(vmid: u32, uptime_s: u64) -> GuestUsage {
    let stopped = GuestUsage::stopped(VmId::new(vmid).unwrap());
    GuestUsage {
        running: true,
        pid: 7,
        uptime_s,
        cpus_busy: 0.5,
        memory: 80 << 20,
        disk_read: 512,
        net_in: 9,
        qmp_status: Some("paused".into()),
        pressure: Some(Pressure {
            cpu: Stall {
                some: 17.25,
                full: 17.11,
            },
            ..Pressure::default()
        }),
        ..stopped
    }
}

fn update(complete: bool, guests: Vec<GuestUsage>) -> StatusUpdate {
    let usage = NodeUsage {
        cpu: 0.25,
        cpus: 2,
        uptime_s: 60,
        cgroup: 2,
        ..NodeUsage::default()
    };
    let storage = StorageUsage {
        unreachable_since: None,
        troubles: Vec::new(),
        storage: "local".parse().unwrap(),
        active: true,
        used: 1,
        total: 2,
    };
    StatusUpdate {
        silent: false,
        node: "pve1".parse().unwrap(),
        complete,
        usage: complete.then_some(usage),
        guests,
        storages: complete.then(|| vec![storage]),
        alerts: None,
    }
}

#[tokio::test]
async fn cluster_resources() {
    let mut fixture = Fixture::new();
    fixture.put_guest(100, "vm100").await;
    fixture.catch_up().await;
    // The status of the guest was not reported yet.
    let rows = fixture.root("cluster_resources", json!({"type": "vm"}));
    let bare = json!([{"id": "qemu/100", "vmid": 100, "type": "qemu", "node": "pve1",
                       "status": "unknown"}]);
    assert_eq!(rows, bare);

    fixture.status(update(true, vec![]));
    let rows = fixture.root("cluster_resources", json!({"type": "vm"}));
    let recorded = json!({
        "diskread": 0, "maxdisk": 1_073_741_824, "name": "vm100", "cpu": 0.0,
        "maxmem": 67_108_864, "template": 0, "mem": 0, "id": "qemu/100", "memhost": 0,
        "netout": 0, "diskwrite": 0, "vmid": 100, "type": "qemu", "maxcpu": 1, "uptime": 0,
        "netin": 0, "status": "stopped", "node": "pve1", "disk": 0, "tags": "lab;web",
    });
    assert_eq!(rows[0], recorded);

    fixture.status(update(false, vec![running(100, 10)]));
    fixture.clock.advance(Duration::from_secs(5));
    let row = fixture.root("cluster_resources", json!({"type": "vm"}))[0].clone();
    let figures = (
        &row["status"],
        &row["uptime"],
        &row["cpu"],
        &row["diskread"],
        &row["netin"],
    );
    assert_eq!(
        figures,
        (
            &json!("running"),
            &json!(15),
            &json!(0.5),
            &json!(512),
            &json!(9)
        )
    );
    // More than it may have is the host's cost of it.
    assert_eq!(
        (&row["mem"], &row["memhost"]),
        (&json!(64 << 20), &json!(80 << 20))
    );

    fixture.status(update(
        false,
        vec![GuestUsage::stopped(VmId::new(100).unwrap())],
    ));
    let row = fixture.root("cluster_resources", json!({"type": "vm"}))[0].clone();
    assert_eq!(
        (&row["status"], &row["diskread"]),
        (&json!("stopped"), &json!(0))
    );
    let error = fixture.ask(
        &Identity::root(),
        "cluster_resources",
        json!({"type": "foo"}),
    );
    let error = error.unwrap_err();
    let text = "value 'foo' does not have a value in the enumeration 'vm, storage, node, sdn'";
    assert_eq!(error.fields["type"], text);
}

#[tokio::test]
async fn nodes_and_storages_have_rows_of_their_own() {
    let mut fixture = Fixture::new();
    let local = json!({"id": "local", "type": "dir", "path": "/x", "content": ["iso", "images"]});
    fixture.put(Key::new("storage/local").unwrap(), local).await;
    fixture.catch_up().await;
    fixture.status(update(true, vec![]));
    let storages = fixture.root("cluster_resources", json!({"type": "storage"}));
    let row = json!([{"id": "storage/pve1/local", "storage": "local", "node": "pve1",
        "type": "storage", "plugintype": "dir", "content": "iso,images", "shared": 0,
        "status": "available", "disk": 1, "maxdisk": 2}]);
    assert_eq!(storages, row);
    let mut gone = update(true, vec![]);
    let storage = &mut gone.storages.as_mut().unwrap()[0];
    (storage.active, storage.unreachable_since) = (false, Some(1000));
    fixture.status(gone);
    let storages = fixture.root("cluster_resources", json!({"type": "storage"}));
    assert_eq!(storages[0]["status"], "unknown");
    assert_eq!(storages[0]["unreachable-since"], 1000);
    let nodes = fixture.root("node_list", json!({}));
    let row = json!([{"id": "node/pve1", "node": "pve1", "type": "node", "status": "online",
        "level": "", "cpu": 0.25, "maxcpu": 2, "mem": 0, "maxmem": 0, "disk": 0, "maxdisk": 0,
        "uptime": 60, "ssl_fingerprint": "AA:BB"}]);
    assert_eq!(nodes, row);
    // An agent that says nothing any more has left no truth behind.
    fixture.clock.advance(Duration::from_secs(31));
    let nodes = fixture.root("cluster_resources", json!({"type": "node"}));
    let silent = json!([{"id": "node/pve1", "node": "pve1", "type": "node", "status": "unknown"}]);
    assert_eq!(nodes, silent);
    assert_eq!(
        fixture.root("cluster_resources", json!({"type": "sdn"})),
        json!([])
    );
}

#[tokio::test]
async fn lists_show_what_the_caller_may_see() {
    let mut fixture = Fixture::new();
    for vmid in 100..104 {
        fixture.put_guest(vmid, "vm").await;
    }
    fixture.catch_up().await;
    fixture.status(update(true, vec![]));
    let jane = UserId::new("jane@pve").unwrap();
    let who = Identity {
        user: jane.clone(),
        ..Identity::root()
    };
    let seen = |fixture: &Fixture| -> Vec<(String, Value)> {
        let rows = fixture.ask(&who, "cluster_resources", json!({})).unwrap();
        let rows = rows.as_array().unwrap().clone();
        rows.iter()
            .map(|row| (row["id"].as_str().unwrap().into(), row["pool"].clone()))
            .collect()
    };
    // That a node is there is no secret; what it does is.
    assert_eq!(seen(&fixture), [("node/pve1".to_owned(), Value::Null)]);
    fixture.put(keys::user(&jane), User::default()).await;
    let entry = |role: &str| AclNode {
        entries: vec![AclEntry {
            kind: SubjectKind::User,
            id: "jane@pve".into(),
            role: role.into(),
            propagate: true,
        }],
    };
    fixture
        .put(keys::acl("/vms/101").unwrap(), entry("PVEVMUser"))
        .await;
    fixture
        .put(keys::acl("/pool/lab").unwrap(), entry("PVEVMAdmin"))
        .await;
    let pool = Pool {
        guests: [102].into(),
        ..Pool::default()
    };
    fixture
        .put(keys::pool(&PoolId::new("lab").unwrap()), pool)
        .await;
    let before = fixture.index.generation();
    fixture.catch_up().await;
    assert!(fixture.index.generation() > before);
    let expected = [("qemu/101", Value::Null), ("qemu/102", json!("lab"))];
    let guests: Vec<(String, Value)> = seen(&fixture)
        .into_iter()
        .filter(|(id, _)| id.starts_with("qemu"))
        .collect();
    assert_eq!(guests, expected.map(|(id, pool)| (id.to_owned(), pool)));
    let list = fixture
        .ask(&who, "qemu_list", json!({"node": "pve1"}))
        .unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
}

/// QEMU is asked for its disks and its state only where all is asked for.
fn rows_have_what_was_recorded(fixture: &Fixture) {
    let names =
        |row: &Value| -> BTreeSet<String> { row.as_object().unwrap().keys().cloned().collect() };
    let with = |more: &[&str]| -> BTreeSet<String> {
        let always = [
            "cpu", "cpus", "disk", "maxdisk", "maxmem", "mem", "memhost", "name", "netin",
            "netout", "status", "tags", "uptime", "vmid",
        ];
        always
            .iter()
            .chain(more)
            .map(|name| (*name).to_owned())
            .collect()
    };
    let runs = [
        "pid",
        "pressurecpufull",
        "pressurecpusome",
        "pressureiofull",
        "pressureiosome",
        "pressurememoryfull",
        "pressurememorysome",
    ];
    let list = fixture.root("qemu_list", json!({"node": "pve1"}));
    assert_eq!(names(&list[0]), with(&runs));
    assert_eq!(names(&list[1]), with(&[]));
    assert_eq!(list[0]["pressurecpusome"], 17.25);
    let list = fixture.root("qemu_list", json!({"node": "pve1", "full": 1}));
    let full = [&runs[..], &["diskread", "diskwrite", "qmpstatus"]].concat();
    assert_eq!(names(&list[0]), with(&full));
    assert_eq!(names(&list[1]), with(&["qmpstatus"]));
}

#[tokio::test]
async fn qemu_list() {
    let mut fixture = Fixture::new();
    fixture.put_guest(100, "vm100").await;
    fixture.put_guest(101, "vm101").await;
    fixture.catch_up().await;
    fixture.status(update(true, vec![running(100, 1)]));
    let list = fixture.root("qemu_list", json!({"node": "pve1", "full": 1}));
    let words = |at: usize| (list[at]["status"].clone(), list[at]["qmpstatus"].clone());
    assert_eq!(words(0), (json!("running"), json!("paused")));
    assert_eq!(words(1), (json!("stopped"), json!("stopped")));
    assert_eq!((&list[0]["pid"], &list[0]["cpus"]), (&json!(7), &json!(1)));
    assert_eq!(list[0]["tags"], "lab;web");
    assert_eq!(list[1].get("pid"), None);
    rows_have_what_was_recorded(&fixture);
    let error = fixture
        .ask(&Identity::root(), "qemu_list", json!({"node": "other"}))
        .unwrap_err();
    assert!(
        error.message.starts_with("hostname lookup 'other' failed"),
        "{error}"
    );
    fixture
        .store
        .commit(Commit::new().delete(Key::new("guest/100").unwrap()))
        .await
        .unwrap();
    fixture.catch_up().await;
    let list = fixture.root("qemu_list", json!({"node": "pve1"}));
    assert_eq!(list.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn lxc_list() {
    let mut fixture = Fixture::new();
    fixture.put_guest(100, "vm100").await;
    fixture.catch_up().await;
    fixture.status(update(true, vec![]));
    // A machine is no container.
    let list = fixture.root("lxc_list", json!({"node": "pve1"}));
    assert_eq!(list, json!([]));
    let other = json!({"node": "other"});
    let error = fixture.ask(&Identity::root(), "lxc_list", other);
    assert!(error.unwrap_err().message.starts_with("hostname lookup"));
}

#[tokio::test]
async fn before_the_first_snapshot_nothing_is_claimed() {
    let fixture = Fixture::new();
    let error = fixture
        .ask(&Identity::root(), "cluster_resources", json!({}))
        .unwrap_err();
    assert_eq!(error.kind, model::ErrorKind::Unavailable);
    let directory = fixture.root("node_directory", json!({"node": "pve1"}));
    assert!(
        directory
            .as_array()
            .unwrap()
            .contains(&json!({"name": "qemu"}))
    );
}

#[tokio::test]
async fn a_replaced_store_is_read_anew() {
    let mut fixture = Fixture::new();
    fixture.put_guest(100, "old").await;
    fixture.catch_up().await;
    fixture
        .index
        .accept(WatchMessage::Store(store::FeedMessage::Moved))
        .unwrap();
    assert!(
        fixture
            .ask(&Identity::root(), "cluster_resources", json!({}))
            .is_err()
    );
    fixture.feed = store::feed(fixture.store.clone(), Vec::new());
    fixture.catch_up().await;
    let rows = fixture.root("cluster_resources", json!({"type": "vm"}));
    assert_eq!(rows.as_array().unwrap().len(), 1);
}

/// Prints what a list of many guests costs; run it with `--nocapture`.
#[tokio::test]
async fn two_thousand_guests_are_cheap() {
    let mut fixture = Fixture::new();
    for vmid in 100..2_100 {
        fixture.put_guest(vmid, "a-machine-with-a-name").await;
    }
    fixture.catch_up().await;
    fixture.status(update(
        true,
        (100..1_100).map(|vmid| running(vmid, 5)).collect(),
    ));
    let row = table::row("cluster_resources").unwrap();
    let jane = Identity {
        user: UserId::new("jane@pve").unwrap(),
        ..Identity::root()
    };
    fixture.put(keys::user(&jane.user), User::default()).await;
    let entries = vec![AclEntry {
        kind: SubjectKind::User,
        id: "jane@pve".into(),
        role: "PVEAuditor".into(),
        propagate: true,
    }];
    fixture
        .put(keys::acl("/").unwrap(), AclNode { entries })
        .await;
    fixture.catch_up().await;
    for (name, who) in [("root", Identity::root()), ("an auditor", jane)] {
        #[expect(clippy::disallowed_methods, reason = "this is about real time")]
        let begun = std::time::Instant::now();
        let Content::List(list) = fixture.index.answer(row, &who, &Values::default()).unwrap()
        else {
            panic!("a long list is kept")
        };
        let took = begun.elapsed();
        println!("2,000 guests for {name}: {} bytes in {took:?}", list.len());
        assert!(list.len() > 2_000 * 200);
    }
}
