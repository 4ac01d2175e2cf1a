//! Reads: transactions that only read, and also look whether the store is still this one.

use super::connection::Leader;
use super::core::Core;
use super::fault::Fault;
use super::members::Repeat;
use super::message::{RangeRequest, RangeResponse, Request, TxnRequest};
use crate::history::PageBuilder;
use crate::{Entry, Key, Page, PageToken, Prefix, Read, Revision, StoreError, limits};

/// The entries of a page's first request. etcd has no limit in bytes, so the requests of a page grow
/// with what was seen, and one that finds large values has asked for few.
const FIRST_ENTRIES: usize = 64;
const GROWTH: usize = 4;

impl Core {
    pub(crate) async fn get(
        &self,
        key: &Key,
        read: Read,
    ) -> Result<(Option<Entry>, Revision), StoreError> {
        let range = RangeRequest {
            key: self.space.names.data(key.as_str()),
            ..RangeRequest::default()
        };
        let (mut found, at) = self.range(range, read).await?;
        let entry = found.kvs.pop().map(|pair| self.space.entry(pair));
        Ok((entry.transpose()?, self.space.revision(at)))
    }

    pub(crate) async fn page(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError> {
        let (mut key, range_end) = self.space.names.range(prefix);
        let mut revision = 0;
        if let Some(token) = &from {
            revision = self
                .space
                .position(token.revision)
                .ok_or(StoreError::Moved)?;
            key = key.max(after(self.space.names.data(token.after.as_str())));
        }
        let mut page = PageBuilder::default();
        let mut limit = FIRST_ENTRIES;
        loop {
            let range = RangeRequest {
                key: key.clone(),
                range_end: range_end.clone(),
                limit: i64::try_from(limit).unwrap_or(i64::MAX),
                revision,
                ..RangeRequest::default()
            };
            let (found, at) = self.range(range, read).await?;
            if revision == 0 {
                revision = at;
            }
            let at = self.space.revision(revision);
            for pair in found.kvs {
                if page.is_full() {
                    return Ok(page.finish(at, true));
                }
                key = after(pair.key.clone());
                page.push(self.space.entry(pair)?);
            }
            if !found.more {
                return Ok(page.finish(at, false));
            }
            if page.is_full() {
                return Ok(page.finish(at, true));
            }
            limit = page.room_at_most(limit * GROWTH);
        }
    }

    /// One range of etcd, and etcd's revision at that moment.
    ///
    /// A member that answers from what it has may not yet know the revision or the label. Whether
    /// the store was replaced is then for the leader to say.
    pub(crate) async fn range(
        &self,
        range: RangeRequest,
        read: Read,
    ) -> Result<(RangeResponse, i64), StoreError> {
        self.check_open()?;
        let revision = range.revision;
        if read == Read::Local {
            match self.range_at(range.clone(), Read::Local).await {
                Ok((true, found, at)) => return Ok((found, at)),
                Ok((false, ..)) | Err(Fault::Future) => {}
                Err(fault) => return Err(self.read_error(fault, revision).await),
            }
        }
        self.settle().await?;
        match self.range_at(range, Read::Linear).await {
            Ok((true, found, at)) => Ok((found, at)),
            Ok((false, ..)) => Err(self.end(StoreError::Moved)),
            Err(fault) => Err(self.read_error(fault, revision).await),
        }
    }

    /// Whether the label is the store's, the range, and etcd's revision.
    async fn range_at(
        &self,
        range: RangeRequest,
        read: Read,
    ) -> Result<(bool, RangeResponse, i64), Fault> {
        let serializable = read == Read::Local;
        let leader = match read {
            Read::Linear => Leader::Required,
            Read::Local => Leader::NotNeeded,
        };
        let range = Request::Range(RangeRequest {
            serializable,
            ..range
        });
        let request = TxnRequest {
            success: vec![self.space.look_at_label(serializable), range.into()],
            ..TxnRequest::default()
        };
        let answer = self.txn(request, leader, Repeat::Always).await?;
        let at = answer.header.revision;
        let mut found = answer.ranges();
        let label = found.next().unwrap_or_default();
        let range = found.next().unwrap_or_default();
        Ok((self.space.is_labelled(&label.kvs), range, at))
    }

    async fn read_error(&self, fault: Fault, revision: i64) -> StoreError {
        match fault {
            Fault::Compacted => match self.oldest_kept(revision).await {
                Ok(oldest) => StoreError::Compacted { oldest },
                Err(error) => error,
            },
            fault => fault.of_read(),
        }
    }

    /// The store's revision, also of a member that has no leader.
    pub(crate) async fn revision(&self, read: Read) -> Result<Revision, StoreError> {
        let nothing = RangeRequest {
            key: self.space.names.label(),
            keys_only: true,
            ..RangeRequest::default()
        };
        let (_, at) = self.range(nothing, read).await?;
        Ok(self.space.revision(at))
    }
}

/// The first key after this one.
fn after(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

impl PageBuilder {
    /// How many more entries to ask for, `most` at most: so many as fit if they are as large as
    /// those that came, and one more, which shows that there are more.
    fn room_at_most(&self, most: usize) -> usize {
        let (count, bytes) = self.size();
        let room = limits::PAGE_ENTRIES.saturating_sub(count) + 1;
        let average = (bytes / count.max(1)).max(1);
        let fitting = limits::PAGE_BYTES.saturating_sub(bytes) / average + 1;
        room.min(fitting).min(most)
    }
}
