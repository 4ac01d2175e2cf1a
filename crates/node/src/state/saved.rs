//! States that were saved in files of their own, to be restored after all others are lost.
//!
//! ```text
//!   saved/NAME.db   a store like `state.db`, beside its content what its node proved itself with
//! ```
//!
//! Secrets can be read in it, also keys that open the whole cluster: it is root's file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Clock, Error, NodeName, Record, UnixTime};
use serde::{Deserialize, Serialize};
use store::conversion::{label, save};
use store::{Commit, Read, Revision, SqliteStore, Store, list_all};
use sys::SharedHost;

use super::{ClusterRecord, cluster_key, replace};
use crate::Paths;
use crate::cluster::{Member, members_prefix};
use crate::pki::{Pair, PairPaths};
use crate::records::unreadable;

/// What a node had of its own when it saved the state.
#[derive(Clone, Serialize, Deserialize)]
struct Belongings {
    v: u32,
    node: NodeName,
    saved: UnixTime,
    /// The certificates in `tls/`, by the names of their files.
    pairs: BTreeMap<String, Pair>,
    sealing_keys: Option<String>,
}

const VERSION: u32 = 1;

impl Belongings {
    async fn collect(
        host: &SharedHost,
        paths: &Paths,
        node: &NodeName,
        saved: UnixTime,
    ) -> Result<Self, Error> {
        let mut pairs = BTreeMap::new();
        for (name, at) in PairPaths::of_member(&paths.tls()) {
            if at.exist(host).await? {
                pairs.insert(name.to_owned(), at.read(host).await?);
            }
        }
        let sealing_keys = match host.read(&paths.sealing_keys()).await {
            Ok(keys) => Some(String::from_utf8_lossy(&keys).into_owned()),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            v: VERSION,
            node: node.clone(),
            saved,
            pairs,
            sealing_keys,
        })
    }

    /// Puts them in the place of a new node's own.
    async fn install(&self, host: &SharedHost, paths: &Paths) -> Result<(), Error> {
        host.create_dir(&paths.tls(), 0o700).await?;
        for (name, at) in PairPaths::of_member(&paths.tls()) {
            if let Some(pair) = self.pairs.get(name) {
                at.write(host, pair).await?;
            }
        }
        if let Some(keys) = &self.sealing_keys {
            let keys = keys.as_bytes();
            host.write(&paths.sealing_keys(), keys, 0o600).await?;
        }
        Ok(())
    }
}

/// A file with a saved state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFile {
    pub name: String,
    pub path: PathBuf,
    pub bytes: u64,
    /// When it was written.
    pub written: UnixTime,
}

/// What a saved state is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedState {
    /// Who saved it.
    pub node: NodeName,
    pub saved: UnixTime,
    /// None: of a single node.
    pub cluster: Option<ClusterRecord>,
    pub members: Vec<Member>,
    pub revision: Revision,
}

/// The saved states of a node.
pub(super) struct SavedStates<'a> {
    pub(super) host: &'a SharedHost,
    pub(super) paths: &'a Paths,
    pub(super) clock: &'a Arc<dyn Clock>,
}

impl SavedStates<'_> {
    /// Saves what a store has now. A file of this name is replaced once the new one is whole.
    pub(super) async fn write(
        &self,
        store: &dyn Store,
        node: &NodeName,
        name: &str,
    ) -> Result<u64, Error> {
        let host = self.host;
        host.create_dir(&self.paths.saved(), 0o700).await?;
        let (path, part) = (self.paths.saved_state(name), self.part(name));
        let now = self.clock.wall();
        let belongings = Belongings::collect(host, self.paths, node, now).await?;
        let belongings = serde_json::to_vec(&belongings)
            .map_err(|error| Error::bug(format!("a saved state: {error}")))?;
        let (_, at) = store.get(&cluster_key(), Read::Local).await?;
        let file = SqliteStore::create(&part, self.clock.clone(), at)?;
        let written = async {
            let copied = save(store, &file).await?;
            file.commit(Commit::new().put(label(), belongings)).await?;
            Ok::<_, Error>(copied.entries)
        };
        let written = written.await.and_then(|records| {
            file.close()?;
            Ok(records)
        });
        match &written {
            Ok(_) => replace(host, &part, &path).await?,
            Err(_) => drop(host.remove(&part).await?),
        }
        host.remove(&lock_of(&part)).await?;
        host.sync(&self.paths.saved()).await?;
        written
    }

    fn part(&self, name: &str) -> PathBuf {
        self.paths.saved().join(format!("{name}.part"))
    }

    pub(super) async fn list(&self) -> Result<Vec<SavedFile>, Error> {
        let folder = self.paths.saved();
        if self.host.stat(&folder).await?.is_none() {
            return Ok(Vec::new());
        }
        let files = self.host.list(&folder).await?;
        let files = files.into_iter().filter_map(|file| {
            Some(SavedFile {
                name: file.name.strip_suffix(".db")?.to_owned(),
                path: folder.join(&file.name),
                bytes: file.size,
                written: file.modified,
            })
        });
        Ok(files.collect())
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.paths.saved_state(name);
        self.host.remove(&path).await?;
        self.host.remove(&lock_of(&path)).await?;
        Ok(())
    }

    /// Opens a saved state, which nothing else uses.
    pub(super) async fn open(&self, name: &str) -> Result<SqliteStore, Error> {
        let path = self.paths.saved_state(name);
        if self.host.stat(&path).await?.is_none() {
            let text = format!("there is no file {}", path.display());
            return Err(Error::invalid("saved", text));
        }
        Ok(SqliteStore::open(path, self.clock.clone())?)
    }

    pub(super) async fn examine(&self, name: &str) -> Result<SavedState, Error> {
        let file = self.open(name).await?;
        let belongings = belongings(&file).await?;
        let (cluster, revision) = file.get(&cluster_key(), Read::Linear).await?;
        let cluster = cluster.map(|entry| Record::<ClusterRecord>::decode(&entry.value));
        let cluster = cluster.transpose().map_err(unreadable)?;
        let (members, _) = list_all(&file, &members_prefix(), Read::Linear).await?;
        let members = members
            .iter()
            .map(|entry| Record::<Member>::decode(&entry.value));
        let members: Result<Vec<_>, _> = members.collect();
        let members = members.map_err(unreadable)?.into_iter();
        Ok(SavedState {
            node: belongings.node,
            saved: belongings.saved,
            cluster: cluster.map(|record| record.data),
            members: members.map(|record| record.data).collect(),
            revision,
        })
    }

    /// Makes this new node the one that saved the state, as far as certificates go.
    pub(super) async fn take_belongings(&self, name: &str) -> Result<(), Error> {
        let file = self.open(name).await?;
        belongings(&file)
            .await?
            .install(self.host, self.paths)
            .await
    }
}

async fn belongings(file: &SqliteStore) -> Result<Belongings, Error> {
    let wrong = |why: &str| Error::invalid("saved", format!("this is no saved state: {why}"));
    let (entry, _) = file.get(&label(), Read::Linear).await?;
    let entry = entry.ok_or_else(|| wrong("nothing says who saved it"))?;
    let belongings: Belongings =
        serde_json::from_slice(&entry.value).map_err(|error| wrong(&error.to_string()))?;
    match belongings.v > VERSION {
        true => Err(wrong("it is of a later version of this program")),
        false => Ok(belongings),
    }
}

/// The lock that a store keeps beside its file.
fn lock_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}
