//! Runs one task from its first step to its end.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use model::{Error, FieldErrors, Upid, with_timeout};
use tokio::sync::Notify;

use crate::archive::Ended;
use crate::engine::{Engine, lock};
use crate::journal::Line;
use crate::writer::Writer;
use crate::{FollowUp, Hold, Probe, Submission, Task, TaskContext, TaskState, TaskSummary, Turn};

/// The pauses between retries of work that must not be given up, in seconds; the last one repeats.
const RETRY_PAUSES_S: [u64; 5] = [0, 1, 2, 5, 15];

/// How often a running job of a step is polled, in milliseconds.
const PROBE_PAUSE_MS: u64 = 100;

/// How often a waiting task checks its time limit.
const LOOK: Duration = Duration::from_secs(1);

/// The journal of one task.
pub(crate) struct Journal {
    writer: Writer,
    n: u64,
}

impl Journal {
    pub(crate) fn new(writer: Writer, n: u64) -> Self {
        Self { writer, n }
    }

    /// Writes the first line; durable on return.
    pub(crate) async fn begin(&self, line: Line, on_full_disk: bool) -> Result<(), Error> {
        self.writer.write(self.n, line, on_full_disk).await
    }

    /// Adds a line; durable on return. A task that has begun continues on a full disk.
    async fn write(&self, line: Line) -> Result<(), Error> {
        self.writer.write(self.n, line, true).await
    }
}

/// One task being run.
pub(crate) struct Runner<W> {
    engine: Arc<Engine<W>>,
    pub(crate) cx: TaskContext<W>,
    journal: Journal,
    request_id: String,
    is_listed: bool,
    stop: Arc<Notify>,
    /// What the task holds, once it has begun.
    hold: Mutex<Option<Arc<Hold>>>,
}

impl<W: Send + Sync + 'static> Runner<W> {
    pub(crate) fn new(
        engine: Arc<Engine<W>>,
        journal: Journal,
        upid: Upid,
        request_id: String,
        is_listed: bool,
    ) -> Self {
        let cx = engine.context(&upid, is_listed);
        let stop = engine.stoppable(&upid);
        Self {
            engine,
            cx,
            journal,
            request_id,
            is_listed,
            stop,
            hold: Mutex::default(),
        }
    }

    /// From now on the task holds its objects, until it ends.
    pub(crate) fn begin(&self, hold: Hold) {
        *lock(&self.hold) = Some(Arc::new(hold));
    }

    /// A task that was just accepted.
    pub(crate) async fn run_new<T: Task<Node = W>>(self, turn: Turn, mut task: T) {
        let hold = tokio::select! {
            hold = self.turn(turn, &task) => hold,
            () = self.stop.notified() => Err(stopped()),
        };
        match hold {
            Ok(hold) => self.begin(hold),
            Err(error) => return self.end(Err(error)).await,
        }
        match self.forward(&mut task, 0, 0).await {
            Ok(()) => self.succeed(&task).await,
            Err((planned, error)) => self.take_back(&task, planned, error).await,
        }
    }

    /// Waits for a new task's objects, within its patience.
    async fn turn<T: Task<Node = W>>(&self, turn: Turn, task: &T) -> Result<Hold, Error> {
        let kinds = task.clone();
        let taking = turn.wait(move |kind| kinds.excludes(kind));
        tokio::pin!(taking);
        let clock = &self.cx.clock;
        let deadline = clock.monotonic() + T::PATIENCE;
        loop {
            if let Some(hold) = with_timeout(&**clock, LOOK, taking.as_mut()).await {
                return Ok(hold);
            }
            if clock.monotonic() >= deadline {
                let object = task.object().unwrap_or_default();
                return Err(self.engine.timed_out(&object));
            }
        }
    }

    /// Runs the steps from `from` on; the first `planned` of them were begun before. Fails only
    /// before the point of no return, with the number of steps to undo.
    pub(crate) async fn forward<T: Task<Node = W>>(
        &self,
        task: &mut T,
        from: usize,
        planned: usize,
    ) -> Result<(), (usize, Error)> {
        for step in from..T::steps().len() {
            let mut begun = step < planned;
            if step >= T::steps().point_of_no_return() {
                let mut patience = Patience::default();
                while let Err(error) = caught(self.step(task, step, &mut begun)).await {
                    self.pause(&mut patience, &error).await;
                }
                continue;
            }
            let ended = tokio::select! {
                ended = caught(self.step(task, step, &mut begun)) => ended,
                () = self.stop.notified() => Err(stopped()),
            };
            if let Err(error) = ended {
                self.after_failure(task, step, begun, error).await?;
            }
        }
        Ok(())
    }

    /// Decides after a failed step. The last step before the point of no return may have taken
    /// effect nevertheless (a commit whose answer was lost): then the following steps must run, so
    /// it is probed until there is an answer.
    async fn after_failure<T: Task<Node = W>>(
        &self,
        task: &mut T,
        step: usize,
        begun: bool,
        error: Error,
    ) -> Result<(), (usize, Error)> {
        if !begun {
            // Nothing of the step is in the journal or done: there is nothing to undo.
            return Err((step, error));
        }
        if step + 1 != T::steps().point_of_no_return() {
            return Err((step + 1, error));
        }
        if !self.is_done_at_last(task, step).await {
            return Err((step + 1, error));
        }
        self.cx
            .log(&format!("done in spite of an error: {error}"))
            .await;
        Ok(())
    }

    /// One step: planned and journalled if it was not `begun`, probed if it was, done,
    /// journalled.
    async fn step<T: Task<Node = W>>(
        &self,
        task: &mut T,
        step: usize,
        begun: &mut bool,
    ) -> Result<(), Error> {
        let action = T::steps().at(step);
        if !*begun {
            action.plan(&self.cx, task).await?;
            let task_state = state(task)?;
            let line = Line::Planned {
                step,
                task: task_state,
            };
            self.journal.write(line).await?;
            *begun = true;
            action.act(&self.cx, task).await?;
        } else if !self.is_done(task, step).await? {
            action.act(&self.cx, task).await?;
        }
        // The next step's plan or the end implies that it is done.
        Ok(())
    }

    /// Whether a step that was begun earlier is done, after waiting for its running jobs.
    pub(crate) async fn is_done<T: Task<Node = W>>(
        &self,
        task: &mut T,
        step: usize,
    ) -> Result<bool, Error> {
        loop {
            match T::steps().at(step).probe(&self.cx, task).await? {
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

    /// The same, repeated until there is an answer: a store or host that is out of reach decides
    /// nothing.
    pub(crate) async fn is_done_at_last<T: Task<Node = W>>(
        &self,
        task: &mut T,
        step: usize,
    ) -> bool {
        let mut patience = Patience::default();
        loop {
            match caught(self.is_done(task, step)).await {
                Ok(is_done) => return is_done,
                Err(error) => self.pause(&mut patience, &error).await,
            }
        }
    }

    /// Kills the processes that the task has started and not waited for.
    pub(crate) async fn end_children(&self) {
        let mut patience = Patience::default();
        while let Err(error) = self.cx.empty_scope().await {
            self.pause(&mut patience, &error).await;
        }
    }

    /// Submits the follow-up, waits for its end and ends the task: a caller who waits for a
    /// rollback that starts the guest then finds it started. The follow-up needs the objects that
    /// this one held.
    pub(crate) async fn succeed<T: Task<Node = W>>(&self, task: &T) {
        // A step may have made do without a program that failed.
        if self.cx.has_scope.load(Ordering::Relaxed) {
            self.end_children().await;
        }
        for attempt in 0.. {
            let next = self.submit_at_last(|| task.follow_up(), attempt).await;
            lock(&self.hold).take();
            match next {
                Some(next) if self.is_interrupted(&next).await => {}
                _ => break,
            }
        }
        self.end(task.verdict()).await;
    }

    /// Waits for the end of the follow-up, and returns whether it only ended because the agent was
    /// restarted. Any other failure of it is a warning: the task's own work is done.
    async fn is_interrupted(&self, next: &Upid) -> bool {
        match self.engine.wait(next).await {
            Ok(summary) if summary.is_ok() => {}
            Ok(TaskSummary {
                state: TaskState::Ended { status, .. },
                ..
            }) => {
                if status == INTERRUPTED {
                    return true;
                }
                self.cx.warn(&status).await;
            }
            Ok(_) => self.cx.warn(&format!("{next} is stuck")).await,
            // It ended so long ago that it is no longer kept.
            Err(error) => self.cx.log(&error.to_string()).await,
        }
        false
    }

    /// Submits a task after this one, repeated until that is known to have happened.
    async fn submit_at_last(
        &self,
        follow_up: impl Fn() -> Option<FollowUp<W>>,
        attempt: u32,
    ) -> Option<Upid> {
        let mut patience = Patience::default();
        loop {
            let submit = follow_up()?;
            match self.submit_follow_up(submit, attempt).await {
                Ok(next) => return Some(next),
                Err(error) => self.pause(&mut patience, &error).await,
            }
        }
    }

    async fn submit_follow_up(&self, submit: FollowUp<W>, attempt: u32) -> Result<Upid, Error> {
        let upid = &self.cx.upid;
        let submission = Submission {
            // The same after a restart, so that each is submitted once.
            request_id: format!("after {upid}, {attempt}"),
            user: upid.user.clone(),
            id: upid.id.clone(),
            listed: self.is_listed,
        };
        let next = submit(&self.engine, submission).await?;
        self.cx.log(&format!("submitted {next}")).await;
        Ok(next)
    }

    /// Pauses after a failure. An urgent task may have the objects meanwhile: a guest can be stopped
    /// while the store is out of reach.
    async fn pause(&self, patience: &mut Patience, error: &Error) {
        let pause_s = patience.next_s();
        let text = format!("trying again in {pause_s} s: {error}");
        self.cx.log(&text).await;
        let hold = lock(&self.hold).clone();
        if let Some(hold) = &hold {
            hold.lend();
        }
        self.cx.clock.sleep(Duration::from_secs(pause_s)).await;
        if let Some(hold) = &hold {
            hold.take_back().await;
        }
    }

    /// Undoes the first `planned` steps, last first, and ends the task with `error`.
    pub(crate) async fn take_back<T: Task<Node = W>>(
        &self,
        task: &T,
        planned: usize,
        error: Error,
    ) {
        let line = Line::Failed {
            reason: error.to_string(),
        };
        let mut patience = Patience::default();
        while let Err(error) = self.journal.write(line.clone()).await {
            self.pause(&mut patience, &error).await;
        }
        self.end_children().await;
        for step in (0..planned).rev() {
            let mut patience = Patience::default();
            while let Err(error) = caught(self.undo(task, step)).await {
                self.pause(&mut patience, &error).await;
            }
        }
        self.submit_at_last(|| task.follow_up_of_failure(), 0).await;
        self.end(Err(error)).await;
    }

    async fn undo<T: Task<Node = W>>(&self, task: &T, step: usize) -> Result<(), Error> {
        T::steps().at(step).undo(&self.cx, task).await?;
        self.journal.write(Line::Undone { step }).await
    }

    /// Writes the end, retrying until it is written.
    pub(crate) async fn end(&self, result: Result<(), Error>) {
        let warnings = self.cx.warnings.load(Ordering::Relaxed);
        let fields = match &result {
            Ok(()) => FieldErrors::new(),
            Err(error) => error.fields.clone(),
        };
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
            listed: self.is_listed,
            revision: self.cx.revision.load(Ordering::Relaxed),
            fields,
        };
        let mut patience = Patience::default();
        while let Err(error) = self.journal.write(Line::Ended(ended.clone())).await {
            tracing::error!(upid = %self.cx.upid, %error, "the end of a task cannot be written");
            self.pause(&mut patience, &error).await;
        }
        self.engine.conclude(&self.cx.upid).await;
    }
}

/// The status of a task that was stopped before its point of no return.
const STOPPED: &str = "received interrupt";

/// The status of a task that was undone because its process had ended.
pub const INTERRUPTED: &str = "interrupted by a restart";

/// Pauses between retries of work that must not be given up.
#[derive(Default)]
struct Patience {
    attempts: usize,
}

impl Patience {
    /// The next pause.
    fn next_s(&mut self) -> u64 {
        let last = RETRY_PAUSES_S.len() - 1;
        let pause_s = RETRY_PAUSES_S[self.attempts.min(last)];
        self.attempts += 1;
        pause_s
    }
}

fn state<T: Task>(task: &T) -> Result<serde_json::Value, Error> {
    serde_json::to_value(task)
        .map_err(|error| Error::bug(format!("task {} cannot be journalled: {error}", T::NAME)))
}

/// A panic counts as the step's failure, so that the task ends and releases its objects.
async fn caught<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.unwrap_or_else(|_| {
        Err(Error::bug(
            "the step ended in a panic; the node's log has where",
        ))
    })
}

fn stopped() -> Error {
    Error::conflict(STOPPED)
}
