//! Watches: a task each, on a connection of its own, that survives the loss of members.
//!
//! ```text
//!   member ═ responses ═► Follower: whole commits ─► channel ─► EtcdWatch::next
//!      ▲ lost: another member, from the revision after the last whole commit
//! ```
//!
//! The channel is short and the connection has its own window, so a watch that is not read holds
//! little memory, and etcd itself keeps the rest, until it compacts it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::connection::{Connection, Leader};
use super::core::Core;
use super::fault::Fault;
use super::members::Repeat;
use super::message::{Event, EventKind, WATCH, WatchCreateRequest, WatchRequest, WatchResponse};
use crate::{Change, Changes, Prefix, Read, Revision, StoreError, Watch};

/// The commits that wait for `next`.
const WAITING: usize = 16;
/// The numbers of the two watches in a stream: for the label, which shows a new generation, and for
/// the entries.
const LABEL: i64 = 1;
const DATA: i64 = 2;

pub(crate) struct EtcdWatch {
    commits: mpsc::Receiver<Result<Changes, StoreError>>,
    resumed: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Drop for EtcdWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Watch for EtcdWatch {
    async fn next(&mut self) -> Result<Changes, StoreError> {
        self.commits
            .recv()
            .await
            .unwrap_or_else(|| Err(StoreError::Unavailable("the watch has ended".to_owned())))
    }

    fn resumed(&self) -> u64 {
        self.resumed.load(Ordering::Acquire)
    }
}

/// Starts a watch after a revision that the store had.
pub(crate) async fn start(
    core: &Arc<Core>,
    prefix: &Prefix,
    after: Revision,
) -> Result<Box<dyn Watch>, StoreError> {
    let position = core.space.position(after).ok_or(StoreError::Moved)?;
    // A member may be behind the revision, which only the leader can judge.
    if core.revision(Read::Local).await? < after && core.revision(Read::Linear).await? < after {
        return Err(StoreError::Moved);
    }
    let (sender, commits) = mpsc::channel(WAITING);
    let resumed = Arc::new(AtomicU64::new(0));
    let follower = Follower {
        core: Arc::clone(core),
        prefix: prefix.clone(),
        position,
        partial: Vec::new(),
        commits: sender,
    };
    let task = tokio::spawn(follower.run(Arc::clone(&resumed))).abort_handle();
    Ok(Box::new(EtcdWatch {
        commits,
        resumed,
        task,
    }))
}

/// Why a stream of responses ended.
enum End {
    /// The watch continues at another member.
    Lost(String),
    /// The watch ends.
    Over(StoreError),
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Lost(fault.of_read().to_string())
    }
}

struct Follower {
    core: Arc<Core>,
    prefix: Prefix,
    /// The revision of etcd up to which everything was reported.
    position: i64,
    /// Events of the next commit, which is not complete.
    partial: Vec<Event>,
    commits: mpsc::Sender<Result<Changes, StoreError>>,
}

impl Follower {
    async fn run(mut self, resumed: Arc<AtomicU64>) {
        let mut ended = self.core.ended.subscribe();
        let core = Arc::clone(&self.core);
        let follow = async {
            let mut endpoint = 0;
            loop {
                match self.follow(endpoint).await {
                    End::Over(error) => return error,
                    End::Lost(reason) => {
                        tracing::info!(reason, "a watch lost its member of etcd");
                    }
                }
                endpoint += 1;
                let pause = core.members.options().retry_pause;
                core.clock.sleep(pause).await;
                resumed.fetch_add(1, Ordering::AcqRel);
            }
        };
        let error = tokio::select! {
            error = follow => error,
            reason = ended.wait_for(Option::is_some) => match reason {
                Ok(reason) => reason.clone().unwrap_or(StoreError::Moved),
                Err(_) => return,
            },
        };
        // The watch may have been dropped.
        let _ = self.commits.send(Err(error)).await;
    }

    /// Reports what one member sends, until the stream ends.
    async fn follow(&mut self, endpoint: usize) -> End {
        self.partial.clear();
        let opened = async {
            let connection = self.core.members.open(endpoint).await?;
            let requests = [self.request_label(), self.request_data()];
            let requests = stream::iter(requests).chain(stream::pending());
            let answers = connection.stream(WATCH, requests, Leader::Required).await?;
            Ok::<_, Fault>((connection, answers))
        };
        let (_connection, mut answers) = match opened.await {
            Ok(opened) => opened,
            Err(fault) => return End::from(fault),
        };
        if let Err(end) = self.check().await {
            return end;
        }
        loop {
            let taken = match answers.message().await {
                Ok(Some(response)) => self.take(response),
                Ok(None) => return End::Lost("etcd ended the stream".to_owned()),
                Err(status) => return End::from(Fault::from(status)),
            };
            let commits = match taken {
                Ok(commits) => commits,
                Err(end) => return end,
            };
            for changes in commits {
                let revision = changes.revision;
                if self.commits.send(Ok(changes)).await.is_err() {
                    return End::Over(StoreError::Unavailable("nothing reads the watch".into()));
                }
                let reported = self.core.space.position(revision);
                self.position = reported.unwrap_or(self.position);
            }
        }
    }

    /// Whether the store is still the one whose revision the watch has. A store that was restored
    /// from an old copy is behind it.
    async fn check(&self) -> Result<(), End> {
        let position = self.core.space.revision(self.position);
        for read in [Read::Local, Read::Linear] {
            match self.core.revision(read).await {
                Ok(revision) if revision >= position => return Ok(()),
                Ok(_) => {}
                Err(StoreError::Moved) => return Err(End::Over(StoreError::Moved)),
                Err(error) => return Err(End::Lost(error.to_string())),
            }
        }
        Err(End::Over(StoreError::Moved))
    }

    fn request_label(&self) -> WatchRequest {
        self.request(LABEL, self.core.space.names.label(), Vec::new())
    }

    fn request_data(&self) -> WatchRequest {
        let (key, range_end) = self.core.space.names.range(&self.prefix);
        self.request(DATA, key, range_end)
    }

    fn request(&self, watch_id: i64, key: Vec<u8>, range_end: Vec<u8>) -> WatchRequest {
        WatchRequest {
            create: Some(WatchCreateRequest {
                key,
                range_end,
                start_revision: self.position + 1,
                progress_notify: true,
                watch_id,
                fragment: true,
            }),
        }
    }

    /// The commits that a response completes. Responses consist of whole commits, in order, unless
    /// they are cut, which can happen in the middle of one.
    fn take(&mut self, response: WatchResponse) -> Result<VecDeque<Changes>, End> {
        let space = &self.core.space;
        self.core
            .check_cluster(response.header.cluster_id)
            .map_err(End::Over)?;
        if response.canceled && response.compact_revision > 0 {
            let oldest = space.revision(response.compact_revision);
            return Err(End::Over(StoreError::Compacted { oldest }));
        }
        if response.canceled {
            return Err(End::Lost(response.cancel_reason));
        }
        if response.watch_id == LABEL && !response.events.is_empty() {
            return Err(End::Over(self.core.end(StoreError::Moved)));
        }
        let mut commits = VecDeque::new();
        if response.watch_id != DATA || response.created {
            return Ok(commits);
        }
        if response.events.is_empty() && self.partial.is_empty() {
            self.position = self.position.max(response.header.revision);
        }
        for event in response.events {
            let last = self.partial.last().map(|last| last.kv.mod_revision);
            if last.is_some_and(|last| last != event.kv.mod_revision) {
                commits.push_back(self.complete()?);
            }
            self.partial.push(event);
        }
        if !response.fragment && !self.partial.is_empty() {
            commits.push_back(self.complete()?);
        }
        Ok(commits)
    }

    fn complete(&mut self) -> Result<Changes, End> {
        let events = std::mem::take(&mut self.partial);
        let at = events.first().map_or(0, |event| event.kv.mod_revision);
        let revision = self.core.space.revision(at);
        let changes: Result<_, StoreError> = events
            .into_iter()
            .map(|event| {
                Ok(if event.kind == i32::from(EventKind::Delete) {
                    let key = self.core.space.key_of(&event.kv)?;
                    Change::Delete { key, revision }
                } else {
                    Change::Put(self.core.space.entry(event.kv)?)
                })
            })
            .collect();
        let changes = changes.map_err(End::Over)?;
        Ok(Changes { revision, changes })
    }
}

impl Core {
    /// The oldest revision that is kept, where `compacted`, one of etcd, is not: a watch from there
    /// is refused with it.
    pub(crate) async fn oldest_kept(&self, compacted: i64) -> Result<Revision, StoreError> {
        let create = WatchCreateRequest {
            key: self.space.names.label(),
            start_revision: compacted,
            ..WatchCreateRequest::default()
        };
        let request = WatchRequest {
            create: Some(create),
        };
        let ask = |connection: Connection| {
            let requests = stream::iter([request.clone()]).chain(stream::pending());
            let exchange = async move {
                let mut answers = connection
                    .stream(WATCH, requests, Leader::NotNeeded)
                    .await?;
                loop {
                    let response: WatchResponse = connection.next(&mut answers).await?;
                    if response.canceled {
                        return Ok(response.compact_revision);
                    }
                }
            };
            exchange.boxed()
        };
        let oldest = self.members.ask(Repeat::Always, ask).await;
        Ok(self.space.revision(oldest.map_err(Fault::of_read)?))
    }
}
