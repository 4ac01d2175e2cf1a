//! Silent and slow clients at the front of the API do not keep others out.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, https, left_out};
use crate::sweep::agent::InProcess;
use crate::sweep::client::{Login, Wire};

/// A served request is answered within this time, also on a busy host.
const SOON: Duration = Duration::from_secs(5);

async fn connected(port: u16, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // A connection that was closed to make room fails here.
    let _ = stream.write_all(text.as_bytes()).await;
    stream
}

/// Everything that still arrives; empty if the connection is reset.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

async fn answer(port: u16, text: &str) -> String {
    let mut stream = connected(port, text).await;
    let answered = tokio::time::timeout(SOON, rest(&mut stream)).await;
    answered.unwrap_or_else(|_| panic!("no answer to {}", &text[..text.len().min(200)]))
}

/// Requests the version as root; returns the time that it took.
async fn asked(wire: &Wire) -> Duration {
    let began = Instant::now();
    let login = wire.log_in("root@pam", "right").await;
    read(wire, &login, "version").await;
    began.elapsed()
}

async fn read(wire: &Wire, login: &Login, path: &str) {
    let request = format!(
        "GET /api2/json/{path} HTTP/1.1\r\nHost: pve1\r\nConnection: close\r\n{}\r\n",
        login.text()
    );
    let answered = answer(wire.port(), &request).await;
    assert!(answered.starts_with("HTTP/1.1 200 OK\r\n"), "{answered}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_strangers_do_not_keep_others_out() {
    let agent = InProcess::start().await;
    let wire = Wire::plain(agent.port);
    let body =
        "POST /api2/json/access/ticket HTTP/1.1\r\nHost: pve1\r\nContent-Length: 16000\r\n\r\nx";
    for begun in ["", "GET /api2/json/version HT", body] {
        let strangers = join_all((0..1_100).map(|_| connected(agent.port, begun))).await;
        let took = asked(&wire).await;
        assert!(took < SOON, "{took:?} after '{begun}'");
        drop(strangers);
    }
    assert_eq!(agent.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_says_nothing_is_closed() {
    let agent = InProcess::start().await;
    for (begun, end) in [
        ("", ""),
        ("GET /api2/json/version HT", ""),
        (
            "POST /api2/json/access/ticket HTTP/1.1\r\nHost: pve1\r\nContent-Length: 9\r\n\r\nx",
            "HTTP/1.1 408 ",
        ),
    ] {
        let mut stream = connected(agent.port, begun).await;
        let ended = tokio::time::timeout(Duration::from_secs(20), rest(&mut stream)).await;
        let ended = ended.unwrap_or_else(|_| panic!("'{begun}' is still waited for"));
        assert!(ended.starts_with(end), "{ended}");
    }
}

/// None of these is waited for or read to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_right_is_refused_early() {
    let agent = InProcess::start().await;
    let login = Wire::plain(agent.port).log_in("root@pam", "right").await;
    let (login, token) = (login.text(), "Authorization: PVEAPIToken=root@pam!t=x\r\n");
    let long = "a".repeat(60_000);
    let head = "HTTP/1.1\r\nHost: pve1\r\n";
    let huge = "Content-Length: 10737418240\r\n\r\nx";
    let cases = [
        (
            format!("POST /api2/json/access/ticket {head}{huge}"),
            "501 for data too large",
        ),
        (
            format!("POST /api2/json/pools {head}{login}{huge}"),
            "501 for data too large",
        ),
        (
            format!("POST /api2/json/access/ticket {head}Content-Length: 16385\r\n\r\nx"),
            "501 for data too large",
        ),
        // No body is read before the credential is verified.
        (
            format!("POST /api2/json/pools {head}{huge}"),
            "401 No ticket",
        ),
        (
            format!("POST /api2/json/pools {head}{token}{huge}"),
            "401 Authentication failed!",
        ),
        (
            format!("POST /api2/json/pools {head}{token}Transfer-Encoding: chunked\r\n\r\n"),
            "401 Authentication failed!",
        ),
        (
            format!("GET /api2/json/version {head}host: other\r\n{login}\r\n"),
            "400 more than one Host header",
        ),
        (
            format!("GET /api2/json/{long} {head}{login}\r\n"),
            "414 the path is longer than 4096 bytes",
        ),
    ];
    for (request, expected) in cases {
        let answered = answer(agent.port, &request).await;
        let line = answered.lines().next().unwrap_or_default();
        assert_eq!(line, format!("HTTP/1.1 {expected}"));
    }
    let path = format!("GET /{long} {head}\r\n");
    let answered = answer(agent.port, &path).await;
    assert!(answered.len() < 2_000, "{} bytes", answered.len());
    // Refused requests leave nothing behind.
    assert!(asked(&Wire::plain(agent.port)).await < SOON);
}

/// A failed login takes three seconds, and does not block others meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delayed_refusals_do_not_keep_others_out() {
    let agent = InProcess::start().await;
    let request = "GET /api2/json/version HTTP/1.1\r\nHost: pve1\r\n\r\n";
    let refused = join_all((0..1_100).map(|_| connected(agent.port, request))).await;
    let took = asked(&Wire::plain(agent.port)).await;
    assert!(took < SOON, "{took:?}");
    let answers = refused
        .into_iter()
        .map(|mut stream| async move { rest(&mut stream).await });
    let answers = join_all(answers).await;
    let told = answers
        .iter()
        .filter(|answer| answer.starts_with("HTTP/1.1 401 No ticket"));
    let told = told.count();
    assert!((1..=448).contains(&told), "{told}");
}

#[test]
fn a_node_serves_over_tls_while_strangers_wait() {
    if left_out("front") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let params = json!({"userid": "root@pam", "tokenid": "front", "privsep": 0});
        let made = node.call("token_create", params).await.unwrap().data;
        let secret = made["value"].as_str().unwrap();
        let token = format!("PVEAPIToken=root@pam!front={secret}");
        // The first byte of a handshake, and nothing.
        let begun = ["\u{16}", ""].into_iter().cycle().take(1_100);
        let _strangers = join_all(begun.map(|begun| connected(node.port, begun))).await;
        for _ in 0..3 {
            let headers = [("Authorization", token.clone())];
            let path = "/api2/json/version";
            let asked = https::request(node.port, "GET", path, &headers, None);
            let answer = tokio::time::timeout(SOON, asked).await.unwrap();
            assert_eq!(answer.status(), 200);
        }
    });
}
