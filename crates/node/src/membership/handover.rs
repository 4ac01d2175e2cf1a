//! What a task needs and its journal must not have: passwords.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Secrets on their way from an operation to its task. They are lost with the agent, and the task
/// ends then.
#[derive(Default)]
pub struct Handover(Mutex<HashMap<String, String>>);

impl Handover {
    /// Keeps a secret; returns the name under which the task takes it.
    pub fn put(&self, secret: String) -> String {
        let name = uuid::Uuid::new_v4().to_string();
        self.keep(&name, secret);
        name
    }

    /// Keeps a secret under a known name.
    pub fn keep(&self, name: &str, secret: String) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(name.to_owned(), secret);
    }

    /// Takes a secret, which is kept no longer.
    pub fn take(&self, name: &str) -> Option<String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(name)
    }
}
