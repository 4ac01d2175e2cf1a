//! The store of a cluster, with three members of etcd and the times that an agent uses.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::Clock;
use store::conformance::within;
use store::{
    ClusterOptions, ClusterStore, Commit, Connect, EtcdOptions, EtcdStore, Key, Origin, Prefix,
    Read, Replica, Revision, Store, StoreError,
};
use tempfile::TempDir;

use crate::cluster::{Cluster, inside};
use crate::server::{clock, create};

/// An agent that knows these members, its own first.
struct Agent {
    store: ClusterStore,
    clock: Arc<dyn Clock>,
    _folder: TempDir,
}

struct Members(Vec<String>);

#[async_trait]
impl Connect for Members {
    async fn connect(&self) -> Result<Arc<dyn Origin>, StoreError> {
        let options = EtcdOptions::new("agent", self.0.clone());
        Ok(Arc::new(EtcdStore::connect(options, clock()).await?))
    }
}

impl Agent {
    /// Its replica is a copy of a store with the key `a`.
    async fn start(members: Vec<String>) -> Self {
        let maker = create(EtcdOptions::new("maker", members.clone())).await;
        let made = maker.commit(Commit::new().put(key("a"), "1")).await;
        let made = made.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let replica = Replica::open(folder.path().join("replica.db"), clock()).unwrap();
        let times = ClusterOptions::default();
        let store = ClusterStore::open(replica, Arc::new(Members(members)), None, clock(), times);
        let copied = async {
            while store.copy().is_none_or(|copy| copy.revision < made) {
                tokio::task::yield_now().await;
            }
        };
        within("a copy", copied).await;
        Self {
            store,
            clock: clock(),
            _folder: folder,
        }
    }

    /// A local read, and how long it takes.
    async fn local(&self) -> (Result<String, StoreError>, Duration) {
        self.read(Read::Local).await
    }

    async fn read(&self, read: Read) -> (Result<String, StoreError>, Duration) {
        let begun = self.clock.monotonic();
        let read = self.store.get(&key("a"), read).await;
        let text = read.map(|(entry, _)| String::from_utf8(entry.unwrap().value).unwrap());
        (text, self.clock.monotonic() - begun)
    }

    async fn put(&self, value: &str) -> Result<Revision, StoreError> {
        self.store.commit(Commit::new().put(key("a"), value)).await
    }

    /// Loses its majority now, and gets it back by `heal`.
    async fn goes_through(&self, heal: impl FnOnce()) {
        let (text, took) = self.local().await;
        assert_eq!(text, Ok("1".to_owned()));
        assert!(took < Duration::from_secs(1), "a local read took {took:?}");
        let (text, took) = self.read(Read::Linear).await;
        assert_eq!(text, Err(StoreError::NoQuorum));
        assert!(took < Duration::from_secs(5), "the decision took {took:?}");
        assert!(self.store.outage().unwrap().age.is_some());
        for _ in 0..100 {
            assert_eq!(self.put("2").await, Err(StoreError::NoQuorum));
            let (text, took) = self.local().await;
            assert_eq!(text, Ok("1".to_owned()));
            assert!(took < Duration::from_millis(400), "it took {took:?}");
        }
        let at = self.store.copy().unwrap().revision;
        let watching = self.store.watch(&Prefix::all(), at).await;
        let mut watch = watching.unwrap();
        heal();
        within("the return", self.store.until_outage(false)).await;
        let put = async {
            loop {
                match self.put("3").await {
                    Ok(revision) => return revision,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let put = within("a commit", put).await;
        let seen = within("the change", watch.next()).await.unwrap();
        assert!(seen.revision <= put);
        assert_eq!(self.local().await.0, Ok("3".to_owned()));
    }
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// covers: S0.7
#[test]
fn one_silent_member_costs_a_moment_and_no_read_fails() {
    inside(async {
        let cluster = Cluster::start(1000).await;
        // The others keep their leader.
        let own = (cluster.leader(None).await + 1) % Cluster::SIZE;
        let agent = Agent::start(cluster.endpoints_from(own)).await;
        cluster.signal(own, "STOP");
        let (local, linear) = tokio::join!(agent.local(), agent.read(Read::Linear));
        assert_eq!(
            (local.0, linear.0),
            (Ok("1".to_owned()), Ok("1".to_owned()))
        );
        let (local, linear) = (local.1, linear.1);
        assert!(local < Duration::from_secs(1), "a local read: {local:?}");
        assert!(linear < Duration::from_secs(5), "a linear read: {linear:?}");
        agent.put("2").await.unwrap();
        assert_eq!(agent.local().await.0, Ok("2".to_owned()));
        assert_eq!(agent.store.outage(), None);
        cluster.signal(own, "CONT");
    });
}

/// covers: S0.7
#[test]
fn the_loss_of_the_leader_is_over_after_the_election() {
    inside(async {
        let mut cluster = Cluster::start(1000).await;
        let leader = cluster.leader(None).await;
        let agent = Agent::start(cluster.endpoints_from(leader)).await;
        cluster.kill(leader);
        assert_eq!(agent.local().await.0, Ok("1".to_owned()));
        let put = async {
            while agent.put("2").await.is_err() {
                assert!(agent.local().await.0.is_ok());
            }
        };
        within("a commit", put).await;
        assert_eq!(agent.local().await.0, Ok("2".to_owned()));
    });
}

/// covers: S0.7
#[test]
fn two_silent_members_stop_changes_until_they_are_back() {
    inside(async {
        let cluster = Cluster::start(1000).await;
        let agent = Agent::start(cluster.endpoints_from(0)).await;
        for member in [0, 1] {
            cluster.signal(member, "STOP");
        }
        let heal = || {
            [0, 1]
                .iter()
                .for_each(|member| cluster.signal(*member, "CONT"))
        };
        agent.goes_through(heal).await;
    });
}

#[test]
fn an_agent_that_reaches_only_a_member_without_the_others_is_in_a_minority() {
    inside(async {
        let cluster = Cluster::start(1000).await;
        let agent = Agent::start(vec![cluster.endpoint(0)]).await;
        cluster.cut(0);
        agent.goes_through(|| cluster.heal(0)).await;
    });
}
