//! Follows the records of guests: which are on this node, and which are gone.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use ::history::{FIRST_EPOCH, Object};
use model::{Error, GuestRecord, Record, VmId};
use store::{Change, Entry, Key, Prefix, Read, Revision, list_all};
use tracing::warn;

use super::guests::{Known, Present};
use crate::NodeContext;

const RETRY: Duration = Duration::from_secs(1);

/// Follows the records of guests. Never returns.
pub(super) async fn follow(node: &NodeContext) {
    loop {
        let Err(error) = follow_once(node).await;
        warn!(%error, "cannot follow the records of guests, trying again");
        node.clock.sleep(RETRY).await;
    }
}

async fn follow_once(node: &NodeContext) -> Result<Infallible, Error> {
    let prefix = Prefix::below("guest").expect("a constant that is a key");
    let store = node.records.store();
    let revision = read_all(node, &prefix).await?;
    let mut watch = store.watch(&prefix, revision).await?;
    loop {
        for change in watch.next().await?.changes {
            take(node, change).await?;
        }
    }
}

/// Reads which guests there are, and removes the history of those that are gone.
async fn read_all(node: &NodeContext, prefix: &Prefix) -> Result<Revision, Error> {
    let (entries, revision) = list_all(&**node.records.store(), prefix, Read::Local).await?;
    let all: BTreeSet<VmId> = entries
        .iter()
        .filter_map(|entry| vmid(&entry.key))
        .collect();
    let own = entries.iter().filter_map(|entry| own(node, entry));
    let own: Present = own.collect();
    node.history.guests.replace(|present| *present = own);
    // Of ten thousand guests they are megabytes.
    drop(entries);
    for vmid in node.history.files.guests().await? {
        if !all.contains(&vmid) {
            node.history.files.forget(&Object::Guest(vmid)).await?;
        }
    }
    Ok(revision)
}

async fn take(node: &NodeContext, change: Change) -> Result<(), Error> {
    let guests = &node.history.guests;
    match change {
        Change::Put(entry) => {
            let own = own(node, &entry);
            let is_moved = |(vmid, known): &(VmId, Known)| {
                known.origin.epoch > FIRST_EPOCH && !guests.all().contains_key(vmid)
            };
            if let Some((vmid, _)) = own.filter(is_moved) {
                node.history.ask_for(&[vmid]);
            }
            guests.replace(|present| match (own, vmid(&entry.key)) {
                (Some((vmid, known)), _) => {
                    present.insert(vmid, known);
                }
                (None, Some(vmid)) => {
                    present.remove(&vmid);
                }
                (None, None) => {}
            });
        }
        Change::Delete { key, .. } => {
            let Some(vmid) = vmid(&key) else {
                return Ok(());
            };
            guests.replace(|present| {
                present.remove(&vmid);
            });
            node.history.files.forget(&Object::Guest(vmid)).await?;
        }
    }
    Ok(())
}

fn vmid(key: &Key) -> Option<VmId> {
    key.as_str().strip_prefix("guest/")?.parse().ok()
}

/// A guest of this node; what cannot be read has no history.
fn own(node: &NodeContext, entry: &Entry) -> Option<(VmId, Known)> {
    let record = Record::<GuestRecord>::decode(&entry.value).ok()?.data;
    (record.node == node.name).then(|| (record.vmid, Known::of(&record)))
}
