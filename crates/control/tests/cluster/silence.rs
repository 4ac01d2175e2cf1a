//! Members that do not answer.

use std::time::Duration;

use model::ErrorKind;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::net::Net;

/// Passes on what clients and a node send, until it is stopped.
struct Relay {
    port: u16,
    stop: watch::Sender<bool>,
    _work: JoinSet<()>,
}

impl Relay {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (stop, stopped) = watch::channel(false);
        let mut work = JoinSet::new();
        work.spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                passing.spawn(pass(from_client, to_server, stopped.clone()));
                passing.spawn(pass(from_server, to_client, stopped.clone()));
            }
        });
        Self {
            port: own,
            stop,
            _work: work,
        }
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut stopped: watch::Receiver<bool>,
) {
    let mut block = vec![0; 4096];
    while let Ok(count @ 1..) = from.read(&mut block).await {
        let _ = stopped.wait_for(|stopped| !stopped).await;
        if to.write_all(&block[..count]).await.is_err() {
            return;
        }
    }
}

/// A port that accepts connections and never answers.
async fn mute() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn a_silent_member_is_answered_for_within_a_second() {
    let (net, one, two) = Net::two().await;
    let name = two.name.clone();
    drop(two);
    one.misses(&name).await;
    let ask = async || {
        let asked = one.bench.root();
        let (first, second) = tokio::join!(
            asked.error("node_dns", json!({"node": "pve2"})),
            asked.error("node_hosts", json!({"node": "pve2"})),
        );
        assert_eq!(first, second);
        (first.kind, first.message)
    };
    let limit = Duration::from_secs(1);
    let refused = tokio::time::timeout(limit, ask()).await.unwrap();
    let expected = (ErrorKind::NodeUnreachable, "Connection refused".to_owned());
    assert_eq!(refused, expected);
    let (_listener, port) = mute().await;
    net.enlist("pve2", &format!("127.0.0.1:{port}"), "00").await;
    let changed = || one.bench.context.node.cluster.members.get(&name).unwrap();
    crate::net::until("the record is known", async || {
        changed().fingerprint == "00"
    })
    .await;
    let silent = tokio::time::timeout(limit, ask()).await.unwrap();
    let expected = (
        ErrorKind::NodeUnreachable,
        "Connection timed out".to_owned(),
    );
    assert_eq!(silent, expected);
}

#[tokio::test]
async fn a_member_that_falls_silent_fails_what_it_was_asked_and_comes_back() {
    let mut net = Net::new();
    let one = net.start("pve1").await;
    let mut relay = None;
    let two = net.start_behind("pve2", async |port| {
        relay.insert(Relay::to(port).await).port
    });
    let two = two.await;
    let relay = relay.unwrap();
    one.hears(&two.name).await;
    two.hold.send_replace(true);
    let asked = one.bench.root();
    let pending = asked.error("node_dns", json!({"node": "pve2"}));
    let stopped = async {
        crate::net::until("the request has arrived", async || {
            !two.received.ops().is_empty()
        })
        .await;
        relay.stop.send_replace(true);
    };
    let (error, ()) = tokio::join!(pending, stopped);
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::NodeLost, "Connection timed out")
    );
    one.misses(&two.name).await;
    two.hold.send_replace(false);
    relay.stop.send_replace(false);
    one.hears(&two.name).await;
    one.bench
        .root()
        .ok("node_dns", json!({"node": "pve2"}))
        .await;
}
