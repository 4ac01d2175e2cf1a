//! The wire over another transport than a unix socket.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use model::Error;
use proto::wire::{
    Answer, Client, Connector, Listener, Peer, Request, Responder, Service, Streamed, Transport,
    finish, serve,
};
use proto::{Credential, Identity};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::spawn_blocking;

/// A connection in memory; its peer is identified by a number.
struct Memory(DuplexStream, u32);

impl Transport for Memory {
    fn peer(&self) -> io::Result<Peer> {
        Ok(Peer::Local { uid: self.1 })
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

struct Network(mpsc::UnboundedSender<Memory>);

#[async_trait]
impl Connector for Network {
    async fn connect(&self) -> Result<Box<dyn Transport>, Error> {
        let (ours, theirs) = tokio::io::duplex(4096);
        let gone = |_| Error::unavailable("the agent has gone");
        self.0.send(Memory(theirs, 7)).map_err(gone)?;
        Ok(Box::new(Memory(ours, 0)))
    }
}

struct Port(Mutex<mpsc::UnboundedReceiver<Memory>>);

impl Listener for Port {
    type Transport = Memory;

    async fn accept(&self) -> io::Result<Memory> {
        let closed = || io::Error::other("closed");
        self.0.lock().await.recv().await.ok_or_else(closed)
    }
}

/// Streams this descriptor.
#[derive(Default)]
struct Agent {
    lent: std::sync::Mutex<Option<OwnedFd>>,
    /// Dropped when the stream has ended.
    held: std::sync::Mutex<Option<oneshot::Sender<()>>>,
}

impl Agent {
    fn lending(descriptor: impl Into<OwnedFd>) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (held, ended) = oneshot::channel();
        let agent = Self {
            lent: std::sync::Mutex::new(Some(descriptor.into())),
            held: std::sync::Mutex::new(Some(held)),
        };
        (Arc::new(agent), ended)
    }
}

#[async_trait]
impl Service for Agent {
    async fn request(&self, peer: Peer, request: Request) -> Result<Answer, Error> {
        Ok(Answer::new(json!([peer.uid(), request.params])))
    }

    async fn stream(&self, _: Peer, _: Request) -> Result<Streamed, Error> {
        let missing = || Error::unavailable("nothing to stream");
        let held = self.held.lock().unwrap().take();
        Ok(Streamed {
            answer: Answer::new("streamed"),
            descriptor: self.lent.lock().unwrap().take().ok_or_else(missing)?,
            held: held.map(|held| Box::new(held) as Box<dyn Send>),
        })
    }

    async fn verify(&self, _: Peer, _: Credential, _: Option<String>) -> Result<Identity, Error> {
        Ok(Identity::root())
    }

    async fn watch(&self, _: Peer, mut responder: Responder) -> Result<(), Error> {
        responder.send(json!("news")).await
    }
}

fn request() -> Request {
    let Value::Object(params) = json!({"a": "x".repeat(100_000)}) else {
        unreachable!()
    };
    Request {
        op: "echo".into(),
        params,
        credential: Credential::None,
        id: "1".into(),
        address: None,
    }
}

fn network() -> (Client, Port) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Client::over(Network(sender)), Port(Mutex::new(receiver)))
}

/// Serves an agent until the future ends.
async fn while_served<T>(port: Port, agent: Arc<Agent>, asked: impl Future<Output = T>) -> T {
    tokio::select! {
        () = serve(port, agent) => unreachable!(),
        done = asked => done,
    }
}

#[tokio::test]
async fn any_transport_carries_requests_and_watches() {
    let (client, port) = network();
    let asked = async {
        let answer = client.request(request()).await.unwrap();
        assert_eq!(answer.data, json!([7, request().params]));
        let mut feed = client.watch().await.unwrap();
        assert_eq!(feed.next().await.unwrap(), "news");
        let refused = client.stream(request()).await.unwrap_err();
        assert_eq!(refused.message, "nothing to stream");
        client.request(request()).await.unwrap();
    };
    while_served(port, Arc::default(), asked).await;
}

#[tokio::test]
async fn a_connection_is_carried_both_ways_until_one_side_ends() {
    for guest_ends in [true, false] {
        let (client, port) = network();
        let (guest, lent) = UnixStream::pair().unwrap();
        let (agent, ended) = Agent::lending(lent.into_std().unwrap());
        let asked = async {
            let (answer, console, held) = client.stream_held(request()).await.unwrap();
            assert_eq!(answer.data, "streamed");
            let console = std::os::unix::net::UnixStream::from(console);
            console.set_nonblocking(true).unwrap();
            let mut console = UnixStream::from_std(console).unwrap();
            let mut guest = guest;
            let mut text = [0; 5];
            console.write_all(b"hello").await.unwrap();
            guest.read_exact(&mut text).await.unwrap();
            guest.write_all(&text).await.unwrap();
            console.read_exact(&mut text).await.unwrap();
            assert_eq!(&text, b"hello");
            let rest = match guest_ends {
                true => {
                    drop(guest);
                    console.read(&mut text).await
                }
                false => {
                    drop((console, held));
                    guest.read(&mut text).await
                }
            };
            assert_eq!(rest.unwrap(), 0);
            assert!(ended.await.is_err(), "the agent lets go of the console");
        };
        while_served(port, agent, asked).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_complete_when_its_writer_has_finished() {
    let (client, port) = network();
    let mut file = tempfile::tempfile().unwrap();
    let (agent, mut ended) = Agent::lending(file.try_clone().unwrap());
    let content: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    let asked = async {
        let (_, descriptor, held) = client.stream_held(request()).await.unwrap();
        let given = content.clone();
        let written = spawn_blocking(move || {
            let mut upload = File::from(descriptor);
            upload.write_all(&given)?;
            finish(&mut upload).map(|()| upload)
        });
        let upload = written.await.unwrap().unwrap();
        let mut received = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut received).unwrap();
        assert!(received == content);
        assert!(ended.try_recv().is_err_and(|e| e == TryRecvError::Empty));
        drop((upload, held));
        assert!(ended.await.is_err(), "the agent lets go of the file");
    };
    while_served(port, agent, asked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_learns_why_a_file_cannot_be_written() {
    let (client, port) = network();
    let path = tempfile::NamedTempFile::new().unwrap();
    let (agent, _ended) = Agent::lending(File::open(path.path()).unwrap());
    let asked = async {
        let (_, descriptor, _held) = client.stream_held(request()).await.unwrap();
        let written = spawn_blocking(move || {
            let mut upload = File::from(descriptor);
            let block = [0; 4096];
            let broken = loop {
                if let Err(error) = upload.write_all(&block) {
                    break error;
                }
            };
            assert_eq!(broken.kind(), io::ErrorKind::BrokenPipe);
            finish(&mut upload).unwrap_err()
        });
        let error = written.await.unwrap();
        assert_eq!(
            error.raw_os_error(),
            Some(rustix::io::Errno::BADF.raw_os_error())
        );
    };
    while_served(port, agent, asked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_whose_writer_is_gone_is_not_finished() {
    let (client, port) = network();
    let (agent, ended) = Agent::lending(tempfile::tempfile().unwrap());
    let asked = async {
        let (_, descriptor, held) = client.stream_held(request()).await.unwrap();
        let mut upload = File::from(descriptor);
        upload.write_all(b"half of it").unwrap();
        drop(held);
        assert!(ended.await.is_err());
        let finished = spawn_blocking(move || finish(&mut upload)).await.unwrap();
        assert!(finished.is_err());
    };
    while_served(port, agent, asked).await;
}
