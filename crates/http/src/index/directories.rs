//! Directories of the API's tree: what lies below a path.

use proto::wire::Answer;
use proto::{Row, table};
use serde_json::{Value, json};

/// Directories whose entries are called `name` instead of `subdir`.
const NAMED: [&str; 16] = [
    "/cluster",
    "/cluster/bulk-action",
    "/cluster/bulk-action/guest",
    "/cluster/config",
    "/cluster/ha/status",
    "/cluster/mapping",
    "/cluster/metrics",
    "/cluster/qemu",
    "/nodes/{node}",
    "/nodes/{node}/capabilities",
    "/nodes/{node}/capabilities/qemu",
    "/nodes/{node}/certificates",
    "/nodes/{node}/disks",
    "/nodes/{node}/qemu/{vmid}/agent",
    "/nodes/{node}/replication/{id}",
    "/nodes/{node}/tasks/{upid}",
];

/// Directories whose entries are called otherwise still.
const OTHERS: [(&str, &str); 7] = [
    ("/cluster/ha", "id"),
    ("/nodes/{node}/apt", "id"),
    ("/nodes/{node}/hardware", "type"),
    ("/nodes/{node}/hardware/pci/{pci-id-or-mapping}", "method"),
    ("/nodes/{node}/scan", "method"),
    ("/nodes/{node}/lxc/{vmid}/snapshot/{snapname}", "cmd"),
    ("/nodes/{node}/qemu/{vmid}/snapshot/{snapname}", "cmd"),
];

/// The answer of a row that is a directory, and none of a row that is not: the words that follow
/// its path in the table.
pub(super) fn directory(row: &Row) -> Option<Answer> {
    let prefix = format!("{}/", row.path.trim_end_matches('/'));
    let mut words: Vec<&str> = table::rows()
        .filter_map(|other| other.path.strip_prefix(&prefix))
        .filter_map(|rest| rest.split('/').next())
        .filter(|word| !word.starts_with('{'))
        .collect();
    words.sort_unstable();
    words.dedup();
    let key = if NAMED.contains(&row.path) {
        "name"
    } else {
        let other = OTHERS.iter().find(|(path, _)| *path == row.path);
        other.map_or("subdir", |(_, key)| *key)
    };
    let entries: Vec<Value> = words.iter().map(|word| json!({ key: word })).collect();
    (!entries.is_empty()).then(|| Answer::new(entries))
}
