//! Which alerts users have acknowledged: a record each, for as long as the alert is open.

use std::collections::BTreeMap;

use model::{Error, NodeName, Record, UnixTime};
use serde::{Deserialize, Serialize};
use store::{Commit, Entry, Key, Precondition, Prefix, Read, Revision, SharedStore, list_all};
use tracing::warn;

use super::alert::{Acknowledgement, Alert, OpenAlert, Severity};
use super::tracker::Before;
use crate::records::unreadable;

/// What is kept of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AcknowledgedAlert {
    id: String,
    /// The node that reported it.
    node: NodeName,
    since: UnixTime,
    severity: Severity,
    acknowledgement: Acknowledgement,
}

#[derive(Debug, Clone)]
struct Known {
    alert: AcknowledgedAlert,
    modified: Revision,
}

/// Acknowledgements as they were last read, by the alert's id.
#[derive(Debug, Clone, Default)]
pub(super) struct Acknowledged(BTreeMap<String, Known>);

/// An id has slashes, also at its end; a key has none that are not followed by a word.
fn key(id: &str) -> Result<Key, Error> {
    let word = id.replace('%', "%25").replace('/', "%2F");
    Key::new(format!("alert/{word}")).map_err(|error| Error::bug(error.to_string()))
}

fn decode(entry: &Entry) -> Option<(String, Known)> {
    match Record::<AcknowledgedAlert>::decode(&entry.value) {
        Ok(record) => Some((
            record.data.id.clone(),
            Known {
                alert: record.data,
                modified: entry.modified,
            },
        )),
        Err(error) => {
            warn!(key = %entry.key, %error, "cannot read this acknowledgement");
            None
        }
    }
}

impl Acknowledged {
    /// The newest ones; without quorum those of this node's copy.
    pub(super) async fn read(store: &SharedStore) -> Result<Self, Error> {
        let prefix = Prefix::below("alert").expect("a constant that is a key");
        let (entries, _) = list_all(&**store, &prefix, Read::Local).await?;
        Ok(Self(entries.iter().filter_map(decode).collect()))
    }

    /// Who has acknowledged an alert. It does not count if the alert has become worse since.
    pub(super) fn of(&self, alert: &Alert) -> Option<Acknowledgement> {
        let known = &self.0.get(&alert.id)?.alert;
        (alert.severity <= known.severity).then(|| known.acknowledgement.clone())
    }

    /// The alerts, and since when each was open.
    pub(super) fn since(&self) -> Before {
        let known = self.0.iter();
        known
            .map(|(id, known)| (id.clone(), known.alert.since))
            .collect()
    }

    pub(super) fn over<'a>(
        &'a self,
        is_over: impl Fn(&str, &NodeName) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a str, Revision)> {
        let over = self
            .0
            .values()
            .filter(move |known| is_over(&known.alert.id, &known.alert.node));
        over.map(|known| (known.alert.id.as_str(), known.modified))
    }
}

/// Notes that a user has acknowledged an alert, instead of another user before.
pub(super) fn noted(open: &OpenAlert, acknowledgement: Acknowledgement) -> Result<Commit, Error> {
    let OpenAlert { node, alert, .. } = open;
    let record = Record::new(AcknowledgedAlert {
        id: alert.id.clone(),
        node: node.clone(),
        since: alert.since,
        severity: alert.severity,
        acknowledgement,
    });
    Ok(Commit::new().put(key(&alert.id)?, record.encode().map_err(unreadable)?))
}

/// Removes it.
pub(super) fn taken_back(id: &str) -> Result<Commit, Error> {
    Ok(Commit::new().delete(key(id)?))
}

/// Removes it, unless the alert has been acknowledged anew.
pub(super) fn forgotten(id: &str, modified: Revision) -> Result<Commit, Error> {
    let key = key(id)?;
    let is_same = Precondition::ModifiedAt(key.clone(), modified);
    Ok(Commit::new().when(is_same).delete(key))
}
