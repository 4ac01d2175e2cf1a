//! Forgets the errors of a pool's devices that were counted so far.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};

use super::pool_change::{ChangesPool, PoolChange, its_change, pool_task};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ZpoolClear {
    change: PoolChange,
}

impl ZpoolClear {
    pub fn new(pool: StorageId) -> Self {
        Self {
            change: PoolChange::new(pool),
        }
    }

    pub async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        self.change.state(node).await.map(drop)
    }
}

pool_task!(ZpoolClear, "zpool_clear", "zpoolclear");

#[async_trait]
impl ChangesPool for ZpoolClear {
    its_change!();

    async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        Self::check(self, node).await
    }

    fn arguments(&self) -> Vec<String> {
        vec!["clear".to_owned(), self.change.pool.to_string()]
    }
}
