//! Turns: work on one object goes in the order in which it was asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All who hold or wait for objects.
#[derive(Default, Clone)]
pub(crate) struct Queue {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    objects: HashMap<String, Vec<Place>>,
}

/// One place in the line of an object.
struct Place {
    number: u64,
    kind: String,
}

/// A place in the line of each of some objects. Dropping it gives it up.
pub struct Turn {
    queue: Queue,
    objects: Vec<String>,
    number: u64,
}

/// The objects are ours until this is dropped.
pub struct Hold(#[expect(dead_code, reason = "held for its drop")] Turn);

impl Queue {
    /// Takes a place at the end of each line, at once: two that want the same objects have the
    /// same order in all of them, so neither waits for the other.
    pub(crate) fn line_up(&self, objects: Vec<String>, kind: &str) -> Turn {
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        for object in &objects {
            let place = Place {
                number,
                kind: kind.to_owned(),
            };
            state.objects.entry(object.clone()).or_default().push(place);
        }
        Turn {
            queue: self.clone(),
            objects,
            number,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits until nobody ahead is of a kind that `excludes` names. May be dropped.
    pub async fn wait(self, excludes: impl Fn(&str) -> bool + Send) -> Hold {
        let inner = self.queue.inner.clone();
        loop {
            let changed = inner.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that a change in between is not missed.
            changed.as_mut().enable();
            if !self.is_blocked(&excludes) {
                return Hold(self);
            }
            changed.await;
        }
    }

    /// The objects, if nobody is ahead.
    pub(crate) fn if_free(self) -> Option<Hold> {
        (!self.is_blocked(&|_: &str| true)).then(|| Hold(self))
    }

    fn is_blocked(&self, excludes: &impl Fn(&str) -> bool) -> bool {
        let state = self.queue.state();
        let mut places = self
            .objects
            .iter()
            .filter_map(|object| state.objects.get(object))
            .flatten();
        places.any(|place| place.number < self.number && excludes(&place.kind))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        for object in &self.objects {
            let mut state = self.queue.state();
            if let Some(places) = state.objects.get_mut(object) {
                places.retain(|place| place.number != self.number);
                if places.is_empty() {
                    state.objects.remove(object);
                }
            }
        }
        self.queue.inner.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn fifty_get_the_object_in_the_order_they_asked() {
        let queue = Queue::default();
        let done = Arc::new(AtomicUsize::new(0));
        let turns: Vec<Turn> = (0..50)
            .map(|_| queue.line_up(vec!["guest/100".into()], "qmclone"))
            .collect();
        let waiting: Vec<_> = turns
            .into_iter()
            .enumerate()
            .rev()
            .map(|(place, turn)| {
                let done = done.clone();
                tokio::spawn(async move {
                    let _hold = turn.wait(|_| true).await;
                    assert_eq!(done.fetch_add(1, Ordering::SeqCst), place);
                })
            })
            .collect();
        for task in waiting {
            task.await.unwrap();
        }
        assert!(queue.state().objects.is_empty());
    }

    #[tokio::test]
    async fn a_stop_need_not_wait_for_a_shutdown() {
        let queue = Queue::default();
        let _shutdown = queue
            .line_up(vec!["guest/1".into()], "qmshutdown")
            .wait(|_| true)
            .await;
        let stop = queue.line_up(vec!["guest/1".into()], "qmstop");
        stop.wait(|kind| kind != "qmshutdown").await;
    }

    #[tokio::test]
    async fn who_wants_two_objects_waits_for_both() {
        let queue = Queue::default();
        let both = |kind| queue.line_up(vec!["guest/1".into(), "guest/2".into()], kind);
        let first = queue.line_up(vec!["guest/2".into()], "qmstart");
        assert!(both("qmclone").if_free().is_none());
        let copying = both("qmclone");
        drop(first);
        let hold = copying.wait(|_| true).await;
        let crossed = queue.line_up(vec!["guest/2".into(), "guest/1".into()], "qmclone");
        assert!(crossed.if_free().is_none());
        drop(hold);
        assert!(both("qmclone").if_free().is_some());
    }
}
