//! Passes work from async tasks to threads that may block.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};

use crate::StoreError;

/// First in, first out, for any number of producers and consumers. Adding never waits.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

/// Producers wait for their answers, so only many callers that give up and retry reach this limit.
/// Refusing them bounds the memory.
const WAITING_MAX: usize = 10_000;

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        let state = State {
            items: VecDeque::new(),
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            ready: Condvar::new(),
        }
    }

    pub(crate) fn push(&self, item: T) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.closed {
            return Err(StoreError::Unavailable("the store was closed".to_owned()));
        }
        if state.items.len() >= WAITING_MAX {
            return Err(StoreError::Unavailable(
                "too many requests are waiting".to_owned(),
            ));
        }
        state.items.push_back(item);
        self.ready.notify_one();
        Ok(())
    }

    /// Blocks until there is an item, and takes up to `max`. None when the queue is closed and
    /// empty.
    pub(crate) fn take(&self, max: usize) -> Option<Vec<T>> {
        let empty = |state: &mut State<T>| state.items.is_empty() && !state.closed;
        let waited = self.ready.wait_while(self.lock(), empty);
        let mut state = waited.expect("no one panics while holding the queue");
        let count = max.min(state.items.len());
        (count > 0).then(|| state.items.drain(..count).collect())
    }

    /// Accepts no more items. Queued ones can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_all();
    }

    /// Accepts no more items and returns the queued ones, because no consumer is left.
    pub(crate) fn abandon(&self) -> VecDeque<T> {
        let mut state = self.lock();
        state.closed = true;
        std::mem::take(&mut state.items)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state
            .lock()
            .expect("no one panics while holding the queue")
    }
}
