//! Threads for the files of one resource that may hang, such as a storage whose server is gone.
//!
//! A call into a file system that does not answer blocks its thread. In a pool of its own it does
//! not block threads that others need; and once a short call has taken too long, the pool starts no
//! more calls until that one has returned.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::SysError;

/// Simultaneous calls.
const THREADS: usize = 8;

/// Calls that wait for a thread; more are refused. Hundreds of tasks that begin at once are no
/// hang: that is for `LATE` to find.
const WAITING: usize = 1024;

/// A short call that takes longer than this means that the resource hangs.
const LATE: Duration = Duration::from_secs(5);

/// How long a read is waited for, including the wait for a thread.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an idle thread stays.
const IDLE: Duration = Duration::from_secs(10);

/// The stack size of a thread: file system calls need little.
const STACK_BYTES: usize = 256 << 10;

/// All pools of a host, by name.
#[derive(Default)]
pub(super) struct Pools(Mutex<BTreeMap<String, Arc<Pool>>>);

impl Pools {
    pub(super) fn get(&self, name: &str) -> Arc<Pool> {
        let mut pools = lock(&self.0);
        // Pools of removed storages that are not in use are dropped.
        pools.retain(|known, pool| known == name || Arc::strong_count(pool) > 1);
        let new = || Arc::new(Pool::new(name));
        pools.entry(name.to_owned()).or_insert_with(new).clone()
    }
}

/// The kind of a call.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Short, and changes nothing. Given up if it takes too long.
    Look,
    /// Short: changes a name or an owner. Its end is waited for.
    Change,
    /// Long: writes or syncs. Its end is waited for.
    Write,
}

/// Hands a result to its caller.
type Delivery = Box<dyn FnOnce() + Send>;

type Work = Box<dyn FnOnce() -> Delivery + Send>;

struct Job {
    kind: Kind,
    work: Work,
}

pub(super) struct Pool {
    name: String,
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// Short calls in progress, by number, with their start times.
    short: BTreeMap<u64, Instant>,
    last: u64,
}

impl Pool {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: Mutex::default(),
            more: Condvar::new(),
        }
    }

    /// Runs a call on a thread of the pool.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        kind: Kind,
        work: impl FnOnce() -> Result<T, SysError> + Send + 'static,
    ) -> Result<T, SysError> {
        let (sender, receiver) = oneshot::channel();
        let work = Box::new(move || -> Delivery {
            let done = catch_unwind(AssertUnwindSafe(work));
            Box::new(move || {
                // The caller may have stopped waiting.
                let _ = sender.send(done);
            })
        });
        self.begin(Job { kind, work })?;
        let done = match kind {
            Kind::Change | Kind::Write => receiver.await,
            Kind::Look => match tokio::time::timeout(PATIENCE, receiver).await {
                Ok(done) => done,
                Err(_) => return Err(self.silent()),
            },
        };
        match done {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => resume_unwind(panic),
            // Dropped without an answer: no thread could be started.
            Err(_) => Err(self.silent()),
        }
    }

    fn begin(self: &Arc<Self>, job: Job) -> Result<(), SysError> {
        let mut state = lock(&self.state);
        if state.is_late(now()) || state.waiting.len() >= WAITING {
            return Err(self.silent());
        }
        state.waiting.push_back(job);
        let needs_thread = state.idle < state.waiting.len() && state.threads < THREADS;
        if needs_thread {
            let pool = self.clone();
            let builder = std::thread::Builder::new()
                .name(self.name.clone())
                .stack_size(STACK_BYTES);
            match builder.spawn(move || pool.work()) {
                Ok(_) => state.threads += 1,
                Err(source) if state.threads == 0 => {
                    state.waiting.pop_back();
                    let action = "start a thread for";
                    return Err(SysError::io(action, self.name.as_ref(), source));
                }
                // The existing threads will do it.
                Err(_) => {}
            }
        }
        self.more.notify_one();
        Ok(())
    }

    /// The loop of a thread.
    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(Job { kind, work }) = state.waiting.pop_front() {
                let number = state.begin(kind);
                drop(state);
                let deliver = work();
                // First of all it is no longer late: a caller who has the result may call again.
                lock(&self.state).short.remove(&number);
                deliver();
                state = lock(&self.state);
                continue;
            }
            state.idle += 1;
            let (waited, timeout) = self
                .more
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = waited;
            state.idle -= 1;
            if timeout.timed_out() && state.waiting.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    fn silent(&self) -> SysError {
        SysError::Silent {
            name: self.name.clone(),
        }
    }
}

impl State {
    fn begin(&mut self, kind: Kind) -> u64 {
        self.last += 1;
        if kind != Kind::Write {
            self.short.insert(self.last, now());
        }
        self.last
    }

    /// Whether a short call has been running for too long.
    fn is_late(&self, now: Instant) -> bool {
        let oldest = self.short.values().min();
        oldest.is_some_and(|begun| now.duration_since(*begun) > LATE)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures threads of this process, independent of the node's clock"
)]
fn now() -> Instant {
    Instant::now()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A call that hangs until the sender is used or dropped.
    fn hang() -> (
        mpsc::Sender<()>,
        impl FnOnce() -> Result<(), SysError> + Send,
    ) {
        let (go_on, wait) = mpsc::channel();
        let work = move || {
            let _ = wait.recv();
            Ok(())
        };
        (go_on, work)
    }

    #[tokio::test]
    async fn what_hangs_in_one_pool_holds_up_no_other_and_is_told_of_at_once_later() {
        let pools = Pools::default();
        let (hung, well) = (pools.get("storage 'a'"), pools.get("storage 'b'"));
        let (mut release, mut calls) = (Vec::new(), Vec::new());
        for _ in 0..THREADS + 3 {
            let (go_on, work) = hang();
            release.push(go_on);
            let pool = hung.clone();
            calls.push(tokio::spawn(
                async move { pool.run(Kind::Look, work).await },
            ));
        }
        while lock(&hung.state).short.len() < THREADS {
            tokio::task::yield_now().await;
        }
        well.run(Kind::Look, || Ok(())).await.unwrap();
        // The first read becomes late.
        for begun in lock(&hung.state).short.values_mut() {
            *begun -= 2 * LATE;
        }
        for kind in [Kind::Look, Kind::Change, Kind::Write] {
            let refused = hung.run(kind, || Ok(())).await.unwrap_err();
            assert_eq!(refused.to_string(), "storage 'a' is not online");
        }
        // Once it answers, it is as before.
        drop(release);
        for call in calls {
            call.await.unwrap().unwrap();
        }
        hung.run(Kind::Change, || Ok(())).await.unwrap();
        assert!(Arc::ptr_eq(&hung, &pools.get("storage 'a'")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_is_given_up_and_a_change_is_not() {
        let pool = Arc::new(Pool::new("storage 'a'"));
        let (go_on, work) = hang();
        let error = pool.run(Kind::Look, work).await.unwrap_err();
        assert!(matches!(error, SysError::Silent { .. }), "{error}");
        drop(go_on);
        let (go_on, work) = hang();
        let change = pool.run(Kind::Change, work);
        tokio::pin!(change);
        let waited = tokio::time::timeout(100 * PATIENCE, change.as_mut()).await;
        assert!(waited.is_err());
        drop(go_on);
        change.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_the_callers() {
        let pool = Arc::new(Pool::new("storage 'a'"));
        let call = tokio::spawn(async move {
            let _: Result<(), _> = pool.run(Kind::Look, || panic!("a mistake")).await;
        });
        assert!(call.await.unwrap_err().is_panic());
    }
}
