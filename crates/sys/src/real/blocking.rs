//! Blocking work, off the async threads.
//!
//! Such work cannot be cancelled: it goes on after its caller stops waiting. An undo must not
//! overtake it, so an async task that left work behind is not allowed further operations until that
//! work has ended.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task;

use crate::SysError;

/// How much unfinished work each async task has left behind.
static LEFT: LazyLock<Mutex<HashMap<task::Id, usize>>> = LazyLock::new(Mutex::default);
/// Some of it has ended.
static ENDED: Notify = Notify::const_new();

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SysError> + Send + 'static,
) -> Result<T, SysError> {
    let run = |work: Boxed<T>| joined(task::spawn_blocking(work));
    tracked(work, run).await
}

type Boxed<T> = Box<dyn FnOnce() -> Result<T, SysError> + Send>;

/// Like `run`, on a thread of the caller's choice.
pub(super) async fn tracked<T: Send + 'static, F: Future<Output = Result<T, SysError>>>(
    work: impl FnOnce() -> Result<T, SysError> + Send + 'static,
    run: impl FnOnce(Boxed<T>) -> F,
) -> Result<T, SysError> {
    let Some(caller) = task::try_id() else {
        return run(Box::new(work)).await;
    };
    none_left_by(caller).await;
    let stage = Arc::new(Mutex::new(Stage::Awaited));
    let _waiting = Waiting {
        caller,
        stage: Arc::clone(&stage),
    };
    let under_way = UnderWay { caller, stage };
    run(Box::new(move || {
        let _under_way = under_way;
        work()
    }))
    .await
}

pub(super) async fn joined<T>(work: task::JoinHandle<Result<T, SysError>>) -> Result<T, SysError> {
    match work.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Only a runtime that shuts down cancels it, and its caller next.
            Err(_) => std::future::pending().await,
        },
    }
}

#[derive(PartialEq)]
enum Stage {
    Awaited,
    Left,
    Ended,
}

/// The caller, as long as it waits.
struct Waiting {
    caller: task::Id,
    stage: Arc<Mutex<Stage>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut stage = lock(&self.stage);
        if *stage == Stage::Awaited {
            *stage = Stage::Left;
            *lock(&LEFT).entry(self.caller).or_default() += 1;
        }
    }
}

/// The work, until it ends, possibly in a panic.
struct UnderWay {
    caller: task::Id,
    stage: Arc<Mutex<Stage>>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let before = std::mem::replace(&mut *lock(&self.stage), Stage::Ended);
        if before == Stage::Left {
            forget(self.caller);
        }
    }
}

fn forget(caller: task::Id) {
    let mut left = lock(&LEFT);
    if let Some(count) = left.get_mut(&caller) {
        *count -= 1;
        if *count == 0 {
            left.remove(&caller);
        }
    }
    ENDED.notify_waiters();
}

async fn none_left_by(caller: task::Id) {
    loop {
        let ended = ENDED.notified();
        tokio::pin!(ended);
        ended.as_mut().enable();
        if !lock(&LEFT).contains_key(&caller) {
            return;
        }
        ended.await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_was_left_behind_ends_first() {
        task::spawn(leave_one_behind()).await.unwrap();
    }

    async fn leave_one_behind() {
        let (go_on, wait) = mpsc::channel::<()>();
        let order = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&order);
        let slow = blocking(move || {
            let _ = wait.recv();
            lock(&seen).push("left behind");
            Ok(())
        });
        tokio::select! {
            biased;
            _ = slow => panic!("it waits for us"),
            () = tokio::task::yield_now() => {}
        }
        let seen = Arc::clone(&order);
        let next = blocking(move || {
            lock(&seen).push("next");
            Ok(())
        });
        let release = async {
            tokio::task::yield_now().await;
            go_on.send(()).unwrap();
        };
        let (next, ()) = tokio::join!(next, release);
        next.unwrap();
        assert_eq!(*lock(&order), ["left behind", "next"]);
        // And the entry is removed.
        assert!(!lock(&LEFT).contains_key(&task::id()));
    }
}
