//! The change stream: what `/cluster/resources` shows, and then each change of it, over one
//! websocket.
//!
//! ```text
//!   index ── news ──► changes since what the client has ──► one message ──► client
//!                       ▲                                        │
//!                       └──────────── only when it is sent ──────┘
//! ```
//!
//! A client is told what its rights are by then, and the connection ends with its credential.
//! One that is slow is told less often, never late: nothing waits in a queue for it.

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

/// What a client may name as the protocol.
const PROTOCOL: &str = "ostler.changes";

/// Streams of one user or token at a time.
const STREAMS: usize = 16;

/// After a message, so long nothing is sent: changes that come together are sent together.
const PAUSE: Duration = Duration::from_millis(100);

/// A client must take a part of a message in so long.
const STALLED: Duration = Duration::from_secs(30);

/// Without any news, it is looked this often whether the credential is still good.
const LOOK_S: i64 = 3600;

/// Whether a request asks for the stream.
pub(crate) fn is_stream(row: &Row, parts: &Parts) -> bool {
    row.name == CHANGES && websocket::is_wanted(&parts.headers)
}

/// Opens the stream; what is left happens when the connection has changed its protocol.
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
    // In this order: what changes in between ends the stream, and is not missed by it.
    let access = api.index.access();
    let who = api
        .client
        .verify(credential, Some(client.address()))
        .await?;
    let missing = || Error::new(ErrorKind::Unauthenticated, "Authentication failed!");
    let holder = access.holder(&who).ok_or_else(missing)?;
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

struct Stream {
    index: Arc<Index>,
    clock: Arc<dyn Clock>,
    /// What the client has.
    seen: Option<Seen>,
    holder: Holder,
    /// When the credential ends by itself.
    expires: UnixTime,
    _share: Share,
    /// The connection counts for as long as the stream is open.
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

    /// Tells the client what there is to be told, for as long as it takes it.
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
                // Fails never: the index keeps the sender.
                _ = news.changed() => {}
                () = silence => {}
            }
        }
    }

    /// Sends what has changed; whether that was anything.
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
            // There is no replica at the moment.
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

/// A client has nothing to say.
async fn listen<S: AsyncRead + AsyncWrite + Unpin>(
    mut reader: BufReader<ReadHalf<S>>,
    writer: &Writer<S>,
) -> End {
    match writer.data(&mut reader).await {
        Ok(_) => (POLICY, "nothing is expected from a client".to_owned()),
        Err(end) => end,
    }
}

/// Waits until the credential is not good any more, also while a message is being sent.
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
            // Fails never: the index keeps the sender.
            _ = news.changed() => {}
            () = clock.sleep(Duration::from_secs(left.unsigned_abs())) => {}
        }
    }
}

fn credential_ended() -> End {
    (POLICY, "the credential is not good any more".to_owned())
}

/// Open streams, counted for each user or token.
#[derive(Default)]
pub(crate) struct Streams(Arc<Mutex<HashMap<String, usize>>>);

/// One of them.
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
