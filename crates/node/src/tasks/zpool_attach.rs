//! Makes a device of a pool a mirror of itself and a new disk, or gives its mirror another one.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};

use super::pool_change::{ChangesPool, PoolChange, its_change, member, pool_task};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ZpoolAttach {
    change: PoolChange,
    device: String,
    new: String,
    guid: String,
}

impl ZpoolAttach {
    /// Gives the mirror of `device` the disk `new`.
    pub fn new(pool: StorageId, device: String, new: String) -> Self {
        Self {
            change: PoolChange::new(pool),
            device,
            new,
            guid: String::new(),
        }
    }

    pub async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        let pool = self.change.state(node).await?;
        let member = member(node, &pool, &self.device).await?;
        let parent = &member.parent.name;
        if *parent != pool.pool.name && !parent.starts_with("mirror-") {
            let name = &member.device.name;
            let text = format!("'{name}' is in {parent}, which is no mirror");
            return Err(Error::conflict(text));
        }
        self.guid = member.guid;
        let new = [self.new.clone()];
        self.change.choose(node, &new).await
    }
}

pool_task!(ZpoolAttach, "zpool_attach", "zpoolattach");

#[async_trait]
impl ChangesPool for ZpoolAttach {
    its_change!();

    async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        Self::check(self, node).await
    }

    fn arguments(&self) -> Vec<String> {
        let words = ["attach", self.change.pool.as_str(), &self.guid];
        let words = words.into_iter().map(str::to_owned);
        words.chain(self.change.names.iter().cloned()).collect()
    }
}
