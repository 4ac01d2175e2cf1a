//! The store of a cluster, in etcd 3.4 or newer; 3.6 is recommended.
//!
//! ```text
//!   verbs   ──► Core: settle doubts (session) ──► Members: one connection ──► a member of etcd
//!   watches ──► a task and a connection each   ──────────────────────────────►
//! ```
//!
//! etcd has the verbs of the contract, but for one promise: it may carry out a commit after its
//! caller was told, or has read, that it did not happen. `session` keeps that promise.
//!
//! **Invariants.** Every transaction looks at the key that names the store (`space`): a handle of
//! another cluster or generation writes nothing and answers `Moved`, for good. A request with
//! effects is sent to one member only. etcd's history is compacted by etcd itself; servers are
//! started with `SERVER_FLAGS`.

mod commit;
mod connection;
mod core;
mod fault;
mod health;
mod lease;
mod members;
mod message;
mod options;
mod read;
mod session;
mod settle;
mod space;
mod voters;
mod watch;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use async_trait::async_trait;
use model::Clock;

use self::connection::Leader;
use self::core::Core;
use self::fault::Fault;
pub use self::health::{EtcdHealth, EtcdSpeed};
use self::members::{Members, Repeat};
use self::message::{
    COMPACT, CompactionRequest, Compare, Done, PutRequest, RangeRequest, Request, TXN, TxnRequest,
    TxnResponse,
};
pub use self::options::{Endpoints, EtcdOptions};
use self::session::Session;
use self::space::{Label, Names, Space};
pub use self::voters::{EtcdMember, EtcdVoters};
use crate::{
    Commit, Entry, Key, LeaseId, Origin, Page, PageToken, Prefix, Read, Revision, Store,
    StoreError, Watch, check,
};

/// Arguments that every server of etcd has to be started with: it keeps as many revisions as a
/// store in SQLite does. Its limits for a request, 128 operations and 1.5 MiB, are large enough.
pub const SERVER_FLAGS: [&str; 2] = [
    "--auto-compaction-mode=revision",
    "--auto-compaction-retention=10000",
];

/// See the module. Dropping it ends its watches with `Unavailable`.
pub struct EtcdStore {
    core: Arc<Core>,
}

impl EtcdStore {
    /// Makes a new store in an etcd that has none in this namespace, and opens it.
    ///
    /// It begins at revision `first`: 0 for a new cluster, more than any revision that was ever
    /// seen for one that continues another store. `Unavailable` if there is a store already, or no
    /// member can be reached; `NoQuorum`; `Unknown` if no answer came: `connect` shows then whether
    /// it was made.
    pub async fn create(
        options: EtcdOptions,
        clock: Arc<dyn Clock>,
        first: Revision,
    ) -> Result<Self, StoreError> {
        options.check()?;
        let names = Names::new(&options.namespace);
        let label = Label::new(first);
        let session = Session::new(names.session(&options.agent), 0);
        let request = TxnRequest {
            compare: vec![Compare::created(names.label(), 0)],
            success: vec![put_label(&names, &label).into(), session.put().into()],
            failure: Vec::new(),
        };
        let members = Members::new(options, Arc::clone(&clock));
        let repeat = Repeat::IfNothingHappened;
        let made = members.call(TXN, request, Leader::Required, repeat).await;
        let made: TxnResponse = made.map_err(Fault::of_write)?;
        if !made.succeeded {
            let text = format!("namespace: '{}' has a store", members.options().namespace);
            return Err(StoreError::Unavailable(text));
        }
        let base = made.header.revision;
        session.began_at(base);
        let space = Space {
            names,
            cluster: made.header.cluster_id,
            base,
            label,
        };
        Ok(Self::new(members, space, session, clock))
    }

    /// Opens the store that is in an etcd; ends the commits of an earlier process of this agent.
    ///
    /// `Unavailable` if there is no store, or one of a newer format, or no member can be reached;
    /// `NoQuorum`; `Full` if etcd has no space for the session. May be repeated.
    pub async fn connect(options: EtcdOptions, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        options.check()?;
        let names = Names::new(&options.namespace);
        let session_key = names.session(&options.agent);
        let look = |key: &[u8]| {
            let key = key.to_vec();
            Request::Range(RangeRequest {
                key,
                ..RangeRequest::default()
            })
        };
        let request = TxnRequest {
            success: vec![look(&names.label()).into(), look(&session_key).into()],
            ..TxnRequest::default()
        };
        let members = Members::new(options, Arc::clone(&clock));
        let (leader, repeat) = (Leader::Required, Repeat::Always);
        let found: TxnResponse = members
            .call(TXN, request, leader, repeat)
            .await
            .map_err(Fault::of_read)?;
        let cluster = found.header.cluster_id;
        let mut pairs = found.ranges().map(|range| range.kvs.into_iter().next());
        let Some(label) = pairs.next().flatten() else {
            let text = format!("namespace: '{}' has no store", members.options().namespace);
            return Err(StoreError::Unavailable(text));
        };
        let before = pairs.next().flatten().map_or(0, |pair| pair.mod_revision);
        let space = Space {
            names,
            cluster,
            base: label.mod_revision,
            label: Label::from_bytes(&label.value)?,
        };
        let store = Self::new(members, space, Session::new(session_key, before), clock);
        store.core.follow_session(before).await?;
        Ok(store)
    }

    fn new(members: Members, space: Space, session: Session, clock: Arc<dyn Clock>) -> Self {
        Self {
            core: Arc::new(Core {
                members,
                space,
                session,
                clock,
                seen: AtomicI64::new(0),
                ended: tokio::sync::watch::Sender::new(None),
            }),
        }
    }

    /// Begins a new generation with the present content, after a quorum was forced or a copy was
    /// restored: every open handle, also this one, answers `Moved` from now on.
    ///
    /// `first` is more than any revision that was ever seen of the store. `Limit` if it is not more
    /// than the present one; `Unknown` if no answer came: repeat it on a new handle.
    pub async fn begin_generation(&self, first: Revision) -> Result<(), StoreError> {
        let now = self.core.revision(Read::Linear).await?;
        if first <= now {
            let text = format!("first: {} is not more than {}", first.0, now.0);
            return Err(StoreError::Limit(text));
        }
        let request = TxnRequest {
            compare: vec![self.core.space_holds()],
            success: vec![put_label(&self.core.space.names, &Label::new(first)).into()],
            failure: Vec::new(),
        };
        let repeat = Repeat::IfNothingHappened;
        let done = self.core.txn(request, Leader::Required, repeat).await;
        done.map_err(Fault::of_write)?;
        self.core.end(StoreError::Moved);
        Ok(())
    }

    /// Drops the history before a revision. etcd does so by itself (`SERVER_FLAGS`); this is for a
    /// store that is full. May be repeated.
    pub async fn compact(&self, oldest: Revision) -> Result<(), StoreError> {
        let revision = self.core.space.position(oldest).ok_or(StoreError::Moved)?;
        let request = CompactionRequest { revision };
        let (leader, repeat) = (Leader::Required, Repeat::Always);
        let done: Result<Done, _> = self
            .core
            .members
            .call(COMPACT, request, leader, repeat)
            .await;
        match done {
            Ok(_) | Err(Fault::Compacted) => Ok(()),
            Err(fault) => Err(fault.of_read()),
        }
    }
}

impl Origin for EtcdStore {
    fn id(&self) -> String {
        self.core.space.id()
    }

    fn avoid_member(&self) {
        self.core.members.avoid_current();
    }
}

fn put_label(names: &Names, label: &Label) -> Request {
    Request::Put(PutRequest {
        key: names.label(),
        value: label.to_bytes(),
        lease: 0,
    })
}

impl Drop for EtcdStore {
    fn drop(&mut self) {
        self.core
            .end(StoreError::Unavailable("the store was closed".to_owned()));
    }
}

#[async_trait]
impl Store for EtcdStore {
    async fn get(&self, key: &Key, read: Read) -> Result<(Option<Entry>, Revision), StoreError> {
        self.core.get(key, read).await
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError> {
        self.core.page(prefix, from, read).await
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        check::commit(&commit)?;
        self.core.commit(commit).await
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        self.core.check_open()?;
        watch::start(&self.core, prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        check::lease_ttl(ttl)?;
        self.core.grant(ttl).await
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.core.renew(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.core.revoke(lease).await
    }
}
