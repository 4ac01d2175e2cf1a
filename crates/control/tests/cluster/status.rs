//! What a member knows of all of them.

use std::time::Duration;

use model::NodeName;
use node::NodeContext;
use proto::status::StatusUpdate;
use serde_json::json;

use crate::bench::JANE;
use crate::net::{Net, Node};

/// The next update about a node.
async fn report(context: &NodeContext, about: &NodeName) -> StatusUpdate {
    let mut reports = context.cluster.reports(&context.status);
    loop {
        let update = reports.next().await;
        if update.node == *about {
            return update;
        }
    }
}

/// Samples a node's status until the future ends.
async fn while_sampled<T>(node: &Node, future: impl Future<Output = T>) -> T {
    tokio::select! {
        () = node::sample(&node.bench.context.node) => unreachable!(),
        done = future => done,
    }
}

#[tokio::test]
async fn a_member_reports_to_all_and_is_missed_when_it_stops() {
    let (_net, one, two) = Net::two().await;
    let (context, name) = (one.bench.context.node.clone(), two.name.clone());
    let first = while_sampled(&two, report(&context, &name)).await;
    assert!(first.complete && !first.silent);
    let online = json!({"pve1": 1, "pve2": 1});
    let seen = async || {
        let rows = one.bench.root().ok("cluster_status", json!({})).await;
        let rows = rows.as_array().unwrap().clone();
        let state = |row: &serde_json::Value| {
            (
                row["name"].as_str().unwrap().to_owned(),
                row["online"].clone(),
            )
        };
        serde_json::Value::Object(rows.iter().map(state).collect())
    };
    assert_eq!(seen().await, online);
    drop(two);
    let missed = async {
        while !report(&context, &name).await.silent {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let limit = Duration::from_secs(8);
    tokio::time::timeout(limit, missed).await.unwrap();
    assert_eq!(seen().await, json!({"pve1": 1, "pve2": 0}));
}

#[tokio::test]
async fn tasks_and_the_log_are_those_of_all_nodes() {
    let (_net, one, two) = Net::two().await;
    let mut upids = Vec::new();
    for (node, vmid) in [("pve1", 100), ("pve2", 101)] {
        let create = json!({"node": node, "vmid": vmid});
        let upid = one.bench.root().ok("qemu_create", create).await;
        upids.push(upid.as_str().unwrap().to_owned());
    }
    for bench in [&one.bench, &two.bench] {
        let tasks = bench.root().ok("cluster_tasks", json!({})).await;
        let rows = tasks.as_array().unwrap();
        for upid in &upids {
            let count = rows.iter().filter(|row| row["upid"] == upid.as_str());
            assert_eq!(count.count(), 1, "{upid}: {tasks}");
        }
        let log = bench.root().ok("cluster_log", json!({"max": 100})).await;
        for upid in &upids {
            let text = format!("starting task {upid}");
            let mut rows = log.as_array().unwrap().iter();
            assert!(rows.any(|row| row["msg"] == text.as_str()), "{log}");
        }
        let short = bench.root().ok("cluster_log", json!({"max": 1})).await;
        assert_eq!(short.as_array().unwrap().len(), 1);
    }
    // A caller without rights sees no more than at one node.
    let jane = one.bench.jane().await;
    assert_eq!(
        jane.ok("cluster_tasks", json!({})).await,
        json!([]),
        "{JANE}"
    );
}
