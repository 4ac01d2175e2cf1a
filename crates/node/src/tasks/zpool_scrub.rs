//! Starts, pauses or stops a scrub: all of a pool is read, and what is damaged is written anew.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};

use super::pool_change::{ChangesPool, PoolChange, its_change, pool_task};
use crate::NodeContext;
use crate::host::pools::zpool::{ScanKind, ScanState, State};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScrubAction {
    /// Or goes on with one that pauses.
    Start,
    Pause,
    Stop,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ZpoolScrub {
    change: PoolChange,
    action: ScrubAction,
}

impl ZpoolScrub {
    pub fn new(pool: StorageId, action: ScrubAction) -> Self {
        Self {
            change: PoolChange::new(pool),
            action,
        }
    }

    pub async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        let pool = self.change.state(node).await?;
        let name = &pool.pool.name;
        let refused = |text: String| Err(Error::conflict(text));
        let scan = pool.scan.as_ref().map(|scan| (scan.kind, scan.state));
        match (self.action, scan) {
            (ScrubAction::Start, Some((ScanKind::Scrub, ScanState::Running))) => {
                refused(format!("a scrub of pool '{name}' is running"))
            }
            (_, Some((ScanKind::Resilver, ScanState::Running))) => {
                refused(format!("pool '{name}' is being resilvered"))
            }
            (ScrubAction::Start, _) | (_, Some((_, ScanState::Running))) => Ok(()),
            (ScrubAction::Stop, Some((ScanKind::Scrub, ScanState::Paused))) => Ok(()),
            _ => refused(format!("no scrub of pool '{name}' is running")),
        }
    }
}

pool_task!(ZpoolScrub, "zpool_scrub", "zpoolscrub");

#[async_trait]
impl ChangesPool for ZpoolScrub {
    its_change!();

    async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        Self::check(self, node).await
    }

    fn arguments(&self) -> Vec<String> {
        let option = match self.action {
            ScrubAction::Start => None,
            ScrubAction::Pause => Some("-p"),
            ScrubAction::Stop => Some("-s"),
        };
        let words = ["scrub"]
            .into_iter()
            .chain(option)
            .chain([self.change.pool.as_str()]);
        words.map(str::to_owned).collect()
    }

    fn is_done(&self, pool: &State) -> bool {
        let scan = pool.scan.as_ref();
        let is =
            |state| scan.is_some_and(|scan| scan.state == state && scan.kind == ScanKind::Scrub);
        match self.action {
            ScrubAction::Start => is(ScanState::Running),
            ScrubAction::Pause => !is(ScanState::Running),
            ScrubAction::Stop => !is(ScanState::Running) && !is(ScanState::Paused),
        }
    }
}
