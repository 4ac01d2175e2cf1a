//! Cached and shared lists over a real API: each caller gets exactly what it may see.

use std::io::Read;

use crate::harness::https::{Response, request};
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out, put_guest};
use serde_json::{Value, json};

const FORM: &str = "application/x-www-form-urlencoded";
const GUESTS: &str = "/api2/json/cluster/resources?type=vm";

/// A node with guests, root, and two users without rights.
struct Scene {
    node: TestNode,
    root: String,
    ann: String,
    ben: String,
}

impl Scene {
    async fn new() -> Self {
        let node = TestNode::start(async |store| {
            for vmid in 100..180 {
                put_guest(store, vmid, &[("memory", "64".into())]).await;
            }
        })
        .await;
        let token = async |user: &str| {
            let params = json!({"userid": user, "tokenid": "test", "privsep": 0});
            let made = node.call("token_create", params).await.unwrap().data;
            let secret = made["value"].as_str().unwrap().to_owned();
            format!("PVEAPIToken={user}!test={secret}")
        };
        for user in ["ann@pve", "ben@pve"] {
            let params = json!({"userid": user});
            node.call("user_create", params).await.unwrap();
        }
        let [root, ann, ben] = [
            token("root@pam").await,
            token("ann@pve").await,
            token("ben@pve").await,
        ];
        Self {
            node,
            root,
            ann,
            ben,
        }
    }

    async fn get(&self, path: &str, who: &str, more: &[(&str, &str)]) -> Response {
        let mut headers = vec![("Authorization", who.to_owned())];
        headers.extend(
            more.iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        request(self.node.port, "GET", path, &headers, None).await
    }

    /// A change, as root, through the API: later reads there show it.
    async fn put(&self, path: &str, form: &str) {
        let headers = [("Authorization", self.root.clone())];
        let path = format!("/api2/json/{path}");
        let body = Some((FORM, form));
        let answer = request(self.node.port, "PUT", &path, &headers, body).await;
        assert_eq!(answer.status(), 200, "{form}: {}", answer.status_line);
    }
}

fn tag(answer: &Response) -> String {
    answer.header("etag").unwrap().to_owned()
}

fn unpacked(answer: &Response) -> Vec<u8> {
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut decoder = flate2::read::GzDecoder::new(&answer.body[..]);
    let mut text = Vec::new();
    decoder.read_to_end(&mut text).unwrap();
    assert!(decoder.into_inner().is_empty(), "a second gzip member");
    text
}

fn vmids(answer: &Response) -> Vec<u64> {
    let list = answer.json();
    let rows = list["data"].as_array().unwrap().iter();
    rows.map(|row| row["vmid"].as_u64().unwrap()).collect()
}

#[test]
fn a_client_is_not_sent_what_it_has() {
    if left_out("lists") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let root = &scene.root;
        let first = scene.get(GUESTS, root, &[]).await;
        assert_eq!((first.status(), vmids(&first).len()), (200, 80));
        for (name, value) in [
            ("content-type", "application/json;charset=UTF-8"),
            ("cache-control", "max-age=0"),
            ("pragma", "no-cache"),
            ("vary", "Accept-Encoding"),
        ] {
            assert_eq!(first.header(name), Some(value), "{name}");
        }
        let length = first.body.len().to_string();
        assert_eq!(first.header("content-length"), Some(&*length));
        let known = tag(&first);
        let again = scene.get(GUESTS, root, &[("If-None-Match", &known)]).await;
        assert_eq!(again.status_line, "HTTP/1.1 304 Not Modified");
        assert_eq!((tag(&again), again.body.len()), (known.clone(), 0));
        assert_eq!(again.header("content-type"), None);
        // The same list has another tag when it is compressed, or in another envelope.
        let gzip = ("Accept-Encoding", "gzip, br");
        let packed = scene
            .get(GUESTS, root, &[gzip, ("If-None-Match", &known)])
            .await;
        assert_eq!(unpacked(&packed), first.body);
        let packed_known = tag(&packed);
        let again = scene
            .get(GUESTS, root, &[gzip, ("If-None-Match", &packed_known)])
            .await;
        assert_eq!(again.status(), 304);
        let framed = GUESTS.replace("json", "extjs");
        let framed = scene.get(&framed, root, &[gzip]).await;
        let framed: Value = serde_json::from_slice(&unpacked(&framed)).unwrap();
        assert_eq!(
            (&framed["success"], &framed["data"]),
            (&json!(1), &first.json()["data"])
        );
        let page = GUESTS.replace("json", "htmljs");
        let page = scene.get(&page, root, &[]).await;
        assert!(page.body.starts_with(b"<html>") && page.header("etag").is_none());
        // A changed list is sent.
        scene.put("nodes/pve1/qemu/133/config", "name=other").await;
        for (known, more) in [(&known, None), (&packed_known, Some(gzip))] {
            let mut headers = vec![("If-None-Match", &**known)];
            headers.extend(more);
            let answer = scene.get(GUESTS, root, &headers).await;
            assert_eq!(answer.status(), 200);
            assert_ne!(tag(&answer), *known);
        }
    });
}

#[test]
fn two_users_alternate_on_lists_while_rights_come_and_go() {
    if left_out("lists") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let users = [("ann@pve", &scene.ann), ("ben@pve", &scene.ben)];
        // The guests that a user may see: a few change from one round to the next.
        let sees = |round: u64, user: u64| -> Vec<u64> {
            let of = |vmid: &u64| (vmid * 7 + round * (user + 3)) % 5 < 2 && vmid % 2 == user;
            (100..110).filter(of).collect()
        };
        let mut given: [Vec<u64>; 2] = Default::default();
        let mut tags: Vec<String> = Vec::new();
        for round in 0..12 {
            for (user, (name, _)) in users.iter().enumerate() {
                let next = sees(round, user as u64);
                for (vmids, delete) in [(&given[user], 1), (&next, 0)] {
                    for vmid in vmids {
                        let form = format!(
                            "path=/vms/{vmid}&users={name}&roles=PVEAuditor&delete={delete}"
                        );
                        scene.put("access/acl", &form).await;
                    }
                }
                given[user] = next;
            }
            for (user, (name, token)) in users.iter().enumerate().chain(users.iter().enumerate()) {
                // Tags of other users, and of earlier lists, give access to nothing.
                let known = tags.join(", ");
                for path in [GUESTS, "/api2/json/nodes/pve1/qemu"] {
                    let plain = scene.get(path, token, &[]).await;
                    assert_eq!(
                        vmids(&plain),
                        given[user],
                        "{name} in round {round}: {path}"
                    );
                    let asked = [("If-None-Match", &*known)];
                    let answer = scene.get(path, token, &asked).await;
                    if answer.status() == 304 {
                        assert_eq!(tag(&answer), tag(&plain));
                    } else {
                        assert_eq!(answer.body, plain.body);
                        tags.push(tag(&answer));
                    }
                }
            }
            let spared = tags.len().saturating_sub(30);
            tags.drain(..spared);
        }
        assert!(!tags.is_empty());
    });
}
