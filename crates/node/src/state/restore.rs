//! Restores a saved state when the agent starts, before the state is opened.
//!
//! ```text
//!   restore.json   what is to be restored; why it failed, if it did
//!   restored.json  what was restored last
//!
//!   a new node: tls set aside ─ belongings
//!   etcd set aside ─ new etcd ─ copy ─ compare ─ members, guests ─ store.json ┃ restored.json
//!                                     from here on the restored state counts  │
//! ```
//!
//! Everything before can be repeated, since it begins anew. A restore that fails leaves the node as
//! it was: what was set aside is put back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Clock, Error, GuestRecord, Record, Upid};
use serde::{Deserialize, Serialize};
use store::conversion::copy;
use store::{Commit, Endpoints, Prefix, Read, Revision, SealedStore, SqliteStore, Store, list_all};
use sys::SharedHost;
use tracing::{error, info};

use super::saved::SavedStates;
use super::server::EtcdServer;
use super::{Pointer, Server, UNSEEN, cluster_key, etcd_options, make, replace};
use crate::Paths;
use crate::membership::{Roster, change, remove_served};
use crate::records::unreadable;

/// What is to be restored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestoreOrder {
    pub by: Upid,
    /// The name of the saved state.
    pub saved: String,
    /// Where this node's etcd listens; none: the state is one of a single node.
    pub link: Option<String>,
    /// The generation that begins.
    pub generation: u64,
    /// The last revision that this node knows of.
    pub revision: u64,
    /// Guests may run elsewhere than the saved state says: none is started before an administrator
    /// has unlocked it.
    pub lock_guests: bool,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl RestoreOrder {
    async fn read_at(host: &SharedHost, path: &Path) -> Result<Option<Self>, Error> {
        let text = match host.read(path).await {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let order = serde_json::from_slice(&text);
        let order =
            order.map_err(|error| Error::unavailable(format!("{}: {error}", path.display())));
        order.map(Some)
    }

    pub(super) async fn read(host: &SharedHost, paths: &Paths) -> Result<Option<Self>, Error> {
        Self::read_at(host, &paths.restore_order()).await
    }

    pub(super) async fn write(&self, host: &SharedHost, paths: &Paths) -> Result<(), Error> {
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::bug(format!("the order of a restore: {error}")))?;
        Ok(host.write(&paths.restore_order(), &text, 0o600).await?)
    }

    /// Notes why it was not carried out.
    async fn fail(mut self, host: &SharedHost, paths: &Paths, error: &Error) -> Result<(), Error> {
        error!(%error, saved = self.saved, "the state could not be restored");
        self.failed = Some(error.to_string());
        self.write(host, paths).await
    }

    /// Whether a task's order was carried out.
    pub(super) async fn is_done(
        host: &SharedHost,
        paths: &Paths,
        by: &Upid,
    ) -> Result<bool, Error> {
        let done = Self::read_at(host, &paths.restored()).await?;
        Ok(done.is_some_and(|done| done.by == *by))
    }
}

/// Makes a new node the one whose state is to be restored, before its certificates are read.
pub async fn take_belongings(
    host: &SharedHost,
    paths: &Paths,
    clock: &Arc<dyn Clock>,
) -> Result<(), Error> {
    let order = RestoreOrder::read(host, paths).await?;
    let is_member = Pointer::read(host, paths).await?.is_some();
    let Some(order) = order.filter(|order| order.failed.is_none() && !is_member) else {
        return Ok(());
    };
    set_aside(host, &paths.tls()).await?;
    let states = SavedStates { host, paths, clock };
    if let Err(error) = states.take_belongings(&order.saved).await {
        put_back(host, &paths.tls()).await?;
        return order.fail(host, paths, &error).await;
    }
    remove_served(host, paths).await
}

/// Carries out the order, if there is one.
pub(super) async fn finish(server: &EtcdServer, clock: &Arc<dyn Clock>) -> Result<(), Error> {
    let (host, paths) = (&server.host, &server.paths);
    let Some(order) = RestoreOrder::read(host, paths).await? else {
        return Ok(());
    };
    if order.failed.is_some() {
        return Ok(());
    }
    match restore(server, clock, &order).await {
        Ok(records) => {
            info!(saved = order.saved, records, "the state was restored");
            replace(host, &paths.restore_order(), &paths.restored()).await?;
            for folder in [paths.tls(), paths.etcd()] {
                host.remove_tree(&aside(&folder)).await?;
            }
            Ok(())
        }
        Err(error) => {
            server.discard().await?;
            put_back(host, &paths.etcd()).await?;
            let began_anew = put_back(host, &paths.tls()).await?;
            order.fail(host, paths, &error).await?;
            match began_anew {
                false => Ok(()),
                // The next start has this node's own certificates again.
                true => {
                    remove_served(host, paths).await?;
                    Err(error)
                }
            }
        }
    }
}

async fn restore(
    server: &EtcdServer,
    clock: &Arc<dyn Clock>,
    order: &RestoreOrder,
) -> Result<u64, Error> {
    let (host, paths) = (&server.host, &server.paths);
    let saved = SavedStates { host, paths, clock }
        .open(&order.saved)
        .await?;
    let (_, last) = saved.get(&cluster_key(), Read::Linear).await?;
    let first = Revision(last.0.max(order.revision) + UNSEEN);
    let Some(link) = &order.link else {
        return restore_file(server, clock, order, &saved, first).await;
    };
    server.stop().await?;
    set_aside(host, &paths.etcd()).await?;
    let own = Server::first(link.clone());
    server.prepare(&own, &[]).await?;
    // Others would write into what is not whole yet.
    let endpoints = Endpoints::new(vec![server.start_private(&own).await?]);
    let copied = fill(server, clock, order, &saved, endpoints, first).await;
    server.stop().await?;
    let records = copied?;
    host.remove_tree(&paths.replica()).await?;
    Pointer::to(own).write(host, paths).await?;
    Ok(records)
}

/// Restores the state of a single node.
async fn restore_file(
    server: &EtcdServer,
    clock: &Arc<dyn Clock>,
    order: &RestoreOrder,
    saved: &SqliteStore,
    first: Revision,
) -> Result<u64, Error> {
    let (host, database) = (&server.host, server.paths.database());
    let restored = database.with_extension("restored");
    let file = SqliteStore::create(&restored, clock.clone(), first)?;
    let copied = copy(saved, &file, &order.by.to_string(), |_, _| {}).await?;
    file.close()?;
    // The log of the file of before is not one of this file.
    for suffix in ["-wal", "-shm"] {
        let log = format!("{}{suffix}", database.display());
        host.remove(Path::new(&log)).await?;
    }
    replace(host, &restored, &database).await?;
    Ok(copied.entries)
}

/// Makes the state in an etcd that has none, and returns the number of records.
async fn fill(
    server: &EtcdServer,
    clock: &Arc<dyn Clock>,
    order: &RestoreOrder,
    saved: &SqliteStore,
    endpoints: Endpoints,
    first: Revision,
) -> Result<u64, Error> {
    let etcd = make(&etcd_options(server, endpoints).await?, clock, first).await?;
    let keys = server.certificates().ensure_sealing_keys().await?;
    let target = SealedStore::new(Arc::new(etcd), keys);
    let copied = copy(saved, &target, &order.by.to_string(), |_, _| {}).await?;
    begin_generation(&target, server, order).await?;
    if order.lock_guests {
        lock_guests(&target).await?;
    }
    Ok(copied.entries)
}

fn aside(folder: &Path) -> PathBuf {
    folder.with_extension("before-restore")
}

/// Renames a folder. What was set aside first is kept, if this is not the first attempt.
async fn set_aside(host: &SharedHost, folder: &Path) -> Result<(), Error> {
    let aside = aside(folder);
    let is_first = host.stat(&aside).await?.is_none() && host.stat(folder).await?.is_some();
    match is_first {
        true => host.rename(folder, &aside).await?,
        false => drop(host.remove_tree(folder).await?),
    }
    Ok(())
}

/// False: nothing was set aside.
async fn put_back(host: &SharedHost, folder: &Path) -> Result<bool, Error> {
    let aside = aside(folder);
    if host.stat(&aside).await?.is_none() {
        return Ok(false);
    }
    host.remove_tree(folder).await?;
    host.rename(&aside, folder).await?;
    Ok(true)
}

/// This node has the only vote, in a generation that the others follow when they come back.
async fn begin_generation(
    store: &dyn Store,
    server: &EtcdServer,
    order: &RestoreOrder,
) -> Result<(), Error> {
    let changed = change(store, |roster| {
        roster.cluster.data.generation = order.generation;
        for member in roster.members.values_mut() {
            member.data.votes = 0;
        }
        if let Some(witness) = &mut roster.witness {
            witness.data.votes = 0;
        }
        let own = roster.member_mut(&server.node)?;
        own.votes = 1;
        own.link = order.link.clone().unwrap_or_default();
        Ok(())
    });
    changed.await?;
    let revoked = Roster::read(store).await?.cluster.data.revoked;
    server.certificates().write_revoked(&revoked).await
}

/// The tasks that held guests are gone; where the guests are is to be confirmed.
async fn lock_guests(store: &dyn Store) -> Result<(), Error> {
    let guests = Prefix::below("guest").expect("a constant that is a key");
    let (entries, _) = list_all(store, &guests, Read::Linear).await?;
    for entry in entries {
        let mut guest = Record::<GuestRecord>::decode(&entry.value).map_err(unreadable)?;
        guest.data.busy = None;
        // As Proxmox VE does while a guest is on its way.
        guest.data.config.set("lock", "migrate");
        let value = guest.encode().map_err(unreadable)?;
        store.commit(Commit::new().put(entry.key, value)).await?;
    }
    Ok(())
}
