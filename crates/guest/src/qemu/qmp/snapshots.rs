//! Internal snapshots of the images of a running guest.

use serde_json::{Value, json};

use super::commands::{SLOW, unexpected};
use super::{Qmp, QmpError};

impl Qmp {
    /// Takes a snapshot of each of these nodes, of all at one moment, or of none.
    pub async fn snapshot_nodes(&self, nodes: &[String], name: &str) -> Result<(), QmpError> {
        let action = |node: &String| {
            let data = json!({"device": node, "name": name});
            json!({"type": "blockdev-snapshot-internal-sync", "data": data})
        };
        let actions: Vec<Value> = nodes.iter().map(action).collect();
        self.execute_within("transaction", json!({"actions": actions}), SLOW)
            .await
            .map(drop)
    }

    /// Deletes a snapshot of a node. A missing snapshot is an error.
    pub async fn delete_snapshot(&self, node: &str, name: &str) -> Result<(), QmpError> {
        let arguments = json!({"device": node, "name": name});
        self.execute_within("blockdev-snapshot-delete-internal-sync", arguments, SLOW)
            .await
            .map(drop)
    }

    /// The snapshots in the images, each with the node that the device uses.
    pub async fn node_snapshots(&self) -> Result<Vec<(String, Vec<String>)>, QmpError> {
        let answer = self
            .execute_within("query-named-block-nodes", json!({"flat": true}), SLOW)
            .await?;
        let rows = answer
            .as_array()
            .ok_or_else(|| unexpected("query-named-block-nodes", &answer))?;
        let names = |row: &Value| -> Vec<String> {
            let snapshots = row["image"]["snapshots"].as_array();
            let names = snapshots.into_iter().flatten();
            names
                .filter_map(|snapshot| snapshot["name"].as_str().map(str::to_owned))
                .collect()
        };
        Ok(rows
            .iter()
            .filter_map(|row| Some((row["node-name"].as_str()?.to_owned(), names(row))))
            .collect())
    }
}
