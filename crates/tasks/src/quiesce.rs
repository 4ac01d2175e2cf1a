//! A time without tasks, for work that no other task may see half done.

use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{Error, ErrorKind, Upid};
use tokio::sync::Notify;

/// Whether tasks may begin.
#[derive(Default)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Default)]
struct State {
    closed_by: Option<Upid>,
    /// How many tasks are past the gate and in no list yet.
    beginning: usize,
}

/// A task that is about to be registered.
pub(crate) struct Beginning<'a> {
    gate: &'a Gate,
    changed: &'a Notify,
}

impl Gate {
    /// `changed` is notified when the task is registered, or will not be.
    pub(crate) fn enter<'a>(&'a self, changed: &'a Notify) -> Result<Beginning<'a>, Error> {
        let mut state = self.state();
        if let Some(upid) = &state.closed_by {
            let text = format!("no task can begin while {upid} works on the whole node");
            return Err(Error::unavailable(text));
        }
        state.beginning += 1;
        Ok(Beginning {
            gate: self,
            changed,
        })
    }

    pub(crate) fn close(&self, by: &Upid) -> Result<Quiet<'_>, Error> {
        let mut state = self.state();
        if let Some(upid) = &state.closed_by {
            let text = format!("{upid} works on the whole node");
            return Err(Error::new(ErrorKind::Busy, text));
        }
        state.closed_by = Some(by.clone());
        Ok(Quiet(self))
    }

    /// Whether every task that entered is registered.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().beginning == 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        self.gate.state().beginning -= 1;
        self.changed.notify_waiters();
    }
}

/// No task begins until it is dropped.
pub struct Quiet<'a>(&'a Gate);

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        self.0.state().closed_by = None;
    }
}
