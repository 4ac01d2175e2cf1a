//! Tasks and their steps.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use model::{Error, Upid};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Engine, Submission, TaskContext};

/// Submits a follow-up task.
pub type FollowUp<W> = Box<
    dyn for<'a> FnOnce(
            &'a Engine<W>,
            Submission,
        ) -> Pin<Box<dyn Future<Output = Result<Upid, Error>> + Send + 'a>>
        + Send
        + Sync,
>;

/// The result of probing a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    NotDone,
    /// A job that the step started is still running; probe again.
    Running,
    Done,
}

/// Long work, as a value: its inputs, and what its steps have planned and found.
///
/// The whole value is journalled before and after every step, so steps pass data in its fields. A
/// step fills fields in `plan` and `act` and reads those of earlier steps.
pub trait Task: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// What the steps work on.
    type Node: Send + Sync + 'static;

    /// The one name, e.g. `qemu_start`, by which the task's code is found when a journal is read.
    const NAME: &'static str;
    /// Raised when the meaning of the fields or steps changes. Journals of other versions are not
    /// run: they are marked stuck.
    const VERSION: u32;
    /// The type in the UPID, e.g. `qmstart`.
    const KIND: &'static str;

    /// The steps, in order.
    fn steps() -> Steps<Self>;

    /// Whether it goes before all waiting tasks of the object, so that a stop gets through.
    const IS_URGENT: bool = false;

    /// Whether it may begin on a full disk, because it needs little space or frees some.
    const ON_FULL_DISK: bool = false;

    /// How long it waits for its objects.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// The object that the task locks, e.g. `guest/100`.
    fn object(&self) -> Option<String>;

    /// Other objects that it locks, e.g. the guest that it copies.
    fn other_objects(&self) -> Vec<String> {
        Vec::new()
    }

    /// The task to submit for the same user once this one has succeeded. It is submitted exactly
    /// once, even across a restart.
    fn follow_up(&self) -> Option<FollowUp<Self::Node>> {
        None
    }

    /// The task to submit for the same user once this one has failed and was undone. Also exactly
    /// once; this one does not wait for it.
    fn follow_up_of_failure(&self) -> Option<FollowUp<Self::Node>> {
        None
    }

    /// The error of a task that ran to its end but could not do everything. Its changes stay.
    fn verdict(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Whether this task waits for earlier tasks of that kind.
    fn excludes(&self, _kind: &str) -> bool {
        true
    }
}

/// The steps of a task. The point of no return is between the two lists: once the whole first list
/// is done, the work is kept and recovery goes forward; before, it undoes.
pub struct Steps<T: 'static> {
    pub before: &'static [&'static dyn Step<T>],
    pub after: &'static [&'static dyn Step<T>],
}

impl<T: Task> Steps<T> {
    /// How many steps must be done for the work to be kept.
    pub(crate) fn point_of_no_return(&self) -> usize {
        self.before.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }

    pub(crate) fn at(&self, step: usize) -> &'static dyn Step<T> {
        match self.before.get(step) {
            Some(step) => *step,
            None => self.after[step - self.before.len()],
        }
    }
}

/// One step. Each method may be repeated and may be interrupted anywhere.
#[async_trait]
pub trait Step<T: Task>: Send + Sync {
    /// The name in the journal and in errors, e.g. `create-scope`.
    fn name(&self) -> &'static str;

    /// Chooses every name, id and address that `act` will use and writes them into the task.
    /// Changes nothing else. The result is durable before `act` begins. A step without choices
    /// leaves it out.
    async fn plan(&self, _cx: &TaskContext<T::Node>, _task: &mut T) -> Result<(), Error> {
        Ok(())
    }

    /// Checks whether the effects of `act` are there, and fills in what `act` would have. Left out
    /// if `act` can simply be repeated, or if the step is before the point of no return and not the
    /// last.
    async fn probe(&self, _cx: &TaskContext<T::Node>, _task: &mut T) -> Result<Probe, Error> {
        Ok(Probe::NotDone)
    }

    /// Does the work. After an error it may be done in part.
    async fn act(&self, cx: &TaskContext<T::Node>, task: &mut T) -> Result<(), Error>;

    /// Undoes `act`, which may be done wholly, partly or not at all. Never called after the point
    /// of no return, and left out if there is nothing to undo.
    async fn undo(&self, _cx: &TaskContext<T::Node>, _task: &T) -> Result<(), Error> {
        Ok(())
    }
}
