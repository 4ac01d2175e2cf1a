//! The age of snapshots, and what is removed of them.

use model::{GuestConfig, GuestRecord, Snapshot, VmId};
use serde_json::{Value, json};

use super::bench::Bench;

const DAY_S: i64 = 86_400;

/// Two guests with snapshots that are two and forty days old.
async fn bench() -> Bench {
    let bench = Bench::with_jane().await;
    for vmid in [100, 101] {
        bench.add_guest(vmid, "guest").await;
        let now = bench.now();
        let add = |guest: &mut GuestRecord| {
            for (name, days, job) in [("new", 2, None), ("old", 40, Some("daily".to_owned()))] {
                let snapshot = Snapshot {
                    config: GuestConfig::default(),
                    description: None,
                    parent: None,
                    created: now - days * DAY_S,
                    memory: None,
                    state: None,
                    job,
                };
                guest.snapshots.insert(name.to_owned(), snapshot);
            }
            Ok(())
        };
        let records = &bench.context.node.records;
        records
            .change_guest(VmId::new(vmid).unwrap(), add)
            .await
            .unwrap();
    }
    bench
}

fn names(rows: &Value) -> Vec<String> {
    let rows = rows.as_array().unwrap().iter();
    let name = |row: &Value| format!("{}:{}", row["vmid"], row["name"].as_str().unwrap());
    rows.map(name).collect()
}

/// Of the bench's node.
fn here(mut params: Value) -> Value {
    params["node"] = "pve1".into();
    params
}

// covers: S3.77
#[tokio::test]
async fn old_snapshots_are_listed_and_go_only_when_they_are_named_or_counted() {
    let bench = bench().await;
    let root = bench.root();
    let all = root.ok("cluster_snapshot_list", json!({})).await;
    assert_eq!(names(&all), ["100:old", "101:old", "100:new", "101:new"]);
    assert_eq!(
        (&all[0]["age"], &all[0]["job"]),
        (&json!(40 * DAY_S), &json!("daily"))
    );
    let old = json!({"older-than": 30, "vmid": 101});
    let old = root.ok("cluster_snapshot_list", old).await;
    assert_eq!(names(&old), ["101:old"]);

    let prune = "node_snapshot_prune";
    let plan = root.ok(prune, here(json!({"older-than": 30}))).await;
    assert_eq!(names(&plan), ["100:old", "101:old"]);
    let named = root.ok(prune, here(json!({"snapshots": "100:new"}))).await;
    assert_eq!(names(&named), ["100:new"]);
    for (params, field) in [
        (json!({"older-than": 30, "dry-run": 0}), "confirm"),
        (
            json!({"older-than": 30, "dry-run": 0, "confirm": 3}),
            "confirm",
        ),
        (
            json!({"snapshots": "100:new", "dry-run": 0, "confirm": 2}),
            "confirm",
        ),
        (json!({"dry-run": 0}), "snapshots"),
        (
            json!({"snapshots": "100:new", "older-than": 1}),
            "snapshots",
        ),
        (json!({"snapshots": "100:nope", "dry-run": 0}), "snapshots"),
        (json!({"snapshots": "new"}), "snapshots"),
    ] {
        let error = root.error(prune, here(params.clone())).await;
        assert!(error.fields.contains_key(field), "{params}: {error:?}");
    }
    // Nothing of all this has removed anything.
    assert_eq!(root.ok("cluster_snapshot_list", json!({})).await, all);
    let go = json!({"older-than": 30, "dry-run": 0, "confirm": 2});
    let begun = root.ok(prune, here(go)).await;
    assert_eq!(names(&begun), ["100:old", "101:old"]);
    let upid = begun[0]["upid"].as_str().unwrap().parse().unwrap();
    let ended = bench.context.tasks.wait(&upid).await.unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    let left = root.ok("cluster_snapshot_list", json!({})).await;
    assert_eq!(names(&left), ["100:new", "101:new"]);
}

// covers: S3.77
#[tokio::test]
async fn a_caller_sees_and_removes_what_the_rights_allow() {
    let bench = bench().await;
    let (root, jane) = (bench.root(), bench.jane().await);
    let none = jane.ok("cluster_snapshot_list", json!({})).await;
    assert_eq!(none, json!([]));
    let audit = json!({"path": "/vms/100", "roles": "PVEAuditor", "users": "jane@pve"});
    root.ok("acl_update", audit).await;
    let seen = jane.ok("cluster_snapshot_list", json!({})).await;
    assert_eq!(names(&seen), ["100:old", "100:new"]);
    let plan = json!({"older-than": 1});
    let plan = jane.ok("node_snapshot_prune", here(plan)).await;
    assert_eq!(plan, json!([]));
    let named = json!({"snapshots": "100:old", "dry-run": 0});
    let refused = jane.error("node_snapshot_prune", here(named.clone())).await;
    assert_eq!(refused.kind, model::ErrorKind::Forbidden, "{refused:?}");
    let role = json!({"path": "/vms/100", "roles": "PVEVMAdmin", "users": "jane@pve"});
    root.ok("acl_update", role).await;
    let more = json!({"snapshots": "100:old,101:old", "dry-run": 0});
    let refused = jane.error("node_snapshot_prune", here(more)).await;
    assert_eq!(refused.kind, model::ErrorKind::Forbidden, "{refused:?}");
    let begun = jane.ok("node_snapshot_prune", here(named)).await;
    assert_eq!(names(&begun), ["100:old"]);
}
