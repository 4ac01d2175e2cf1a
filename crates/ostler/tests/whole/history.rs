//! History of whole nodes: rows, pictures, metrics.

use std::path::PathBuf;

use history::{GUEST, NODE, Object};
use model::VmId;
use serde_json::{Value, json};

use crate::harness::https::request;
use crate::harness::namespace::with_bridge;
use crate::harness::past::put_history;
use crate::harness::session::root_session;
use crate::harness::{TestNode, left_out, put_guest, tiny_disk, until};

fn guest() -> Object {
    Object::Guest(VmId::new(100).unwrap())
}

fn about_guest(timeframe: &str) -> Value {
    json!({"node": "pve1", "vmid": 100, "timeframe": timeframe})
}

/// The known values of a column of an answer.
async fn known(node: &TestNode, op: &str, params: Value, column: &str) -> Vec<f64> {
    let rows = node.call(op, params).await.unwrap().data;
    let rows = rows.as_array().unwrap().clone();
    rows.iter().filter_map(|row| row[column].as_f64()).collect()
}

fn file(node: &TestNode) -> PathBuf {
    node.root.join("var/lib/ostler/history/guest/100")
}

// covers: S3.66
#[test]
fn history_outlives_the_agent_and_goes_with_the_guest() {
    if left_out("history") {
        return;
    }
    with_bridge(async {
        let mut cookie = String::new();
        let mut node = TestNode::start(async |store| {
            put_guest(store, 100, &[("cores", 2.into())]).await;
            cookie = format!("PVEAuthCookie={}", root_session(store).await.0);
        })
        .await;
        node.end();
        put_history(&node.root, (0..=20).rev(), &[(guest(), &[("cpu", 0.25)])]).await;
        node.start_again();
        node.ready().await;
        let before = known(&node, "qemu_rrddata", about_guest("hour"), "cpu").await;
        assert!(before.len() >= 19, "{before:?}");
        assert!(before.iter().all(|cpu| *cpu == 0.25));
        node.kill_role("node").await;
        let after = known(&node, "qemu_rrddata", about_guest("hour"), "cpu").await;
        assert!(after.len() >= before.len() - 1, "{after:?}");

        let headers = [("Cookie", cookie)];
        let path = "/api2/png/nodes/pve1/qemu/100/rrd?timeframe=hour&ds=cpu,mem";
        until("the API has the agent again", async || {
            let picture = request(node.port, "GET", path, &headers, None).await;
            picture.header("content-type") == Some("image/png")
                && picture.body.starts_with(b"\x89PNG")
        })
        .await;
        let path = "/api2/json/nodes/pve1/qemu/100/rrd?timeframe=hour&ds=cpu,mem,disk";
        let refused = request(node.port, "GET", path, &headers, None).await;
        assert_eq!(
            refused.status_line,
            "HTTP/1.1 500 fixme: no color definition"
        );

        assert!(file(&node).exists());
        assert_eq!(
            node.task("qemu_destroy", json!({"node": "pve1", "vmid": 100}))
                .await,
            "OK"
        );
        until("its history is gone", async || !file(&node).exists()).await;
    });
}

#[test]
fn cluster_metrics_export() {
    if left_out("metrics") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |store| {
            put_guest(store, 100, &[("memory", "64".into())]).await;
        })
        .await;
        let export = async |params| {
            let data = node
                .call("cluster_metrics_export", params)
                .await
                .unwrap()
                .data;
            data["data"].as_array().unwrap().clone()
        };
        let mut metrics = Vec::new();
        until("guest and storage were measured", async || {
            metrics = export(json!({"local-only": 1})).await;
            let has = |id: &str| {
                let mut found = metrics.iter().filter(|metric| metric["id"] == id);
                found.any(|metric| {
                    metric["metric"] == "disk_total" && (id == "qemu/100" || metric["value"] != 0)
                })
            };
            has("qemu/100") && has("storage/pve1/local")
        })
        .await;
        let of = |id: &str, name: &str| {
            let found = metrics
                .iter()
                .find(|metric| metric["id"] == id && metric["metric"] == name);
            found.map(|metric| metric["value"].clone())
        };
        assert_eq!(of("qemu/100", "mem_total"), Some(json!(64 << 20)));
        assert_eq!(of("qemu/100", "mem_used"), None);
        assert!(of("node/pve1", "mem_used").unwrap().as_u64().unwrap() > 0);
        let all = export(json!({"history": 1, "node-list": "pve1"})).await;
        assert!(all.len() >= metrics.len());
        let last = metrics[0]["timestamp"].clone();
        let later = export(json!({"start-time": last})).await;
        assert!(
            later
                .iter()
                .all(|metric| metric["timestamp"].as_i64() > last.as_i64())
        );
        let refused = node
            .call("cluster_metrics_export", json!({"node-list": "pve1,pve9"}))
            .await;
        let error = refused.unwrap_err();
        let text = "Requested node-list contains unknown nodes - pve9";
        assert_eq!(
            error.fields.get("node-list").map(String::as_str),
            Some(text)
        );
    });
}

#[test]
#[ignore = "thorough: waits for the ends of two minutes"]
fn a_guest_that_runs_is_recorded_each_minute() {
    if left_out("recording") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let node = TestNode::with_tiny(&disk).await;
        let start = json!({"node": "pve1", "vmid": 100});
        assert_eq!(node.task("qemu_start", start).await, "OK");
        let rows = async |op, params| node.call(op, params).await.unwrap().data;
        let last = |rows: &Value| rows.as_array().unwrap().last().cloned().unwrap_or_default();
        for _ in 0..2 {
            let before = last(&rows("qemu_rrddata", about_guest("hour")).await);
            let mut now = before.clone();
            for _ in 0..2 {
                // A minute, and the sample after its end.
                let later = async || {
                    now = last(&rows("qemu_rrddata", about_guest("hour")).await);
                    now["time"] != before["time"] && now["cpu"].is_number()
                };
                if tokio::time::timeout(
                    std::time::Duration::from_secs(45),
                    until("a minute ends", later),
                )
                .await
                .is_ok()
                {
                    break;
                }
            }
            for column in GUEST
                .iter()
                .filter(|column| !column.starts_with("pressure"))
            {
                assert!(now[*column].is_number(), "{column}: {now}");
            }
            assert!(now["mem"].as_f64().unwrap() > 0.0, "{now}");
        }
        let now = last(&rows("node_rrddata", json!({"node": "pve1", "timeframe": "hour"})).await);
        for column in NODE {
            assert!(now[*column].is_number(), "{column}: {now}");
        }
    });
}
