//! Cached lists, valid for one version of the data and, if they show the time, for one second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::list::{Builder, List};
use super::node_status::Tick;
use super::resources::Query;

/// The limit on the text of all cached lists. Rows that lists share are counted for each list,
/// although memory holds them once. Compressed text is not counted; it is about a tenth.
const BYTES: usize = 32 << 20;

/// The key of a list: the number of the caller's `Sight`, and the query.
pub(super) type Asked = (u64, Query);

struct Kept {
    list: Arc<List>,
    version: u64,
    tick: Option<Tick>,
    /// The number of the last request for it, for eviction of the least recently used.
    used: u64,
}

#[derive(Default)]
struct Lists {
    kept: HashMap<Asked, Kept>,
    bytes: usize,
    uses: u64,
    tags: u64,
}

#[derive(Default)]
pub(super) struct Cache(Mutex<Lists>);

impl Cache {
    /// The cached list if it is still valid; otherwise `build` makes one, without the cache's lock.
    pub(super) fn get(
        &self,
        asked: Asked,
        version: u64,
        tick: Tick,
        build: impl FnOnce(&Asked, &mut Builder),
    ) -> Arc<List> {
        let tag = {
            let mut lists = self.lists();
            if let Some(list) = lists.find(&asked, version, tick) {
                return list;
            }
            lists.tags += 1;
            lists.tags
        };
        let mut builder = Builder::new(tick);
        build(&asked, &mut builder);
        let (list, tick) = builder.end(tag);
        self.lists().keep(asked, version, tick, list)
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lists {
    fn find(&mut self, asked: &Asked, version: u64, tick: Tick) -> Option<Arc<List>> {
        self.uses += 1;
        let kept = self.kept.get_mut(asked)?;
        let is_true = kept.version == version && kept.tick.is_none_or(|known| known == tick);
        if !is_true {
            return None;
        }
        kept.used = self.uses;
        Some(Arc::clone(&kept.list))
    }

    /// Caches a new list. If its text is that of the cached one, that one stays, with its tag.
    fn keep(&mut self, asked: Asked, version: u64, tick: Option<Tick>, list: List) -> Arc<List> {
        let before = self.kept.remove(&asked);
        self.bytes -= before.as_ref().map_or(0, |before| before.list.len());
        let list = match before {
            // Two requests built the list at the same time: the newer version stays.
            Some(before) if before.version > version => {
                self.put(asked, before);
                return Arc::new(list);
            }
            Some(before) if before.list.is_same(&list) => before.list,
            _ => Arc::new(list),
        };
        let kept = Kept {
            list: Arc::clone(&list),
            version,
            tick,
            used: self.uses,
        };
        self.put(asked, kept);
        list
    }

    fn put(&mut self, asked: Asked, kept: Kept) {
        if kept.list.len() > BYTES {
            return;
        }
        while self.bytes + kept.list.len() > BYTES {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used);
            let Some(oldest) = oldest.map(|(asked, _)| asked.clone()) else {
                break;
            };
            if let Some(dropped) = self.kept.remove(&oldest) {
                self.bytes -= dropped.list.len();
            }
        }
        self.bytes += kept.list.len();
        self.kept.insert(asked, kept);
    }
}
