//! The side that is fed: what the messages of one connection mean to a replica.

use super::FeedMessage;
use crate::{Changes, Entry, Revision};

/// Why a message cannot be taken. The connection should be given up and made again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the feed sent {0}")]
pub struct FeedError(String);

/// What a replica has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Take a part of a new snapshot. What is there stays until the last part has come.
    Page {
        entries: Vec<Entry>,
        revision: Revision,
        /// What came of another snapshot before is void.
        first: bool,
        /// The snapshot is complete and takes the place of all that there was.
        last: bool,
    },
    /// Apply one commit.
    Changes(Changes),
    /// Forget everything: the store was replaced.
    Forget,
}

/// Holds the messages of one connection to their order. Each connection has its own.
#[derive(Debug, Default)]
pub struct ReplicaFeed {
    /// Of the newest snapshot or commit of this connection; none before its first snapshot.
    revision: Option<Revision>,
    /// The snapshot that is being received.
    arriving: Option<Revision>,
}

impl ReplicaFeed {
    /// Takes the next message. After an error what follows means nothing.
    pub fn accept(&mut self, message: FeedMessage) -> Result<Step, FeedError> {
        match message {
            FeedMessage::SnapshotPage {
                entries,
                revision,
                last,
            } => self.page(entries, revision, last),
            FeedMessage::Changes(changes) => self.changes(changes),
            FeedMessage::Moved => {
                *self = Self::default();
                Ok(Step::Forget)
            }
        }
    }

    fn page(
        &mut self,
        entries: Vec<Entry>,
        revision: Revision,
        last: bool,
    ) -> Result<Step, FeedError> {
        if let Some(known) = self.revision.filter(|known| *known > revision) {
            let text = format!("a snapshot of revision {} after {}", revision.0, known.0);
            return Err(FeedError(text));
        }
        // Pages of another revision belong to a snapshot that was begun again.
        let first = self.arriving != Some(revision);
        self.arriving = (!last).then_some(revision);
        if last {
            self.revision = Some(revision);
        }
        Ok(Step::Page {
            entries,
            revision,
            first,
            last,
        })
    }

    fn changes(&mut self, changes: Changes) -> Result<Step, FeedError> {
        let Some(known) = self.revision.filter(|_| self.arriving.is_none()) else {
            return Err(FeedError("changes before a snapshot".to_owned()));
        };
        if changes.revision <= known {
            let text = format!("revision {} after {}", changes.revision.0, known.0);
            return Err(FeedError(text));
        }
        self.revision = Some(changes.revision);
        Ok(Step::Changes(changes))
    }
}
