//! All guests in the order of their ids, in chunks that snapshots share.
//!
//! A change copies one chunk (copy on write). Each chunk caches the text of its rows, so only
//! changed rows are written again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::node_status::{GuestState, Tick};
use super::replica::GuestRow;
use super::text::{Memo, Shape, Text};

/// The largest number of rows of a chunk: a mask of rows is one word.
const MOST: usize = 64;

/// The usual number of rows of a chunk. Smaller chunks are more pieces to send; larger chunks are
/// more to copy and to compress again for each changed row.
const USUAL: usize = 32;

/// A guest as lists know it.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub(super) vmid: u32,
    /// The versions that added it and changed it last.
    pub(super) added: u64,
    pub(super) changed: u64,
    pub(super) row: Arc<GuestRow>,
    pub(super) pool: Option<Arc<str>>,
    pub(super) state: GuestState,
}

/// Neighbouring guests; never empty in a table.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    guests: Vec<Guest>,
    /// The version of the last change of its guests.
    changed: u64,
    memos: [Mutex<Memo>; Shape::ALL],
}

impl Clone for Chunk {
    fn clone(&self) -> Self {
        let carried = |shape: usize| Mutex::new(self.memo(shape).carried(self.guests.len()));
        Self {
            guests: self.guests.clone(),
            changed: self.changed,
            memos: std::array::from_fn(carried),
        }
    }
}

impl Chunk {
    fn new(guests: Vec<Guest>) -> Self {
        let changed = guests.iter().map(|guest| guest.changed).max();
        Self {
            guests,
            changed: changed.unwrap_or_default(),
            ..Self::default()
        }
    }

    pub(super) fn changed(&self) -> u64 {
        self.changed
    }

    pub(super) fn guests(&self) -> &[Guest] {
        &self.guests
    }

    /// A mask of all rows.
    pub(super) fn all(&self) -> u64 {
        u64::MAX >> (MOST - self.guests.len())
    }

    pub(super) fn first(&self) -> u32 {
        self.guests.first().map_or(0, |guest| guest.vmid)
    }

    pub(super) fn last(&self) -> u32 {
        self.guests.last().map_or(0, |guest| guest.vmid)
    }

    pub(super) fn find(&self, vmid: u32) -> Result<usize, usize> {
        self.guests.binary_search_by_key(&vmid, |guest| guest.vmid)
    }

    /// The text of all rows. It is written without a lock: two callers may write the same text at
    /// the same time.
    pub(super) fn text(&self, shape: Shape, tick: Tick) -> Arc<Text> {
        let Memo { text, dirty } = self.memo(shape as usize).clone();
        if let Some(text) = text.as_ref().filter(|text| dirty == 0 && text.is_of(tick)) {
            return Arc::clone(text);
        }
        let new = Text::new(shape, &self.guests, tick, text.as_deref(), dirty);
        let new = Arc::new(new);
        *self.memo(shape as usize) = Memo {
            text: Some(Arc::clone(&new)),
            dirty: 0,
        };
        new
    }

    /// The text, if it is cached and valid.
    pub(super) fn known_text(&self, shape: Shape, tick: Tick) -> Option<Arc<Text>> {
        let memo = self.memo(shape as usize);
        let text = memo.text.as_ref().filter(|_| memo.dirty == 0);
        text.filter(|text| text.is_of(tick)).cloned()
    }

    fn memo(&self, shape: usize) -> MutexGuard<'_, Memo> {
        self.memos[shape]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces a row.
    fn set(&mut self, at: usize, guest: Guest) {
        self.changed = self.changed.max(guest.changed);
        self.guests[at] = guest;
        for memo in &mut self.memos {
            let memo = memo.get_mut().unwrap_or_else(PoisonError::into_inner);
            memo.dirty |= 1 << at;
        }
    }

    /// Drops the cached texts: rows have moved.
    fn forget(&mut self) {
        self.memos = Default::default();
    }
}

/// All guests. A clone shares the chunks.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    chunks: Vec<Arc<Chunk>>,
}

impl FromIterator<Guest> for Table {
    /// Takes guests in the order of their ids.
    fn from_iter<I: IntoIterator<Item = Guest>>(guests: I) -> Self {
        let mut guests = guests.into_iter().peekable();
        let mut chunks = Vec::new();
        while guests.peek().is_some() {
            let chunk: Vec<Guest> = guests.by_ref().take(USUAL).collect();
            chunks.push(Arc::new(Chunk::new(chunk)));
        }
        Self { chunks }
    }
}

impl Table {
    pub(super) fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    pub(super) fn get(&self, vmid: u32) -> Option<&Guest> {
        let chunk = self.chunks.get(self.place(vmid))?;
        chunk.find(vmid).ok().map(|at| &chunk.guests[at])
    }

    /// The place of the chunk that has or would get a guest; past the end if all ids are smaller.
    fn place(&self, vmid: u32) -> usize {
        self.chunks.partition_point(|chunk| chunk.last() < vmid)
    }

    /// Adds a guest or replaces the one with its id.
    pub(super) fn put(&mut self, guest: Guest) {
        if self.chunks.is_empty() {
            self.chunks.push(Arc::new(Chunk::new(vec![guest])));
            return;
        }
        let place = self.place(guest.vmid).min(self.chunks.len() - 1);
        let chunk = Arc::make_mut(&mut self.chunks[place]);
        let at = match chunk.find(guest.vmid) {
            Ok(at) => return chunk.set(at, guest),
            Err(at) => at,
        };
        chunk.forget();
        chunk.changed = chunk.changed.max(guest.changed);
        chunk.guests.insert(at, guest);
        if chunk.guests.len() > MOST {
            let second = chunk.guests.split_off(MOST / 2);
            self.chunks.insert(place + 1, Arc::new(Chunk::new(second)));
        }
    }

    pub(super) fn remove(&mut self, vmid: u32) -> Option<Guest> {
        let place = self.place(vmid);
        let at = self.chunks.get(place)?.find(vmid).ok()?;
        let chunk = Arc::make_mut(&mut self.chunks[place]);
        chunk.forget();
        let guest = chunk.guests.remove(at);
        self.join(place);
        Some(guest)
    }

    /// Joins a chunk with the next one if both together are small.
    fn join(&mut self, place: usize) {
        if self.chunks[place].guests.is_empty() {
            self.chunks.remove(place);
            return;
        }
        let Some(next) = self.chunks.get(place + 1) else {
            return;
        };
        if self.chunks[place].guests.len() + next.guests.len() <= USUAL {
            let next = self.chunks.remove(place + 1);
            let chunk = Arc::make_mut(&mut self.chunks[place]);
            chunk.changed = chunk.changed.max(next.changed);
            chunk.guests.extend_from_slice(&next.guests);
        }
    }

    /// Replaces a guest by the result of `change`, if there is one.
    pub(super) fn update(&mut self, vmid: u32, change: impl FnOnce(&Guest) -> Option<Guest>) {
        if let Some(changed) = self.get(vmid).and_then(change) {
            self.put(changed);
        }
    }

    /// The same for every guest.
    pub(super) fn update_all(&mut self, mut change: impl FnMut(&Guest) -> Option<Guest>) {
        for shared in &mut self.chunks {
            let changed: Vec<(usize, Guest)> = shared
                .guests
                .iter()
                .enumerate()
                .filter_map(|(at, guest)| change(guest).map(|guest| (at, guest)))
                .collect();
            if changed.is_empty() {
                continue;
            }
            let chunk = Arc::make_mut(shared);
            for (at, guest) in changed {
                chunk.set(at, guest);
            }
        }
    }
}
