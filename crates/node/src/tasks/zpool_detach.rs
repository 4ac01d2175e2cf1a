//! Takes a device out of a mirror. What the mirror holds stays whole without it.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};

use super::pool_change::{ChangesPool, Member, PoolChange, its_change, member, pool_task};
use crate::NodeContext;
use crate::host::pools::zpool::State;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ZpoolDetach {
    change: PoolChange,
    device: String,
    guid: String,
}

impl ZpoolDetach {
    pub fn new(pool: StorageId, device: String) -> Self {
        Self {
            change: PoolChange::new(pool),
            device,
            guid: String::new(),
        }
    }

    pub async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        let pool = self.change.state(node).await?;
        let member = member(node, &pool, &self.device).await?;
        check(&member)?;
        self.guid = member.guid;
        Ok(())
    }
}

/// Refuses what is no mirror's, and the last device of one that has everything.
fn check(member: &Member<'_>) -> Result<(), Error> {
    let (name, parent) = (&member.device.name, member.parent);
    let mirrors = ["mirror-", "replacing-", "spare-"];
    if !mirrors.iter().any(|begin| parent.name.starts_with(begin)) {
        let text = format!("'{name}' is in no mirror: it can be replaced, but not detached");
        return Err(Error::conflict(text));
    }
    let mut others = parent.children.iter();
    let is_whole = |other: &&crate::host::pools::zfs::Device| {
        other.guid != member.device.guid && other.state.as_deref() == Some("ONLINE")
    };
    match others.any(|other| is_whole(&other)) {
        true => Ok(()),
        false => {
            let text = format!("'{name}' is the last whole device of {}", parent.name);
            Err(Error::conflict(text))
        }
    }
}

pool_task!(ZpoolDetach, "zpool_detach", "zpooldetach");

#[async_trait]
impl ChangesPool for ZpoolDetach {
    its_change!();

    async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        Self::check(self, node).await
    }

    fn arguments(&self) -> Vec<String> {
        let words = ["detach", self.change.pool.as_str(), &self.guid];
        words.map(str::to_owned).to_vec()
    }

    fn is_done(&self, pool: &State) -> bool {
        let mut leaves = pool.leaves().into_iter();
        !leaves.any(|device| device.guid.as_deref() == Some(&self.guid))
    }
}
