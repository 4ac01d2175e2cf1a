//! A cluster whose etcd does not answer: guests run on, reads go on, changes wait.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proto::Credential;
use proto::wire::{Client, Request};
use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::left_out::missing;
use tokio::task::JoinHandle;

use crate::cluster_create::{create, describe, node, pid_of_guest, pvecm};
use crate::harness::cluster::{TestCluster, etcd_program, with_cluster_bridge};
use crate::harness::https::request;
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, about, kill, left_out, until};

/// Within this every read is answered, whatever happens to etcd.
const READ_LIMIT: Duration = Duration::from_millis(2500);
/// Within this a change is refused once the loss is known.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);
const NO_QUORUM: &str = "cluster not ready - no quorum?";

/// A cluster of one node with a running guest.
struct Scene {
    node: TestNode,
    etcd: PathBuf,
    guest: Value,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let Some(etcd) = etcd_program(folder.path()) else {
            missing(test, "there is no etcd in the cache of ./x");
            return None;
        };
        let node = node(&etcd).await;
        assert_eq!(node.task("qemu_start", about(100, json!({}))).await, "OK");
        assert_eq!(create(&node, "lab", "127.0.0.1").await.unwrap(), "OK");
        let guest = pid_of_guest(&node).await;
        Some(Self {
            node,
            etcd,
            guest,
            _folder: folder,
        })
    }

    /// Waits until a text that was committed is in the node's copy.
    async fn copied(&self, text: &str) {
        let folder = self.node.root.join("var/lib/ostler/replica");
        until("the copy has it", async || {
            let files = ["replica.db", "replica.db-wal"].map(|name| folder.join(name));
            let mut contents = files.iter().filter_map(|file| std::fs::read(file).ok());
            contents.any(|content| {
                content
                    .windows(text.len())
                    .any(|part| part == text.as_bytes())
            })
        })
        .await;
    }

    /// Waits until the loss of etcd is known.
    async fn lost(&self) {
        until("the loss is known", async || {
            let status = self.node.call("cluster_status", json!({})).await;
            status.unwrap().data[0]["quorate"] == 0
        })
        .await;
    }

    /// Waits until changes are accepted again.
    async fn back(&self, text: &str) {
        until("changes are accepted", async || {
            describe(&self.node, text).await.is_ok()
        })
        .await;
        let (code, printed) = pvecm(&self.node, "status");
        assert_eq!(code, Some(0), "{printed}");
        let config = self.node.call("qemu_config", about(101, json!({}))).await;
        let config = config.unwrap();
        assert_eq!(
            (&config.data["description"], config.age_s),
            (&text.into(), None)
        );
        assert_eq!(pid_of_guest(&self.node).await, self.guest);
    }

    async fn status(&self, vmid: u32) -> Value {
        let status = self.node.call("qemu_status", about(vmid, json!({})));
        status.await.unwrap().data["status"].clone()
    }

    async fn is_refused(&self, op: &str, params: Value) {
        let begun = Instant::now();
        let refused = self.node.call(op, params).await.unwrap_err();
        let took = begun.elapsed();
        assert!(refused.message.starts_with(NO_QUORUM), "{op}: {refused:?}");
        assert!(took < REFUSAL_LIMIT, "{op} was refused after {took:?}");
    }

    /// What a node does without quorum, and what not.
    async fn works_alone(&self) {
        let node = &self.node;
        for op in ["qemu_config", "qemu_status"] {
            let answer = node.call(op, about(100, json!({}))).await.unwrap();
            assert!(answer.age_s.is_some(), "{op}");
        }
        self.is_refused("qemu_configure", about(101, json!({"description": "no"})))
            .await;
        self.is_refused("qemu_start", about(101, json!({}))).await;
        let user = json!({"userid": "late@pve", "password": "secret99"});
        self.is_refused("user_create", user).await;
        let todisk = about(100, json!({"todisk": 1}));
        self.is_refused("qemu_suspend", todisk).await;
        for (op, state) in [("qemu_suspend", "paused"), ("qemu_resume", "running")] {
            assert_eq!(node.task(op, about(100, json!({}))).await, "OK");
            let monitor = about(100, json!({"command": "info status"}));
            let said = node.call("qemu_monitor", monitor).await.unwrap().data;
            assert!(said.as_str().unwrap().contains(state), "{said}");
        }
        assert_eq!(node.task("qemu_reset", about(100, json!({}))).await, "OK");
        let tasks = node.call("task_list", json!({"node": "pve1"})).await;
        assert!(tasks.unwrap().data[0]["upid"].is_string());
        assert_eq!(pid_of_guest(node).await, self.guest);
        let (code, printed) = pvecm(node, "status");
        assert_eq!(code, Some(2), "{printed}");
        for part in ["1 Activity blocked\n", "no quorum: this is the state of "] {
            assert!(printed.contains(part), "{printed}");
        }
    }
}

/// Reads without a pause until it is stopped; the longest wait for an answer, and their number.
struct Reader {
    is_over: Arc<AtomicBool>,
    reading: JoinHandle<(Duration, usize)>,
}

impl Reader {
    fn begin(node: &TestNode) -> Self {
        let client = Client::new(node.root.join("run/ostler/node.sock"));
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        let reading = tokio::spawn(async move {
            let (mut longest, mut count) = (Duration::ZERO, 0);
            while !ends.load(Ordering::Acquire) {
                let begun = Instant::now();
                let Value::Object(params) = about(101, json!({})) else {
                    unreachable!()
                };
                let request = Request {
                    op: "qemu_config".to_owned(),
                    params,
                    credential: Credential::Peer,
                    id: count.to_string(),
                    address: None,
                };
                client.request(request).await.unwrap();
                longest = longest.max(begun.elapsed());
                count += 1;
            }
            (longest, count)
        });
        Self { is_over, reading }
    }

    async fn end(self) {
        self.is_over.store(true, Ordering::Release);
        let (longest, count) = self.reading.await.unwrap();
        println!("{count} reads, the longest took {longest:?}");
        assert!(longest < READ_LIMIT, "a read took {longest:?}");
    }
}

fn signal(pid: u32, signal: Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Replaces a program.
fn replace(program: &Path, content: &[u8]) {
    let new = program.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(new, program).unwrap();
}

/// covers: S1.4 S2.7
#[test]
fn an_etcd_that_stands_still_stops_changes_and_nothing_else() {
    if left_out("minority: a silent etcd") {
        return;
    }
    with_bridge(async {
        let Some(scene) = Scene::new("minority: a silent etcd").await else {
            return;
        };
        let node = &scene.node;
        let user = json!({"userid": "ann@pve", "password": "secret99"});
        node.call("user_create", user).await.unwrap();
        let login = async || {
            let form = "application/x-www-form-urlencoded";
            let body = Some((form, "username=ann@pve&password=secret99"));
            let path = "/api2/json/access/ticket";
            request(node.port, "POST", path, &[], body).await
        };
        let before = login().await;
        assert_eq!(before.header("ostler-state-age"), None);
        let ticket = before.json()["data"]["ticket"].as_str().unwrap().to_owned();

        let reader = Reader::begin(node);
        let etcd = node.etcd().unwrap();
        signal(etcd, Signal::STOP);
        scene.lost().await;
        scene.works_alone().await;
        reader.end().await;
        let during = login().await;
        assert_eq!(during.status(), 200, "{during:?}");
        assert!(during.json()["data"]["ticket"].is_string());
        let cookie = [("Cookie", format!("PVEAuthCookie={ticket}"))];
        let list = request(node.port, "GET", "/api2/json/nodes", &cookie, None).await;
        assert_eq!(list.status(), 200, "{list:?}");
        assert!(list.header("ostler-state-age").is_some(), "{list:?}");
        node.kill_role("node").await;
        scene.works_alone().await;
        signal(etcd, Signal::CONT);
        scene.back("after the silence").await;
        assert_eq!(node.etcd(), Some(etcd));
        let after = request(node.port, "GET", "/api2/json/nodes", &cookie, None).await;
        assert_eq!(after.header("ostler-state-age"), None);
    });
}

/// covers: S1.4 S2.7
#[test]
fn a_node_starts_without_etcd_and_goes_on_by_itself_when_it_is_back() {
    if left_out("minority: no etcd") {
        return;
    }
    with_bridge(async {
        let Some(scene) = Scene::new("minority: no etcd").await else {
            return;
        };
        let node = &scene.node;
        let on_boot = about(101, json!({"onboot": 1}));
        node.call("qemu_configure", on_boot).await.unwrap();
        describe(node, "before the loss").await.unwrap();
        scene.copied("before the loss").await;
        let reader = Reader::begin(node);
        let works = std::fs::read(&scene.etcd).unwrap();
        replace(&scene.etcd, b"#!/bin/sh\nexit 1\n");
        kill(node.etcd().unwrap());
        scene.lost().await;
        reader.end().await;

        // As if the machine had booted.
        std::fs::remove_file(node.root.join("var/lib/ostler/last-boot")).unwrap();
        node.kill_role("node").await;
        node.kill_role("api").await;
        scene.works_alone().await;
        assert!(node.log().contains("waiting for quorum ..."));
        assert_eq!(scene.status(101).await, "stopped");
        let config = node
            .call("qemu_config", about(101, json!({})))
            .await
            .unwrap();
        assert_eq!(config.data["description"], "before the loss");
        let reader = Reader::begin(node);
        replace(&scene.etcd, &works);
        scene.back("after the loss").await;
        reader.end().await;
        until("the guest that starts at boot runs", async || {
            scene.status(101).await == "running"
        })
        .await;

        // A stop needs no quorum.
        replace(&scene.etcd, b"#!/bin/sh\nexit 1\n");
        kill(node.etcd().unwrap());
        scene.lost().await;
        assert_eq!(node.task("qemu_stop", about(100, json!({}))).await, "OK");
        replace(&scene.etcd, &works);
        until("a guest starts again", async || {
            let started = node.call("qemu_start", about(100, json!({}))).await;
            match started {
                Ok(upid) => node.ended(upid.data.as_str().unwrap()).await == "OK",
                Err(_) => false,
            }
        })
        .await;
    });
}

/// A change of the cluster's state, asked for at a node.
async fn describe_cluster(node: &TestNode, text: &str) -> Result<(), model::Error> {
    let change = json!({"description": text});
    node.call("cluster_options_update", change).await.map(drop)
}

/// covers: S0.7 S2.7 S3.83
#[test]
fn a_node_that_is_cut_off_keeps_its_guests_and_names_the_missing_nodes() {
    with_cluster_bridge(async {
        let Some(cluster) = TestCluster::start(3).await else {
            return;
        };
        cluster.form().await;
        let [n1, _, n3] = &cluster.nodes[..] else {
            unreachable!()
        };
        let own = |more: Value| {
            let mut params = json!({"node": "n3", "vmid": 300});
            params
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            params
        };
        let small = own(json!({"memory": "32", "kvm": 0, "vga": "none"}));
        assert_eq!(n3.task("qemu_create", small).await, "OK");
        assert_eq!(n3.task("qemu_start", own(json!({}))).await, "OK");
        let status = async || {
            let status = n3.call("qemu_status", own(json!({}))).await;
            status.unwrap().data
        };
        let guest = status().await["pid"].clone();

        cluster.cut(3);
        until("both others are missing", async || {
            let refused = describe_cluster(n3, "alone").await.unwrap_err().message;
            refused.starts_with(NO_QUORUM) && refused.contains("not heard: n1, n2;")
        })
        .await;
        until("the others go on", async || {
            describe_cluster(n1, "without n3").await.is_ok()
        })
        .await;
        n3.kill_role("node").await;
        let options = n3.call("cluster_options", json!({})).await.unwrap();
        assert_ne!(
            options.data["description"].as_str().unwrap_or(""),
            "without n3"
        );
        assert!(options.age_s.is_some());
        assert_eq!(status().await["pid"], guest);
        assert_eq!(n3.task("qemu_reset", own(json!({}))).await, "OK");
        assert_eq!(n3.task("qemu_stop", own(json!({}))).await, "OK");

        cluster.heal(3);
        until("n3 is back", async || {
            n3.call("qemu_start", own(json!({}))).await.is_ok()
        })
        .await;
        until("its guest runs", async || {
            status().await["status"] == "running"
        })
        .await;
        let options = n3.call("cluster_options", json!({})).await.unwrap();
        let description = options.data["description"].as_str().unwrap().trim();
        assert_eq!((description, options.age_s), ("without n3", None));
    });
}
