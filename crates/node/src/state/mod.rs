//! Where the state is: in a file of this node, or in the etcd of a cluster.
//!
//! ```text
//!   store.json missing   state.db                       one machine: no server
//!   store.json           etcd at the named endpoints    a cluster
//! ```
//!
//! A node moves from the first to the second while its guests run (`ClusterMove`, the task
//! `cluster_create`): the file is sealed, copied and compared, and `store.json` decides. From then
//! on the sealed file is only a copy of the past.

mod authority;
mod pointer;
mod record;
mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use model::{Clock, Error, NodeName, Upid};
use store::conversion::{SwitchStore, copy};
use store::{EtcdOptions, EtcdStore, Revision, SharedStore, SqliteStore};
use sys::SharedHost;
use tracing::{info, warn};

use self::authority::Certificates;
use self::pointer::Pointer;
pub use self::pointer::Server;
pub use self::record::{ClusterRecord, cluster_key};
use self::server::EtcdServer;
use crate::Paths;

/// How long a new etcd may take until it answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The pause before it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How often it is checked that this node's etcd runs.
const LOOK: Duration = Duration::from_secs(1);

/// What the task that makes a cluster does with the state. Every method may be repeated.
#[async_trait]
pub trait ClusterMove: Send + Sync + 'static {
    /// Starts an empty etcd on this node.
    async fn start_server(&self, server: &Server) -> Result<(), Error>;

    /// Ends it and deletes its data.
    async fn discard_server(&self) -> Result<(), Error>;

    /// Refuses every change of the node's own file, and returns its last revision.
    async fn seal(&self, by: &Upid) -> Result<Revision, Error>;

    async fn unseal(&self) -> Result<(), Error>;

    /// Copies what is sealed to the new etcd, and compares the two. Returns the number of records.
    async fn copy(&self, server: &Server, by: &Upid, last: Revision) -> Result<u64, Error>;

    /// Decides: from now on the state is there.
    async fn decide(&self, server: &Server) -> Result<(), Error>;

    async fn is_decided(&self) -> Result<bool, Error>;

    /// Gives the users of the store what was decided.
    async fn adopt(&self) -> Result<(), Error>;
}

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
    server: EtcdServer,
    store: Arc<SwitchStore>,
    /// The node's own file, if that was opened.
    file: Option<Arc<SqliteStore>>,
    /// Whether its users have another store since.
    is_replaced: AtomicBool,
}

impl State {
    /// Opens the state where it is. Waits for the etcd of a cluster, and starts the one of this
    /// node.
    pub async fn open(options: StateOptions) -> Result<Self, Error> {
        let StateOptions {
            node,
            paths,
            host,
            clock,
            etcd: program,
            etcd_user: user,
        } = options;
        let server = EtcdServer {
            host: host.clone(),
            paths: paths.clone(),
            node: node.clone(),
            program,
            user,
        };
        let pointer = Pointer::read(&host, &paths).await?;
        let (first, file): (SharedStore, _) = match pointer {
            None => {
                let file = Arc::new(SqliteStore::open(paths.database(), clock.clone())?);
                (file.clone(), Some(file))
            }
            Some(pointer) => {
                if let Some(own) = &pointer.server {
                    server.start(own).await?;
                }
                let options = etcd_options(&host, &paths, &node, pointer).await?;
                (Arc::new(connect(&options, &clock).await?), None)
            }
        };
        Ok(Self {
            node,
            paths,
            host,
            clock,
            server,
            store: Arc::new(SwitchStore::new(first)),
            file,
            is_replaced: AtomicBool::new(false),
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

    async fn etcd_options(&self, pointer: Pointer) -> Result<EtcdOptions, Error> {
        etcd_options(&self.host, &self.paths, &self.node, pointer).await
    }

    fn file(&self) -> Result<&Arc<SqliteStore>, Error> {
        let none = || Error::conflict("the state is in a cluster already");
        self.file.as_ref().ok_or_else(none)
    }
}

async fn etcd_options(
    host: &SharedHost,
    paths: &Paths,
    node: &NodeName,
    pointer: Pointer,
) -> Result<EtcdOptions, Error> {
    Ok(EtcdOptions {
        tls: Some(Certificates::of(paths).client(host).await?),
        ..EtcdOptions::new(node.as_str(), pointer.endpoints)
    })
}

/// Opens the store in an etcd that may not answer yet.
async fn connect(options: &EtcdOptions, clock: &Arc<dyn Clock>) -> Result<EtcdStore, Error> {
    let begun = clock.monotonic();
    loop {
        match EtcdStore::connect(options.clone(), clock.clone()).await {
            Ok(store) => return Ok(store),
            Err(error) if clock.monotonic() - begun < ANSWER_TIMEOUT => {
                info!(%error, "waiting for etcd");
                clock.sleep(ASK_AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
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

#[async_trait]
impl ClusterMove for State {
    async fn start_server(&self, server: &Server) -> Result<(), Error> {
        self.discard_server().await?;
        self.server.prepare(server).await?;
        self.server.start(server).await
    }

    async fn discard_server(&self) -> Result<(), Error> {
        self.file()?;
        self.server.discard().await
    }

    async fn seal(&self, by: &Upid) -> Result<Revision, Error> {
        Ok(self.file()?.seal(&by.to_string()).await?)
    }

    async fn unseal(&self) -> Result<(), Error> {
        Ok(self.file()?.unseal().await?)
    }

    async fn copy(&self, server: &Server, by: &Upid, last: Revision) -> Result<u64, Error> {
        let file = self.file()?;
        let options = self.etcd_options(Pointer::to(server.clone())).await?;
        let target = make(&options, &self.clock, Revision(last.0 + 1)).await?;
        let copied = copy(&**file, &target, &by.to_string(), |_, _| {}).await?;
        Ok(copied.entries)
    }

    async fn decide(&self, server: &Server) -> Result<(), Error> {
        let pointer = Pointer::to(server.clone());
        pointer.write(&self.host, &self.paths).await
    }

    async fn is_decided(&self) -> Result<bool, Error> {
        Ok(Pointer::read(&self.host, &self.paths).await?.is_some())
    }

    async fn adopt(&self) -> Result<(), Error> {
        if self.file.is_none() || self.is_replaced.load(Ordering::Acquire) {
            return Ok(());
        }
        let pointer = Pointer::read(&self.host, &self.paths).await?;
        let pointer = pointer.ok_or_else(|| Error::bug("nothing was decided"))?;
        let options = self.etcd_options(pointer).await?;
        let store = connect(&options, &self.clock).await?;
        self.store.replace(Arc::new(store));
        self.is_replaced.store(true, Ordering::Release);
        Ok(())
    }
}
