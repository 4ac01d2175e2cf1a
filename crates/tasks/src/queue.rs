//! Queues: work on one object runs in the order of the requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All holders of objects and those that wait for them.
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

/// How many may wait for one object; more are refused.
const WAITING: usize = 64;

/// How many more urgent ones.
const URGENT: usize = 16;

/// One place in the queue of an object.
struct Place {
    number: u64,
    kind: String,
    is_urgent: bool,
    /// It holds the object.
    holds: bool,
    /// Its holder can do nothing for now, so an urgent one may hold the object too.
    is_lent: bool,
}

impl Place {
    /// Whether another place has to wait for this one.
    fn is_before(&self, number: u64, is_urgent: bool) -> bool {
        if self.number == number {
            return false;
        }
        let is_held = self.holds && !(self.is_lent && is_urgent);
        is_held || (!self.is_urgent, self.number) < (!is_urgent, number)
    }
}

/// The queue of this object is full.
#[derive(Debug)]
pub(crate) struct Full(pub(crate) String);

/// A place in the queue of each of some objects. Dropping it gives it up.
pub struct Turn {
    queue: Queue,
    objects: Vec<String>,
    number: u64,
    is_urgent: bool,
}

/// Holds the objects until it is dropped.
pub struct Hold(Turn);

impl Hold {
    /// Lets urgent ones hold the objects meanwhile; all others still wait for this one.
    pub(crate) fn lend(&self) {
        self.0.set_lent(true);
        self.0.queue.inner.changed.notify_waiters();
    }

    /// Waits until no other one holds the objects.
    pub(crate) async fn take_back(&self) {
        let inner = &self.0.queue.inner;
        loop {
            let changed = inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.0.is_alone() {
                return;
            }
            changed.await;
        }
    }
}

impl Queue {
    /// Takes a place in each queue, atomically: two that want the same objects have the same order
    /// in all of them, so there is no deadlock. An urgent one goes before all that are waiting.
    pub(crate) fn line_up(
        &self,
        objects: Vec<String>,
        kind: &str,
        is_urgent: bool,
    ) -> Result<Turn, Full> {
        let limit = if is_urgent { WAITING + URGENT } else { WAITING };
        let state = self.state();
        let full = objects.iter().find(|object| {
            let places = state.objects.get(*object).into_iter().flatten();
            places.filter(|place| !place.holds).count() >= limit
        });
        if let Some(full) = full {
            return Err(Full(full.clone()));
        }
        Ok(self.place(state, objects, kind, is_urgent))
    }

    /// The same for a task that was queued before a restart: it is never refused.
    pub(crate) fn resume(&self, objects: Vec<String>, kind: &str, is_urgent: bool) -> Turn {
        self.place(self.state(), objects, kind, is_urgent)
    }

    /// Takes an object if it is free and no task waits for it.
    pub(crate) fn try_hold(&self, object: &str) -> Option<Hold> {
        let state = self.state();
        if state.objects.contains_key(object) {
            return None;
        }
        let turn = self.place(state, vec![object.to_owned()], "", false);
        turn.take(&|_| true).then_some(Hold(turn))
    }

    fn place(
        &self,
        mut state: MutexGuard<'_, State>,
        objects: Vec<String>,
        kind: &str,
        is_urgent: bool,
    ) -> Turn {
        state.next += 1;
        let number = state.next;
        for object in &objects {
            let place = Place {
                number,
                kind: kind.to_owned(),
                is_urgent,
                holds: false,
                is_lent: false,
            };
            state.objects.entry(object.clone()).or_default().push(place);
        }
        Turn {
            queue: self.clone(),
            objects,
            number,
            is_urgent,
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
    /// Waits until no earlier one is of a kind that `excludes` names. May be dropped.
    pub async fn wait(self, excludes: impl Fn(&str) -> bool + Send) -> Hold {
        let inner = self.queue.inner.clone();
        loop {
            let changed = inner.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that a change in between is not missed.
            changed.as_mut().enable();
            if self.take(&excludes) {
                return Hold(self);
            }
            changed.await;
        }
    }

    fn set_lent(&self, is_lent: bool) {
        let mut state = self.queue.state();
        self.mark(&mut state, |place| place.is_lent = is_lent);
    }

    /// Whether no other one holds an object of this one; then it is not lent any more.
    fn is_alone(&self) -> bool {
        let mut state = self.queue.state();
        let places = |object| state.objects.get(object).into_iter().flatten();
        let mut others = self.objects.iter().flat_map(places);
        if others.any(|place| place.holds && place.number != self.number) {
            return false;
        }
        self.mark(&mut state, |place| place.is_lent = false);
        true
    }

    /// Changes this one's places.
    fn mark(&self, state: &mut State, change: impl Fn(&mut Place)) {
        for object in &self.objects {
            let places = state.objects.get_mut(object).into_iter().flatten();
            places
                .filter(|place| place.number == self.number)
                .for_each(&change);
        }
    }

    /// Takes all the objects, if it is first in all queues.
    fn take(&self, excludes: &impl Fn(&str) -> bool) -> bool {
        let mut state = self.queue.state();
        let is_blocked = self.objects.iter().any(|object| {
            let mut places = state.objects.get(object).into_iter().flatten();
            places
                .any(|place| place.is_before(self.number, self.is_urgent) && excludes(&place.kind))
        });
        if is_blocked {
            return false;
        }
        self.mark(&mut state, |place| place.holds = true);
        true
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
    use futures_util::FutureExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn line_up(queue: &Queue, objects: &[&str], kind: &str) -> Turn {
        let objects = objects.iter().map(ToString::to_string).collect();
        queue.line_up(objects, kind, kind == "qmstop").unwrap()
    }

    #[tokio::test]
    async fn a_stop_goes_before_all_that_wait_and_a_line_has_an_end() {
        let queue = Queue::default();
        let working = line_up(&queue, &["guest/1"], "qmstart")
            .wait(|_| true)
            .await;
        let waiting: Vec<Turn> = (0..WAITING)
            .map(|_| line_up(&queue, &["guest/1"], "qmstart"))
            .collect();
        let more = |is_urgent| queue.line_up(vec!["guest/1".into()], "", is_urgent);
        assert_eq!(more(false).err().unwrap().0, "guest/1");
        let stop = line_up(&queue, &["guest/1"], "qmstop");
        assert!(!stop.take(&|_| true));
        drop(working);
        // It goes before the waiting ones, which also wait for it.
        assert!(!waiting[0].take(&|_| true));
        let stopping = stop.wait(|_| true).await;
        assert!(!waiting[0].take(&|_| true));
        let urgent: Vec<_> = (0..URGENT).map(|_| more(true).unwrap()).collect();
        assert!(more(true).is_err());
        drop((stopping, urgent));
        assert!(waiting[0].take(&|_| true) && !waiting[1].take(&|_| true));
        drop(waiting);
        more(false).unwrap();
        assert!(queue.state().objects.is_empty());
    }

    #[tokio::test]
    async fn fifty_get_the_object_in_the_order_they_asked() {
        let queue = Queue::default();
        let done = Arc::new(AtomicUsize::new(0));
        let turns: Vec<Turn> = (0..50)
            .map(|_| line_up(&queue, &["guest/100"], "qmclone"))
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
        let _shutdown = line_up(&queue, &["guest/1"], "qmshutdown")
            .wait(|_| true)
            .await;
        let stop = line_up(&queue, &["guest/1"], "qmstop");
        stop.wait(|kind| kind != "qmshutdown").await;
    }

    #[tokio::test]
    async fn a_stop_borrows_from_one_that_can_do_nothing() {
        let queue = Queue::default();
        let starting = line_up(&queue, &["guest/1"], "qmstart")
            .wait(|_| true)
            .await;
        let stop = line_up(&queue, &["guest/1"], "qmstop");
        let next = line_up(&queue, &["guest/1"], "qmstart");
        assert!(!stop.take(&|_| true));
        starting.lend();
        let stopping = stop.wait(|_| true).await;
        assert!(!next.take(&|_| true) && queue.try_hold("guest/1").is_none());
        let mut back = Box::pin(starting.take_back());
        assert!((&mut back).now_or_never().is_none());
        drop(stopping);
        back.await;
        let late = line_up(&queue, &["guest/1"], "qmstop");
        assert!(!late.take(&|_| true), "it is not lent any more");
        drop((starting, late));
        assert!(next.take(&|_| true));
    }

    #[tokio::test]
    async fn who_wants_two_objects_waits_for_both() {
        let queue = Queue::default();
        let both = || line_up(&queue, &["guest/1", "guest/2"], "qmclone");
        let first = line_up(&queue, &["guest/2"], "qmstart");
        assert!(!both().take(&|_| true));
        let copying = both();
        drop(first);
        let hold = copying.wait(|_| true).await;
        let crossed = line_up(&queue, &["guest/2", "guest/1"], "qmclone");
        assert!(!crossed.take(&|_| true) && queue.try_hold("guest/1").is_none());
        drop((hold, crossed));
        assert!(queue.try_hold("guest/1").is_some());
        assert!(both().take(&|_| true));
    }
}
