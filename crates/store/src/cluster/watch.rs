//! A watch that outlives connections to the origin.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use model::with_timeout;
use tokio::sync::watch;

use super::contact::{Contact, Link, Shared, is_out_of_reach};
use crate::{Changes, Prefix, Revision, StoreError, Watch};

/// Waits while the origin is lost, and goes on after the last change that it reported. Keeps
/// nothing of the store open.
pub(super) struct ClusterWatch {
    shared: Weak<Shared>,
    link: watch::Receiver<Link>,
    prefix: Prefix,
    /// Everything up to here was reported.
    after: Revision,
    inner: Option<Box<dyn Watch>>,
    /// How often watches of the origin were lost, and resumed by themselves before that.
    lost: u64,
}

impl ClusterWatch {
    pub(super) fn new(shared: &Arc<Shared>, prefix: Prefix, after: Revision) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            link: shared.link.subscribe(),
            prefix,
            after,
            inner: None,
            lost: 0,
        }
    }

    /// Watches the origin if it answers soon; `next` does so otherwise.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        let shared = self.shared()?;
        let Some(origin) = shared.present_origin() else {
            return Ok(());
        };
        let slow = shared.options.slow;
        let opening = origin.watch(&self.prefix, self.after);
        match with_timeout(&*shared.clock, slow, opening).await {
            Some(Ok(inner)) => self.inner = Some(inner),
            Some(Err(error)) if !is_out_of_reach(&error) => return Err(error),
            Some(Err(_)) | None => shared.doubt(),
        }
        Ok(())
    }

    fn shared(&self) -> Result<Arc<Shared>, StoreError> {
        let closed = || StoreError::Unavailable("the store was closed".to_owned());
        self.shared.upgrade().ok_or_else(closed)
    }

    /// Waits until the origin answers.
    async fn until_present(&mut self) -> Result<(), StoreError> {
        let decided = |link: &Link| matches!(link.contact, Contact::Present | Contact::Closed);
        match self.link.wait_for(decided).await {
            Ok(link) if link.contact == Contact::Present => Ok(()),
            _ => Err(StoreError::Unavailable("the store was closed".to_owned())),
        }
    }
}

#[async_trait]
impl Watch for ClusterWatch {
    async fn next(&mut self) -> Result<Changes, StoreError> {
        loop {
            let Some(inner) = &mut self.inner else {
                self.until_present().await?;
                self.begin().await?;
                if self.inner.is_none() {
                    // Whether it is lost is decided soon; until then it seems present.
                    let shared = self.shared()?;
                    shared.clock.sleep(shared.options.pause).await;
                }
                continue;
            };
            match inner.next().await {
                Ok(changes) => {
                    self.after = changes.revision;
                    return Ok(changes);
                }
                Err(error) if is_out_of_reach(&error) => {
                    self.lost += inner.resumed() + 1;
                    self.inner = None;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn resumed(&self) -> u64 {
        self.lost + self.inner.as_ref().map_or(0, |inner| inner.resumed())
    }
}
