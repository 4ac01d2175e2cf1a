//! Nodes that have a record, and whether they are heard.

use store::Commit;

use super::*;

fn states(fixture: &Fixture) -> Value {
    let rows = fixture.root("node_list", json!({}));
    let rows = rows.as_array().unwrap().iter();
    let state = |row: &Value| {
        (
            row["node"].as_str().unwrap().to_owned(),
            row["status"].clone(),
        )
    };
    Value::Object(rows.map(state).collect())
}

fn report(node: &str, silent: bool, guests: Vec<GuestUsage>) -> StatusUpdate {
    StatusUpdate {
        node: node.parse().unwrap(),
        silent,
        complete: !silent,
        ..update(true, guests)
    }
}

fn member(node: &str) -> Key {
    Key::new(format!("member/{node}")).unwrap()
}

#[tokio::test]
async fn a_member_is_shown_from_its_record_to_its_removal() {
    let mut fixture = Fixture::new();
    for node in ["pve1", "pve2"] {
        fixture.put(member(node), json!({"name": node})).await;
    }
    let mut there = guest(100, "vm100");
    there.node = "pve2".parse().unwrap();
    fixture.put(Key::new("guest/100").unwrap(), there).await;
    fixture.catch_up().await;
    assert_eq!(
        states(&fixture),
        json!({"pve1": "unknown", "pve2": "unknown"})
    );
    fixture.status(report("pve1", false, vec![]));
    fixture.status(report("pve2", false, vec![running(100, 60)]));
    assert_eq!(
        states(&fixture),
        json!({"pve1": "online", "pve2": "online"})
    );
    let guest_state = |fixture: &Fixture| {
        let rows = fixture.root("cluster_resources", json!({"type": "vm"}));
        rows[0]["status"].clone()
    };
    assert_eq!(guest_state(&fixture), "running");
    // The agent does not hear it any more.
    fixture.status(StatusUpdate {
        silent: true,
        ..StatusUpdate::of("pve2".parse().unwrap())
    });
    assert_eq!(
        states(&fixture),
        json!({"pve1": "online", "pve2": "offline"})
    );
    assert_eq!(guest_state(&fixture), "unknown");
    fixture.status(report("pve2", false, vec![]));
    assert_eq!(guest_state(&fixture), "stopped");
    let removed = Commit::new().delete(member("pve2"));
    fixture.store.commit(removed).await.unwrap();
    fixture.catch_up().await;
    assert_eq!(states(&fixture), json!({"pve1": "online"}));
    assert_eq!(guest_state(&fixture), "unknown");
}
