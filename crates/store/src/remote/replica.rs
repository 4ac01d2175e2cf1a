//! The receiving side: turns the messages of one connection into steps for a replica.

use super::FeedMessage;
use crate::{Changes, Entry, Revision};

/// Why a message was refused. The connection should be closed and opened again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the feed sent {0}")]
pub struct FeedError(String);

/// What a replica has to do with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Store a part of a new snapshot. The old content stays until the last part.
    Page {
        entries: Vec<Entry>,
        revision: Revision,
        /// Drop the parts of an earlier, incomplete snapshot.
        first: bool,
        /// The snapshot is complete and replaces the old content.
        last: bool,
    },
    /// Apply one commit.
    Changes(Changes),
    /// Drop everything: the store was replaced.
    Forget,
}

/// Checks the order of the messages of one connection. Each connection has its own.
#[derive(Debug, Default)]
pub struct ReplicaFeed {
    /// Of the newest snapshot or commit of this connection; none before its first snapshot.
    revision: Option<Revision>,
    /// The snapshot that is being received.
    arriving: Option<Revision>,
}

impl ReplicaFeed {
    /// Accepts the next message. After an error the following ones have no meaning.
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
        // Pages of another revision belong to a restarted snapshot.
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
