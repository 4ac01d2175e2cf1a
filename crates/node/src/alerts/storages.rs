//! Storages that are full, or do not answer.

use model::{Error, NodeName, StorageId};
use proto::status::{StorageTrouble, StorageUsage};

use super::alert::{Condition, Patience, Severity, Subject};
use crate::NodeContext;

/// In use, as a part of the whole.
const FULL: f64 = 0.85;
const VERY_FULL: f64 = 0.95;
/// An alert is over only below this.
const NOT_FULL: f64 = 0.82;

/// A storage may be slow for a moment.
const SILENCE: Patience = Patience::of(30, 10);
const FILLED: Patience = Patience::of(10, 10);

pub(super) async fn conditions(
    node: &NodeContext,
    is_open: impl Fn(&str) -> bool,
) -> Result<Vec<Condition>, Error> {
    let mut found = Vec::new();
    let usages = node.status.storages();
    for storage in node.storages().await? {
        let config = storage.config();
        let usage = usages.iter().find(|usage| usage.storage == *config.id());
        // Not measured yet, or just added.
        let Some(usage) = usage else { continue };
        let condition = match usage.active {
            true => full(&node.name, usage, config.spec.is_shared(), &is_open),
            false => Some(silent(&node.name, &usage.storage)),
        };
        found.extend(condition);
        let troubles = usage.troubles.iter();
        found.extend(troubles.map(|trouble| troubled(&node.name, &usage.storage, trouble)));
    }
    Ok(found)
}

fn subject(node: &NodeName, storage: &StorageId) -> Subject {
    Subject::Storage {
        node: node.clone(),
        storage: storage.clone(),
    }
}

fn silent(node: &NodeName, storage: &StorageId) -> Condition {
    Condition {
        id: format!("storage-silent/{node}/{storage}"),
        severity: Severity::Error,
        subject: subject(node, storage),
        text: format!("storage '{storage}' does not answer on node '{node}'"),
        advice: "look at its server and the network to it, or disable it on this node".to_owned(),
        since: None,
        patience: SILENCE,
    }
}

fn troubled(node: &NodeName, storage: &StorageId, trouble: &StorageTrouble) -> Condition {
    let StorageTrouble { kind, text, advice } = trouble;
    Condition {
        id: format!("storage-{kind}/{node}/{storage}"),
        severity: Severity::Error,
        subject: subject(node, storage),
        text: format!("storage '{storage}' on node '{node}': {text}"),
        advice: advice.clone(),
        since: None,
        patience: FILLED,
    }
}

/// A shared storage is equally full on all nodes: that is one alert.
fn full(
    node: &NodeName,
    usage: &StorageUsage,
    is_shared: bool,
    is_open: impl Fn(&str) -> bool,
) -> Option<Condition> {
    let storage = &usage.storage;
    let id = match is_shared {
        true => format!("storage-full/{storage}"),
        false => format!("storage-full/{node}/{storage}"),
    };
    let part = usage.used as f64 / (usage.total.max(1)) as f64;
    let limit = if is_open(&id) { NOT_FULL } else { FULL };
    let place = match is_shared {
        true => String::new(),
        false => format!(" on node '{node}'"),
    };
    (usage.total > 0 && part >= limit).then(|| Condition {
        severity: match part >= VERY_FULL {
            true => Severity::Error,
            false => Severity::Warning,
        },
        subject: subject(node, storage),
        text: format!("storage '{storage}'{place} is {:.0} % full", part * 100.0),
        advice: "remove or move volumes and old snapshots, or make it larger".to_owned(),
        since: None,
        patience: FILLED,
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(percent: u64, open: bool) -> Option<Severity> {
        let usage = StorageUsage {
            unreachable_since: None,
            troubles: Vec::new(),
            storage: "local".parse().unwrap(),
            active: true,
            used: percent,
            total: 100,
        };
        let node = "pve1".parse().unwrap();
        full(&node, &usage, false, |_| open).map(|condition| condition.severity)
    }

    #[test]
    fn a_full_storage_is_reported_until_it_is_clearly_not() {
        assert_eq!(at(84, false), None);
        assert_eq!(at(85, false), Some(Severity::Warning));
        assert_eq!(at(84, true), Some(Severity::Warning));
        assert_eq!(at(81, true), None);
        assert_eq!(at(95, true), Some(Severity::Error));
    }
}
