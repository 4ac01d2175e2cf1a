//! The state of a node, and the etcd of its cluster, as files of its fake host.
//!
//! ```text
//!   sealed  copy  store.json  adopted    where the state is
//!   member                               this node's etcd
//!   learner-ADDRESS  voter-ADDRESS       the members of the cluster's etcd
//! ```

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use model::{Error, NodeName, Record, Upid};
use node::cluster::{Member, member_key};
use node::membership::{Admission, Application, Contact};
use node::pki::Pair;
use node::state::{
    ClusterRecord, ClusterState, Pointer, RestoreOrder, SavedFile, SavedState, Server, cluster_key,
};
use store::{Commit, EtcdHealth, Revision, SharedStore};
use sys::Files;
use testkit::FakeHost;

/// The name at `NodeContext::handover` under which every node of a scene has a password.
pub const PASSWORD: &str = "password";

pub struct FakeState(pub FakeHost);

fn path(name: &str) -> PathBuf {
    Path::new("/var/lib/ostler").join(name)
}

impl FakeState {
    async fn put(&self, name: &str) -> Result<(), Error> {
        Ok(self.0.write(&path(name), b"{}", 0o600).await?)
    }

    async fn remove(&self, name: &str) -> Result<(), Error> {
        Ok(self.0.remove(&path(name)).await.map(drop)?)
    }

    async fn has(&self, name: &str) -> Result<bool, Error> {
        Ok(self.0.stat(&path(name)).await?.is_some())
    }
}

#[async_trait]
impl ClusterState for FakeState {
    async fn start_server(&self, _server: &Server) -> Result<(), Error> {
        self.put("member").await
    }

    async fn discard_server(&self) -> Result<(), Error> {
        self.remove("member").await?;
        self.remove("copy").await
    }

    async fn seal(&self, _by: &Upid) -> Result<Revision, Error> {
        self.put("sealed").await.map(|()| Revision(7))
    }

    async fn unseal(&self) -> Result<(), Error> {
        self.remove("sealed").await
    }

    async fn copy(&self, _server: &Server, _by: &Upid, _last: Revision) -> Result<u64, Error> {
        self.put("copy").await.map(|()| 1)
    }

    async fn copy_back(&self, _by: &Upid) -> Result<u64, Error> {
        self.put("copied-back").await.map(|()| 1)
    }

    async fn release(&self) {}

    async fn decide_file(&self) -> Result<(), Error> {
        self.remove("store.json").await
    }

    async fn decide(&self, _pointer: &Pointer) -> Result<(), Error> {
        self.put("store.json").await
    }

    async fn is_decided(&self) -> Result<bool, Error> {
        self.has("store.json").await
    }

    async fn adopt(&self) -> Result<(), Error> {
        match self.is_decided().await? {
            true => self.put("adopted").await,
            false => self.remove("adopted").await,
        }
    }

    async fn is_adopted(&self) -> Result<bool, Error> {
        self.has("adopted").await
    }

    async fn apply(
        &self,
        _contact: &Contact,
        password: &str,
        _application: &Application,
    ) -> Result<Admission, Error> {
        assert_eq!(password, "secret");
        self.put("admitted").await?;
        let pair = || Pair {
            certificate: "certificate".to_owned(),
            key: "key".to_owned(),
        };
        Ok(Admission {
            v: 1,
            cluster: "lab".to_owned(),
            nodeid: 2,
            authority: pair(),
            etcd_authority: pair(),
            sealing_keys: "1 00".to_owned(),
            agent_certificate: "certificate".to_owned(),
            etcd_certificate: "certificate".to_owned(),
            endpoints: vec!["https://10.0.0.2:2379".to_owned()],
        })
    }

    /// What the next start of the agent does.
    async fn restart(&self) {
        if self.has("restore.json").await.unwrap_or_default() {
            let _ = self.put("restored.json").await;
            let _ = self.remove("restore.json").await;
        } else if self.has("leaving").await.unwrap_or_default() {
            let _ = self.remove("store.json").await;
            let _ = self.remove("leaving").await;
        } else {
            let _ = self.put("adopted").await;
        }
    }

    async fn add_learner(&self, address: &str) -> Result<Server, Error> {
        if !self.has(&format!("voter-{address}")).await? {
            self.put(&format!("learner-{address}")).await?;
        }
        let mut server = Server::first(address.to_owned());
        server.existing = Some("pve1=https://10.0.0.1:2380".to_owned());
        Ok(server)
    }

    async fn host_server(&self, _server: &Server, _revoked: &[String]) -> Result<(), Error> {
        self.put("member").await
    }

    async fn promote(&self, address: &str) -> Result<bool, Error> {
        self.put(&format!("voter-{address}")).await?;
        self.remove(&format!("learner-{address}")).await?;
        Ok(true)
    }

    async fn remove_voter(&self, address: &str) -> Result<(), Error> {
        self.remove(&format!("voter-{address}")).await?;
        self.remove(&format!("learner-{address}")).await
    }

    async fn drop_server(&self) -> Result<(), Error> {
        self.remove("member").await
    }

    async fn revoke(&self, _serials: &[String]) -> Result<(), Error> {
        Ok(())
    }

    async fn end_session(&self, _node: &NodeName) -> Result<(), Error> {
        Ok(())
    }

    async fn force_quorum(&self) -> Result<(), Error> {
        self.put("forced").await
    }

    async fn defect(&self, _endpoints: Vec<String>) -> Result<(), Error> {
        self.drop_server().await
    }

    async fn serials(&self) -> Result<Vec<String>, Error> {
        Ok(vec!["01".to_owned()])
    }

    async fn use_certificates(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn examine_server(&self) -> Result<Option<EtcdHealth>, Error> {
        Ok(None)
    }

    async fn answers(&self, address: &str) -> Result<bool, Error> {
        self.has(&format!("voter-{address}")).await
    }

    async fn save(&self, name: &str) -> Result<u64, Error> {
        self.put(&format!("saved-{name}")).await.map(|()| 1)
    }

    async fn saved(&self) -> Result<Vec<SavedFile>, Error> {
        Ok(Vec::new())
    }

    async fn remove_saved(&self, name: &str) -> Result<(), Error> {
        self.remove(&format!("saved-{name}")).await
    }

    async fn examine_saved(&self, _name: &str) -> Result<SavedState, Error> {
        Err(Error::invalid("saved", "there is none"))
    }

    async fn order_restore(&self, _order: &RestoreOrder) -> Result<(), Error> {
        self.put("restore.json").await
    }

    async fn cancel_restore(&self) -> Result<Option<String>, Error> {
        self.remove("restore.json").await.map(|()| None)
    }

    async fn is_restored(&self, _by: &Upid) -> Result<bool, Error> {
        self.has("restored.json").await
    }

    async fn reach(&self, _endpoints: Vec<String>) -> Result<(), Error> {
        Ok(())
    }
}

/// Makes the node a member, with these votes, of a cluster in which another one votes.
pub async fn enlist(host: &FakeHost, store: &SharedStore, votes: u32) {
    let cluster = ClusterRecord {
        name: "lab".to_owned(),
        version: 3,
        generation: 0,
        revoked: Vec::new(),
    };
    let cluster = Record::new(cluster).encode().unwrap();
    let mut commit = Commit::new().put(cluster_key(), cluster);
    for (nodeid, name, votes) in [(1, "pve1", votes), (2, "pve2", 1)] {
        let name: NodeName = name.parse().unwrap();
        let key = member_key(&name);
        let member = Member {
            nodeid,
            votes,
            ..Member::first(name, format!("10.0.0.{nodeid}:8009"), String::new())
        };
        commit = commit.put(key, Record::new(member).encode().unwrap());
    }
    store.commit(commit).await.unwrap();
    let folder = Path::new("/var/lib/ostler");
    host.create_dir(folder, 0o755).await.unwrap();
    let state = FakeState(host.clone());
    state.put("store.json").await.unwrap();
    state.put("adopted").await.unwrap();
    if votes > 0 {
        state.put("member").await.unwrap();
        state.promote("10.0.0.1").await.unwrap();
    }
}
