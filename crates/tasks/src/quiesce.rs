//! A time without tasks, for work that no other task may see half done.

use std::sync::Mutex;
use std::time::Duration;

use model::{Error, ErrorKind, Upid, with_timeout};
use tokio::sync::Notify;

use crate::engine::lock;
use crate::{Engine, TaskFilter};

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
        let mut state = lock(&self.0);
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

    fn close(&self, by: &Upid) -> Result<Quiet<'_>, Error> {
        let mut state = lock(&self.0);
        if let Some(upid) = &state.closed_by {
            let text = format!("{upid} works on the whole node");
            return Err(Error::new(ErrorKind::Busy, text));
        }
        state.closed_by = Some(by.clone());
        Ok(Quiet(self))
    }

    fn is_empty(&self) -> bool {
        lock(&self.0).beginning == 0
    }
}

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        lock(&self.gate.0).beginning -= 1;
        self.changed.notify_waiters();
    }
}

/// No task begins until it is dropped.
pub struct Quiet<'a>(&'a Gate);

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        lock(&self.0.0).closed_by = None;
    }
}

impl<W: Send + Sync + 'static> Engine<W> {
    /// Lets no task begin, and waits until all but `by` have ended. `Busy` if some have not within
    /// `patience`; the text names them.
    pub async fn quiesce(&self, by: &Upid, patience: Duration) -> Result<Quiet<'_>, Error> {
        let quiet = self.gate.close(by)?;
        let ended = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.gate.is_empty() && self.others(by).is_empty() {
                    return;
                }
                changed.await;
            }
        };
        match with_timeout(&*self.options.clock, patience, ended).await {
            Some(()) => Ok(quiet),
            None => Err(self.still_running(by)),
        }
    }

    fn still_running(&self, by: &Upid) -> Error {
        let others: Vec<String> = self.others(by).iter().map(Upid::to_string).collect();
        let text = format!("tasks of this node have not ended: {}", others.join(", "));
        Error::new(ErrorKind::Busy, text)
    }

    fn others(&self, by: &Upid) -> Vec<Upid> {
        let running = TaskFilter {
            running: true,
            unlisted: true,
            ..TaskFilter::default()
        };
        let running = self.list(&running).into_iter().map(|task| task.upid);
        running.filter(|upid| upid != by).collect()
    }
}
