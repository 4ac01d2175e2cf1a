//! Whether the origin answers.
//!
//! ```text
//!   Present ── a call failed or is slow ──► Doubted ── silent for `loss` ──► Lost
//!      ▲                                       │                              │
//!      └────────────── an answer ──────────────┴──────────────────────────────┘
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Clock, with_timeout};
use tokio::sync::{Notify, watch};

use super::{ClusterOptions, Connect, Origin};
use crate::{Key, Outage, Read, Replica, Revision, StoreError};

/// What is known of the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Contact {
    Present,
    /// It is being asked.
    Doubted,
    /// What was last heard of it.
    Lost(String),
    /// The handle was dropped.
    Closed,
}

pub(super) struct Link {
    /// None before the first connection, and after the origin was replaced.
    pub(super) origin: Option<Arc<dyn Origin>>,
    pub(super) contact: Contact,
    /// How often a doubt was decided.
    decisions: u64,
}

impl Link {
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.contact, Contact::Lost(_) | Contact::Closed)
    }
}

/// What a store, its keeper and its watches share.
pub(super) struct Shared {
    pub(super) replica: Replica,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: ClusterOptions,
    pub(super) link: watch::Sender<Link>,
    doubts: Notify,
    /// The newest commit of this handle.
    committed: AtomicU64,
}

/// Whether the call had no effect because the origin cannot be reached or has no majority.
pub(super) fn is_out_of_reach(error: &StoreError) -> bool {
    matches!(error, StoreError::NoQuorum | StoreError::Unavailable(_))
}

impl Shared {
    pub(super) fn new(
        replica: Replica,
        origin: Option<Arc<dyn Origin>>,
        clock: Arc<dyn Clock>,
        options: ClusterOptions,
    ) -> Self {
        let contact = match &origin {
            Some(_) => Contact::Present,
            None => Contact::Lost("it has not answered yet".to_owned()),
        };
        let link = Link {
            origin,
            contact,
            decisions: 0,
        };
        Self {
            replica,
            clock,
            options,
            link: watch::Sender::new(link),
            doubts: Notify::new(),
            committed: AtomicU64::new(0),
        }
    }

    /// The origin, unless it is lost.
    pub(super) fn origin(&self) -> Result<Arc<dyn Origin>, StoreError> {
        let link = self.link.borrow();
        let origin = link.origin.clone().filter(|_| !link.is_lost());
        origin.ok_or(StoreError::NoQuorum)
    }

    /// The origin, if nothing speaks against it.
    pub(super) fn present_origin(&self) -> Option<Arc<dyn Origin>> {
        let link = self.link.borrow();
        let is_present = link.contact == Contact::Present;
        link.origin.clone().filter(|_| is_present)
    }

    /// Asks `judge` to look whether the origin answers.
    pub(super) fn doubt(&self) {
        self.doubts.notify_one();
    }

    /// Passes an answer on. One that speaks of another store has the origin looked at.
    pub(super) fn heard<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(answer, Err(StoreError::Moved)) {
            self.doubt();
        }
        answer
    }

    /// Waits until it is known whether the origin answers; `NoQuorum` if it does not.
    pub(super) async fn decided(&self) -> Result<(), StoreError> {
        let mut link = self.link.subscribe();
        let before = link.borrow_and_update().decisions;
        self.doubt();
        let decided = link.wait_for(|link| link.is_lost() || link.decisions > before);
        match decided.await {
            Ok(link) if !link.is_lost() => Ok(()),
            _ => Err(StoreError::NoQuorum),
        }
    }

    /// Completes when the origin is lost while a call takes long.
    pub(super) async fn lost_meanwhile(&self) {
        self.clock.sleep(self.options.slow).await;
        self.doubt();
        let mut link = self.link.subscribe();
        // The sender is in `self`.
        let _ = link.wait_for(Link::is_lost).await;
    }

    pub(super) fn committed(&self, revision: Revision) {
        self.committed.fetch_max(revision.0, Ordering::AcqRel);
    }

    /// Waits a moment for this handle's own commits in the replica, unless the origin is lost: then
    /// they may never come.
    pub(super) async fn catch_up(&self) {
        let Ok(origin) = self.origin() else { return };
        let committed = Revision(self.committed.load(Ordering::Acquire));
        let id = origin.id();
        let reached = self.replica.reached(&id, committed);
        with_timeout(&*self.clock, self.options.slow, reached).await;
    }

    pub(super) fn outage(&self) -> Option<Outage> {
        let reason = match &self.link.borrow().contact {
            Contact::Lost(reason) => reason.clone(),
            _ => return None,
        };
        let age = self.replica.standing().map(|standing| standing.age);
        Some(Outage { reason, age })
    }

    pub(super) fn close(&self) {
        self.link.send_modify(|link| {
            link.origin = None;
            link.contact = Contact::Closed;
        });
    }

    /// Connects, and feeds the replica; again after the origin was replaced. Never returns.
    pub(super) async fn keep(
        self: Arc<Self>,
        connect: Arc<dyn Connect>,
        first: Option<Arc<dyn Origin>>,
    ) {
        let mut next = first;
        loop {
            let origin = match next.take() {
                Some(origin) => origin,
                None => self.connected(&*connect).await,
            };
            self.show_present(Some(Arc::clone(&origin)));
            let id = origin.id();
            tokio::select! {
                _moved = self.replica.follow(&*origin, &id) => {}
                () = self.judge(&*origin) => {}
            }
            self.link.send_modify(|link| {
                link.origin = None;
                link.contact = Contact::Lost("the store was replaced".to_owned());
            });
        }
    }

    async fn connected(&self, connect: &dyn Connect) -> Arc<dyn Origin> {
        loop {
            match connect.connect().await {
                Ok(origin) => return origin,
                Err(error) => self.show(Contact::Lost(error.to_string())),
            }
            self.clock.sleep(self.options.pause).await;
        }
    }

    /// Finds out whether the origin answers, whenever that is in doubt. Returns when it was
    /// replaced.
    async fn judge(&self, origin: &dyn Origin) {
        loop {
            tokio::select! {
                () = self.doubts.notified() => {}
                () = self.clock.sleep(self.options.idle) => {
                    let standing = self.replica.standing();
                    if standing.is_some_and(|standing| standing.age < self.options.idle) {
                        continue;
                    }
                }
            }
            self.show(Contact::Doubted);
            if self.until_answered(origin).await == Err(StoreError::Moved) {
                return;
            }
            self.show_present(None);
        }
    }

    /// Asks the origin until it answers. Shows its loss meanwhile.
    async fn until_answered(&self, origin: &dyn Origin) -> Result<(), StoreError> {
        let any = Key::new("probe").expect("a constant that is a key");
        let begun = self.clock.monotonic();
        let mut patience = self.options.probe_timeout;
        loop {
            let asked = origin.get(&any, Read::Linear);
            let reason = match with_timeout(&*self.clock, patience, asked).await {
                Some(Err(error)) if is_out_of_reach(&error) => {
                    self.clock.sleep(self.options.pause).await;
                    error.to_string()
                }
                // An error of another kind is an answer.
                Some(answer) => return answer.map(|_| ()),
                None => {
                    origin.avoid_member();
                    "no answer in time".to_owned()
                }
            };
            if self.clock.monotonic() - begun >= self.options.loss {
                self.show(Contact::Lost(reason));
                // It may only be too busy to answer a new connection in time.
                patience = (patience * 2).min(self.options.probe_timeout * 4);
            }
        }
    }

    fn show(&self, contact: Contact) {
        self.link.send_if_modified(|link| {
            if let (Contact::Lost(reason), false) = (&contact, link.is_lost()) {
                tracing::warn!(
                    reason,
                    "the cluster's store has no majority, or does not answer"
                );
            }
            let is_new = link.contact != contact;
            link.contact = contact;
            is_new
        });
    }

    /// The origin answers. Decides a doubt.
    fn show_present(&self, origin: Option<Arc<dyn Origin>>) {
        self.link.send_modify(|link| {
            if link.is_lost() {
                tracing::info!("the cluster's store answers");
            }
            link.origin = origin.or(link.origin.take());
            link.contact = Contact::Present;
            link.decisions += 1;
        });
    }
}
