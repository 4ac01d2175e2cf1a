//! The change stream of a whole node: changed rows, current rights, and the end with the
//! credential.

use std::collections::BTreeMap;

use crate::harness::https::request;
use crate::harness::namespace::with_bridge;
use crate::harness::websocket::{CLOSE, PING, PONG, TEXT, Websocket};
use crate::harness::{TestNode, left_out, put_guest};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

const CHANGES: &str = "/api2/json/ostler/changes";

/// The header of a page from another site, and of one from ours.
const OTHER_SITE: (&str, &str) = ("Origin", "https://evil.example");
const OUR_SITE: (&str, &str) = ("Origin", "https://localhost");

struct Scene {
    node: TestNode,
    root: String,
    ann: String,
}

impl Scene {
    async fn new() -> Self {
        let node = TestNode::start(async |store| {
            for vmid in 100..110 {
                put_guest(store, vmid, &[("memory", "64".into())]).await;
            }
        })
        .await;
        let user = json!({"userid": "ann@pve", "password": "a good password"});
        node.call("user_create", user).await.unwrap();
        let acl = json!({"path": "/vms", "roles": "PVEVMUser", "users": "ann@pve"});
        node.call("acl_update", acl).await.unwrap();
        let (root, ann) = (
            token(&node, "root@pam").await,
            token(&node, "ann@pve").await,
        );
        Self { node, root, ann }
    }

    async fn call(&self, op: &str, params: Value) {
        self.node.call(op, params).await.unwrap();
    }

    async fn follow(&self, who: &str, since: &str) -> Follower {
        let path = format!("{CHANGES}?since={since}");
        let headers = [("Authorization", who), OUR_SITE];
        let opened = Websocket::open(self.node.port, &path, &headers).await;
        Follower {
            websocket: opened.unwrap().1,
            rows: BTreeMap::new(),
            revision: String::new(),
        }
    }

    /// A ticket's cookie, as a browser sends it.
    async fn cookie(&self, user: &str, password: &str) -> String {
        let password = utf8_percent_encode(password, NON_ALPHANUMERIC);
        let body = format!("username={user}&password={password}");
        let form = Some(("application/x-www-form-urlencoded", &*body));
        let path = "/api2/json/access/ticket";
        let answer = request(self.node.port, "POST", path, &[], form).await;
        let ticket = answer.json()["data"]["ticket"].clone();
        let ticket = utf8_percent_encode(ticket.as_str().unwrap(), NON_ALPHANUMERIC);
        format!("PVEAuthCookie={ticket}")
    }
}

async fn token(node: &TestNode, user: &str) -> String {
    let params = json!({"userid": user, "tokenid": "test", "privsep": 0});
    let made = node.call("token_create", params).await.unwrap().data;
    let secret = made["value"].as_str().unwrap().to_owned();
    format!("PVEAPIToken={user}!test={secret}")
}

/// A browser that applies the messages it gets.
struct Follower {
    websocket: Websocket,
    rows: BTreeMap<String, Value>,
    revision: String,
}

impl Follower {
    async fn message(&mut self) -> Value {
        let (opcode, payload) = self.websocket.receive().await;
        let text = String::from_utf8(payload).unwrap();
        assert_eq!(opcode, TEXT, "{text}");
        let message: Value = serde_json::from_str(&text).unwrap();
        if message["reset"] == 1 {
            self.rows.clear();
        }
        for id in message["gone"].as_array().unwrap() {
            self.rows.remove(id.as_str().unwrap());
        }
        for row in message["rows"].as_array().unwrap() {
            let id = row["id"].as_str().unwrap().to_owned();
            self.rows.insert(id, row.clone());
        }
        self.revision = message["revision"].as_str().unwrap().to_owned();
        message
    }

    /// Reads messages until the condition holds for its rows.
    async fn until(&mut self, holds: impl Fn(&BTreeMap<String, Value>) -> bool) {
        while !holds(&self.rows) {
            self.message().await;
        }
    }

    fn guests(&self) -> usize {
        guests(&self.rows)
    }

    /// Reads to the end; returns the close code.
    async fn end(mut self) -> u16 {
        loop {
            let (opcode, payload) = self.websocket.receive().await;
            if opcode == CLOSE {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
            assert_eq!(opcode, TEXT);
        }
    }
}

fn guests(rows: &BTreeMap<String, Value>) -> usize {
    rows.keys().filter(|id| id.starts_with("qemu/")).count()
}

#[test]
fn changes() {
    if left_out("changes") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let mut root = scene.follow(&scene.root, "").await;
        let first = root.message().await;
        assert_eq!((first["reset"].clone(), root.guests()), (json!(1), 10));
        root.websocket.send(PING, b"there").await;
        // A node may send changes at any time.
        let pong = loop {
            let (opcode, payload) = root.websocket.receive().await;
            if opcode != TEXT {
                break (opcode, payload);
            }
        };
        assert_eq!(pong, (PONG, b"there".to_vec()));
        let change = json!({"node": "pve1", "vmid": 103, "name": "other"});
        scene.call("qemu_configure", change).await;
        root.until(|rows| rows["qemu/103"]["name"] == "other").await;
        let guest = json!({"node": "pve1", "vmid": 104});
        assert_eq!(scene.node.task("qemu_destroy", guest).await, "OK");
        root.until(|rows| !rows.contains_key("qemu/104")).await;

        // A reconnected client only gets what it missed.
        let known = root.revision.clone();
        drop(root);
        let guest = json!({"node": "pve1", "vmid": 105});
        assert_eq!(scene.node.task("qemu_destroy", guest).await, "OK");
        let mut root = scene.follow(&scene.root, &known).await;
        let missed = root.message().await;
        assert_eq!(
            (&missed["reset"], &missed["gone"]),
            (&json!(0), &json!(["qemu/105"]))
        );
        // A polling client gets the same, without a websocket.
        let headers = [("Authorization", scene.root.clone())];
        let path = format!("{CHANGES}?since={known}");
        let asked = request(scene.node.port, "GET", &path, &headers, None).await;
        assert_eq!(asked.json()["data"]["gone"], json!(["qemu/105"]));
        // A restarted API counts from another start.
        scene.node.kill_role("api").await;
        let mut root = scene.follow(&scene.root, &known).await;
        assert_eq!(root.message().await["reset"], json!(1));
        assert_eq!(root.guests(), 8);
        // Clients must not send data.
        root.websocket.send(TEXT, b"hello").await;
        assert_eq!(root.end().await, 1008);
    });
}

#[test]
fn a_stream_shows_what_may_be_seen_now_and_ends_with_its_credential() {
    if left_out("changes") {
        return;
    }
    with_bridge(async {
        let mut scene = Scene::new().await;
        let mut root = scene.follow(&scene.root, "").await;
        let mut ann = scene.follow(&scene.ann, "").await;
        ann.message().await;
        assert_eq!((ann.guests(), ann.rows["node/pve1"].get("cpu")), (10, None));
        let acl = |path: &str, role: &str, delete: u8| json!({"path": path, "roles": role, "users": "ann@pve", "delete": delete});
        scene
            .call("acl_update", acl("/vms/103", "NoAccess", 0))
            .await;
        ann.until(|rows| !rows.contains_key("qemu/103")).await;
        assert_eq!(ann.guests(), 9);
        scene.call("acl_update", acl("/vms", "PVEVMUser", 1)).await;
        ann.until(|rows| guests(rows) == 0).await;
        scene.call("acl_update", acl("/vms", "PVEVMUser", 0)).await;
        ann.until(|rows| guests(rows) == 9).await;

        // It ends with its token, account or password.
        let token_of = json!({"userid": "ann@pve", "tokenid": "test"});
        scene.call("token_delete", token_of).await;
        assert_eq!(ann.end().await, 1008);
        scene.ann = token(&scene.node, "ann@pve").await;
        let mut ann = scene.follow(&scene.ann, "").await;
        ann.message().await;
        let enable = |enable: u8| json!({"userid": "ann@pve", "enable": enable});
        scene.call("user_update", enable(0)).await;
        assert_eq!(ann.end().await, 1008);
        scene.call("user_update", enable(1)).await;
        let cookie = scene.cookie("ann@pve", "a good password").await;
        let headers = [("Cookie", &*cookie), OUR_SITE];
        let opened = Websocket::open(scene.node.port, CHANGES, &headers).await;
        let mut browser = opened.unwrap().1;
        assert_eq!(browser.receive().await.0, TEXT);
        let password = json!({"userid": "ann@pve", "password": "another password"});
        scene.call("password_update", password).await;
        while browser.receive().await.0 != CLOSE {}
        // None of this closed root's stream.
        let change = json!({"node": "pve1", "vmid": 103, "name": "last"});
        scene.call("qemu_configure", change).await;
        root.until(|rows| {
            rows.get("qemu/103")
                .is_some_and(|row| row["name"] == "last")
        })
        .await;
    });
}

#[test]
fn a_stream_is_refused_to_other_sites_and_strangers() {
    if left_out("changes") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let port = scene.node.port;
        let cookie = scene.cookie("ann@pve", "a good password").await;
        let (cookie, token) = (("Cookie", &*cookie), ("Authorization", &*scene.ann));
        let other = ("Sec-WebSocket-Protocol", "binary");
        let ours = ("Sec-WebSocket-Protocol", "ostler.changes");
        for (path, headers, refusal) in [
            (CHANGES, vec![cookie, OTHER_SITE], "HTTP/1.1 403 "),
            (CHANGES, vec![token, OTHER_SITE], "HTTP/1.1 403 "),
            (CHANGES, vec![], "HTTP/1.1 401 No ticket"),
            (
                CHANGES,
                vec![("Authorization", "PVEAPIToken=ann@pve!test=no")],
                "HTTP/1.1 401 ",
            ),
            (CHANGES, vec![token, other], "HTTP/1.1 400 "),
        ] {
            let refused = Websocket::open(port, path, &headers).await.err().unwrap();
            assert!(refused.starts_with(refusal), "{refused} for {headers:?}");
        }
        // The maximum number of streams, and a further one only after one has ended.
        let mut open = Vec::new();
        for _ in 0..16 {
            let opened = Websocket::open(port, CHANGES, &[token, ours]).await;
            let (head, websocket) = opened.unwrap();
            let named = "sec-websocket-protocol: ostler.changes\r\n";
            assert!(head.to_ascii_lowercase().contains(named), "{head}");
            open.push(websocket);
        }
        let refused = Websocket::open(port, CHANGES, &[token])
            .await
            .err()
            .unwrap();
        assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
        let headers = [("Authorization", &*scene.root)];
        assert!(Websocket::open(port, CHANGES, &headers).await.is_ok());
        let mut last = open.pop().unwrap();
        last.send(CLOSE, &1000_u16.to_be_bytes()).await;
        while last.receive().await.0 != CLOSE {}
        crate::harness::until("a stream may be opened again", async || {
            Websocket::open(port, CHANGES, &[token]).await.is_ok()
        })
        .await;
    });
}
