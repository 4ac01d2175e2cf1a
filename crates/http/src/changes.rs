//! The change stream: the rows of `/cluster/resources`, and then their changes, over one websocket
//! (docs/changes.md).
//!
//! ```text
//!   index ── news ──► changes since the client's state ──► one message ──► client
//!                       ▲                                        │
//!                       └───────────── after it was sent ────────┘
//! ```
//!
//! Messages are filtered by the rights of the moment, and the connection ends with the credential.
//! Nothing is queued: a slow client gets fewer messages, each with the newest rows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use auth::Holder;
use hyper::Response;
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use model::schema::Values;
use model::{Clock, Error, ErrorKind, UnixTime};
use proto::{Credential, Identity, Row};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadHalf};

use crate::dispatch::Outcome;
use crate::envelope::{Body, Refusal};
use crate::front::Work;
use crate::index::{CHANGES, Index, Seen};
use crate::server::Client;
use crate::service::Api;
use crate::websocket::connection::{End, GONE, POLICY, Writer, split};
use crate::websocket::{self, Handshake};

/// The websocket's subprotocol.
const PROTOCOL: &str = "ostler.changes";

/// The limit of open streams of a user or token.
const STREAMS: usize = 16;

/// The pause after a message: changes within it are sent together.
const PAUSE: Duration = Duration::from_millis(100);

/// The time limit for a part of a message to be taken.
const STALLED: Duration = Duration::from_secs(30);

/// The credential is checked with every snapshot, and at least this often.
const LOOK_S: i64 = 3600;

/// Whether a request asks for the stream.
pub(crate) fn is_stream(row: &Row, parts: &Parts) -> bool {
    row.name == CHANGES && websocket::is_wanted(&parts.headers)
}

/// Opens the stream. It runs in a task once the connection is upgraded.
pub(crate) async fn open(
    api: &Api,
    credential: Credential,
    params: &Values,
    parts: &Parts,
    client: &Client,
) -> Result<Response<Body>, Outcome> {
    let handshake = Handshake::of(&parts.headers, PROTOCOL)?;
    websocket::refuse_other_sites(&parts.headers)?;
    let upgrade = parts.extensions.get::<OnUpgrade>().cloned();
    let upgrade =
        upgrade.ok_or_else(|| Refusal::text(400, "this connection cannot become a websocket"))?;
    let (who, holder) = verified(api, credential, client).await?;
    let share = api.streams.take(&who)?;
    let since = params.get("since").and_then(|since| since.as_str());
    let since = since.and_then(|since| since.parse().ok());
    let stream = Stream {
        seen: since.and_then(|since| api.index.seen(&who, since)),
        index: api.index.clone(),
        clock: api.clock.clone(),
        expires: who.expires,
        holder,
        _share: share,
        _work: client.place.work(),
    };
    api.spawn_socket(async move {
        match upgrade.await {
            Ok(upgraded) => stream.run(TokioIo::new(upgraded)).await,
            Err(error) => tracing::debug!(%error, "a change stream was not upgraded"),
        }
    });
    Ok(handshake.response())
}

/// The caller, and the records of its credential from before it was verified: a change in between
/// ends the stream.
async fn verified(
    api: &Api,
    credential: Credential,
    client: &Client,
) -> Result<(Identity, Holder), Error> {
    let verify = || {
        api.client
            .verify(credential.clone(), Some(client.address()))
    };
    let access = api.index.access();
    let who = verify().await?;
    if let Some(holder) = access.holder(&who) {
        return Ok((who, holder));
    }
    api.index.knows(&who).await;
    let access = api.index.access();
    let who = verify().await?;
    let missing = || Error::new(ErrorKind::Unauthenticated, "Authentication failed!");
    let holder = access.holder(&who).ok_or_else(missing)?;
    Ok((who, holder))
}

struct Stream {
    index: Arc<Index>,
    clock: Arc<dyn Clock>,
    /// The client's state.
    seen: Option<Seen>,
    holder: Holder,
    /// When the credential expires.
    expires: UnixTime,
    _share: Share,
    /// The connection is in use as long as the stream is open.
    _work: Work,
}

impl Stream {
    async fn run<S: AsyncRead + AsyncWrite + Send + Unpin>(mut self, socket: S) {
        let (reader, writer) = split(socket);
        let clock = self.clock.clone();
        let (index, holder) = (self.index.clone(), self.holder.clone());
        let end = tokio::select! {
            end = credential_ends(&index, &holder, self.expires, &*clock) => end,
            end = listen(reader, &writer) => end,
            end = self.tell(&writer) => end,
            end = writer.keep_alive(&*clock) => end,
        };
        tracing::debug!(holder = ?self.holder, code = end.0, reason = end.1, "a change stream ended");
        writer.close(end, &*clock).await;
    }

    /// Sends changes until the connection breaks.
    async fn tell<S: AsyncRead + AsyncWrite + Unpin>(&mut self, writer: &Writer<S>) -> End {
        let mut news = self.index.news();
        loop {
            news.borrow_and_update();
            match self.message(writer).await {
                Ok(true) => self.clock.sleep(PAUSE).await,
                Ok(false) => {}
                Err(end) => return end,
            }
            let silence = self.index.until_a_node_is_silent();
            tokio::select! {
                // Never fails: the index keeps the sender.
                _ = news.changed() => {}
                () = silence => {}
            }
        }
    }

    /// Sends the changes since the last message. True if there were any.
    async fn message<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        writer: &Writer<S>,
    ) -> Result<bool, End> {
        let access = self.index.access();
        let Some(who) = access.still(&self.holder, self.clock.wall()) else {
            return Err(credential_ended());
        };
        let changes = match self.index.changes(&who, self.seen.as_ref()) {
            Ok(changes) => changes,
            // There is no replica yet, or the store was replaced.
            Err(error) if error.kind == ErrorKind::Unavailable => return Ok(false),
            Err(error) => return Err((GONE, error.message)),
        };
        let is_news = !changes.is_empty();
        if is_news {
            let (head, rows, tail) = changes.text();
            let parts = [head.as_bytes()].into_iter();
            let parts = parts.chain(rows.iter().map(|piece| &**piece));
            let parts: Vec<&[u8]> = parts.chain([tail.as_bytes()]).collect();
            writer.send_text(&parts, STALLED, &*self.clock).await?;
        }
        self.seen = Some(changes.seen);
        Ok(is_news)
    }
}

/// Reads until the connection ends. Clients send no data.
async fn listen<S: AsyncRead + AsyncWrite + Unpin>(
    mut reader: BufReader<ReadHalf<S>>,
    writer: &Writer<S>,
) -> End {
    match writer.data(&mut reader).await {
        Ok(_) => (POLICY, "nothing is expected from a client".to_owned()),
        Err(end) => end,
    }
}

/// Waits until the credential is not valid any more. Runs also while a message is being sent.
async fn credential_ends(
    index: &Index,
    holder: &Holder,
    expires: UnixTime,
    clock: &dyn Clock,
) -> End {
    let mut news = index.news();
    loop {
        news.borrow_and_update();
        let now = clock.wall();
        let Some(who) = index.access().still(holder, now).filter(|_| now < expires) else {
            return credential_ended();
        };
        let left = (who.expires.min(expires) - now).clamp(1, LOOK_S);
        tokio::select! {
            // Never fails: the index keeps the sender.
            _ = news.changed() => {}
            () = clock.sleep(Duration::from_secs(left.unsigned_abs())) => {}
        }
    }
}

fn credential_ended() -> End {
    (POLICY, "the credential is not good any more".to_owned())
}

/// The number of open streams of each user and token.
#[derive(Default)]
pub(crate) struct Streams(Arc<Mutex<HashMap<String, usize>>>);

/// One open stream. It is uncounted when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    open: Arc<Mutex<HashMap<String, usize>>>,
    label: String,
}

impl Streams {
    fn take(&self, who: &Identity) -> Result<Share, Error> {
        let label = who.label();
        let mut open = lock(&self.0);
        let count = open.entry(label.clone()).or_default();
        if *count >= STREAMS {
            let text = format!("'{label}' has {STREAMS} change streams already");
            return Err(Error::new(ErrorKind::TooMany, text));
        }
        *count += 1;
        Ok(Share {
            open: self.0.clone(),
            label,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if let Some(count) = open.get_mut(&self.label) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.label);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
