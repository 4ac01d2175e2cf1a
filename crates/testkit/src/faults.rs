//! Breaks one chosen call.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sys::SysError;
use tokio::sync::Notify;

/// A fault of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails without an effect.
    FailBefore,
    /// It fails, but has had its effect.
    FailAfter,
    /// The process dies before the call does anything.
    DieBefore,
    /// The process dies right after it.
    DieAfter,
}

impl Fault {
    pub const ALL: [Self; 4] = [
        Self::FailBefore,
        Self::FailAfter,
        Self::DieBefore,
        Self::DieAfter,
    ];

    /// The faults that a call can have. A read has no effect, so failing after it equals failing
    /// before it, and dying after it equals dying before the next call.
    pub fn of(call: &str) -> &'static [Self] {
        if READS.iter().any(|read| call.starts_with(read)) {
            &[Self::FailBefore, Self::DieBefore]
        } else {
            &Self::ALL
        }
    }

    pub fn is_death(self) -> bool {
        matches!(self, Self::DieBefore | Self::DieAfter)
    }
}

/// Prefixes of calls that change nothing.
const READS: [&str; 20] = [
    "examine ",
    "list ",
    "look for process ",
    "measure ",
    "members of ",
    "read ",
    "run blkid ",
    "run lsblk ",
    "run lvmconfig ",
    "run lvs ",
    "run pvs ",
    "run udevadm settle ",
    "run vgs ",
    "run zfs get ",
    "run zfs list ",
    "run zpool list ",
    "run zpool status ",
    "store get ",
    "store list ",
    "usage of ",
];

/// Counts calls, and breaks a chosen one.
#[derive(Clone, Default)]
pub struct Faults {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    died: Notify,
    /// How often the process died, over all plans.
    deaths: AtomicUsize,
}

#[derive(Default)]
struct State {
    calls: Vec<String>,
    plan: Option<(usize, Fault)>,
    dead: bool,
}

/// A call in progress.
pub(crate) struct Call<'a> {
    faults: &'a Faults,
    broken: Option<Fault>,
}

impl Faults {
    /// Breaks the call with this number, counted from 0 and from now on.
    pub fn break_call(&self, number: usize, fault: Fault) {
        let mut state = self.state();
        state.calls.clear();
        state.plan = Some((number, fault));
    }

    /// The calls since the beginning or the last `break_call`.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// Forgets the calls and breaks none.
    pub fn reset(&self) {
        *self.state() = State::default();
    }

    /// Waits until the process "dies". From then on every call hangs until `revive`.
    pub async fn death(&self) {
        loop {
            let died = self.inner.died.notified();
            tokio::pin!(died);
            died.as_mut().enable();
            if self.state().dead {
                return;
            }
            died.await;
        }
    }

    /// How often the process has died so far: its connections from before a death are dead.
    pub(crate) fn deaths(&self) -> usize {
        self.inner.deaths.load(Ordering::SeqCst)
    }

    fn die(&self) {
        self.state().dead = true;
        self.inner.deaths.fetch_add(1, Ordering::SeqCst);
    }

    /// Restarts the process; no more faults.
    pub fn revive(&self) {
        let mut state = self.state();
        (state.dead, state.plan) = (false, None);
    }

    /// Restarts the process, and breaks the call with this number as well.
    pub fn revive_and_break(&self, number: usize, fault: Fault) {
        self.revive();
        self.break_call(number, fault);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call. Fails or hangs if it is the one to break.
    pub(crate) async fn begin(&self, what: impl FnOnce() -> String) -> Result<Call<'_>, SysError> {
        let broken = {
            let mut state = self.state();
            let number = state.calls.len();
            if !state.dead {
                state.calls.push(what());
            }
            let planned = state.plan.filter(|(planned, _)| *planned == number);
            planned.map(|(_, fault)| fault)
        };
        if broken == Some(Fault::DieBefore) {
            self.die();
        }
        self.hang_if_dead().await;
        if broken == Some(Fault::FailBefore) {
            return Err(injected());
        }
        Ok(Call {
            faults: self,
            broken,
        })
    }

    /// Runs something as one call with these words.
    pub async fn call<T>(&self, what: &str, work: impl Future<Output = T>) -> Result<T, SysError> {
        let call = self.begin(|| what.to_owned()).await?;
        call.end(work.await).await
    }

    async fn hang_if_dead(&self) {
        if self.state().dead {
            self.inner.died.notify_waiters();
            // The waits of a dead process never end; the harness drops the future.
            std::future::pending::<()>().await;
        }
    }
}

impl Call<'_> {
    /// Ends a call that has had its effect.
    pub(crate) async fn end<T>(self, result: T) -> Result<T, SysError> {
        match self.broken {
            Some(Fault::FailAfter) => Err(injected()),
            Some(Fault::DieAfter) => {
                self.faults.die();
                self.faults.hang_if_dead().await;
                Ok(result)
            }
            _ => Ok(result),
        }
    }
}

fn injected() -> SysError {
    let source = io::Error::other("broken by the test");
    SysError::Io {
        action: "use",
        object: "the world".to_owned(),
        source,
    }
}
