//! Finds the code for a journal.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use model::Error;

use crate::Task;
use crate::engine::Engine;
use crate::journal::Standing;
use crate::recover::recover;

pub(crate) type Recovery = Pin<Box<dyn Future<Output = ()> + Send>>;
type Recover<W> = fn(Arc<Engine<W>>, u64, Standing) -> Result<Recovery, Error>;

/// The tasks that this program knows, by name.
pub struct Registry<W> {
    pub(crate) tasks: BTreeMap<&'static str, (u32, Recover<W>)>,
}

impl<W: Send + Sync + 'static> Default for Registry<W> {
    fn default() -> Self {
        Self {
            tasks: BTreeMap::new(),
        }
    }
}

impl<W: Send + Sync + 'static> Registry<W> {
    #[must_use]
    pub fn with<T: Task<Node = W>>(mut self) -> Self {
        self.tasks.insert(T::NAME, (T::VERSION, recover::<T>));
        self
    }

    /// The names of all tasks.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.tasks.keys().copied()
    }
}
