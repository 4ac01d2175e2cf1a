//! `pvesm export` and `pvesm import`.
//!
//! Files, pipes and connections are read and written by a thread: one that waits for them holds up
//! nothing else, and ends with the program.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use model::schema::{Field, Values};
use proto::wire::{PART, PartReader, PartWriter};
use proto::{Row, Verb};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use super::super::agent::{Agent, row};
use super::super::follow::{follow, log, upid};
use super::super::output;
use super::super::progress::Log;
use super::listen::{from_network, from_path};
use crate::new_file::{NewFile, Wanted, own_descriptors, place_on_host};

const EXPORT_PATH: &str = "/ostler/nodes/{node}/volume-export";
const IMPORT_PATH: &str = "/ostler/nodes/{node}/volume-import";

/// How many parts may wait between a file and a stream.
const WAITING: usize = 4;

const FORMATS: &[&str] = &[
    "raw+size",
    "tar+size",
    "qcow2+size",
    "vmdk+size",
    "zfs",
    "btrfs",
];

const VOLUME: Field = Field::string("volume").max_length(512);
const FORMAT: Field = Field::string("format").one_of(FORMATS);
const FILENAME: Field = Field::string("filename").max_length(4096);
const WITH_SNAPSHOTS: Field = Field::boolean("with-snapshots").optional();

const fn snapshot(name: &'static str) -> Field {
    Field::string(name).optional().max_length(80)
}

pub(super) const EXPORT: &[Field] = &[
    VOLUME,
    FORMAT,
    FILENAME,
    snapshot("base"),
    snapshot("snapshot"),
    WITH_SNAPSHOTS,
];

pub(super) const IMPORT: &[Field] = &[
    VOLUME,
    FORMAT,
    FILENAME,
    Field::boolean("allow-rename").optional(),
    snapshot("base"),
    snapshot("delete-snapshot"),
    snapshot("snapshot"),
    Field::boolean("verify").optional(),
    WITH_SNAPSHOTS,
];

/// Why a stream ended before its end.
enum Broken {
    /// It was closed at the other end, whose task says why.
    Stream(anyhow::Error),
    /// Our file cannot be read or written.
    Here(anyhow::Error),
}

/// Carries a stream while its task is followed. The cause of a failure is what happened here, then
/// what the task says, then what was seen of the stream. A task that fails may never look at it.
async fn both(
    carried: impl Future<Output = Result<(), Broken>>,
    followed: impl Future<Output = Result<()>>,
) -> Result<()> {
    tokio::pin!(carried, followed);
    tokio::select! {
        carried = &mut carried => match carried {
            Err(Broken::Here(error)) => Err(error),
            Err(Broken::Stream(error)) => followed.await.and(Err(error)),
            Ok(()) => followed.await,
        },
        followed = &mut followed => {
            followed?;
            carried.await.map_err(|(Broken::Here(error) | Broken::Stream(error))| error)
        }
    }
}

fn file_name(given: &mut Values) -> Result<String> {
    let name = given.shift_remove("filename");
    let name = name.as_ref().and_then(Value::as_str);
    name.map(str::to_owned).context("filename: it is missing")
}

/// The values, with the stream that was opened for them.
fn with_stream(given: &Values, opened: &Value) -> Values {
    let mut given = given.clone();
    given.insert("stream".to_owned(), opened["stream"].clone());
    given
}

pub(super) async fn export(agent: Agent, mut given: Values) -> Result<()> {
    let name = file_name(&mut given)?;
    let row = row(Verb::Post, EXPORT_PATH)?;
    let (opened, socket, held) = agent.open(row, given.clone()).await?;
    let target = Target::open(&name)?;
    let task = agent.call(row, with_stream(&given, &opened.data)).await;
    let done = match task {
        Ok(task) => {
            let task = upid(&task.data)?;
            let carried = target.take(PartReader::new(socket));
            both(carried, follow(&agent, task, Log::Stderr)).await
        }
        Err(error) => Err(error),
    };
    drop(held);
    done?;
    target.finish()
}

/// Where an export goes: standard output, a pipe or a device, or a file, which is there when it is
/// whole.
struct Target {
    file: File,
    name: String,
    new: Option<NewFile>,
}

impl Target {
    fn open(name: &str) -> Result<Self> {
        let opening = || format!("opening '{name}'");
        let new = match std::fs::metadata(name) {
            _ if name == "-" => None,
            Ok(existing) if !existing.is_file() => None,
            _ => {
                let path = place_on_host(Path::new(name))?;
                Some(NewFile::begin(&path)?.with_mode_of_process()?)
            }
        };
        let file = match &new {
            Some(new) => new.file().try_clone(),
            None if name == "-" => output::duplicate(),
            None => OpenOptions::new().write(true).open(name),
        };
        Ok(Self {
            file: file.with_context(opening)?,
            name: name.to_owned(),
            new,
        })
    }

    /// All has come.
    fn finish(self) -> Result<()> {
        let Some(new) = self.new else {
            return Ok(());
        };
        let placed = new.finish(own_descriptors()?.as_fd(), Wanted::default());
        placed.with_context(|| format!("placing '{}'", self.name))
    }

    /// Writes all that comes, durably.
    async fn take(&self, mut from: PartReader<UnixStream>) -> Result<(), Broken> {
        let here = |error: io::Error| {
            let error = anyhow::Error::new(error);
            Broken::Here(error.context(format!("writing to '{}'", self.name)))
        };
        let file = self.file.try_clone().map_err(here)?;
        let (sender, written) = writing(file);
        let mut part = vec![0; PART];
        loop {
            let count = match from.read(&mut part).await {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => {
                    let error = anyhow!("the stream of the volume was cut off: {error}");
                    return Err(Broken::Stream(error));
                }
            };
            if sender.send(part[..count].to_vec()).await.is_err() {
                break;
            }
        }
        drop(sender);
        match written.await {
            Ok(written) => written.map_err(here),
            Err(_) => Err(Broken::Here(anyhow!("the writing thread died"))),
        }
    }
}

/// A thread that writes what it is sent.
fn writing(mut file: File) -> (mpsc::Sender<Vec<u8>>, oneshot::Receiver<io::Result<()>>) {
    let (sender, mut parts) = mpsc::channel::<Vec<u8>>(WAITING);
    let (said, written) = oneshot::channel();
    std::thread::spawn(move || {
        let mut write = || {
            while let Some(part) = parts.blocking_recv() {
                file.write_all(&part)?;
            }
            // Pipes cannot be synced, and need not be.
            match file.metadata()?.is_file() {
                true => file.sync_all(),
                false => file.flush(),
            }
        };
        let result = write();
        drop(parts);
        let _ = said.send(result);
    });
    (sender, written)
}

pub(super) async fn import(agent: Agent, mut given: Values) -> Result<()> {
    let name = file_name(&mut given)?;
    let row = row(Verb::Post, IMPORT_PATH)?;
    let (opened, socket, held) = agent.open(row, given.clone()).await?;
    let source = source(&agent, &name).await?;
    let given = with_stream(&given, &opened.data);
    let done = take(&agent, row, given, source, socket).await;
    drop(held);
    let volume = done?;
    output::line(&format!("successfully imported '{volume}'"))
}

/// Where an import comes from.
async fn source(agent: &Agent, name: &str) -> Result<Box<dyn Read + Send>> {
    if let Some(network) = name.strip_prefix("tcp://") {
        return Ok(Box::new(from_network(agent, network).await?));
    }
    if let Some(path) = name.strip_prefix("unix://") {
        return Ok(Box::new(from_path(agent, Path::new(path)).await?));
    }
    if name == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(name).with_context(|| format!("opening '{name}'"))?;
    if file.metadata()?.is_dir() {
        bail!("'{name}' is a directory");
    }
    Ok(Box::new(file))
}

/// Sends the source to the task, and answers the volume that it has made.
async fn take(
    agent: &Agent,
    row: &'static Row,
    given: Values,
    source: Box<dyn Read + Send>,
    socket: UnixStream,
) -> Result<String> {
    let wanted = given.get("volume").and_then(Value::as_str);
    let wanted = wanted.unwrap_or_default().to_owned();
    let task = agent.call(row, given).await?;
    let task = upid(&task.data)?;
    let carried = give(source, PartWriter::new(socket));
    both(carried, follow(agent, task, Log::Stderr)).await?;
    let task = task.parse().context("the agent answered no task")?;
    let lines = log(agent, &task).await?;
    let made = lines
        .iter()
        .rev()
        .find_map(|line| storage::completed_import(line));
    Ok(made.map_or(wanted, str::to_owned))
}

async fn give(source: Box<dyn Read + Send>, mut to: PartWriter<UnixStream>) -> Result<(), Broken> {
    let cut = |error: io::Error| Broken::Stream(anyhow!("the agent stopped reading: {error}"));
    let mut parts = reading(source);
    while let Some(part) = parts.recv().await {
        let part = part.map_err(|error| {
            let error = anyhow::Error::new(error);
            Broken::Here(error.context("reading the stream"))
        })?;
        to.write(&part).await.map_err(cut)?;
    }
    to.finish().await.map_err(cut)?;
    Ok(())
}

/// A thread that reads to the end.
fn reading(mut source: Box<dyn Read + Send>) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, parts) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        loop {
            let mut part = vec![0; PART];
            let read = match source.read(&mut part) {
                Ok(0) => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(count) => {
                    part.truncate(count);
                    Ok(part)
                }
                Err(error) => Err(error),
            };
            let is_last = read.is_err();
            if sender.blocking_send(read).is_err() || is_last {
                return;
            }
        }
    });
    parts
}
