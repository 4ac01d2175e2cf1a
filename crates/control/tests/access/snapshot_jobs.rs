//! Snapshot jobs: added, shown, changed and removed.

use serde_json::{Value, json};

use super::bench::Bench;

async fn refused(bench: &Bench, op: &str, params: Value, field: &str) -> String {
    let error = bench.root().error(op, params).await;
    let text = error.fields.get(field);
    text.unwrap_or_else(|| panic!("{op}: {error:?}")).clone()
}

#[tokio::test]
async fn a_job_is_added_shown_changed_and_removed() {
    let bench = Bench::new().await;
    let root = bench.root();
    assert_eq!(root.ok("snapshot_job_list", json!({})).await, json!([]));
    let daily = json!({"id": "daily", "schedule": "2:30", "vmid": "100,101", "keep-daily": 7});
    root.ok("snapshot_job_create", daily.clone()).await;
    let taken = refused(&bench, "snapshot_job_create", daily, "id").await;
    assert_eq!(taken, "Job 'daily' already exists");
    let one = json!({"id": "daily"});
    let shown = root.ok("snapshot_job_get", one.clone()).await;
    assert_eq!(
        root.ok("snapshot_job_list", json!({})).await,
        json!([shown])
    );
    assert_eq!(
        (&shown["vmid"], &shown["keep-daily"]),
        (&json!("100,101"), &json!(7))
    );
    assert_eq!((&shown["missed"], &shown["nodes"]), (&json!(0), &json!([])));
    let next = shown["next-run"].as_i64().unwrap();
    assert!(next > bench.now() && next <= bench.now() + 86_400, "{next}");
    assert!(shown.get("last-run").is_none(), "{shown}");

    // Other guests take the place of those before, and a change of the schedule is noted.
    let change = json!({"id": "daily", "all": 1, "exclude": "100", "digest": shown["digest"]});
    root.ok("snapshot_job_update", change.clone()).await;
    let changed = root.ok("snapshot_job_get", one.clone()).await;
    assert!(changed.get("vmid").is_none(), "{changed}");
    assert_eq!(changed["updated"], shown["updated"]);
    let stale = root.error("snapshot_job_update", change).await.message;
    assert!(
        stale.starts_with("detected modified configuration"),
        "{stale}"
    );
    let off = json!({"id": "daily", "enabled": 0, "delete": "keep-daily,exclude"});
    root.ok("snapshot_job_update", off).await;
    let off = root.ok("snapshot_job_get", one.clone()).await;
    assert!(
        off.get("next-run").is_none() && off.get("keep-daily").is_none(),
        "{off}"
    );
    assert!(off["updated"].as_i64() > shown["updated"].as_i64(), "{off}");

    assert_eq!(root.ok("snapshot_job_run", one.clone()).await, json!([]));
    root.ok("snapshot_job_delete", one.clone()).await;
    for op in ["get", "update", "delete", "run"] {
        let op = format!("snapshot_job_{op}");
        let missing = refused(&bench, &op, one.clone(), "id").await;
        assert_eq!(missing, "No such job 'daily'", "{op}");
    }
}

#[tokio::test]
async fn what_a_job_cannot_be_is_named() {
    let bench = Bench::new().await;
    let create = async |options: Value, field: &str| {
        let mut job = json!({"id": "daily", "schedule": "daily"});
        for (name, value) in options.as_object().unwrap() {
            job[name] = value.clone();
        }
        refused(&bench, "snapshot_job_create", job, field).await
    };
    for (options, field, reason) in [
        (json!({}), "vmid", "says which guests"),
        (
            json!({"vmid": "100", "all": 1}),
            "vmid",
            "not together with 'all'",
        ),
        (json!({"vmid": "7"}), "vmid", "valid VM ID"),
        (
            json!({"tag": "db", "exclude": "100"}),
            "exclude",
            "only together with 'all'",
        ),
        (
            json!({"pool": "nope"}),
            "pool",
            "pool 'nope' does not exist",
        ),
        (
            json!({"all": 1, "node": "nope"}),
            "node",
            "no such node 'nope'",
        ),
        (
            json!({"all": 1, "schedule": "every 5"}),
            "schedule",
            "invalid calendar event",
        ),
        (
            json!({"all": 1, "before": "config, migrate"}),
            "before",
            "'migrate' is none of config, resize, exec",
        ),
        (json!({"all": 1, "keep-last": -1}), "keep-last", "0"),
        (
            json!({"all": 1, "prefix": "1st"}),
            "prefix",
            "invalid configuration ID",
        ),
        (json!({"all": 1, "prefix": "x".repeat(25)}), "prefix", "24"),
    ] {
        let text = create(options.clone(), field).await;
        assert!(text.contains(reason), "{options}: {text}");
    }
    let never = json!({"id": "daily", "all": 1});
    let text = refused(&bench, "snapshot_job_create", never, "schedule").await;
    assert!(text.contains("say when"), "{text}");
    let list = bench.root().ok("snapshot_job_list", json!({})).await;
    assert_eq!(list, json!([]));
}

#[tokio::test]
async fn a_job_without_a_schedule_comes_before_changes() {
    let bench = Bench::new().await;
    let root = bench.root();
    let pre = json!({"id": "pre", "before": "config", "all": 1});
    root.ok("snapshot_job_create", pre).await;
    let shown = root.ok("snapshot_job_get", json!({"id": "pre"})).await;
    assert!(
        shown.get("schedule").is_none() && shown.get("next-run").is_none(),
        "{shown}"
    );
    let both = json!({"id": "pre", "schedule": "daily"});
    root.ok("snapshot_job_update", both).await;
    let shown = root.ok("snapshot_job_get", json!({"id": "pre"})).await;
    assert!(shown["next-run"].is_i64(), "{shown}");
    let never = json!({"id": "pre", "delete": "schedule,before"});
    refused(&bench, "snapshot_job_update", never, "schedule").await;
    root.ok(
        "snapshot_job_update",
        json!({"id": "pre", "delete": "schedule"}),
    )
    .await;
}
