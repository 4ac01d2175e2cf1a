//! Where the state is: in a file of this node, or in the etcd of a cluster.
//!
//! ```text
//!   store.json missing   state.db                       one machine: no server
//!   store.json           etcd at the named endpoints    a cluster
//! ```
//!
//! The agent of a cluster starts without etcd too: it has a copy of the state, its replica, and goes
//! over to etcd when that answers (`store::ClusterStore`).
//!
//! A node moves from the first to the second while its guests run (the task `cluster_create`): the
//! file is sealed, copied and compared, and `store.json` decides. One that joins a cluster
//! (`cluster_join`) seals its file and leaves it behind. From then on the sealed file is only a copy
//! of the past. The last member of a cluster goes back the same way (`cluster_dissolve`): its changes
//! wait while the file is made anew, and `store.json` goes.

mod certificates;
mod cluster_state;
mod origin;
mod pointer;
mod record;
mod restore;
mod saved;
mod server;
mod witness;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Clock, Error, NodeName};
use store::conversion::{Hold, SwitchStore};
use store::{Endpoints, EtcdOptions, EtcdStore, Revision, SharedStore, SqliteStore};
use sys::SharedHost;
use tokio::sync::Notify;
use tracing::warn;

pub use self::cluster_state::ClusterState;
use self::origin::EtcdOrigin;
pub use self::pointer::{Pointer, Server, client_url};
pub(crate) use self::record::witness_key;
pub use self::record::{ClusterRecord, Witness, cluster_key};
pub use self::restore::{RestoreOrder, take_belongings};
pub use self::saved::{SavedFile, SavedState};
use self::server::EtcdServer;
pub use self::witness::{check_no_witness, dismiss, enlist, serve_as_witness};
use crate::Paths;

/// How long etcd may take until it answers a node that has no copy of its content.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The pause before it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How often it is checked that this node's etcd runs.
const LOOK: Duration = Duration::from_secs(1);
/// More revisions than lost voters may have seen without this node.
const UNSEEN: u64 = 1_000_000;

/// Options of a node's state.
pub struct StateOptions {
    pub node: NodeName,
    pub paths: Paths,
    pub host: SharedHost,
    pub clock: Arc<dyn Clock>,
    /// The program `etcd`.
    pub etcd: PathBuf,
    /// Its user and group; none: no etcd can run on this node.
    pub etcd_user: Option<(u32, u32)>,
}

/// The state of this node.
pub struct State {
    node: NodeName,
    paths: Paths,
    host: SharedHost,
    clock: Arc<dyn Clock>,
    server: Arc<EtcdServer>,
    origin: Arc<EtcdOrigin>,
    store: Arc<SwitchStore>,
    /// The node's own file, as long as its users have it.
    file: Mutex<Option<Arc<SqliteStore>>>,
    /// Lets changes wait while the state goes back into the file.
    hold: Mutex<Option<Hold>>,
    /// Where the open store reaches etcd.
    endpoints: Endpoints,
    /// Held while `store.json` is changed.
    pointing: tokio::sync::Mutex<()>,
    /// Held while the state is saved: another one of the same name would write the same file.
    saving: tokio::sync::Mutex<()>,
    restart: Notify,
}

impl State {
    /// Opens the state where it is, and starts the etcd of this node. Waits for the etcd of a
    /// cluster for a moment, and for longer only where this node has no replica of it.
    pub async fn open(options: StateOptions) -> Result<Self, Error> {
        let server = Arc::new(EtcdServer::of(&options));
        let StateOptions {
            node,
            paths,
            host,
            clock,
            ..
        } = options;
        restore::finish(&server, &clock).await?;
        let pointer = Pointer::read(&host, &paths).await?;
        let endpoints = pointer.iter().flat_map(|pointer| pointer.endpoints.clone());
        let endpoints = Endpoints::new(endpoints.collect());
        let origin = Arc::new(EtcdOrigin {
            server: server.clone(),
            endpoints: endpoints.clone(),
            clock: clock.clone(),
        });
        let (first, file): (SharedStore, _) = match pointer {
            None => {
                let file = Arc::new(SqliteStore::open(paths.database(), clock.clone())?);
                (file.clone(), Some(file))
            }
            Some(pointer) => {
                if let Some(own) = &pointer.server
                    && let Err(error) = server.start(own).await
                {
                    // `keep_server` tries again.
                    warn!(%error, "this node's etcd cannot be started");
                }
                (origin.open().await?, None)
            }
        };
        Ok(Self {
            node,
            paths,
            host,
            clock,
            server,
            origin,
            store: Arc::new(SwitchStore::new(first)),
            file: Mutex::new(file),
            hold: Mutex::default(),
            endpoints,
            pointing: tokio::sync::Mutex::default(),
            saving: tokio::sync::Mutex::default(),
            restart: Notify::new(),
        })
    }

    /// The store, for as long as the agent lives.
    pub fn store(&self) -> SharedStore {
        self.store.clone()
    }

    /// Starts this node's etcd again when it has ended. Never returns.
    pub async fn keep_server(&self) {
        loop {
            self.clock.sleep(LOOK).await;
            let kept = async {
                let pointer = Pointer::read(&self.host, &self.paths).await?;
                match pointer.and_then(|pointer| pointer.server) {
                    Some(own) if !self.server.is_running().await? => {
                        warn!("etcd has ended, starting it again");
                        self.server.start(&own).await
                    }
                    _ => Ok(()),
                }
            };
            let kept: Result<(), Error> = kept.await;
            if let Err(error) = kept {
                warn!(%error, "etcd cannot be kept running");
            }
        }
    }

    /// Returns when the agent shall end, to be started again.
    pub async fn restart_wanted(&self) {
        self.restart.notified().await;
    }

    fn file(&self) -> Result<Arc<SqliteStore>, Error> {
        let none = || Error::conflict("the state is in a cluster already");
        lock(&self.file).clone().ok_or_else(none)
    }
}

/// Renames a file, in the place of another one if there is one.
async fn replace(host: &SharedHost, from: &Path, to: &Path) -> Result<(), Error> {
    if host.stat(to).await?.is_none() {
        return Ok(host.rename(from, to).await?);
    }
    host.exchange(from, to).await?;
    host.remove(from).await?;
    Ok(())
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn etcd_options(server: &EtcdServer, endpoints: Endpoints) -> Result<EtcdOptions, Error> {
    Ok(EtcdOptions {
        tls: Some(server.client().await?),
        endpoints,
        ..EtcdOptions::new(server.node.as_str(), Vec::new())
    })
}

/// Makes the store in a new etcd, or opens the one that an earlier attempt has made.
async fn make(
    options: &EtcdOptions,
    clock: &Arc<dyn Clock>,
    first: Revision,
) -> Result<EtcdStore, Error> {
    let begun = clock.monotonic();
    loop {
        let error = match EtcdStore::create(options.clone(), clock.clone(), first).await {
            Ok(store) => return Ok(store),
            Err(error) => error,
        };
        if let Ok(store) = EtcdStore::connect(options.clone(), clock.clone()).await {
            return Ok(store);
        }
        if clock.monotonic() - begun >= ANSWER_TIMEOUT {
            return Err(error.into());
        }
        clock.sleep(ASK_AGAIN).await;
    }
}
