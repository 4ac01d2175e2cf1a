//! The server.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, abortable};
use model::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, WriteHalf};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tracing::{debug, error, warn};

use super::{
    ANSWER_LIMIT, Answer, Ask, FRAME_LIMIT, FrameError, Listener, Peer, Reply, Request, Transport,
    carry, frame,
};
use crate::{Credential, Identity};

/// How many requests of one connection are processed at the same time; more are refused. The
/// service decides how they are shared among callers.
const IN_FLIGHT: usize = 4096;

#[derive(Deserialize)]
struct Incoming {
    id: u64,
    ask: Ask,
}

#[derive(Serialize)]
struct Outgoing {
    id: u64,
    reply: Reply,
}

/// An answer with a descriptor.
pub struct Streamed {
    pub answer: Answer,
    pub descriptor: OwnedFd,
    /// Dropped when the caller closes its connection or dies.
    pub held: Option<Box<dyn Send>>,
}

/// What a server does with requests.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    async fn request(&self, peer: Peer, request: Request) -> Result<Answer, Error>;

    async fn stream(&self, peer: Peer, request: Request) -> Result<Streamed, Error>;

    async fn verify(
        &self,
        peer: Peer,
        credential: Credential,
        address: Option<String>,
    ) -> Result<Identity, Error>;

    /// Whether work on a cancelled request may be dropped.
    fn is_abandonable(&self, _request: &Request) -> bool {
        false
    }

    /// Sends a watch until it fails or the peer disconnects.
    async fn watch(&self, peer: Peer, responder: Responder) -> Result<(), Error>;
}

/// Sends the messages of a watch.
pub struct Responder {
    transport: Box<dyn Transport>,
}

impl Responder {
    /// Waits while the peer is slow.
    pub async fn send(&mut self, message: Value) -> Result<(), Error> {
        let reply = Outgoing {
            id: 0,
            reply: Reply::Feed(message),
        };
        frame::write(&mut self.transport, &reply, ANSWER_LIMIT)
            .await
            .map_err(|error| Error::unavailable(Error::chain(&error)))
    }
}

/// Serves until dropped; everything that it started ends with it.
pub async fn serve<S: Service>(listener: impl Listener, service: Arc<S>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok(transport) => {
                connections.spawn(connection(transport, service.clone()));
            }
            Err(error) => {
                // Probably out of descriptors: open connections must end first.
                warn!(%error, "accept");
                connections.join_next().await;
            }
        }
    }
}

async fn connection<S: Service>(transport: impl Transport, service: Arc<S>) {
    let peer = match transport.peer() {
        Ok(peer) => peer,
        Err(error) => return warn!(%error, "a connection without a peer"),
    };
    if let Err(error) = converse(transport, peer, service).await {
        debug!(%error, "a connection broke");
    }
}

/// The first message decides the kind of connection.
async fn converse<S: Service>(
    mut transport: impl Transport,
    peer: Peer,
    service: Arc<S>,
) -> Result<(), FrameError> {
    let Some(first) = frame::read::<Incoming>(&mut transport, FRAME_LIMIT).await? else {
        return Ok(());
    };
    match first.ask {
        Ask::Stream(request) => match caught(service.stream(peer, request)).await {
            Ok(streamed) => pass(&mut transport, first.id, streamed).await,
            Err(error) => {
                let reply = Outgoing {
                    id: first.id,
                    reply: Reply::Error(error),
                };
                frame::write(&mut transport, &reply, ANSWER_LIMIT).await
            }
        },
        Ask::Watch => {
            if let Err(error) = service
                .watch(
                    peer,
                    Responder {
                        transport: Box::new(transport),
                    },
                )
                .await
            {
                debug!(%error, "a watch ended");
            }
            Ok(())
        }
        _ => answer_many(transport, first, peer, service).await,
    }
}

/// Passes a stream's descriptor, or carries its bytes.
async fn pass(
    transport: &mut impl Transport,
    id: u64,
    streamed: Streamed,
) -> Result<(), FrameError> {
    let Streamed {
        answer,
        descriptor,
        held,
    } = streamed;
    if let Some(socket) = transport.socket() {
        let reply = Reply::Answer(answer);
        let reply = Outgoing { id, reply };
        frame::write_with_descriptor(socket, &reply, descriptor.as_fd()).await?;
        drop(descriptor);
        if held.is_some() {
            gone(transport).await;
        }
    } else {
        let is_file = carry::is_file(&descriptor)?;
        let reply = Reply::Carried { answer, is_file };
        frame::write(transport, &Outgoing { id, reply }, ANSWER_LIMIT).await?;
        transport.flush().await?;
        carry::carry(transport, descriptor, is_file).await?;
    }
    drop(held);
    Ok(())
}

/// Waits until the peer has closed the connection.
async fn gone(transport: &mut impl Transport) {
    let mut nothing = [0; 64];
    while matches!(transport.read(&mut nothing).await, Ok(1..)) {}
}

async fn answer_many<S: Service, T: Transport>(
    transport: T,
    first: Incoming,
    peer: Peer,
    service: Arc<S>,
) -> Result<(), FrameError> {
    let (reader, writer) = tokio::io::split(transport);
    let mut reader = BufReader::new(reader);
    let mut asked = Asked {
        service,
        peer,
        writer: Arc::new(Mutex::new(writer)),
        work: JoinSet::new(),
        abandonable: HashMap::new(),
    };
    let mut next = Some(first);
    let ended = loop {
        match next.take() {
            Some(incoming) => asked.take(incoming).await,
            None => break Ok(()),
        }
        // Frames are read even when many requests are in progress: the next frame could be another
        // user's login, or a cancel.
        next = match frame::read(&mut reader, FRAME_LIMIT).await {
            Ok(next) => next,
            Err(error) => break Err(error),
        };
    };
    asked.end().await;
    ended
}

/// The requests of one connection that are in progress.
struct Asked<S, T> {
    service: Arc<S>,
    peer: Peer,
    writer: Arc<Mutex<WriteHalf<T>>>,
    work: JoinSet<u64>,
    /// The requests that are dropped when they are cancelled.
    abandonable: HashMap<u64, AbortHandle>,
}

impl<S: Service, T: Transport> Asked<S, T> {
    async fn take(&mut self, Incoming { id, ask }: Incoming) {
        while let Some(ended) = self.work.try_join_next() {
            if let Ok(id) = ended {
                self.abandonable.remove(&id);
            }
        }
        if matches!(ask, Ask::Cancel) {
            if let Some(handle) = self.abandonable.remove(&id) {
                handle.abort();
            }
            return;
        }
        if self.work.len() >= IN_FLIGHT {
            let error = Error::new(ErrorKind::TooMany, "the node agent has too many requests");
            return reply(&self.writer, id, Reply::Error(error)).await;
        }
        let is_abandonable = match &ask {
            Ask::Do(request) => self.service.is_abandonable(request),
            _ => true,
        };
        let (service, peer) = (self.service.clone(), self.peer.clone());
        // The work can be dropped, but not a reply that is being written.
        let (work, handle) = abortable(async move { answer(&*service, peer, ask).await });
        if is_abandonable {
            self.abandonable.insert(id, handle);
        }
        let writer = self.writer.clone();
        self.work.spawn(async move {
            if let Ok(answer) = work.await {
                reply(&writer, id, answer).await;
            }
            id
        });
    }

    /// After a disconnect: changes are completed, the rest is dropped.
    async fn end(&mut self) {
        for handle in self.abandonable.values() {
            handle.abort();
        }
        while self.work.join_next().await.is_some() {}
    }
}

/// Sends a reply. If the peer has disconnected, the work was still completed.
async fn reply(writer: &Mutex<WriteHalf<impl Transport>>, id: u64, reply: Reply) {
    let mut writer = writer.lock().await;
    let written = frame::write(&mut *writer, &Outgoing { id, reply }, ANSWER_LIMIT).await;
    if let Err(error @ (FrameError::TooLong(_) | FrameError::Malformed(_))) = written {
        // Nothing was sent, and the peer still waits.
        let reply = Reply::Error(Error::unavailable(error.to_string()));
        let _ = frame::write(&mut *writer, &Outgoing { id, reply }, ANSWER_LIMIT).await;
    }
}

async fn answer(service: &impl Service, peer: Peer, ask: Ask) -> Reply {
    let reply = match ask {
        Ask::Do(request) => caught(service.request(peer, request))
            .await
            .map(Reply::Answer),
        Ask::Verify {
            credential,
            address,
        } => caught(service.verify(peer, credential, address))
            .await
            .map(Reply::Identity),
        Ask::Stream(_) | Ask::Watch | Ask::Cancel => Err(Error::bug(
            "a stream or a watch needs a connection of its own",
        )),
    };
    reply.unwrap_or_else(Reply::Error)
}

/// How many requests ended in a panic.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// How many requests of this process ended in a panic since it was started.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// A panic is answered too, since the caller would otherwise wait for ever.
async fn caught<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.unwrap_or_else(|_| {
        let panics = PANICS.fetch_add(1, Ordering::Relaxed) + 1;
        error!(panics, "a request ended in a panic");
        Err(Error::bug("the request ended in a panic of the node agent"))
    })
}
