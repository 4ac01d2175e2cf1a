//! Brings a device of a pool back, and takes the room into use that it has gained.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};

use super::pool_change::{ChangesPool, PoolChange, its_change, member, pool_task};
use crate::NodeContext;
use crate::host::pools::zpool;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ZpoolOnline {
    change: PoolChange,
    device: String,
    expand: bool,
    /// What `zpool` is to call it.
    name: String,
}

impl ZpoolOnline {
    pub fn new(pool: StorageId, device: String, expand: bool) -> Self {
        Self {
            change: PoolChange::new(pool),
            device,
            expand,
            name: String::new(),
        }
    }

    pub async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        let pool = self.change.state(node).await?;
        let guid = member(node, &pool, &self.device).await?.guid;
        self.name = match self.expand {
            // A whole disk is only grown by its name.
            true => zpool::plain_name(&node.host, &pool.pool.name, &guid).await?,
            false => guid,
        };
        Ok(())
    }
}

pool_task!(ZpoolOnline, "zpool_online", "zpoolonline");

#[async_trait]
impl ChangesPool for ZpoolOnline {
    its_change!();

    async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        Self::check(self, node).await
    }

    fn arguments(&self) -> Vec<String> {
        let words = ["online"].into_iter().chain(self.expand.then_some("-e"));
        let words = words.chain([self.change.pool.as_str(), &self.name]);
        words.map(str::to_owned).collect()
    }
}
