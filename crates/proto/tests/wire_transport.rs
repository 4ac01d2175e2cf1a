//! The wire over another transport than a unix socket.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use model::Error;
use proto::wire::{
    Answer, Client, Connector, Listener, Peer, Request, Responder, Service, Streamed, Transport,
    serve,
};
use proto::{Credential, Identity};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::{Mutex, mpsc};

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

struct Agent;

#[async_trait]
impl Service for Agent {
    async fn request(&self, peer: Peer, request: Request) -> Result<Answer, Error> {
        Ok(Answer::new(json!([peer.uid(), request.params])))
    }

    async fn stream(&self, _: Peer, _: Request) -> Result<Streamed, Error> {
        panic!("a descriptor that cannot be passed is not asked for")
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

#[tokio::test]
async fn any_transport_carries_requests_and_watches_but_no_descriptor() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let client = Client::over(Network(sender));
    let served = serve(Port(Mutex::new(receiver)), Arc::new(Agent));
    let asked = async {
        let answer = client.request(request()).await.unwrap();
        assert_eq!(answer.data, json!([7, request().params]));
        let mut feed = client.watch().await.unwrap();
        assert_eq!(feed.next().await.unwrap(), "news");
        let refused = client.stream(request()).await.unwrap_err();
        assert_eq!(
            refused.message,
            "descriptors cannot be passed over this connection"
        );
        client.request(request()).await.unwrap();
    };
    tokio::select! {
        () = served => unreachable!(),
        () = asked => {}
    }
}
