//! Uploads: the body goes straight into a file that the agent opened.
//!
//! Nothing of the content is read before the caller was let in: the agent, which alone decides,
//! is asked as soon as the few fields before the content are read. The index is not: a right that
//! was granted a moment ago may not have reached it.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use model::schema::Values;
use model::{Clock, Error};
use proto::wire::{Answer, Request, finish};
use proto::{Credential, Form, Row, Verb};
use serde_json::Value;
use uuid::Uuid;

use crate::body::Pace;
use crate::dispatch::{Outcome, add_path_params};
use crate::envelope::Refusal;
use crate::multipart::{Multipart, MultipartError, Part, boundary};
use crate::request::query;
use crate::server::Client;
use crate::service::Api;

/// The longest field besides the content.
const FIELD_LIMIT: usize = 8 * 1024;

/// Fields before the content at most.
const FIELDS: usize = 16;

/// Written at a time.
const BLOCK: usize = 256 * 1024;

/// At least so many bytes must come in so long.
const STRETCH: Duration = Duration::from_secs(120);
const STRETCH_BYTES: usize = 16 * 1024;

/// How much of a refused upload is still read, so that its client gets to read the answer, and
/// for how long.
const DRAIN_BYTES: u64 = 1 << 30;
const DRAIN_S: u64 = 20;

/// The boundary of a request that is an upload.
pub(crate) fn is_upload(row: &Row, parts: &Parts) -> Option<String> {
    if row.form != Form::Stream || row.verb != Verb::Post {
        return None;
    }
    boundary(parts.headers.get(CONTENT_TYPE)?.to_str().ok()?)
}

/// An upload that may begin.
pub(crate) struct Upload<'a> {
    pub(crate) api: &'a Api,
    pub(crate) row: &'static Row,
    pub(crate) path_params: Vec<(&'static str, String)>,
    pub(crate) credential: Credential,
    pub(crate) client: &'a Client,
}

impl Upload<'_> {
    pub(crate) async fn run(
        self,
        parts: &Parts,
        body: Incoming,
        boundary: &str,
    ) -> Result<Answer, Outcome> {
        let mut given = query(parts);
        add_path_params(&mut given, self.path_params.clone())?;
        // The credential is verified; the agent checks the right before it lends a file.
        let clock = &*self.api.clock;
        let mut arriving = Arriving {
            multipart: Multipart::new(body, boundary),
            pace: Pace::new(STRETCH, STRETCH_BYTES, clock),
            clock,
        };
        let received = self.receive(&mut arriving, given).await;
        if received.is_err() {
            let drained = arriving.multipart.drain(DRAIN_BYTES);
            let _ = tokio::time::timeout(Duration::from_secs(DRAIN_S), drained).await;
        }
        received
    }

    async fn receive(
        &self,
        arriving: &mut Arriving<'_>,
        mut given: Values,
    ) -> Result<Answer, Outcome> {
        let file = self.fields(arriving, &mut given).await?;
        if let Some(name) = file.file_name {
            given.entry("filename").or_insert(Value::String(name));
        }
        let asked = self.api.client.stream_held(self.request(given.clone()));
        let (opened, descriptor, _held) = asked.await?;
        // The right is checked. The upload may take as long as it needs, and counts as work.
        let _work = self.client.place.work();
        let mut sink = Sink::new(descriptor);
        while let Some(chunk) = arriving.chunk().await? {
            sink.write(&chunk)
                .await
                .map_err(|error| unwritten(&given, &error))?;
        }
        if arriving.next_part().await?.is_some() {
            return Err(Refusal::text(400, "the content must be the last field").into());
        }
        let _kept = sink
            .finish()
            .await
            .map_err(|error| unwritten(&given, &error))?;
        // Held until the task is accepted: the agent forgets a file that is let go before.
        given.insert("tmpfilename".to_owned(), opened.data["tmpfilename"].clone());
        Ok(self.api.client.request(self.request(given)).await?)
    }

    /// Reads the fields before the content; answers the head of the part that is the content.
    async fn fields(
        &self,
        arriving: &mut Arriving<'_>,
        given: &mut Values,
    ) -> Result<Part, Outcome> {
        for _ in 0..FIELDS {
            let Some(part) = arriving.next_part().await? else {
                return Err(Error::invalid("filename", "there is no file in the upload").into());
            };
            if part.file_name.is_some() {
                return Ok(part);
            }
            let mut text = Vec::new();
            while let Some(chunk) = arriving.chunk().await? {
                text.extend_from_slice(&chunk);
                if text.len() > FIELD_LIMIT {
                    return Err(Refusal::text(501, "for data too large").into());
                }
            }
            let text = String::from_utf8_lossy(&text).trim().to_owned();
            // What the query says wins; an empty field is one that was not filled in.
            if !text.is_empty() && part.name != "tmpfilename" {
                given.entry(part.name).or_insert(Value::String(text));
            }
        }
        Err(Refusal::text(400, "too many fields before the content").into())
    }

    fn request(&self, params: Values) -> Request {
        Request {
            op: self.row.name.to_owned(),
            params,
            credential: self.credential.clone(),
            id: Uuid::new_v4().to_string(),
            address: Some(self.client.address()),
        }
    }
}

/// The parts of the body as they come, and not for longer than they may take.
struct Arriving<'a> {
    multipart: Multipart<Incoming>,
    pace: Pace,
    clock: &'a dyn Clock,
}

impl Arriving<'_> {
    async fn next_part(&mut self) -> Result<Option<Part>, Outcome> {
        let part = self.pace.keep(self.clock, self.multipart.next_part()).await;
        in_time(part)
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Outcome> {
        let chunk = self.pace.keep(self.clock, self.multipart.chunk()).await;
        let chunk = in_time(chunk)?;
        self.pace.came(chunk.as_ref().map_or(0, Bytes::len));
        Ok(chunk)
    }
}

fn in_time<T>(read: Option<Result<T, MultipartError>>) -> Result<T, Outcome> {
    let read = read.unwrap_or(Err(MultipartError::BrokenOff));
    Ok(read.map_err(|error| Refusal::text(400, error.to_string()))?)
}

fn unwritten(given: &Values, error: &std::io::Error) -> Error {
    let storage = given
        .get("storage")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Error::unavailable(format!("no space left on storage '{storage}'"))
        }
        _ => Error::unavailable(format!("cannot write to storage '{storage}': {error}")),
    }
}

fn closed() -> std::io::Error {
    std::io::Error::other("an earlier block was not written")
}

/// The file that is filled, one block at a time; a socket, if it is another node's.
struct Sink {
    file: Option<File>,
    block: Vec<u8>,
}

impl Sink {
    fn new(descriptor: OwnedFd) -> Self {
        Self {
            file: Some(File::from(descriptor)),
            block: Vec::with_capacity(BLOCK),
        }
    }

    async fn write(&mut self, mut data: &[u8]) -> std::io::Result<()> {
        while !data.is_empty() {
            let room = (BLOCK - self.block.len()).min(data.len());
            self.block.extend_from_slice(&data[..room]);
            data = &data[room..];
            if self.block.len() == BLOCK {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        let mut block = std::mem::take(&mut self.block);
        let mut file = self.file.take().ok_or_else(closed)?;
        let written = tokio::task::spawn_blocking(move || {
            let written = file.write_all(&block).map_err(|error| {
                // Another node says why it stopped reading.
                let is_broken = error.kind() == std::io::ErrorKind::BrokenPipe;
                let reason = is_broken.then(|| finish(&mut file).err());
                reason.flatten().unwrap_or(error)
            });
            block.clear();
            (file, block, written)
        });
        let (file, block, written) = written.await.map_err(std::io::Error::other)?;
        (self.file, self.block) = (Some(file), block);
        written
    }

    /// Writes what is left; answers the file, which is open as long as it is kept.
    async fn finish(mut self) -> std::io::Result<File> {
        self.flush().await?;
        let mut file = self.file.take().ok_or_else(closed)?;
        let finished = tokio::task::spawn_blocking(move || finish(&mut file).map(|()| file));
        finished.await.map_err(std::io::Error::other)?
    }
}
