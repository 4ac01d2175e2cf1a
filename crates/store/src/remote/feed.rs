//! The serving side: a store as a sequence of messages.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    Change, Changes, Entry, Key, PageToken, Prefix, Read, Revision, SharedStore, StoreError, Watch,
};

/// A message to a replica. The transport delivers all messages in order, or ends.
///
/// ```text
///   SnapshotPage … SnapshotPage(last)  Changes  Changes …   [Moved]  SnapshotPage …
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedMessage {
    /// A part of the whole map at one revision. The first one after another kind of message begins
    /// a new snapshot, because the changes since the last one are no longer kept.
    SnapshotPage {
        entries: Vec<Entry>,
        revision: Revision,
        last: bool,
    },
    /// One commit, without excluded keys. It may be empty: then only the revision advances, which a
    /// caller may be waiting for.
    Changes(Changes),
    /// The store was replaced: the replica is void, and a snapshot follows.
    Moved,
}

/// The values of one message stay below this size, unless one value alone is larger.
const MESSAGE_BYTES: usize = 1 << 20;

/// Streams the content of `store` and its changes, except below the prefixes of `exclude`.
///
/// Nothing is read until `Feed::next` is called, and never more than a page ahead: the consumer
/// sets the pace, and one that falls too far behind gets a new snapshot.
pub fn feed(store: SharedStore, exclude: Vec<Prefix>) -> Feed {
    Feed {
        store,
        exclude,
        waiting: VecDeque::new(),
        phase: Phase::Snapshot(None),
    }
}

/// See `feed`. Dropping it ends the feed.
pub struct Feed {
    store: SharedStore,
    exclude: Vec<Prefix>,
    /// Messages of the last page, not yet sent.
    waiting: VecDeque<FeedMessage>,
    phase: Phase,
}

enum Phase {
    /// The next page of the snapshot.
    Snapshot(Option<PageToken>),
    /// The snapshot has been read; the watch has not started.
    Listed(Revision),
    Following(Box<dyn Watch>),
}

impl Feed {
    /// The next message. Waits without limit; cancellation-safe.
    ///
    /// `Compacted` and `Moved` are never returned, they lead to a new snapshot. Any other error is
    /// the store's: the caller may give up the feed or call again later, which starts with a
    /// snapshot.
    pub async fn next(&mut self) -> Result<FeedMessage, StoreError> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(message);
            }
            if let Err(error) = self.advance().await {
                // A failed watch has ended, so the feed starts over.
                self.phase = Phase::Snapshot(None);
                match error {
                    StoreError::Compacted { .. } => {}
                    StoreError::Moved => self.waiting.push_back(FeedMessage::Moved),
                    error => return Err(error),
                }
            }
        }
    }

    /// Reads on. State changes only after the last wait, so a dropped future loses nothing.
    async fn advance(&mut self) -> Result<(), StoreError> {
        match &mut self.phase {
            Phase::Snapshot(from) => {
                let page = self
                    .store
                    .list(&Prefix::all(), from.clone(), Read::Local)
                    .await?;
                self.take_page(page.entries, page.revision, page.next.is_none());
                self.phase = match page.next {
                    Some(next) => Phase::Snapshot(Some(next)),
                    None => Phase::Listed(page.revision),
                };
            }
            Phase::Listed(revision) => {
                let watch = self.store.watch(&Prefix::all(), *revision).await?;
                self.phase = Phase::Following(watch);
            }
            Phase::Following(watch) => {
                let Changes {
                    revision,
                    mut changes,
                } = watch.next().await?;
                changes.retain(|change| !excluded(&self.exclude, key_of(change)));
                self.waiting
                    .push_back(FeedMessage::Changes(Changes { revision, changes }));
            }
        }
        Ok(())
    }

    /// Cuts a page into messages. The last page is sent even if all of its keys are excluded.
    fn take_page(&mut self, entries: Vec<Entry>, revision: Revision, last: bool) {
        let (mut part, mut bytes) = (Vec::new(), 0);
        for entry in entries {
            if excluded(&self.exclude, &entry.key) {
                continue;
            }
            if bytes > 0 && bytes + entry.value.len() > MESSAGE_BYTES {
                let entries = std::mem::take(&mut part);
                let message = FeedMessage::SnapshotPage {
                    entries,
                    revision,
                    last: false,
                };
                self.waiting.push_back(message);
                bytes = 0;
            }
            bytes += entry.value.len();
            part.push(entry);
        }
        if last || !part.is_empty() {
            self.waiting.push_back(FeedMessage::SnapshotPage {
                entries: part,
                revision,
                last,
            });
        }
    }
}

fn excluded(exclude: &[Prefix], key: &Key) -> bool {
    exclude.iter().any(|prefix| prefix.contains(key))
}

fn key_of(change: &Change) -> &Key {
    match change {
        Change::Put(entry) => &entry.key,
        Change::Delete { key, .. } => key,
    }
}
