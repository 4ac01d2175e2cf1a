//! The side that asks.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{BufReader, BufWriter};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::task::AbortHandle;

use super::{ANSWER_LIMIT, Answer, Ask, FRAME_LIMIT, Reply, Request, frame};
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

/// Asks one agent. Clones share the connection, which is made when it is needed and again after
/// it broke.
#[derive(Clone)]
pub struct Client {
    socket: Arc<PathBuf>,
    connection: Arc<AsyncMutex<Option<Arc<Connection>>>>,
}

type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Reply>>>>>;

struct Connection {
    writer: AsyncMutex<(u64, BufWriter<OwnedWriteHalf>)>,
    /// None once the connection is broken.
    waiting: Waiting,
    reader: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Client {
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: Arc::new(socket.into()),
            connection: Arc::default(),
        }
    }

    /// Calls an operation or submits a task. When the connection breaks before the answer, what
    /// became of it is unknown: a request with the same id may be sent again for a task, and
    /// for anything that may be repeated.
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

    /// The same where the agent keeps something for as long as the third is kept.
    pub async fn stream_held(&self, request: Request) -> Result<(Answer, OwnedFd, Held), Error> {
        let mut socket = self.connect().await?;
        let asked = Outgoing {
            id: 0,
            ask: &Ask::Stream(request),
        };
        frame::write(&mut socket, &asked, FRAME_LIMIT)
            .await
            .map_err(broken)?;
        let received = frame::read_with_descriptor::<Incoming>(&mut socket).await;
        match received.map_err(broken)? {
            Some((
                Incoming {
                    reply: Reply::Answer(answer),
                    ..
                },
                Some(descriptor),
            )) => Ok((answer, descriptor, Held { _socket: socket })),
            Some((Incoming { reply, .. }, _)) => Err(unexpected(reply)),
            None => Err(closed()),
        }
    }

    /// Everything a copy of the agent's state needs, message by message.
    pub async fn watch(&self) -> Result<Feed, Error> {
        let mut socket = self.connect().await?;
        let asked = Outgoing {
            id: 0,
            ask: &Ask::Watch,
        };
        frame::write(&mut socket, &asked, FRAME_LIMIT)
            .await
            .map_err(broken)?;
        Ok(Feed {
            socket: BufReader::new(socket),
        })
    }

    async fn connect(&self) -> Result<UnixStream, Error> {
        UnixStream::connect(&*self.socket).await.map_err(|error| {
            let socket = self.socket.display();
            Error::unavailable(format!(
                "the node agent cannot be reached at {socket}: {error}"
            ))
        })
    }

    async fn ask(&self, ask: &Ask) -> Result<Reply, Error> {
        let connection = self.shared().await?;
        let (sender, receiver) = oneshot::channel();
        {
            let mut writer = connection.writer.lock().await;
            writer.0 += 1;
            let id = writer.0;
            match &mut *lock(&connection.waiting) {
                Some(waiting) => waiting.insert(id, sender),
                None => return Err(closed()),
            };
            write_whole(&mut writer.1, &Outgoing { id, ask }).await?;
        }
        receiver.await.map_err(|_| closed())
    }

    /// The shared connection, made anew where there is none or it broke.
    async fn shared(&self) -> Result<Arc<Connection>, Error> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = &*slot
            && lock(&connection.waiting).is_some()
        {
            return Ok(connection.clone());
        }
        let (reader, writer) = self.connect().await?.into_split();
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let task = tokio::spawn(deliver(reader, waiting.clone()));
        let connection = Arc::new(Connection {
            writer: AsyncMutex::new((0, BufWriter::new(writer))),
            waiting,
            reader: task.abort_handle(),
        });
        *slot = Some(connection.clone());
        Ok(connection)
    }
}

async fn write_whole(
    writer: &mut BufWriter<OwnedWriteHalf>,
    message: &Outgoing<'_>,
) -> Result<(), Error> {
    use tokio::io::AsyncWriteExt;
    frame::write(writer, message, FRAME_LIMIT)
        .await
        .map_err(broken)?;
    writer.flush().await.map_err(|error| broken(error.into()))
}

/// Hands each reply to whoever waits for it, until the connection breaks.
async fn deliver(reader: OwnedReadHalf, waiting: Waiting) {
    let mut reader = BufReader::new(reader);
    while let Ok(Some(Incoming { id, reply })) =
        frame::read::<Incoming>(&mut reader, ANSWER_LIMIT).await
    {
        let sender = lock(&waiting)
            .as_mut()
            .and_then(|waiting| waiting.remove(&id));
        if let Some(sender) = sender {
            // Whoever asked may have stopped waiting.
            let _ = sender.send(reply);
        }
    }
    // Dropping the senders tells everybody who still waits.
    lock(&waiting).take();
}

/// The connection by which the agent knows that a descriptor is still in use.
pub struct Held {
    _socket: UnixStream,
}

/// The messages of a watch.
pub struct Feed {
    socket: BufReader<UnixStream>,
}

impl Feed {
    /// The next message. Not to be dropped before it ends; an error ends the feed.
    pub async fn next(&mut self) -> Result<Value, Error> {
        match frame::read::<Incoming>(&mut self.socket, ANSWER_LIMIT)
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

fn broken(error: super::FrameError) -> Error {
    Error::unavailable(format!(
        "the connection to the node agent broke: {}",
        Error::chain(&error)
    ))
}

fn closed() -> Error {
    Error::unavailable("the node agent closed the connection before it answered")
}

/// A reply of the wrong kind; an error is passed on as it is.
fn unexpected(reply: Reply) -> Error {
    match reply {
        Reply::Error(error) => error,
        _ => Error::new(
            ErrorKind::Bug,
            "the node agent answered something else than was asked",
        ),
    }
}
