//! Runs one task from its first step to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::{Error, Upid};
use tokio::sync::Notify;

use crate::archive::Ended;
use crate::engine::Engine;
use crate::journal::{Journal, Line};
use crate::{Probe, Task, TaskContext, Turn};

/// The pauses between attempts of what must not be given up, in seconds; the last one repeats.
const RETRY_PAUSES_S: [u64; 5] = [0, 1, 2, 5, 15];

/// How often a step that is running by itself is asked, in milliseconds.
const PROBE_PAUSE_MS: u64 = 100;

/// One task being run.
pub(crate) struct Runner<W> {
    engine: Arc<Engine<W>>,
    pub(crate) cx: TaskContext<W>,
    journal: Journal,
    request_id: String,
    stop: Arc<Notify>,
}

impl<W: Send + Sync + 'static> Runner<W> {
    pub(crate) fn new(engine: Arc<Engine<W>>, upid: Upid, request_id: String) -> Self {
        let cx = engine.context(&upid);
        let journal = engine.journal(&upid);
        let stop = engine.stoppable(&upid);
        Self {
            engine,
            cx,
            journal,
            request_id,
            stop,
        }
    }

    /// A task that was just accepted.
    pub(crate) async fn run_new<T: Task<World = W>>(self, turn: Turn, mut task: T) {
        let kinds = task.clone();
        let _hold = tokio::select! {
            hold = turn.wait(move |kind| kinds.excludes(kind)) => hold,
            () = self.stop.notified() => return self.end(Err(stopped())).await,
        };
        match self.forward(&mut task, 0, 0).await {
            Ok(()) => self.end(Ok(())).await,
            Err((planned, error)) => self.take_back(&task, planned, error).await,
        }
    }

    /// Runs the steps from `from` on; the first `planned` of them were begun before. Fails only
    /// before the point of no return, with the number of steps that must be undone.
    pub(crate) async fn forward<T: Task<World = W>>(
        &self,
        task: &mut T,
        from: usize,
        planned: usize,
    ) -> Result<(), (usize, Error)> {
        for step in from..T::steps().len() {
            let was_planned = step < planned;
            if step >= T::POINT_OF_NO_RETURN {
                self.insist(
                    |runner, task| Box::pin(runner.step(task, step, was_planned)),
                    task,
                )
                .await;
                continue;
            }
            let ended = tokio::select! {
                ended = self.step(task, step, was_planned) => ended,
                () = self.stop.notified() => Err(stopped()),
            };
            ended.map_err(|error| (step + 1, error))?;
        }
        Ok(())
    }

    /// One step: planned and journalled if it was not, probed if it was, done, journalled.
    async fn step<T: Task<World = W>>(
        &self,
        task: &mut T,
        step: usize,
        was_planned: bool,
    ) -> Result<(), Error> {
        let action = T::steps()[step];
        if was_planned {
            if !self.is_done(task, step).await? {
                action.act(&self.cx, task).await?;
            }
        } else {
            action.plan(&self.cx, task).await?;
            self.journal
                .write(&Line::Planned {
                    step,
                    task: state(task)?,
                })
                .await?;
            action.act(&self.cx, task).await?;
        }
        self.journal
            .write(&Line::Done {
                step,
                task: state(task)?,
            })
            .await?;
        Ok(())
    }

    /// Whether a step that was begun earlier is done, after waiting for what runs by itself.
    pub(crate) async fn is_done<T: Task<World = W>>(
        &self,
        task: &mut T,
        step: usize,
    ) -> Result<bool, Error> {
        loop {
            match T::steps()[step].probe(&self.cx, task).await? {
                Probe::Done => return Ok(true),
                Probe::NotDone => return Ok(false),
                Probe::Running => {
                    self.cx
                        .clock
                        .sleep(Duration::from_millis(PROBE_PAUSE_MS))
                        .await;
                }
            }
        }
    }

    /// Undoes the first `planned` steps, last first, and ends the task with `error`.
    pub(crate) async fn take_back<T: Task<World = W>>(
        &self,
        task: &T,
        planned: usize,
        error: Error,
    ) {
        let reason = error.to_string();
        let mut task = task.clone();
        self.insist(
            |runner, _| {
                let line = Line::Failed {
                    reason: reason.clone(),
                };
                Box::pin(async move { Ok(runner.journal.write(&line).await?) })
            },
            &mut task,
        )
        .await;
        for step in (0..planned).rev() {
            self.insist(|runner, task| Box::pin(runner.undo(task, step)), &mut task)
                .await;
        }
        self.end(Err(error)).await;
    }

    async fn undo<T: Task<World = W>>(&self, task: &T, step: usize) -> Result<(), Error> {
        T::steps()[step].undo(&self.cx, task).await?;
        self.journal.write(&Line::Undone { step }).await?;
        Ok(())
    }

    /// Tries until it works: used for what must not be given up.
    async fn insist<T: Task<World = W>>(
        &self,
        mut attempt: impl for<'a> FnMut(&'a Self, &'a mut T) -> Attempt<'a>,
        task: &mut T,
    ) {
        let mut pauses = RETRY_PAUSES_S.iter();
        let mut pause_s = 0;
        while let Err(error) = attempt(self, task).await {
            pause_s = pauses.next().copied().unwrap_or(pause_s);
            self.cx
                .log(&format!("trying again in {pause_s} s: {error}"))
                .await;
            self.cx.clock.sleep(Duration::from_secs(pause_s)).await;
        }
    }

    /// Writes the end, until it is written.
    pub(crate) async fn end(&self, result: Result<(), Error>) {
        let warnings = self.cx.warnings.load(Ordering::Relaxed);
        let (status, line) = match result {
            Ok(()) if warnings == 0 => ("OK".to_owned(), "TASK OK".to_owned()),
            Ok(()) => (
                format!("WARNINGS: {warnings}"),
                format!("TASK WARNINGS: {warnings}"),
            ),
            Err(error) => (error.to_string(), format!("TASK ERROR: {error}")),
        };
        let status = status.replace('\n', " ");
        self.cx.log(&line).await;
        let ended = Ended {
            upid: self.cx.upid.clone(),
            at: self.cx.clock.wall(),
            status,
            request_id: self.request_id.clone(),
            revision: self.cx.revision.load(Ordering::Relaxed),
        };
        let mut pauses = RETRY_PAUSES_S.iter();
        let mut pause_s = 0;
        while let Err(error) = self.engine.conclude(ended.clone()).await {
            tracing::error!(upid = %self.cx.upid, %error, "the end of a task cannot be written");
            pause_s = pauses.next().copied().unwrap_or(pause_s);
            self.cx.clock.sleep(Duration::from_secs(pause_s)).await;
        }
    }

    pub(crate) fn engine(&self) -> &Engine<W> {
        &self.engine
    }
}

type Attempt<'a> = std::pin::Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

fn state<T: Task>(task: &T) -> Result<serde_json::Value, Error> {
    serde_json::to_value(task)
        .map_err(|error| Error::bug(format!("task {} cannot be journalled: {error}", T::NAME)))
}

fn stopped() -> Error {
    Error::conflict("received interrupt")
}
