//! The client.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use model::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, BufWriter};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::debug;

use super::transport::SocketPath;
use super::{
    ANSWER_LIMIT, Answer, Ask, Connector, FRAME_LIMIT, FrameError, Reply, Request, Transport,
    carry, frame,
};
use crate::{Credential, Identity};

#[derive(Serialize)]
struct Outgoing<'a> {
    id: u64,
    ask: &'a Ask,
}

#[derive(Deserialize)]
struct Incoming {
    id: u64,
    reply: Reply,
}

/// A client of one agent. Clones share the connection, which is opened when needed and reopened
/// after it broke.
#[derive(Clone)]
pub struct Client {
    connector: Arc<dyn Connector>,
    shared: Arc<Shared>,
}

/// The connection of all clones, and how the last attempt to open one failed.
struct Shared {
    /// Counts the attempts to open a connection that have ended.
    attempts: AtomicU64,
    slot: AsyncMutex<Result<Option<Arc<Connection>>, Error>>,
}

type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Reply>>>>>;

struct Connection {
    next_id: AtomicU64,
    /// Complete frames: a frame is sent in full even if its caller gives up meanwhile.
    frames: mpsc::UnboundedSender<Vec<u8>>,
    /// None once the connection is broken.
    waiting: Waiting,
    _work: JoinSet<()>,
}

impl Connection {
    fn new(transport: Box<dyn Transport>) -> Self {
        let (reader, writer) = tokio::io::split(transport);
        let (frames, outgoing) = mpsc::unbounded_channel();
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let mut work = JoinSet::new();
        work.spawn(deliver(reader, waiting.clone()));
        work.spawn(send(writer, outgoing, waiting.clone()));
        Self {
            next_id: AtomicU64::new(1),
            frames,
            waiting,
            _work: work,
        }
    }

    fn send(&self, id: u64, ask: &Ask) -> Result<(), Error> {
        let frame = frame::encode(&Outgoing { id, ask }, FRAME_LIMIT).map_err(broken)?;
        self.frames.send(frame).map_err(|_| closed())
    }

    async fn ask(&self, ask: &Ask) -> Result<Reply, Error> {
        let (sender, receiver) = oneshot::channel();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        match &mut *lock(&self.waiting) {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(closed()),
        };
        let _under_way = UnderWay {
            connection: self,
            id,
        };
        self.send(id, ask)?;
        receiver.await.map_err(|_| closed())
    }
}

/// A pending request. Dropping it before its answer has come cancels it.
struct UnderWay<'a> {
    connection: &'a Connection,
    id: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let waits = lock(&self.connection.waiting)
            .as_mut()
            .is_some_and(|waiting| waiting.remove(&self.id).is_some());
        if waits {
            // If that cannot be sent, the connection is closed, which the agent notices.
            let _ = self.connection.send(self.id, &Ask::Cancel);
        }
    }
}

impl Client {
    /// A client of the agent that listens on this socket.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self::over(SocketPath(socket.into()))
    }

    /// A client of the agent that the connector connects to.
    pub fn over(connector: impl Connector) -> Self {
        Self {
            connector: Arc::new(connector),
            shared: Arc::new(Shared {
                attempts: AtomicU64::new(0),
                slot: AsyncMutex::new(Ok(None)),
            }),
        }
    }

    /// Calls an operation or submits a task. If the connection breaks before the answer, the
    /// outcome is unknown: a task may be submitted again with the same request id, and an
    /// idempotent operation called again.
    pub async fn request(&self, request: Request) -> Result<Answer, Error> {
        match self.ask(&Ask::Do(request)).await? {
            Reply::Answer(answer) => Ok(answer),
            other => Err(unexpected(other)),
        }
    }

    pub async fn verify(
        &self,
        credential: Credential,
        address: Option<String>,
    ) -> Result<Identity, Error> {
        match self
            .ask(&Ask::Verify {
                credential,
                address,
            })
            .await?
        {
            Reply::Identity(identity) => Ok(identity),
            other => Err(unexpected(other)),
        }
    }

    /// An operation whose answer comes with a descriptor.
    pub async fn stream(&self, request: Request) -> Result<(Answer, OwnedFd), Error> {
        let (answer, descriptor, _) = self.stream_held(request).await?;
        Ok((answer, descriptor))
    }

    /// The same for a service that keeps something open on the agent until the third value is
    /// dropped.
    pub async fn stream_held(&self, request: Request) -> Result<(Answer, OwnedFd, Held), Error> {
        let transport = self.connector.connect().await?;
        let opened = open(transport, &Ask::Stream(request)).await;
        match opened.map_err(|error| self.connector.broken(error))? {
            Opened::Stream(stream) => Ok(stream),
            Opened::Refused(reply) => Err(unexpected(reply)),
        }
    }

    /// Streams the agent's state, message by message, for a copy of it.
    pub async fn watch(&self) -> Result<Feed, Error> {
        let mut transport = self.connector.connect().await?;
        let asked = Outgoing {
            id: 0,
            ask: &Ask::Watch,
        };
        let written = frame::write(&mut transport, &asked, FRAME_LIMIT).await;
        written.map_err(|error| self.connector.broken(broken(error)))?;
        Ok(Feed {
            transport: BufReader::new(transport),
        })
    }

    /// Closes the connection; pending requests fail, the next one opens another.
    pub async fn hang_up(&self) {
        let mut slot = self.shared.slot.lock().await;
        if let Ok(Some(connection)) = std::mem::replace(&mut *slot, Ok(None)) {
            lock(&connection.waiting).take();
        }
    }

    async fn ask(&self, ask: &Ask) -> Result<Reply, Error> {
        let connection = self.connection().await?;
        let answered = connection.ask(ask).await;
        answered.map_err(|error| self.connector.broken(error))
    }

    /// The shared connection; reopened if there is none or it broke. Requests that wait for the
    /// same attempt share its failure.
    async fn connection(&self) -> Result<Arc<Connection>, Error> {
        let attempts = self.shared.attempts.load(Ordering::Acquire);
        let mut slot = self.shared.slot.lock().await;
        match &*slot {
            Ok(Some(connection)) if lock(&connection.waiting).is_some() => {
                return Ok(connection.clone());
            }
            Err(error) if attempts != self.shared.attempts.load(Ordering::Acquire) => {
                return Err(error.clone());
            }
            _ => {}
        }
        let opened = self.connector.connect().await;
        self.shared.attempts.fetch_add(1, Ordering::Release);
        let opened = opened.map(|transport| Arc::new(Connection::new(transport)));
        *slot = opened.clone().map(Some);
        opened
    }
}

/// Writes frames, in batches of all that are queued.
async fn send(
    writer: impl AsyncWrite + Unpin,
    mut frames: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Waiting,
) {
    use tokio::io::AsyncWriteExt;
    let mut writer = BufWriter::new(writer);
    while let Some(frame) = frames.recv().await {
        let mut written = writer.write_all(&frame).await;
        while let (Ok(()), Ok(frame)) = (&written, frames.try_recv()) {
            written = writer.write_all(&frame).await;
        }
        if written.is_err() || writer.flush().await.is_err() {
            break;
        }
    }
    lock(&waiting).take();
}

/// Hands each reply to the request that waits for it, until the connection breaks.
async fn deliver(reader: impl AsyncRead + Unpin, waiting: Waiting) {
    let mut reader = BufReader::new(reader);
    let garbled = loop {
        let Incoming { id, reply } = match frame::read(&mut reader, ANSWER_LIMIT).await {
            Ok(Some(incoming)) => incoming,
            Err(error @ (FrameError::TooLong(_) | FrameError::Malformed(_))) => {
                break Some(Error::new(ErrorKind::NodeGarbled, Error::chain(&error)));
            }
            Ok(None) | Err(_) => break None,
        };
        let sender = lock(&waiting)
            .as_mut()
            .and_then(|waiting| waiting.remove(&id));
        if let Some(sender) = sender {
            // The caller may have given up.
            let _ = sender.send(reply);
        }
    };
    // Dropping the senders fails all pending requests.
    let pending = lock(&waiting).take();
    if let Some(error) = garbled {
        for sender in pending.into_iter().flat_map(HashMap::into_values) {
            let _ = sender.send(Reply::Error(error.clone()));
        }
    }
}

/// Keeps a connection open, which shows the agent that a descriptor is still in use.
pub struct Held {
    _by: HeldBy,
}

enum HeldBy {
    Transport(#[expect(dead_code, reason = "it is only kept open")] Box<dyn Transport>),
    /// The work that carries the descriptor's bytes over the transport.
    Carrying(#[expect(dead_code, reason = "it ends when it is dropped")] JoinSet<()>),
}

/// How a stream begins.
enum Opened {
    Stream((Answer, OwnedFd, Held)),
    Refused(Reply),
}

/// An error means that the connection broke.
async fn open(mut transport: Box<dyn Transport>, ask: &Ask) -> Result<Opened, Error> {
    let asked = Outgoing { id: 0, ask };
    frame::write(&mut transport, &asked, FRAME_LIMIT)
        .await
        .map_err(broken)?;
    let received = match transport.socket() {
        Some(socket) => frame::read_with_descriptor::<Incoming>(socket).await,
        None => {
            let received = frame::read::<Incoming>(&mut transport, ANSWER_LIMIT).await;
            received.map(|incoming| incoming.map(|incoming| (incoming, None)))
        }
    };
    let (reply, descriptor) = match received.map_err(broken)? {
        Some((incoming, descriptor)) => (incoming.reply, descriptor),
        None => return Err(closed()),
    };
    match (reply, descriptor) {
        (Reply::Answer(answer), Some(descriptor)) => {
            let _by = HeldBy::Transport(transport);
            Ok(Opened::Stream((answer, descriptor, Held { _by })))
        }
        (Reply::Carried { answer, is_file }, None) => {
            let brought = carry::bring(transport, is_file);
            let (descriptor, work) = brought.map_err(|error| broken(error.into()))?;
            let mut carrying = JoinSet::new();
            carrying.spawn(async move {
                if let Err(error) = work.await {
                    debug!(%error, "a stream of another node broke");
                }
            });
            let _by = HeldBy::Carrying(carrying);
            Ok(Opened::Stream((answer, descriptor, Held { _by })))
        }
        (reply, _) => Ok(Opened::Refused(reply)),
    }
}

/// The messages of a watch.
pub struct Feed {
    transport: BufReader<Box<dyn Transport>>,
}

impl Feed {
    /// The next message. Not cancellation-safe; an error ends the feed.
    pub async fn next(&mut self) -> Result<Value, Error> {
        match frame::read::<Incoming>(&mut self.transport, ANSWER_LIMIT)
            .await
            .map_err(broken)?
        {
            Some(Incoming {
                reply: Reply::Feed(message),
                ..
            }) => Ok(message),
            Some(Incoming { reply, .. }) => Err(unexpected(reply)),
            None => Err(closed()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn broken(error: FrameError) -> Error {
    Error::unavailable(format!(
        "the connection to the node agent broke: {}",
        Error::chain(&error)
    ))
}

fn closed() -> Error {
    Error::unavailable("the node agent closed the connection before it answered")
}

/// The error for a reply of the wrong kind; an error reply is passed on.
fn unexpected(reply: Reply) -> Error {
    match reply {
        Reply::Error(error) => error,
        _ => Error::new(ErrorKind::Bug, "the node agent sent an unexpected answer"),
    }
}
