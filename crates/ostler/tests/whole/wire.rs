//! The wire protocol as a client sees it: TLS, redirects, formats, limits, refusals.

use std::io::Read;
use std::time::Duration;

use crate::harness::https::{Response, connector, exchange, request};
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const FORM: &str = "application/x-www-form-urlencoded";

struct Site {
    node: TestNode,
    token: Vec<(&'static str, String)>,
}

async fn site() -> Site {
    let node = TestNode::start(async |_| {}).await;
    let params = json!({"userid": "root@pam", "tokenid": "wire", "privsep": 0});
    let made = node.call("token_create", params).await.unwrap().data;
    let value = made["value"].as_str().unwrap();
    let token = vec![(
        "Authorization",
        format!("PVEAPIToken=root@pam!wire={value}"),
    )];
    Site { node, token }
}

impl Site {
    async fn get(&self, path: &str) -> Response {
        request(self.node.port, "GET", path, &self.token, None).await
    }

    async fn post(&self, path: &str, content_type: &str, body: &str) -> Response {
        let path = format!("/api2/json/{path}");
        let body = Some((content_type, body));
        request(self.node.port, "POST", &path, &self.token, body).await
    }

    async fn login(&self, user: &str, password: &str) -> Response {
        let body = format!("username={user}&password={password}");
        let body = Some((FORM, body.as_str()));
        request(
            self.node.port,
            "POST",
            "/api2/json/access/ticket",
            &[],
            body,
        )
        .await
    }
}

// covers: S2.78
#[test]
fn formats_limits_and_strange_requests() {
    if left_out("wire") {
        return;
    }
    with_bridge(async {
        let site = site().await;
        let version = site.get("/api2/json/version").await;
        assert_eq!(version.status_line, "HTTP/1.1 200 OK");
        assert!(
            version
                .header("server")
                .unwrap()
                .starts_with("pve-api-daemon/3.0")
        );
        assert_eq!(version.header("cache-control"), Some("max-age=0"));
        let missing = site.get("/api2/extjs/nodes/pve1/qemu/999/config").await;
        assert_eq!(missing.status_line, "HTTP/1.1 200 OK");
        let missing = missing.json();
        assert_eq!(
            (&missing["success"], &missing["status"]),
            (&json!(0), &json!(500))
        );
        let conflict = site.get("/api2/json/nodes/pve1/status?node=other").await;
        assert_eq!(conflict.status(), 400);
        let text = "duplicate parameter (already defined in URI) with conflicting values!";
        assert_eq!(conflict.json()["errors"]["node"], text);
        let path = "/api2/json/version";
        let body = request(
            site.node.port,
            "GET",
            path,
            &site.token,
            Some((FORM, "a=1")),
        )
        .await;
        assert_eq!(
            body.status_line,
            "HTTP/1.1 501 Unexpected content for method 'GET'"
        );
        let large = format!("poolid=p&comment={}", "x".repeat(600 * 1024));
        let body = Some((FORM, large.as_str()));
        let refused = request(
            site.node.port,
            "POST",
            "/api2/json/pools",
            &site.token,
            body,
        )
        .await;
        assert_eq!(refused.status_line, "HTTP/1.1 501 for data too large");
        let viewer = request(site.node.port, "GET", "/pve-docs/api-viewer/", &[], None).await;
        assert!(String::from_utf8_lossy(&viewer.body).contains("Operations"));
    });
}

#[test]
fn gzip_for_those_who_ask_and_only_where_it_is_worth_it() {
    if left_out("wire gzip") {
        return;
    }
    with_bridge(async {
        let site = site().await;
        let mut headers = site.token.clone();
        headers.push(("Accept-Encoding", "gzip, deflate".into()));
        let path = "/api2/json/access/roles";
        let packed = request(site.node.port, "GET", path, &headers, None).await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packed.body[..])
            .read_to_string(&mut text)
            .unwrap();
        let plain = site.get(path).await;
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            plain.json()
        );
        assert!(packed.body.len() < plain.body.len() && plain.header("content-encoding").is_none());
        let small = request(site.node.port, "GET", "/api2/json/version", &headers, None).await;
        assert_eq!(small.header("content-encoding"), None);
    });
}

#[test]
fn tls_1_2_and_1_3_never_http_2_and_plain_http_is_sent_on() {
    if left_out("wire tls") {
        return;
    }
    with_bridge(async {
        let site = site().await;
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let tcp = tokio::net::TcpStream::connect(("127.0.0.1", site.node.port))
                .await
                .unwrap();
            let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
            let stream = connector(&[version], &["h2", "http/1.1"])
                .connect(name, tcp)
                .await
                .unwrap();
            let session = stream.get_ref().1;
            assert_eq!(session.protocol_version(), Some(version.version));
            assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
            let answer = exchange(stream, "GET /api2/json/version HTTP/1.0\r\n\r\n").await;
            assert_eq!(answer.status(), 401);
        }
        let mut plain = tokio::net::TcpStream::connect(("127.0.0.1", site.node.port))
            .await
            .unwrap();
        plain
            .write_all(b"GET /x?y=1 HTTP/1.1\r\nHost: node:8006\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        plain.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 301 "), "{answer}");
        assert!(
            answer.contains("\r\nLocation: https://node:8006/x?y=1\r\n"),
            "{answer}"
        );
    });
}

/// A refusal takes three seconds, and at most ten wrong passwords a minute are checked: beyond that
/// the right one is refused too.
#[test]
fn guessing_passwords_takes_time_and_ends() {
    if left_out("wire login") {
        return;
    }
    with_bridge(async {
        let site = site().await;
        let user = json!({"userid": "eve@pve", "password": "the right one"});
        site.node.call("user_create", user).await.unwrap();
        assert_eq!(site.login("eve@pve", "the+right+one").await.status(), 200);
        let started = tokio::time::Instant::now();
        let wrong = (0..10).map(|_| site.login("eve@pve", "wrong"));
        for refused in futures_util::future::join_all(wrong).await {
            assert_eq!(refused.status_line, "HTTP/1.1 401 authentication failure");
            assert_eq!(refused.json()["data"], serde_json::Value::Null);
        }
        assert!(started.elapsed() >= Duration::from_secs(3));
        assert_eq!(site.login("eve@pve", "the+right+one").await.status(), 401);
        let params = json!({"userid": "adam@pve", "password": "another one"});
        site.node.call("user_create", params).await.unwrap();
        assert_eq!(site.login("adam@pve", "another+one").await.status(), 200);
    });
}

#[test]
fn this_node_is_localhost_and_ids_have_one_form() {
    if left_out("wire") {
        return;
    }
    with_bridge(async {
        let site = site().await;
        for path in ["status", "tasks", "qemu", "storage/local/status"] {
            let answer = site
                .get(&format!("/api2/json/nodes/localhost/{path}"))
                .await;
            assert_eq!(answer.status(), 200, "{path}: {}", answer.status_line);
        }
        let top = site.get("/api2/json/").await.json();
        let words = top["data"].as_array().unwrap().iter();
        let words: Vec<&str> = words.map(|row| row["subdir"].as_str().unwrap()).collect();
        for word in ["access", "cluster", "nodes", "pools", "storage", "version"] {
            assert!(words.contains(&word), "{words:?}");
        }
        let json = "application/json";
        let create = r#"{"vmid": 7012.0, "memory": 64.0, "hotplug": "", "sshkeys": "", "cores": 1.0,
            "digest": null}"#;
        let made = site.post("nodes/localhost/qemu", json, create).await;
        assert_eq!(made.status(), 200, "{}", made.status_line);
        let upid = made.json()["data"].as_str().unwrap().to_owned();
        assert!(upid.starts_with("UPID:pve1:"), "{upid}");
        assert_eq!(site.node.ended(&upid).await, "OK");
        let change = "digest=&memory=128";
        let config = "nodes/localhost/qemu/7012/config";
        let changed = site.post(config, FORM, change).await;
        assert_eq!(changed.status(), 200, "{}", changed.status_line);
        for (path, body, field) in [
            ("nodes/localhost/qemu", "vmid=5", "vmid"),
            ("nodes/localhost/qemu", "vmid=07013", "vmid"),
            ("nodes/localhost/qemu/7012/clone", "newid=07014", "newid"),
            ("nodes/localhost/qemu/07012/clone", "newid=7014", "vmid"),
        ] {
            let refused = site.post(path, FORM, body).await;
            assert_eq!(refused.status(), 400, "{body}");
            let text = "invalid format - value does not look like a valid VM ID\n";
            assert_eq!(refused.json()["errors"][field], text, "{body}");
        }
        let nothing = site.post("cluster/nextid", json, "null").await;
        assert_eq!(nothing.status(), 200, "{}", nothing.status_line);
    });
}
