//! The files that are left as they are, and why.

use serde_json::{Value, json};

use super::source::Source;

/// What the files of Proxmox VE are, by the beginning of their path.
const KNOWN: [(&str, &str); 20] = [
    (
        "authkey.pub",
        "keys of its tickets: this cluster has its own",
    ),
    ("ceph.conf", "the configuration of Ceph"),
    ("corosync.conf", "the cluster's members: nodes join anew"),
    (
        "datacenter.cfg",
        "options of the datacenter: set them again where they are wanted",
    ),
    ("domains.cfg", "realms"),
    (
        "firewall/",
        "rules of the firewall, which this version does not have",
    ),
    ("ha/", "high availability, which this version does not have"),
    ("jobs.cfg", "backup jobs, which this version does not have"),
    (
        "mapping/",
        "mappings of devices: make them again, since devices have other addresses",
    ),
    (
        "notifications.cfg",
        "targets of notifications, which this version does not have",
    ),
    (
        "priv/",
        "keys and passwords; those of adopted storages are taken over",
    ),
    ("pve-root-ca.pem", "certificates: this cluster has its own"),
    ("pve-www.key", "certificates: this cluster has its own"),
    (
        "replication.cfg",
        "replication, which this version does not have",
    ),
    (
        "sdn/",
        "software-defined networks, which this version does not have",
    ),
    (
        "status.cfg",
        "servers for metrics, which this version does not have",
    ),
    (
        "user.cfg",
        "users, groups and rights; pools of adopted guests are taken over",
    ),
    ("virtual-guest/", "models of processors and profiles"),
    (
        "vzdump.cron",
        "backup jobs, which this version does not have",
    ),
    ("__version__", ""),
];

/// A line for each file that was not taken over, those of one kind together.
pub(super) fn left(source: &Source, from: Option<&str>) -> Vec<Value> {
    let own = from.map_or_else(String::new, |node| format!("nodes/{node}/"));
    let mut rows: Vec<(String, String)> = Vec::new();
    for path in source.paths() {
        let (name, reason) = if path == "storage.cfg" {
            continue;
        } else if let Some(rest) = path.strip_prefix(&own).filter(|_| !own.is_empty()) {
            match rest.split_once('/') {
                Some(("qemu-server" | "lxc", file)) if file.ends_with(".conf") => continue,
                _ => (path.to_owned(), "certificates and settings of the node"),
            }
        } else if let Some(rest) = path.strip_prefix("nodes/") {
            let node = rest.split('/').next().unwrap_or_default();
            (
                format!("nodes/{node}/"),
                "another node: adopt its guests on the node that has their volumes",
            )
        } else if own.is_empty() && (path.starts_with("qemu-server/") || path.starts_with("lxc/")) {
            continue;
        } else {
            match KNOWN.iter().find(|(name, _)| path.starts_with(name)) {
                Some((_, "")) => continue,
                Some((name, reason)) => ((*name).to_owned(), *reason),
                None => (path.to_owned(), "no file that Ostler knows"),
            }
        };
        let row = (name, reason.to_owned());
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows.into_iter()
        .map(|(path, reason)| json!({"path": path, "reason": reason}))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_has_a_reason() {
        let source = Source::of(&[
            ("storage.cfg", ""),
            ("user.cfg", ""),
            ("priv/a", ""),
            ("priv/b", ""),
            ("nodes/a/qemu-server/100.conf", ""),
            ("nodes/a/pve-ssl.pem", ""),
            ("nodes/b/lxc/200.conf", ""),
            ("nodes/b/qemu-server/300.conf", ""),
            ("mine.txt", ""),
        ]);
        let rows = left(&source, Some("a"));
        let paths: Vec<&str> = rows.iter().filter_map(|row| row["path"].as_str()).collect();
        assert_eq!(
            paths,
            [
                "mine.txt",
                "nodes/a/pve-ssl.pem",
                "nodes/b/",
                "priv/",
                "user.cfg"
            ]
        );
    }
}
