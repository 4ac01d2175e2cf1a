//! Internal snapshots of the images of a running guest.

use serde_json::{Value, json};

use super::commands::{SLOW, unexpected};
use super::{Qmp, QmpError};

/// A node that is to be above another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLayer {
    pub image: String,
    pub layer: String,
}

/// A layer that is merged with another one, by the names of nodes. The job waits for `finalize_job`, then
/// dismisses itself: until it is dismissed, one that has ended keeps a node without what was below it, and
/// QEMU 7.2 dies of listing that.
#[derive(Debug, Clone, Copy)]
pub struct LayerMerge<'a> {
    pub job: &'a str,
    pub top: &'a str,
    /// What takes in the others, or is left below the result.
    pub base: &'a str,
    /// What the header says of it that names it.
    pub words: Option<&'a str>,
}

impl Qmp {
    /// The nodes below one that a device uses, from the top: each layer and what it is a layer on.
    pub async fn layers(&self, device_node: &str) -> Result<Vec<String>, QmpError> {
        let answer = self
            .execute_within("query-blockstats", json!({"query-nodes": false}), SLOW)
            .await?;
        let rows = answer
            .as_array()
            .ok_or_else(|| unexpected("query-blockstats", &answer))?;
        let device = rows.iter().find(|row| row["node-name"] == device_node);
        let layers = std::iter::successors(device, |row| row.get("backing")).skip(1);
        Ok(layers
            .filter_map(|row| row["node-name"].as_str().map(str::to_owned))
            .collect())
    }

    /// Writes what `top` and the layers between hold into `base`. Where `top` is what the device writes
    /// to, the job is ready then, and `complete_job` moves the device down to `base`.
    pub async fn merge_down(
        &self,
        device_node: &str,
        merge: LayerMerge<'_>,
    ) -> Result<(), QmpError> {
        let mut arguments = json!({
            "job-id": merge.job,
            "device": device_node,
            "top-node": merge.top,
            "base-node": merge.base,
            "auto-finalize": false,
        });
        if let Some(words) = merge.words {
            arguments["backing-file"] = words.into();
        }
        self.execute_within("block-commit", arguments, SLOW)
            .await
            .map(drop)
    }

    /// Copies what the layers between `top` and `base` hold into `top`.
    pub async fn merge_up(&self, merge: LayerMerge<'_>) -> Result<(), QmpError> {
        let arguments = json!({
            "job-id": merge.job,
            "device": merge.top,
            "base-node": merge.base,
            "backing-file": merge.words,
            "auto-finalize": false,
        });
        self.execute_within("block-stream", arguments, SLOW)
            .await
            .map(drop)
    }

    /// Takes a snapshot inside of each of these nodes, and puts a new layer above each of the others:
    /// of all at one moment, or of none.
    pub async fn snapshot_nodes(
        &self,
        nodes: &[String],
        name: &str,
        layers: &[NewLayer],
    ) -> Result<(), QmpError> {
        let inside = nodes.iter().map(|node| {
            let data = json!({"device": node, "name": name});
            json!({"type": "blockdev-snapshot-internal-sync", "data": data})
        });
        let above = layers.iter().map(|layer| {
            let data = json!({"node": layer.image, "overlay": layer.layer});
            json!({"type": "blockdev-snapshot", "data": data})
        });
        let actions: Vec<Value> = inside.chain(above).collect();
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
