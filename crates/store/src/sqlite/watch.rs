//! A watch: a position in the recent commits, or in the older ones in the file.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Core, read};
use crate::{Changes, Prefix, Revision, StoreError, Watch};

pub(crate) struct SqliteWatch {
    core: Arc<Core>,
    news: watch::Receiver<()>,
    prefix: Prefix,
    /// Everything up to here was reported or is in `backlog`.
    position: Revision,
    backlog: VecDeque<Changes>,
}

impl SqliteWatch {
    pub(crate) fn new(core: Arc<Core>, prefix: Prefix, after: Revision) -> Self {
        let news = core.news.subscribe();
        Self {
            core,
            news,
            prefix,
            position: after,
            backlog: VecDeque::new(),
        }
    }

    /// Reads the next older commits from the file.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        let (prefix, after) = (self.prefix.clone(), self.position);
        let read = read::run(&self.core.jobs, move |sql| {
            read::backlog(sql, &prefix, after)
        });
        let found = read.await?;
        // There is no wait between here and the return: a future that is dropped before has no
        // effect, and the next call reads the same again.
        self.position = found.position;
        self.backlog = found.commits;
        Ok(())
    }
}

#[async_trait]
impl Watch for SqliteWatch {
    async fn next(&mut self) -> Result<Changes, StoreError> {
        loop {
            if let Some(changes) = self.backlog.pop_front() {
                return Ok(changes);
            }
            self.news.borrow_and_update();
            match self.core.next_after(&self.prefix, &mut self.position) {
                Ok(Some(changes)) => return Ok(changes),
                Ok(None) => {
                    let changed = self.news.changed().await;
                    changed.expect("the watch itself keeps the sender alive");
                }
                Err(StoreError::Compacted { .. }) => self.catch_up().await?,
                Err(error) => return Err(error),
            }
        }
    }
}
