//! The side that answers.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use async_trait::async_trait;
use model::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::{ANSWER_LIMIT, Answer, Ask, FRAME_LIMIT, FrameError, Reply, Request, frame};
use crate::{Credential, Identity};

/// How many requests of one connection are worked on at the same time.
const IN_FLIGHT: usize = 256;

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

/// The process at the other end, as the kernel knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
}

/// An answer with a descriptor for the caller.
pub struct Streamed {
    pub answer: Answer,
    pub descriptor: OwnedFd,
    /// Dropped once the caller has closed its connection, or has died.
    pub held: Option<Box<dyn Send>>,
}

/// What a server does with what it is asked.
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

    /// Sends a watch until it fails or the other side goes.
    async fn watch(&self, peer: Peer, responder: Responder) -> Result<(), Error>;
}

/// Sends the messages of a watch.
pub struct Responder {
    socket: UnixStream,
}

impl Responder {
    /// Waits while the other side is slow.
    pub async fn send(&mut self, message: Value) -> Result<(), Error> {
        let reply = Outgoing {
            id: 0,
            reply: Reply::Feed(message),
        };
        frame::write(&mut self.socket, &reply, ANSWER_LIMIT)
            .await
            .map_err(|error| Error::unavailable(Error::chain(&error)))
    }
}

/// Serves until it is dropped; everything that it started ends with it.
pub async fn serve<S: Service>(listener: UnixListener, service: Arc<S>) {
    let mut connections = JoinSet::new();
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match socket {
            Ok((socket, _)) => {
                connections.spawn(connection(socket, service.clone()));
            }
            Err(error) => {
                // Out of descriptors, most likely: those that are open must end first.
                warn!(%error, "accept");
                connections.join_next().await;
            }
        }
    }
}

async fn connection<S: Service>(socket: UnixStream, service: Arc<S>) {
    let peer = match socket.peer_cred() {
        Ok(credentials) => Peer {
            uid: credentials.uid(),
        },
        Err(error) => return warn!(%error, "a connection without a peer"),
    };
    if let Err(error) = converse(socket, peer, service).await {
        debug!(%error, "a connection broke");
    }
}

/// The first ask decides what kind of connection it is.
async fn converse<S: Service>(
    mut socket: UnixStream,
    peer: Peer,
    service: Arc<S>,
) -> Result<(), FrameError> {
    let Some(first) = frame::read::<Incoming>(&mut socket, FRAME_LIMIT).await? else {
        return Ok(());
    };
    match first.ask {
        Ask::Stream(request) => match service.stream(peer, request).await {
            Ok(streamed) => {
                let reply = Outgoing {
                    id: first.id,
                    reply: Reply::Answer(streamed.answer),
                };
                let descriptor = streamed.descriptor.as_fd();
                frame::write_with_descriptor(&mut socket, &reply, descriptor).await?;
                if let Some(held) = streamed.held {
                    drop(streamed.descriptor);
                    gone(&mut socket).await;
                    drop(held);
                }
                Ok(())
            }
            Err(error) => {
                let reply = Outgoing {
                    id: first.id,
                    reply: Reply::Error(error),
                };
                frame::write(&mut socket, &reply, ANSWER_LIMIT).await
            }
        },
        Ask::Watch => {
            if let Err(error) = service.watch(peer, Responder { socket }).await {
                debug!(%error, "a watch ended");
            }
            Ok(())
        }
        _ => answer_many(socket, first, peer, service).await,
    }
}

/// Waits until the other side has closed the connection.
async fn gone(socket: &mut UnixStream) {
    let mut nothing = [0; 64];
    while matches!(socket.read(&mut nothing).await, Ok(1..)) {}
}

async fn answer_many<S: Service>(
    socket: UnixStream,
    first: Incoming,
    peer: Peer,
    service: Arc<S>,
) -> Result<(), FrameError> {
    let (reader, writer): (OwnedReadHalf, OwnedWriteHalf) = socket.into_split();
    let mut reader = BufReader::new(reader);
    let writer = Arc::new(Mutex::new(writer));
    let slots = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut work = JoinSet::new();
    let mut next = Some(first);
    while let Some(Incoming { id, ask }) = next.take() {
        let slot = slots.clone().acquire_owned().await.ok();
        let (service, writer) = (service.clone(), writer.clone());
        while work.try_join_next().is_some() {}
        work.spawn(async move {
            let reply = answer(&*service, peer, ask).await;
            let mut writer = writer.lock().await;
            // If nobody is there any more, the work was still done to its end.
            let outgoing = Outgoing { id, reply };
            let written = frame::write(&mut *writer, &outgoing, ANSWER_LIMIT).await;
            if let Err(error @ (FrameError::TooLong(_) | FrameError::Malformed(_))) = written {
                // Nothing of it was sent, and somebody still waits.
                let reply = Reply::Error(Error::unavailable(error.to_string()));
                let _ = frame::write(&mut *writer, &Outgoing { id, reply }, ANSWER_LIMIT).await;
            }
            drop(slot);
        });
        next = frame::read(&mut reader, FRAME_LIMIT).await?;
    }
    // The other side has gone; what it asked for is brought to its end.
    while work.join_next().await.is_some() {}
    Ok(())
}

async fn answer(service: &impl Service, peer: Peer, ask: Ask) -> Reply {
    let reply = match ask {
        Ask::Do(request) => service.request(peer, request).await.map(Reply::Answer),
        Ask::Verify {
            credential,
            address,
        } => service
            .verify(peer, credential, address)
            .await
            .map(Reply::Identity),
        Ask::Stream(_) | Ask::Watch => Err(Error::bug(
            "a stream or a watch needs a connection of its own",
        )),
    };
    reply.unwrap_or_else(Reply::Error)
}
