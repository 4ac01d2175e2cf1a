//! What tasks do with the place of the state, and with this node's etcd.

use std::future::pending;
use std::sync::Arc;

use async_trait::async_trait;
use model::{Error, NodeName, Upid};
use store::conversion::copy;
use store::{
    Endpoints, EtcdHealth, EtcdOptions, EtcdStore, EtcdVoters, Read, Revision, SealedStore,
    SqliteStore, Store,
};

use crate::membership::{Admission, Application, Contact, apply};

use super::saved::SavedStates;
use super::{
    ANSWER_TIMEOUT, ASK_AGAIN, Pointer, RestoreOrder, SavedFile, SavedState, Server, State, UNSEEN,
    client_url, cluster_key, etcd_options, lock, make,
};

/// Every method may be repeated.
#[async_trait]
pub trait ClusterState: Send + Sync + 'static {
    /// Starts an empty etcd on this node, for a cluster of one.
    async fn start_server(&self, server: &Server) -> Result<(), Error>;

    /// Ends it and deletes its data, and a replica of it.
    async fn discard_server(&self) -> Result<(), Error>;

    /// Refuses every change of the node's own file, and returns its last revision.
    async fn seal(&self, by: &Upid) -> Result<Revision, Error>;

    async fn unseal(&self) -> Result<(), Error>;

    /// Copies what is sealed to the new etcd, and compares the two. Returns the number of records.
    async fn copy(&self, server: &Server, by: &Upid, last: Revision) -> Result<u64, Error>;

    /// Lets every change wait, and copies the state of the cluster, of which this node is the only
    /// member, into the node's own file. Returns the number of records.
    async fn copy_back(&self, by: &Upid) -> Result<u64, Error>;

    /// Lets changes go on in the cluster.
    async fn release(&self);

    /// Decides: from now on the state is in the node's own file.
    async fn decide_file(&self) -> Result<(), Error>;

    /// Decides: from now on the state is there.
    async fn decide(&self, pointer: &Pointer) -> Result<(), Error>;

    async fn is_decided(&self) -> Result<bool, Error>;

    /// Gives the users of the store what was decided.
    async fn adopt(&self) -> Result<(), Error>;

    /// Whether the users of the store have what was decided.
    async fn is_adopted(&self) -> Result<bool, Error>;

    /// Asks a member of a cluster to admit this node.
    async fn apply(
        &self,
        contact: &Contact,
        password: &str,
        application: &Application,
    ) -> Result<Admission, Error>;

    /// Ends the agent, which is started again with what was decided. Never returns.
    async fn restart(&self);

    /// Adds a server at this address to the etcd of the cluster, without a vote. Returns how it is
    /// started.
    async fn add_learner(&self, address: &str) -> Result<Server, Error>;

    /// Starts it on this node, and from now on whenever it is not running.
    async fn host_server(&self, server: &Server, revoked: &[String]) -> Result<(), Error>;

    /// Gives it its vote; false while it is behind the others.
    async fn promote(&self, address: &str) -> Result<bool, Error>;

    /// Removes the server at this address from the etcd of the cluster, for good.
    async fn remove_voter(&self, address: &str) -> Result<(), Error>;

    /// Ends this node's server of the cluster's etcd and deletes its data.
    async fn drop_server(&self) -> Result<(), Error>;

    /// Makes this node's etcd refuse certificates, by their serial numbers.
    async fn revoke(&self, serials: &[String]) -> Result<(), Error>;

    /// Ends the session of a node: its open store writes nothing from now on.
    async fn end_session(&self, node: &NodeName) -> Result<(), Error>;

    /// Makes this node's etcd the only member, with what it has, in a new generation of the store.
    async fn force_quorum(&self) -> Result<(), Error>;

    /// Reaches the state at these servers from now on, and ends this node's own server.
    async fn defect(&self, endpoints: Vec<String>) -> Result<(), Error>;

    /// The serial numbers of this node's certificates for etcd.
    async fn serials(&self) -> Result<Vec<String>, Error>;

    /// Shows etcd this node's present certificate in new connections.
    async fn use_certificates(&self) -> Result<(), Error>;

    /// How this node's etcd does; none: it has none.
    async fn examine_server(&self) -> Result<Option<EtcdHealth>, Error>;

    /// Whether the etcd at this address answers this node.
    async fn answers(&self, address: &str) -> Result<bool, Error>;

    /// Saves the state under a name, without a majority that of this node's copy. Returns the number
    /// of records.
    async fn save(&self, name: &str) -> Result<u64, Error>;

    async fn saved(&self) -> Result<Vec<SavedFile>, Error>;

    async fn remove_saved(&self, name: &str) -> Result<(), Error>;

    /// What is in a saved state.
    async fn examine_saved(&self, name: &str) -> Result<SavedState, Error>;

    /// Has the next start of the agent restore a saved state.
    async fn order_restore(&self, order: &RestoreOrder) -> Result<(), Error>;

    /// Takes back what was not carried out. Returns why that failed.
    async fn cancel_restore(&self) -> Result<Option<String>, Error>;

    /// Whether the order of this task was carried out.
    async fn is_restored(&self, by: &Upid) -> Result<bool, Error>;

    /// Reaches the state at these servers from now on, the preferred one first.
    async fn reach(&self, endpoints: Vec<String>) -> Result<(), Error>;
}

impl State {
    async fn options_for(&self, pointer: &Pointer) -> Result<EtcdOptions, Error> {
        etcd_options(&self.server, Endpoints::new(pointer.endpoints.clone())).await
    }

    async fn pointer(&self) -> Result<Pointer, Error> {
        let pointer = Pointer::read(&self.host, &self.paths).await?;
        pointer.ok_or_else(|| Error::conflict("this node is in no cluster"))
    }

    async fn voters(&self) -> Result<EtcdVoters, Error> {
        let options = self.options_for(&self.pointer().await?).await?;
        Ok(EtcdVoters::new(options, self.clock.clone())?)
    }

    fn saved_states(&self) -> SavedStates<'_> {
        SavedStates {
            host: &self.host,
            paths: &self.paths,
            clock: &self.clock,
        }
    }

    /// Waits until this node's etcd answers as the only member.
    async fn until_alone(&self, voters: &EtcdVoters) -> Result<(), Error> {
        let begun = self.clock.monotonic();
        loop {
            let listed = voters.list().await;
            if listed.as_ref().is_ok_and(|members| members.len() == 1) {
                return Ok(());
            }
            if self.clock.monotonic() - begun >= ANSWER_TIMEOUT {
                listed?;
                let text = "etcd on this node still counts on other members (etcd.log)";
                return Err(Error::unavailable(text));
            }
            self.clock.sleep(ASK_AGAIN).await;
        }
    }

    /// Changes `store.json`.
    async fn point(&self, change: impl FnOnce(&mut Pointer) + Send) -> Result<(), Error> {
        let _one_at_a_time = self.pointing.lock().await;
        let before = self.pointer().await?;
        let mut pointer = before.clone();
        change(&mut pointer);
        match pointer == before {
            true => Ok(()),
            false => pointer.write(&self.host, &self.paths).await,
        }
    }
}

#[async_trait]
impl ClusterState for State {
    async fn start_server(&self, server: &Server) -> Result<(), Error> {
        self.discard_server().await?;
        self.server.prepare(server, &[]).await?;
        self.server.start(server).await
    }

    async fn discard_server(&self) -> Result<(), Error> {
        self.file()?;
        self.server.discard().await?;
        self.host.remove_tree(&self.paths.replica()).await?;
        Ok(())
    }

    async fn seal(&self, by: &Upid) -> Result<Revision, Error> {
        Ok(self.file()?.seal(&by.to_string()).await?)
    }

    async fn unseal(&self) -> Result<(), Error> {
        Ok(self.file()?.unseal().await?)
    }

    async fn copy(&self, server: &Server, by: &Upid, last: Revision) -> Result<u64, Error> {
        let file = self.file()?;
        let options = self.options_for(&Pointer::to(server.clone())).await?;
        let target = make(&options, &self.clock, Revision(last.0 + 1)).await?;
        let keys = self.server.certificates().ensure_sealing_keys().await?;
        let target = SealedStore::new(Arc::new(target), keys);
        let copied = copy(&*file, &target, &by.to_string(), |_, _| {}).await?;
        Ok(copied.entries)
    }

    async fn copy_back(&self, by: &Upid) -> Result<u64, Error> {
        let options = self.options_for(&self.pointer().await?).await?;
        let hold = self.store.hold().await;
        *lock(&self.hold) = Some(hold);
        // It ends the session of the store in use: what that has on its way applies no more.
        let etcd = EtcdStore::connect(options, self.clock.clone()).await?;
        let (_, last) = etcd.get(&cluster_key(), Read::Linear).await?;
        let keys = self.server.certificates().sealing_keys().await?;
        let source = SealedStore::new(Arc::new(etcd), keys);
        let (path, first) = (self.paths.database(), Revision(last.0 + 1));
        let file = SqliteStore::create(path, self.clock.clone(), first)?;
        let copied = copy(&source, &file, &by.to_string(), |_, _| {}).await?;
        Ok(copied.entries)
    }

    async fn release(&self) {
        lock(&self.hold).take();
    }

    async fn decide_file(&self) -> Result<(), Error> {
        self.host.remove(&self.paths.store_pointer()).await?;
        Ok(())
    }

    async fn decide(&self, pointer: &Pointer) -> Result<(), Error> {
        pointer.write(&self.host, &self.paths).await
    }

    async fn is_decided(&self) -> Result<bool, Error> {
        Ok(Pointer::read(&self.host, &self.paths).await?.is_some())
    }

    async fn adopt(&self) -> Result<(), Error> {
        if self.is_adopted().await? {
            return Ok(());
        }
        if self.is_decided().await? {
            self.endpoints.set(self.pointer().await?.endpoints);
            self.store.replace(self.origin.open().await?);
            lock(&self.file).take();
        } else {
            let file = SqliteStore::open(self.paths.database(), self.clock.clone())?;
            let file = Arc::new(file);
            self.store.replace(file.clone());
            *lock(&self.file) = Some(file);
        }
        self.release().await;
        Ok(())
    }

    async fn is_adopted(&self) -> Result<bool, Error> {
        let has_file = lock(&self.file).is_some();
        Ok(self.is_decided().await? != has_file)
    }

    async fn apply(
        &self,
        contact: &Contact,
        password: &str,
        application: &Application,
    ) -> Result<Admission, Error> {
        apply(&*self.clock, contact, password, &self.node, application).await
    }

    async fn restart(&self) {
        self.restart.notify_one();
        pending().await
    }

    async fn add_learner(&self, address: &str) -> Result<Server, Error> {
        let peer_url = Server::first(address.to_owned()).peer_url();
        let voters = self.voters().await?;
        voters.add_learner(&peer_url).await?;
        let members = voters.list().await?;
        Ok(Server::joining(address, &self.node, &members))
    }

    async fn host_server(&self, server: &Server, revoked: &[String]) -> Result<(), Error> {
        if self.pointer().await?.server.as_ref() != Some(server) {
            self.server.discard().await?;
            self.server.prepare(server, revoked).await?;
            self.point(|pointer| pointer.server = Some(server.clone()))
                .await?;
        }
        self.server.start(server).await
    }

    async fn promote(&self, address: &str) -> Result<bool, Error> {
        let peer_url = Server::first(address.to_owned()).peer_url();
        let voters = self.voters().await?;
        let members = voters.list().await?;
        let own = members.iter().find(|member| member.peer_url == peer_url);
        let own =
            own.ok_or_else(|| Error::conflict(format!("etcd has no member at {peer_url}")))?;
        if !own.is_learner {
            return Ok(true);
        }
        // etcd refuses one that is behind, or has not started, without a reason in a field.
        Ok(voters.promote(own.id).await.is_ok())
    }

    async fn remove_voter(&self, address: &str) -> Result<(), Error> {
        let peer_url = Server::first(address.to_owned()).peer_url();
        let voters = self.voters().await?;
        let members = voters.list().await?;
        match members.iter().find(|member| member.peer_url == peer_url) {
            Some(member) => Ok(voters.remove(member.id).await?),
            None => Ok(()),
        }
    }

    async fn drop_server(&self) -> Result<(), Error> {
        self.point(|pointer| pointer.server = None).await?;
        self.server.discard().await
    }

    async fn revoke(&self, serials: &[String]) -> Result<(), Error> {
        match self.pointer().await?.server {
            Some(_) => self.server.certificates().write_revoked(serials).await,
            None => Ok(()),
        }
    }

    async fn end_session(&self, node: &NodeName) -> Result<(), Error> {
        Ok(self.voters().await?.end_session(node.as_str()).await?)
    }

    async fn force_quorum(&self) -> Result<(), Error> {
        let none = || Error::conflict("this node does not vote: force quorum at one that does");
        let own = self.pointer().await?.server.ok_or_else(none)?;
        self.server.stop().await?;
        self.server.start_alone(&own).await?;
        let at_own = Pointer::at(vec![own.client_url()]);
        let options = self.options_for(&at_own).await?;
        let voters = EtcdVoters::new(options.clone(), self.clock.clone())?;
        self.until_alone(&voters).await?;
        // Started again without the flag, which would force it each time.
        self.server.stop().await?;
        self.server.start(&own).await?;
        self.until_alone(&voters).await?;
        let store = EtcdStore::connect(options, self.clock.clone()).await?;
        let (_, revision) = store.get(&cluster_key(), Read::Linear).await?;
        let first = Revision(revision.0 + UNSEEN);
        store.begin_generation(first).await?;
        self.reach(at_own.endpoints).await
    }

    async fn defect(&self, endpoints: Vec<String>) -> Result<(), Error> {
        self.point(|pointer| {
            pointer.endpoints = endpoints;
            pointer.server = None;
        })
        .await?;
        self.server.discard().await
    }

    async fn serials(&self) -> Result<Vec<String>, Error> {
        self.server.certificates().serials().await
    }

    async fn use_certificates(&self) -> Result<(), Error> {
        self.server.use_client_certificate().await
    }

    async fn examine_server(&self) -> Result<Option<EtcdHealth>, Error> {
        let pointer = Pointer::read(&self.host, &self.paths).await?;
        let Some(server) = pointer.and_then(|pointer| pointer.server) else {
            return Ok(None);
        };
        let endpoints = Endpoints::new(vec![server.client_url()]);
        let options = etcd_options(&self.server, endpoints).await?;
        Ok(Some(EtcdHealth::of(options, self.clock.clone()).await?))
    }

    async fn answers(&self, address: &str) -> Result<bool, Error> {
        let options = self
            .options_for(&Pointer::at(vec![client_url(address)]))
            .await?;
        Ok(EtcdHealth::answers(options, self.clock.clone()).await?)
    }

    async fn save(&self, name: &str) -> Result<u64, Error> {
        let _one_at_a_time = self.saving.lock().await;
        let states = self.saved_states();
        states.write(&*self.store, &self.node, name).await
    }

    async fn saved(&self) -> Result<Vec<SavedFile>, Error> {
        self.saved_states().list().await
    }

    async fn remove_saved(&self, name: &str) -> Result<(), Error> {
        self.saved_states().remove(name).await
    }

    async fn examine_saved(&self, name: &str) -> Result<SavedState, Error> {
        self.saved_states().examine(name).await
    }

    async fn order_restore(&self, order: &RestoreOrder) -> Result<(), Error> {
        order.write(&self.host, &self.paths).await
    }

    async fn cancel_restore(&self) -> Result<Option<String>, Error> {
        let order = RestoreOrder::read(&self.host, &self.paths).await?;
        self.host.remove(&self.paths.restore_order()).await?;
        Ok(order.and_then(|order| order.failed))
    }

    async fn is_restored(&self, by: &Upid) -> Result<bool, Error> {
        RestoreOrder::is_done(&self.host, &self.paths, by).await
    }

    async fn reach(&self, endpoints: Vec<String>) -> Result<(), Error> {
        if endpoints.is_empty() {
            return Ok(());
        }
        self.endpoints.set(endpoints.clone());
        self.point(|pointer| pointer.endpoints = endpoints).await
    }
}
