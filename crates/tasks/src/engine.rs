//! The engine: accepts tasks, starts them, and knows their states.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use model::{Clock, Error, ErrorKind, FieldErrors, NodeName, Upid, with_timeout};
use sys::SharedHost;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::archive::{Archive, Ended};
use crate::journal::{Accepted, Known, Line, Standing};
use crate::queue::Queue;
use crate::quiesce::{Gate, Quiet};
use crate::registry::Recovery;
use crate::reserve::Reserve;
use crate::run::{Journal, Runner};
use crate::writer::{Files, INDEX, Writer, number_of};
use crate::{Hold, Registry, Task, TaskContext, TaskFilter, TaskState, TaskSummary};

/// Options of an engine.
pub struct EngineOptions {
    pub node: NodeName,
    /// For journals and logs; created with mode 0700 if it is missing.
    pub directory: PathBuf,
    pub host: SharedHost,
    pub clock: Arc<dyn Clock>,
    /// How many bytes are reserved for a full disk.
    pub reserve_bytes: usize,
    /// The error text when an object is not free in time.
    pub timeout_text: fn(object: &str) -> String,
}

/// Who submits a task, and how it is listed.
#[derive(Debug, Clone)]
pub struct Submission {
    /// A repeated id gets the same UPID. Empty: never the same.
    pub request_id: String,
    /// `user@realm` or `user@realm!token`.
    pub user: String,
    /// The object in the UPID, e.g. `100`.
    pub id: String,
    /// Whether lists show it and its log is kept. A change whose caller waits for its end is not
    /// listed, as in Proxmox VE.
    pub listed: bool,
}

/// Runs tasks on a node. Dropping the engine stops everything at once, like a crash; opening it
/// again on the same directory recovers.
pub struct Engine<W> {
    pub(crate) options: EngineOptions,
    pub(crate) node: Arc<W>,
    pub(crate) queue: Queue,
    reserve: Arc<Reserve>,
    me: Weak<Self>,
    archive: Arc<Mutex<Archive>>,
    writer: Writer,
    /// The number of the newest task in the journal.
    last_n: AtomicU64,
    running: Mutex<JoinSet<()>>,
    stops: Mutex<Vec<(Upid, Arc<Notify>)>>,
    /// Requests whose task is being journalled.
    accepting: Mutex<HashSet<String>>,
    gate: Gate,
    changed: Notify,
    last_pstart: AtomicU64,
}

impl<W: Send + Sync + 'static> Engine<W> {
    /// Opens the engine, reads the earlier tasks, and starts to recover those that had not ended.
    /// They hold their objects before anything new can be submitted.
    pub async fn open(
        options: EngineOptions,
        node: Arc<W>,
        registry: &Registry<W>,
    ) -> Result<Arc<Self>, Error> {
        options.host.create_dir(&options.directory, 0o700).await?;
        let reserve = Reserve::open(
            options.host.clone(),
            &options.directory,
            options.reserve_bytes,
        )
        .await;
        let opened = Opened::read(&options, Arc::new(reserve)).await?;
        let (standings, reserve) = (opened.standings, opened.files.reserve.clone());
        let archive = opened.files.archive.clone();
        let last_n = standings.iter().map(|(n, _)| *n).max().unwrap_or(0);
        let (writer, writing) = opened.files.run();
        let engine = Arc::new_cyclic(|me| Self {
            options,
            node,
            queue: Queue::default(),
            reserve,
            me: me.clone(),
            archive,
            writer,
            last_n: AtomicU64::new(last_n),
            running: Mutex::default(),
            stops: Mutex::default(),
            accepting: Mutex::default(),
            gate: Gate::default(),
            changed: Notify::new(),
            last_pstart: AtomicU64::new(0),
        });
        engine.start(writing);
        let forgotten = engine.archive().forget(engine.options.clock.wall());
        engine.remove_logs(&forgotten).await;
        // All are registered and queued before the first one continues: a task that it submits
        // again is then found, and not submitted twice.
        let recoveries: Vec<Recovery> = standings
            .into_iter()
            .filter_map(|(n, standing)| engine.take_up(n, standing, registry))
            .collect();
        recoveries
            .into_iter()
            .for_each(|recovery| engine.start(recovery));
        Ok(engine)
    }

    /// Journals a task durably, starts it and answers its UPID.
    pub async fn submit<T: Task<Node = W>>(
        &self,
        submission: Submission,
        task: T,
    ) -> Result<Upid, Error> {
        let _accepting = match self.accept(&submission.request_id).await {
            Ok(accepting) => accepting,
            Err(earlier) => return Ok(earlier),
        };
        let _beginning = self.gate.enter(&self.changed)?;
        let upid = self.mint(T::KIND, &submission);
        let state = serde_json::to_value(&task).map_err(|error| {
            Error::bug(format!("task {} cannot be journalled: {error}", T::NAME))
        })?;
        if !T::ON_FULL_DISK && self.reserve.is_used_up().await {
            return Err(Error::unavailable("the disk of the node's state is full"));
        }
        let accepted = Accepted {
            upid: upid.clone(),
            name: T::NAME.to_owned(),
            version: T::VERSION,
            request_id: submission.request_id.clone(),
            listed: submission.listed,
            task: state,
        };
        // The place in the queue is taken before the first wait, so that tasks run in the order of
        // arrival.
        let turn = self.queue.line_up(objects(&task), T::KIND, T::IS_URGENT);
        let turn = turn.map_err(|full| self.timed_out(&full.0))?;
        let journal = self.journal(self.last_n.fetch_add(1, Ordering::Relaxed) + 1);
        let accepted = Line::Accepted(accepted);
        journal.begin(accepted, T::ON_FULL_DISK).await?;
        self.remember(&submission.request_id, &upid, submission.listed);
        let runner = Runner::new(
            self.strong()?,
            journal,
            upid.clone(),
            submission.request_id,
            submission.listed,
        );
        self.start(async move { runner.run_new(turn, task).await });
        Ok(upid)
    }

    /// Reserves a request id for one task while that is journalled. The same request waits for it
    /// meanwhile; if the task exists, it gets that one.
    async fn accept(&self, request_id: &str) -> Result<Accepting<'_, W>, Upid> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let is_free =
                request_id.is_empty() || lock(&self.accepting).insert(request_id.to_owned());
            let accepting = is_free.then(|| Accepting {
                engine: self,
                request_id: request_id.to_owned(),
            });
            // Only now: a task that was accepted in between is registered before its reservation
            // ends.
            if let Some(earlier) = self.archive().by_request(request_id) {
                return Err(earlier.clone());
            }
            match accepting {
                Some(accepting) => return Ok(accepting),
                None => changed.await,
            }
        }
    }

    /// Stops a task. Before its point of no return it is undone; after it this has no effect.
    pub fn stop(&self, upid: &Upid) -> Result<(), Error> {
        let stops = lock(&self.stops);
        match stops.iter().find(|(running, _)| running == upid) {
            Some((_, stop)) => {
                stop.notify_one();
                Ok(())
            }
            None => self.get(upid).map(|_| ()),
        }
    }

    pub fn get(&self, upid: &Upid) -> Result<TaskSummary, Error> {
        let archive = self.archive();
        archive
            .get(upid)
            .cloned()
            .ok_or_else(|| Error::invalid("upid", "no such task"))
    }

    /// The task that a request was accepted as, as long as it is kept.
    pub fn submitted(&self, request_id: &str) -> Option<Upid> {
        self.archive().by_request(request_id).cloned()
    }

    /// Newest first.
    pub fn list(&self, filter: &TaskFilter) -> Vec<TaskSummary> {
        self.archive().list(filter)
    }

    /// The lines of a task's log.
    pub async fn log(&self, upid: &Upid) -> Result<Vec<String>, Error> {
        self.get(upid)?;
        let content = match self.options.host.read(&self.log_path(upid)).await {
            Ok(content) => content,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(String::from_utf8_lossy(&content)
            .lines()
            .map(str::to_owned)
            .collect())
    }

    /// Waits for a task's end. May be dropped.
    pub async fn wait(&self, upid: &Upid) -> Result<TaskSummary, Error> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let summary = self.get(upid)?;
            if summary.state != TaskState::Running {
                return Ok(summary);
            }
            changed.await;
        }
    }

    /// Locks an object for a synchronous operation; `Busy` if it is not free within `patience`.
    pub async fn hold(&self, object: &str, kind: &str, patience: Duration) -> Result<Hold, Error> {
        let turn = self.queue.line_up(vec![object.to_owned()], kind, false);
        let turn = turn.map_err(|full| self.timed_out(&full.0))?;
        let waited = with_timeout(&*self.options.clock, patience, turn.wait(|_| true)).await;
        waited.ok_or_else(|| self.timed_out(object))
    }

    /// Locks an object if it is free and no task waits for it.
    pub fn try_hold(&self, object: &str) -> Option<Hold> {
        self.queue.try_hold(object)
    }

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

    /// The error when an object is not free in time.
    pub fn timed_out(&self, object: &str) -> Error {
        Error::new(ErrorKind::Busy, (self.options.timeout_text)(object))
    }

    pub(crate) fn strong(&self) -> Result<Arc<Self>, Error> {
        self.me
            .upgrade()
            .ok_or_else(|| Error::bug("the task engine is being closed"))
    }

    pub(crate) fn journal(&self, n: u64) -> Journal {
        Journal::new(self.writer.clone(), n)
    }

    fn log_path(&self, upid: &Upid) -> PathBuf {
        self.options.directory.join(format!("{upid}.log"))
    }

    pub(crate) fn context(&self, upid: &Upid, is_listed: bool) -> TaskContext<W> {
        TaskContext {
            node: self.node.clone(),
            upid: upid.clone(),
            clock: self.options.clock.clone(),
            host: self.options.host.clone(),
            engine: self.me.clone(),
            log_path: is_listed.then(|| self.log_path(upid)),
            warnings: AtomicU64::new(0),
            revision: AtomicU64::new(0),
            has_scope: AtomicBool::new(false),
        }
    }

    /// A UPID that no other task of this node has: the start ticks only ever grow.
    fn mint(&self, kind: &str, submission: &Submission) -> Upid {
        let ticks = (self.options.clock.monotonic().as_millis() / 10) as u64;
        let next = |last: u64| Some(ticks.max(last + 1));
        let before = self
            .last_pstart
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .unwrap_or(0);
        let mut upid = Upid {
            node: self.options.node.clone(),
            pid: std::process::id(),
            pstart: ticks.max(before + 1) & 0xF_FFFF_FFFF,
            starttime: self.options.clock.wall(),
            kind: kind.to_owned(),
            id: submission.id.clone(),
            user: submission.user.clone(),
        };
        while self.archive().get(&upid).is_some() {
            upid.pstart += 1;
        }
        upid
    }

    pub(crate) fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut running = lock(&self.running);
        // Ended ones are only kept until the next look.
        while running.try_join_next().is_some() {}
        running.spawn(work);
    }

    pub(crate) fn stoppable(&self, upid: &Upid) -> Arc<Notify> {
        let stop = Arc::new(Notify::new());
        lock(&self.stops).push((upid.clone(), stop.clone()));
        stop
    }

    fn remember(&self, request_id: &str, upid: &Upid, listed: bool) {
        let summary = TaskSummary {
            upid: upid.clone(),
            state: TaskState::Running,
            listed,
            revision: 0,
            fields: FieldErrors::new(),
        };
        self.archive().insert(request_id, summary);
    }

    /// The rest of a task's end, once it is in the journal and in the index.
    pub(crate) async fn conclude(&self, upid: &Upid) {
        lock(&self.stops).retain(|(running, _)| running != upid);
        let forgotten = self.archive().forget(self.options.clock.wall());
        self.changed.notify_waiters();
        self.remove_logs(&forgotten).await;
        self.reserve.restore().await;
    }

    /// Removes the logs of tasks that are no longer kept.
    async fn remove_logs(&self, forgotten: &[Upid]) {
        for upid in forgotten {
            if let Err(error) = self.options.host.remove(&self.log_path(upid)).await {
                warn!(%upid, %error, "the log of a forgotten task");
            }
        }
    }

    pub(crate) fn mark_stuck(&self, upid: &Upid, reason: String) {
        error!(%upid, reason, "task is stuck");
        self.archive().set_stuck(upid, reason);
        self.changed.notify_waiters();
    }

    fn archive(&self) -> MutexGuard<'_, Archive> {
        lock(&self.archive)
    }

    fn take_up(
        self: &Arc<Self>,
        n: u64,
        standing: Standing,
        registry: &Registry<W>,
    ) -> Option<Recovery> {
        let accepted = &standing.accepted;
        let upid = accepted.upid.clone();
        info!(%upid, name = accepted.name, "recovering task");
        self.remember(&accepted.request_id, &upid, accepted.listed);
        let known = registry.tasks.get(accepted.name.as_str());
        let recovery = match known {
            Some((version, recover)) if *version == accepted.version => {
                recover(self.clone(), n, standing)
            }
            _ => Err(Error::bug(format!(
                "task {} version {} is not known to this program",
                accepted.name, accepted.version
            ))),
        };
        recovery
            .map_err(|error| self.mark_stuck(&upid, error.message))
            .ok()
    }
}

/// All objects that a task locks.
pub(crate) fn objects<T: Task>(task: &T) -> Vec<String> {
    task.object()
        .into_iter()
        .chain(task.other_objects())
        .collect()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state of an engine read from disk.
struct Opened {
    files: Files,
    /// The unfinished tasks, oldest first, with their numbers in the new file.
    standings: Vec<(u64, Standing)>,
}

impl Opened {
    /// Reads the index and all journals, and writes the unfinished tasks to a new file.
    async fn read(options: &EngineOptions, reserve: Arc<Reserve>) -> Result<Self, Error> {
        let (host, directory) = (&options.host, &options.directory);
        let mut journals = Vec::new();
        for entry in host.list(directory).await? {
            let number = number_of(&entry.name);
            // Earlier versions had a file for each task.
            if number.is_some() || entry.name.ends_with(".journal") {
                journals.push((number, directory.join(&entry.name)));
            }
        }
        journals.sort();
        let mut known = Known::default();
        for (_, path) in &journals {
            known.read(&host.read(path).await?);
        }
        let last = journals.last().and_then(|(number, _)| *number);
        let mut archive = Archive::default();
        let index_lines = read_index(options, &mut archive).await?;
        let is_known = |upid: &Upid| archive.get(upid).is_some();
        known.ended.retain(|ended| !is_known(&ended.upid));
        // Its end is in the index: nothing is left to do.
        known.standing.retain(|upid, _| !is_known(upid));
        for ended in &known.ended {
            archive.insert(&ended.request_id, ended.clone().summary());
        }
        let mut standings: Vec<Standing> = known.standing.into_values().collect();
        let key = |standing: &Standing| {
            let upid = &standing.accepted.upid;
            (upid.starttime, upid.pstart)
        };
        standings.sort_by_key(key);
        let standings: Vec<(u64, Standing)> = (1..).zip(standings).collect();
        let mut files = Files {
            host: host.clone(),
            reserve,
            directory: directory.clone(),
            number: last.map_or(1, |last| last + 1),
            bytes: 0,
            begins_at: 0,
            open: standings.iter().cloned().collect(),
            leftover: None,
            archive: Arc::new(Mutex::new(archive)),
            index_lines,
            unindexed: known.ended,
        };
        files.carry_over().await?;
        for (_, path) in &journals {
            host.remove(path).await?;
        }
        Ok(Self { files, standings })
    }
}

/// Reads the index of ended tasks; returns its number of lines. A line that a crash cut off is
/// skipped: the journal has it.
async fn read_index(options: &EngineOptions, archive: &mut Archive) -> Result<usize, Error> {
    let (host, path) = (&options.host, options.directory.join(INDEX));
    let content = match host.read(&path).await {
        Ok(content) => content,
        Err(error) if error.is_not_found() => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    if !content.is_empty() && !content.ends_with(b"\n") {
        // Ends the broken line, so that the next one is separate.
        host.append(&path, b"\n", true).await?;
    }
    for line in content.split(|byte| *byte == b'\n') {
        if let Ok(ended) = serde_json::from_slice::<Ended>(line) {
            let request_id = ended.request_id.clone();
            archive.insert(&request_id, ended.summary());
        }
    }
    Ok(content.iter().filter(|byte| **byte == b'\n').count())
}

/// A request whose task is being journalled; dropping it lets others try.
struct Accepting<'a, W> {
    engine: &'a Engine<W>,
    request_id: String,
}

impl<W> Drop for Accepting<'_, W> {
    fn drop(&mut self) {
        lock(&self.engine.accepting).remove(&self.request_id);
        self.engine.changed.notify_waiters();
    }
}
