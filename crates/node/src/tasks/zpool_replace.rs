//! Puts a new disk in the place of a device of a pool, also of one that is gone.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};

use super::pool_change::{ChangesPool, PoolChange, its_change, member, pool_task};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ZpoolReplace {
    change: PoolChange,
    device: String,
    new: String,
    guid: String,
}

impl ZpoolReplace {
    /// The pool gives up `device` once `new` has all that it had.
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
        self.guid = member(node, &pool, &self.device).await?.guid;
        let new = [self.new.clone()];
        self.change.choose(node, &new).await
    }
}

pool_task!(ZpoolReplace, "zpool_replace", "zpoolreplace");

#[async_trait]
impl ChangesPool for ZpoolReplace {
    its_change!();

    async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        Self::check(self, node).await
    }

    fn arguments(&self) -> Vec<String> {
        let words = ["replace", self.change.pool.as_str(), &self.guid];
        let words = words.into_iter().map(str::to_owned);
        words.chain(self.change.names.iter().cloned()).collect()
    }
}
