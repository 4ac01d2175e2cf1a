//! Writes the journal and the index of ended tasks: lines that arrive together are one write and
//! one sync.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use model::Error;
use sys::{SharedHost, SysError};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::archive::{Archive, Ended, KEPT};
use crate::engine::lock;
use crate::journal::{Entry, Line, Standing};
use crate::reserve::Reserve;

/// A file of the journal that is longer than this, in bytes, is replaced by a new one.
const LONG: usize = 256 << 10;

/// An index with more lines than this is rewritten.
const INDEX_LINES: usize = 3 * KEPT;

/// A line to be written.
struct Job {
    entry: Entry,
    /// Must be written even if the disk is full.
    must: bool,
    written: oneshot::Sender<Result<(), Arc<SysError>>>,
}

/// Accepts lines. Clones write to the same journal.
#[derive(Clone)]
pub(crate) struct Writer(mpsc::UnboundedSender<Job>);

impl Writer {
    /// Adds a line; durable on return. Dropped before that, it may or may not be written.
    pub(crate) async fn write(&self, n: u64, line: Line, must: bool) -> Result<(), Error> {
        let (written, done) = oneshot::channel();
        let entry = Entry { n, line };
        let closed = || Error::bug("the task engine is being closed");
        let job = Job {
            entry,
            must,
            written,
        };
        self.0.send(job).map_err(|_| closed())?;
        let result = done.await.map_err(|_| closed())?;
        result.map_err(|error| Error::new(error.kind(), Error::chain(&*error)))
    }
}

/// The files that are being written.
pub(crate) struct Files {
    pub(crate) host: SharedHost,
    pub(crate) reserve: Arc<Reserve>,
    pub(crate) directory: PathBuf,
    /// The number of the journal's newest file.
    pub(crate) number: u64,
    pub(crate) bytes: usize,
    /// How many bytes it began with.
    pub(crate) begins_at: usize,
    /// The unfinished tasks in it, and their states.
    pub(crate) open: BTreeMap<u64, Standing>,
    /// A new file of the journal that could not be completed. It would take precedence.
    pub(crate) leftover: Option<PathBuf>,
    pub(crate) archive: Arc<Mutex<Archive>>,
    pub(crate) index_lines: usize,
    /// Ends that are in the journal and not yet in the index.
    pub(crate) unindexed: Vec<Ended>,
}

impl Files {
    /// The writing loop, to run beside the engine, and the handle that passes lines to it.
    pub(crate) fn run(mut self) -> (Writer, impl Future<Output = ()> + Send) {
        let (sender, mut jobs) = mpsc::unbounded_channel();
        let work = async move {
            let mut batch = Vec::new();
            // While one batch is being synced, the next one gathers.
            while jobs.recv_many(&mut batch, usize::MAX).await > 0 {
                self.write(std::mem::take(&mut batch)).await;
            }
        };
        (Writer(sender), work)
    }

    /// Starts with the unfinished tasks of an earlier run. On return they are durable here, and the
    /// tasks that it had ended are durable in the index.
    pub(crate) async fn carry_over(&mut self) -> Result<(), Error> {
        self.write_standings().await?;
        if !self.unindexed.is_empty() {
            let text: Vec<u8> = self.unindexed.iter().flat_map(Ended::text).collect();
            self.reserve.append(&self.index(), &text, true).await?;
            self.index_lines += self.unindexed.len();
            self.unindexed.clear();
        }
        Ok(())
    }

    /// Writes the states of all unfinished tasks, as the first lines of a file.
    async fn write_standings(&mut self) -> Result<(), SysError> {
        let line = |(n, standing): (&u64, &Standing)| {
            let line = Line::Standing(standing.clone());
            Entry { n: *n, line }.text()
        };
        let text: Vec<u8> = self.open.iter().flat_map(line).collect();
        if !text.is_empty() {
            self.reserve.append(&self.path(), &text, true).await?;
        }
        (self.bytes, self.begins_at) = (text.len(), text.len());
        Ok(())
    }

    async fn write(&mut self, batch: Vec<Job>) {
        if let Err(error) = self.remove_leftover().await {
            let error = Arc::new(error);
            for job in batch {
                let _ = job.written.send(Err(error.clone()));
            }
            return;
        }
        let path = self.path();
        let text: Vec<u8> = batch.iter().flat_map(|job| job.entry.text()).collect();
        let result = self.host.append(&path, &text, true).await;
        let mut answers = Vec::new();
        match result {
            Ok(()) => answers.extend(batch.into_iter().map(|job| (job, Ok(())))),
            Err(error) if error.is_full() => {
                // Each by itself; those that must be written first.
                let (must, may): (Vec<Job>, Vec<Job>) = batch.into_iter().partition(|job| job.must);
                for job in must.into_iter().chain(may) {
                    let text = job.entry.text();
                    let result = self.reserve.append(&path, &text, job.must).await;
                    answers.push((job, result.map_err(Arc::new)));
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                let failed = |job| (job, Err(error.clone()));
                answers.extend(batch.into_iter().map(failed));
            }
        }
        for (job, _) in answers.iter().filter(|(_, result)| result.is_ok()) {
            self.note(&job.entry);
        }
        self.bring_index_up().await;
        for (job, result) in answers {
            // Its task may have been stopped meanwhile.
            let _ = job.written.send(result);
        }
        // Compared with the starting size, so that a long list of unfinished tasks does not lead to
        // a new file each time.
        if self.bytes > LONG + 2 * self.begins_at {
            self.begin_anew().await;
        }
    }

    fn note(&mut self, entry: &Entry) {
        self.bytes += entry.text().len();
        match &entry.line {
            Line::Accepted(accepted) => {
                self.open.insert(entry.n, Standing::new(accepted.clone()));
            }
            Line::Ended(ended) => {
                self.open.remove(&entry.n);
                lock(&self.archive).end(ended.clone());
                self.unindexed.push(ended.clone());
            }
            line => {
                if let Some(standing) = self.open.get_mut(&entry.n) {
                    standing.add(line.clone());
                }
            }
        }
    }

    /// Adds ended tasks to the index. It need not be durable, because the journal keeps them until
    /// it is.
    async fn bring_index_up(&mut self) {
        if self.unindexed.is_empty() {
            return;
        }
        if self.index_lines + self.unindexed.len() > INDEX_LINES {
            return self.shorten_index().await;
        }
        let text: Vec<u8> = self.unindexed.iter().flat_map(Ended::text).collect();
        match self.reserve.add(&self.index(), &text).await {
            Ok(()) => {
                self.index_lines += self.unindexed.len();
                self.unindexed.clear();
            }
            Err(error) => warn!(%error, "the index of ended tasks is behind"),
        }
    }

    async fn shorten_index(&mut self) {
        let kept: Vec<Ended> = lock(&self.archive).ended().collect();
        let text: Vec<u8> = kept.iter().flat_map(Ended::text).collect();
        match self.host.write(&self.index(), &text, 0o600).await {
            Ok(()) => {
                self.index_lines = kept.len();
                self.unindexed.clear();
            }
            Err(error) => warn!(%error, "the index of ended tasks is behind"),
        }
    }

    /// Starts another file, with the states of all unfinished tasks. The old one is removed once
    /// its ended tasks are durable in the index.
    async fn begin_anew(&mut self) {
        if !self.unindexed.is_empty() {
            return;
        }
        let (old, bytes, begins_at) = (self.path(), self.bytes, self.begins_at);
        if self.index_lines > 0
            && let Err(error) = self.host.sync(&self.index()).await
        {
            return warn!(%error, "the journal cannot be shortened");
        }
        self.number += 1;
        match self.write_standings().await {
            Ok(()) => {
                // If it stays, the newer one takes precedence.
                if let Err(error) = self.host.remove(&old).await {
                    warn!(%error, "an old file of the journal");
                }
            }
            Err(error) => {
                warn!(%error, "the journal cannot be shortened");
                self.leftover = Some(self.path());
                self.number -= 1;
                (self.bytes, self.begins_at) = (bytes, begins_at);
            }
        }
    }

    async fn remove_leftover(&mut self) -> Result<(), SysError> {
        if let Some(path) = &self.leftover {
            self.host.remove(path).await?;
            self.leftover = None;
        }
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.directory.join(file_name(self.number))
    }

    fn index(&self) -> PathBuf {
        self.directory.join(INDEX)
    }
}

/// The index of ended tasks.
pub(crate) const INDEX: &str = "index";

const PREFIX: &str = "journal-";

fn file_name(number: u64) -> String {
    format!("{PREFIX}{number:08}")
}

/// The number of a file of the journal.
pub(crate) fn number_of(file_name: &str) -> Option<u64> {
    file_name.strip_prefix(PREFIX)?.parse().ok()
}
