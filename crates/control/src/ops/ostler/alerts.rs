//! `GET /ostler/alerts`

use model::{Error, Privilege};
use node::alerts::{Alert, Subject};
use proto::wire::Answer;
use serde_json::{Value, json};

use super::Op;

/// Other nodes find what is about themselves; what this one sees of the cluster is its own view.
pub(super) async fn alerts(op: Op) -> Result<Answer, Error> {
    let node = &op.context.node;
    let mut own = node.alerts.own();
    if !op.is_part() {
        own.extend(node.alerts.of_cluster());
    }
    let mut rows = op.others.clone();
    for alert in &own {
        if may_see(&op, &alert.subject).await? {
            rows.push(row(node.name.as_str(), alert));
        }
    }
    Ok(Answer::new(in_order(rows)))
}

fn row(node: &str, alert: &Alert) -> Value {
    json!({
        "id": alert.id,
        "node": node,
        "severity": alert.severity,
        "object": alert.subject.to_string(),
        "since": alert.since,
        "text": alert.text,
        "advice": alert.advice,
    })
}

/// Once each, errors first, the oldest first.
fn in_order(mut rows: Vec<Value>) -> Vec<Value> {
    let key = |row: &Value| (row["severity"] != "error", row["since"].as_i64());
    rows.sort_by(|one, other| one["id"].as_str().cmp(&other["id"].as_str()));
    rows.dedup_by(|one, other| one["id"] == other["id"]);
    rows.sort_by_key(key);
    rows
}

/// Callers who may see an object see what is wrong with it.
async fn may_see(op: &Op, subject: &Subject) -> Result<bool, Error> {
    match subject {
        Subject::Cluster => op.has("/", Privilege::SysAudit).await,
        Subject::Node(name) => op.has(&format!("/nodes/{name}"), Privilege::SysAudit).await,
        Subject::Guest(vmid) => op.has(&format!("/vms/{vmid}"), Privilege::VmAudit).await,
        Subject::Storage { storage, .. } => {
            let path = format!("/storage/{storage}");
            Ok(op.has(&path, Privilege::DatastoreAudit).await?
                || op.has(&path, Privilege::DatastoreAllocateSpace).await?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_come_first_and_nothing_twice() {
        let row = |id: &str, severity: &str, since: i64| json!({"id": id, "severity": severity, "since": since});
        let rows = in_order(vec![
            row("b", "warning", 1),
            row("a", "error", 9),
            row("c", "warning", 0),
            row("b", "warning", 5),
        ]);
        let ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
        assert_eq!(ids, ["a", "c", "b"]);
    }
}
