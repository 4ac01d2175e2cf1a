//! One caller floods the node, or waits for something that hangs: others are served as before.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::https::{request, try_request};
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, about, left_out, put_guest, tiny_disk, until};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const FORM: &str = "application/x-www-form-urlencoded";

/// A node with an administrator who works normally, and a user who floods it.
struct Scene {
    node: TestNode,
    root: String,
    jane: String,
}

impl Scene {
    async fn new(node: TestNode) -> Self {
        let call = async |op: &str, params: Value| node.call(op, params).await.unwrap().data;
        for user in ["jane@pve", "joe@pve"] {
            let user = json!({"userid": user, "password": "correct horse"});
            call("user_create", user).await;
        }
        let acl = json!({"path": "/", "roles": "PVEVMUser,PVEDatastoreAdmin", "users": "jane@pve"});
        call("acl_update", acl).await;
        let privs = json!({"roleid": "Onlooker", "privs": "VM.GuestAgent.Audit"});
        call("role_create", privs).await;
        let acl = json!({"path": "/vms/100", "roles": "Onlooker", "users": "jane@pve"});
        call("acl_update", acl).await;
        let token = async |user: &str| {
            let params = json!({"userid": user, "tokenid": "test", "privsep": 0});
            let made = call("token_create", params).await;
            let secret = made["value"].as_str().unwrap();
            format!("PVEAPIToken={user}!test={secret}")
        };
        let (root, jane) = (token("root@pam").await, token("jane@pve").await);
        Self { node, root, jane }
    }

    /// Everyday requests, ten times each: a login, a status, a change.
    async fn everyday(&self) -> Vec<Duration> {
        let root = [("Authorization", self.root.clone())];
        let mut slowest = vec![Duration::ZERO; 3];
        for round in 0..10 {
            let change = format!("description=round{round}");
            let requests = [
                (
                    "POST",
                    "/access/ticket",
                    Some("username=joe@pve&password=correct%20horse"),
                ),
                ("GET", "/nodes/pve1/status", None),
                ("PUT", "/nodes/pve1/qemu/101/config", Some(change.as_str())),
            ];
            for (what, (method, path, body)) in requests.into_iter().enumerate() {
                let path = format!("/api2/json{path}");
                let headers = if body.is_some_and(|body| body.starts_with("user")) {
                    &[][..]
                } else {
                    &root[..]
                };
                let body = body.map(|body| (FORM, body));
                let begun = Instant::now();
                let answer = request(self.node.port, method, &path, headers, body).await;
                slowest[what] = slowest[what].max(begun.elapsed());
                assert_eq!(answer.status(), 200, "{method} {path}");
            }
        }
        slowest
    }

    /// Sends the same request many times at once; returns the statuses, 0 if the server closed the
    /// connection, whose number is limited before authentication.
    fn flood(&self, count: usize, method: &'static str, path: &str) -> JoinSet<u16> {
        let mut asked = JoinSet::new();
        for _ in 0..count {
            let (port, path) = (self.node.port, format!("/api2/json{path}"));
            let headers = [("Authorization", self.jane.clone())];
            asked.spawn(async move {
                let body = (method == "POST").then_some((FORM, ""));
                let answer = try_request(port, method, &path, &headers, body).await;
                answer.map_or(0, |answer| answer.status())
            });
        }
        asked
    }
}

/// Prints the measurements; fails only if others had to wait for what hangs.
fn compare(what: &str, before: &[Duration], during: &[Duration]) {
    println!("{what}: slowest login, status, change {before:?}, meanwhile {during:?}");
    for (before, during) in before.iter().zip(during) {
        assert!(*during < *before * 10 + Duration::from_secs(2), "{what}");
    }
}

async fn all(mut asked: JoinSet<u16>) -> Vec<u16> {
    let mut statuses = Vec::new();
    while let Some(status) = asked.join_next().await {
        statuses.push(status.unwrap());
    }
    statuses
}

#[test]
fn pings_of_an_agent_that_is_stopped_hold_up_nothing_else() {
    with_bridge(async {
        if left_out("floods: pings") {
            return;
        }
        let Some(disk) = tiny_disk() else { return };
        let scene = Scene::new(TestNode::with_tiny(&disk).await).await;
        let node = &scene.node;
        let agent = about(100, json!({"agent": "1"}));
        node.call("qemu_configure", agent).await.unwrap();
        assert_eq!(node.task("qemu_start", about(100, json!({}))).await, "OK");
        let ping = async || node.call("agent_ping", about(100, json!({}))).await;
        until("the agent answers", async || ping().await.is_ok()).await;
        let before = scene.everyday().await;
        // With the guest's processors, its agent stops too.
        assert_eq!(node.task("qemu_suspend", about(100, json!({}))).await, "OK");
        let mut pings = scene.flood(280, "POST", "/nodes/pve1/qemu/100/agent/ping");
        let during = scene.everyday().await;
        compare("280 pings", &before, &during);
        // Most were refused before the first waiting one ended.
        for _ in 0..200 {
            let status = pings.join_next().await.unwrap().unwrap();
            assert!([0, 429].contains(&status), "{status}");
        }
        pings.shutdown().await;

        // Requests whose callers gave up do not count against the limits.
        let mut given_up = scene.flood(17, "POST", "/nodes/pve1/qemu/100/agent/ping");
        let first = given_up.join_next().await.unwrap();
        assert_eq!(first.unwrap(), 429, "the others wait");
        given_up.shutdown().await;
        let resumed = node.task("qemu_resume", about(100, json!({}))).await;
        assert_eq!(resumed, "OK");
        let begun = Instant::now();
        until("the agent answers", async || ping().await.is_ok()).await;
        println!("answered {:?} after sixteen were given up", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(20));
    });
}

/// A file system of which every call hangs until this value is dropped.
struct Hung(Child);

impl Hung {
    fn mount(on: &Path) -> Self {
        // The kernel asks the holder of the descriptor, which never answers.
        let script = "exec 9<>/dev/fuse && mount -i -t fuse -o \
                      fd=9,rootmode=40000,user_id=0,group_id=0 hung \"$1\" && echo hangs && cat";
        let mut child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(on)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
        assert_eq!(&said, b"hangs\n");
        Self(child)
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        // It ends with its input; its calls then fail.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn listings_of_a_storage_that_hangs_hold_up_nothing_else() {
    with_bridge(async {
        if left_out("floods: storage") {
            return;
        }
        if !Path::new("/dev/fuse").exists() {
            return testkit::left_out::not_here("floods: storage", "there is no /dev/fuse");
        }
        let node = TestNode::start(async |store| {
            put_guest(store, 101, &[("memory", "64".into())]).await;
        })
        .await;
        let scene = Scene::new(node).await;
        let node = &scene.node;
        let folder = node.root.join("srv/far");
        std::fs::create_dir_all(&folder).unwrap();
        let storage = json!({"storage": "far", "type": "dir", "path": folder, "content": "images"});
        node.call("storage_create", storage).await.unwrap();
        let content = "/nodes/pve1/storage/far/content";
        assert_eq!(all(scene.flood(1, "GET", content)).await, [200]);
        let before = scene.everyday().await;

        let hung = Hung::mount(&folder);
        let listings = scene.flood(20, "GET", content);
        let during = scene.everyday().await;
        compare("20 listings", &before, &during);
        let begun = Instant::now();
        assert!(all(listings).await.iter().all(|status| *status != 200));
        println!("the last of them was refused after {:?}", begun.elapsed());
        // By now it is known to hang, so it fails at once.
        let begun = Instant::now();
        let list = json!({"node": "pve1", "storage": "far"});
        let refused = node.call("volume_list", list.clone()).await.unwrap_err();
        assert_eq!(refused.message, "storage 'far' is not online");
        assert!(begun.elapsed() < Duration::from_secs(2));
        // Other storages are unaffected, and so is the node's own work.
        let local = json!({"node": "pve1", "storage": "local"});
        node.call("volume_list", local).await.unwrap();
        let create = about(102, json!({"memory": "64", "scsi0": "local:1"}));
        assert_eq!(node.task("qemu_create", create).await, "OK");
        until("the node says which is inactive", async || {
            let rows = node.call("node_storage_list", json!({"node": "pve1"}));
            let rows = rows.await.unwrap().data;
            let far = rows.as_array().unwrap().iter();
            far.clone()
                .any(|row| row["storage"] == "far" && row["active"] == 0)
        })
        .await;

        drop(hung);
        // The calls that hung give their files back one after the other.
        until("nothing holds what hung", async || {
            let unmounted = Command::new("umount").arg(&folder).status();
            unmounted.unwrap().success()
        })
        .await;
        until("it answers again", async || {
            node.call("volume_list", list.clone()).await.is_ok()
        })
        .await;
    });
}

#[test]
fn the_line_for_a_guest_is_bounded_and_a_stop_gets_through() {
    with_bridge(async {
        if left_out("floods: tasks") {
            return;
        }
        // Nothing in it reacts to the power button.
        let node = TestNode::start(async |store| {
            let options = [("memory", "64".into()), ("kvm", 0.into())];
            put_guest(store, 100, &options).await;
        })
        .await;
        assert_eq!(node.task("qemu_start", about(100, json!({}))).await, "OK");
        let timed_out = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout";
        let (mut waiting, mut refused) = (Vec::new(), 0);
        for _ in 0..100 {
            let patient = about(100, json!({"timeout": 600}));
            match node.call("qemu_shutdown", patient).await {
                Ok(answer) => waiting.push(answer.data.as_str().unwrap().to_owned()),
                Err(error) => {
                    assert_eq!(error.message, timed_out);
                    refused += 1;
                }
            }
        }
        assert!(
            refused > 0 && waiting.len() > 10,
            "{refused} {}",
            waiting.len()
        );
        // Waiting ones time out, with the text that clients match.
        let begun = Instant::now();
        assert_eq!(node.ended(&waiting[1]).await, timed_out);
        println!("one in the line ended after {:?}", begun.elapsed());
        // A stop goes before all of them.
        let late = node.call("qemu_shutdown", about(100, json!({"timeout": 600})));
        let late = late.await.unwrap().data;
        let begun = Instant::now();
        let stop = about(100, json!({"overrule-shutdown": 1}));
        assert_eq!(node.task("qemu_stop", stop).await, "OK");
        println!("the stop took {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(30));
        for upid in waiting.iter().map(String::as_str).chain(late.as_str()) {
            assert_ne!(node.ended(upid).await, "OK");
        }
    });
}

/// Moves a folder to a file system of its own, of 24 MiB.
fn onto_a_small_file_system(folder: &Path) {
    let small = folder.with_file_name("small");
    std::fs::create_dir(&small).unwrap();
    let script = "mount -t tmpfs -o size=24m,mode=755 none \"$1\" && cp -a \"$2/.\" \"$1\" && \
                  mount --move \"$1\" \"$2\"";
    let done = Command::new("sh")
        .args(["-e", "-c", script, "sh"])
        .args([small.as_path(), folder])
        .status()
        .unwrap();
    assert!(done.success());
}

#[test]
fn a_full_disk_of_state_keeps_no_guest_from_being_stopped() {
    with_bridge(async {
        if left_out("floods: full disk") {
            return;
        }
        let mut node = TestNode::start(async |store| {
            let options = [("memory", "64".into()), ("kvm", 0.into())];
            put_guest(store, 100, &options).await;
            put_guest(store, 101, &options).await;
        })
        .await;
        let state = node.root.join("var/lib/ostler");
        node.restart_after(|| onto_a_small_file_system(&state))
            .await;
        for vmid in [100, 101] {
            assert_eq!(node.task("qemu_start", about(vmid, json!({}))).await, "OK");
        }
        // Completely.
        let filler = state.join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
        // Requests that are not needed to end something are refused without an effect. The last
        // page of the journal may still have room for a line or two: what was accepted is done.
        let mut vmid = 200;
        let why = loop {
            let created = node.call("qemu_create", about(vmid, json!({"scsi0": "local:1"})));
            match created.await {
                Ok(answer) => println!("{}", node.ended(answer.data.as_str().unwrap()).await),
                Err(error) => break error.message,
            }
            vmid += 1;
        };
        println!("VM {vmid}: {why}");
        // The reserved space is for this: the guest is stopped, and the task ends.
        for vmid in [100, 101] {
            assert_eq!(node.task("qemu_stop", about(vmid, json!({}))).await, "OK");
            let status = node.call("qemu_status", about(vmid, json!({}))).await;
            assert_eq!(status.unwrap().data["status"], "stopped");
        }
        let start = node.call("qemu_start", about(100, json!({}))).await;
        println!("start: {}", start.unwrap_err().message);
        drop(file);
        std::fs::remove_file(&filler).unwrap();
        assert_eq!(node.task("qemu_start", about(100, json!({}))).await, "OK");
        let list = json!({"node": "pve1", "source": "all", "typefilter": "qmstop"});
        let tasks = node.call("task_list", list).await.unwrap().data;
        assert_eq!(tasks.as_array().unwrap().len(), 2);
        assert!(
            node.call("qemu_config", about(102, json!({})))
                .await
                .is_err()
        );
    });
}
