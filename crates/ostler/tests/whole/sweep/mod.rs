//! Every operation × every parameter × hostile values: each request is answered, and nothing
//! panics.

pub(crate) mod agent;
mod cases;
pub(crate) mod client;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, about, left_out};
use agent::InProcess;
use cases::{Case, hostile, many};
use client::{Login, Wire};

/// Simultaneous requests.
const AT_ONCE: usize = 16;

/// The time limit of a request: twice what an operation waits for a guest, and more.
const DEADLINE: Duration = Duration::from_secs(30);

/// Sends every case; returns how often each status occurred.
async fn send(wire: Arc<Wire>, login: Arc<Login>, cases: Vec<Case>) -> BTreeMap<u16, usize> {
    let answers = futures_util::stream::iter(cases).map(|case| {
        let (wire, login) = (wire.clone(), login.clone());
        async move {
            let asked = tokio::time::timeout(DEADLINE, wire.ask(&login, &case)).await;
            match asked {
                Ok(Ok(status)) => (status, case),
                Ok(Err(error)) => panic!("{case}: {error}"),
                Err(_) => panic!("{case}: not answered"),
            }
        }
    });
    let mut statuses = BTreeMap::new();
    let mut answers = answers.buffer_unordered(AT_ONCE);
    while let Some((status, case)) = answers.next().await {
        assert!(status >= 200, "{case}: {status}");
        *statuses.entry(status).or_default() += 1;
    }
    println!("{statuses:?}");
    statuses
}

fn total(statuses: &BTreeMap<u16, usize>) -> usize {
    statuses.values().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_value_of_any_parameter_is_left_unanswered() {
    let agent = InProcess::start().await;
    let wire = Arc::new(Wire::plain(agent.port));
    let login = Arc::new(wire.log_in("root@pam", "right").await);
    let statuses = send(wire.clone(), login.clone(), hostile()).await;
    assert!(total(&statuses) > 5_000, "{statuses:?}");
    // Most are refused as invalid parameters, which is the check that the values are for.
    assert!(statuses[&400] > 3_000, "{statuses:?}");
    assert_eq!(agent.panics(), Vec::<String>::new());
    let again = send(wire, login, vec![Case::version()]).await;
    assert_eq!(again, BTreeMap::from([(200, 1)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_credential_is_left_unanswered() {
    let agent = InProcess::start().await;
    let wire = Arc::new(Wire::plain(agent.port));
    let asked = cases::credentials().into_iter().map(|login| {
        let (wire, login) = (wire.clone(), Arc::new(login));
        send(wire, login, vec![Case::version()])
    });
    let is_refusal = |status: &u16| matches!(status, 400 | 401 | 431);
    for statuses in futures_util::future::join_all(asked).await {
        assert!(statuses.keys().all(is_refusal), "{statuses:?}");
    }
    assert_eq!(agent.panics(), Vec::<String>::new());
}

#[test]
#[ignore = "thorough: 100,000 requests"]
fn a_node_answers_100_000_strange_requests() {
    if left_out("sweep") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let made = node.call("qemu_create", about(100, json!({"memory": "64"})));
        let upid = made.await.unwrap().data;
        assert_eq!(node.ended(upid.as_str().unwrap()).await, "OK");
        let params = json!({"userid": "root@pam", "tokenid": "sweep", "privsep": 0});
        let secret = node.call("token_create", params).await.unwrap().data["value"].clone();
        let secret = secret.as_str().unwrap();
        let login = Arc::new(Login::token(&format!("root@pam!sweep={secret}")));
        let wire = Arc::new(Wire::tls(node.port));
        let statuses = send(wire.clone(), login.clone(), many(100_000)).await;
        assert!(total(&statuses) >= 100_000, "{statuses:?}");
        assert!(!node.log().contains("panicked"), "{}", node.log());
        let again = send(wire, login, vec![Case::version()]).await;
        assert_eq!(again, BTreeMap::from([(200, 1)]));
    });
}
