//! What a task is.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use model::{Error, Upid};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Engine, Submission, TaskContext};

/// Submits a task that follows another.
pub type FollowUp<W> = Box<
    dyn for<'a> FnOnce(
            &'a Engine<W>,
            Submission,
        ) -> Pin<Box<dyn Future<Output = Result<Upid, Error>> + Send + 'a>>
        + Send
        + Sync,
>;

/// What the world says of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    NotDone,
    /// Something that the step started is still at it; ask again.
    Running,
    Done,
}

/// Long work, as a value: its inputs, what its steps have planned and what they have found.
///
/// The whole value is journalled before and after every step, so its fields are what steps
/// hand to each other. A step fills fields in `plan` and `act` and reads those of steps before
/// it.
pub trait Task: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// What the steps work on.
    type Node: Send + Sync + 'static;

    /// The one name, e.g. `qemu_start`; it finds the task's code when a journal is read.
    const NAME: &'static str;
    /// Raised when the meaning of the fields or steps changes. Journals of another version are
    /// not run: they are marked stuck.
    const VERSION: u32;
    /// The type in the UPID, e.g. `qmstart`.
    const KIND: &'static str;

    /// The steps, in order.
    fn steps() -> Steps<Self>;

    /// Whether it goes before all that only wait for the object: what ends something gets through.
    const IS_URGENT: bool = false;

    /// Whether it may begin on a full disk: it needs little space, or frees some.
    const ON_FULL_DISK: bool = false;

    /// How long it waits for its turn.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// What the task works on and waits for its turn at, e.g. `guest/100`.
    fn object(&self) -> Option<String>;

    /// What it needs for itself besides, e.g. the guest that it copies.
    fn other_objects(&self) -> Vec<String> {
        Vec::new()
    }

    /// What is submitted, in the name of the same user, once this task has gone through. It is
    /// submitted once, also through a restart.
    fn follow_up(&self) -> Option<FollowUp<Self::Node>> {
        None
    }

    /// What is told of a task that has gone through and yet could not do all that it was asked
    /// to. What it did stays.
    fn verdict(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Whether an earlier task of that kind must have ended before this one begins.
    fn excludes(&self, _kind: &str) -> bool {
        true
    }
}

/// The steps of a task. The point of no return lies between the two lists: with all of the first
/// one done the work is kept and recovery goes forward, with fewer it undoes.
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

/// One step. It is written so that each method may be repeated and may be stopped anywhere.
#[async_trait]
pub trait Step<T: Task>: Send + Sync {
    /// As it stands in the journal and in errors, e.g. `create-scope`.
    fn name(&self) -> &'static str;

    /// Chooses every name, id and address that `act` will use and writes them into the task.
    /// Changes nothing in the world. The result is durable before `act` begins. A step without
    /// choices leaves it out.
    async fn plan(&self, _cx: &TaskContext<T::Node>, _task: &mut T) -> Result<(), Error> {
        Ok(())
    }

    /// Looks whether the world is as it is after `act`, and fills in what `act` would have. Left out
    /// where `act` may simply be repeated, or is before the point of no return and not the last.
    async fn probe(&self, _cx: &TaskContext<T::Node>, _task: &mut T) -> Result<Probe, Error> {
        Ok(Probe::NotDone)
    }

    /// Does it. An error means that it is not done; parts of it may be.
    async fn act(&self, cx: &TaskContext<T::Node>, task: &mut T) -> Result<(), Error>;

    /// Takes back what `act` did, wholly, partly or not at all. Never called after the point of
    /// no return, and left out where there is nothing to take back.
    async fn undo(&self, _cx: &TaskContext<T::Node>, _task: &T) -> Result<(), Error> {
        Ok(())
    }
}
