//! The context of steps.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use model::{Clock, Error, Upid};
use sys::{Command, Limits, Output, ScopeName, SharedHost, SysError};
use tracing::{debug, warn};

use crate::Engine;

/// Passed to every step.
pub struct TaskContext<W> {
    pub node: Arc<W>,
    pub upid: Upid,
    pub clock: Arc<dyn Clock>,
    pub(crate) host: SharedHost,
    pub(crate) engine: Weak<Engine<W>>,
    /// None for a task that is not listed: it has no log.
    pub(crate) log_path: Option<PathBuf>,
    pub(crate) warnings: AtomicU64,
    pub(crate) revision: AtomicU64,
    /// Whether there may be a scope of this task.
    pub(crate) has_scope: AtomicBool,
}

impl<W> TaskContext<W> {
    /// Adds a line to the task's log.
    pub async fn log(&self, line: &str) {
        let line = line.trim_end();
        let Some(path) = &self.log_path else {
            debug!(upid = %self.upid, line);
            return;
        };
        let text = format!("{line}\n");
        if let Err(error) = self.host.append(path, text.as_bytes(), false).await {
            // A log that cannot be written does not stop the task.
            warn!(upid = %self.upid, %error, "task log");
        }
    }

    /// Logs a warning. They are counted, and the task ends with `WARNINGS: n`.
    pub async fn warn(&self, line: &str) {
        self.warnings.fetch_add(1, Ordering::Relaxed);
        self.log(&format!("WARN: {line}")).await;
    }

    /// Logs progress, in a line that the UI and the CLI turn into a bar.
    pub async fn progress(&self, what: &str, done: u64, total: u64) {
        let percent = if total == 0 {
            100.0
        } else {
            done as f64 * 100.0 / total as f64
        };
        self.log(&format!("{what}: {done} of {total} bytes ({percent:.2}%)"))
            .await;
    }

    /// Stores the revision of a commit of this task, so that a caller who reads the finished task
    /// from a copy of the store also sees its changes.
    pub fn committed(&self, revision: u64) {
        self.revision.fetch_max(revision, Ordering::Relaxed);
    }

    /// The engine, for a task that runs other tasks.
    pub fn engine(&self) -> Result<Arc<Engine<W>>, Error> {
        let closed = || Error::bug("the task engine is being closed");
        self.engine.upgrade().ok_or_else(closed)
    }

    /// The scope for child processes of this task. Recovery empties it first.
    pub fn scope(&self) -> ScopeName {
        ScopeName::task(&format!("{:08X}-{:08X}", self.upid.pid, self.upid.pstart))
    }

    /// Runs a program that may take long in the task's scope: if the task is interrupted, or the
    /// agent dies, its remains are killed before anything is undone.
    pub async fn run(&self, command: Command) -> Result<Output, SysError> {
        let scope = self.scope();
        self.has_scope.store(true, Ordering::Relaxed);
        self.host.create_scope(&scope, &Limits::default()).await?;
        let output = self.host.run(command.scope(scope.clone())).await?;
        self.host.kill_scope(&scope).await?;
        self.has_scope.store(false, Ordering::Relaxed);
        Ok(output)
    }

    /// Kills the processes that the task has started and not waited for.
    pub(crate) async fn empty_scope(&self) -> Result<(), Error> {
        let scope = self.scope();
        if self.host.scopes().await?.contains(&scope) {
            self.host.kill_scope(&scope).await?;
        }
        Ok(())
    }

    /// The id of a job inside QEMU, derived so that a second run finds the job of the first.
    pub fn job_id(&self, step: &str) -> String {
        format!(
            "ostler-{:08X}-{:08X}-{step}",
            self.upid.pid, self.upid.pstart
        )
    }
}
