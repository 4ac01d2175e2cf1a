//! The wire between two processes, here two ends in one.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::io::{Read, Write};
use std::sync::Arc;

use async_trait::async_trait;
use model::{Error, ErrorKind};
use proto::wire::{
    ANSWER_LIMIT, Answer, Client, FRAME_LIMIT, Peer, Request, Responder, Service, Streamed, serve,
};
use proto::{Credential, Identity};
use serde_json::{Value, json};
use tokio::net::UnixListener;

struct Echo;

#[async_trait]
impl Service for Echo {
    async fn request(&self, peer: Peer, request: Request) -> Result<Answer, Error> {
        match request.op.as_str() {
            "slow" => std::future::pending().await,
            "fail" => Err(Error::invalid("vmid", "no such thing")),
            "large" => Ok(Answer::new("x".repeat(FRAME_LIMIT * 2))),
            "too large" => Ok(Answer::new("x".repeat(ANSWER_LIMIT + 1))),
            _ => Ok(Answer::new(json!([peer.uid, request.params])).at(7)),
        }
    }
    async fn stream(&self, _: Peer, request: Request) -> Result<Streamed, Error> {
        if request.op == "fail" {
            return Err(Error::forbidden("no"));
        }
        let (mine, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        (&mine).write_all(b"hello").unwrap();
        Ok(Streamed {
            answer: Answer::new("here"),
            descriptor: theirs.into(),
            held: None,
        })
    }
    async fn verify(&self, _: Peer, _: Credential, _: Option<String>) -> Result<Identity, Error> {
        Ok(Identity::root())
    }
    async fn watch(&self, _: Peer, mut responder: Responder) -> Result<(), Error> {
        for number in 0.. {
            responder.send(json!(number)).await?;
        }
        Ok(())
    }
}

fn request(op: &str) -> Request {
    let Value::Object(params) = json!({"a": "ü\n"}) else {
        unreachable!()
    };
    Request {
        op: op.into(),
        params,
        credential: Credential::None,
        id: "1".into(),
        address: None,
    }
}

/// Files of guests come as answers: those may be longer than what is asked, and one that is too
/// long is told instead of being waited for.
#[tokio::test]
async fn a_long_answer_comes_whole_or_as_an_error() {
    let served = served();
    let large = served.client.request(request("large")).await.unwrap();
    assert_eq!(large.data.as_str().unwrap().len(), FRAME_LIMIT * 2);
    let error = served.client.request(request("too large")).await;
    let text = error.unwrap_err().message;
    assert!(text.ends_with("bytes is longer than is allowed"), "{text}");
    served.client.request(request("echo")).await.unwrap();
}

struct Served {
    client: Client,
    _folder: tempfile::TempDir,
    server: tokio::task::JoinHandle<()>,
}

fn served() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.sock");
    let server = tokio::spawn(serve(UnixListener::bind(&path).unwrap(), Arc::new(Echo)));
    Served {
        client: Client::new(path),
        _folder: folder,
        server,
    }
}

#[tokio::test]
async fn many_ask_at_once_and_a_slow_one_holds_nobody_up() {
    let served = served();
    let slow = tokio::spawn({
        let client = served.client.clone();
        async move { client.request(request("slow")).await }
    });
    let asked = (0..500).map(|_| {
        let client = served.client.clone();
        tokio::spawn(async move { client.request(request("echo")).await })
    });
    for answer in asked.collect::<Vec<_>>() {
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.revision, Some(7));
        assert_eq!(answer.data[1], json!({"a": "ü\n"}));
        assert_eq!(answer.data[0], rustix::process::getuid().as_raw());
    }
    slow.abort();
}

#[tokio::test]
async fn an_error_arrives_whole() {
    let error = served().client.request(request("fail")).await.unwrap_err();
    assert_eq!(error, Error::invalid("vmid", "no such thing"));
}

#[tokio::test]
async fn a_stream_hands_over_a_descriptor() {
    let served = served();
    let (answer, descriptor) = served.client.stream(request("open")).await.unwrap();
    assert_eq!(answer.data, "here");
    let mut text = [0; 5];
    std::os::unix::net::UnixStream::from(descriptor)
        .read_exact(&mut text)
        .unwrap();
    assert_eq!(&text, b"hello");
    assert_eq!(
        served
            .client
            .stream(request("fail"))
            .await
            .unwrap_err()
            .kind,
        ErrorKind::Forbidden
    );
}

#[tokio::test]
async fn a_watch_goes_on() {
    let mut feed = served().client.watch().await.unwrap();
    for number in 0..1000 {
        assert_eq!(feed.next().await.unwrap(), json!(number));
    }
}

#[tokio::test]
async fn when_the_agent_dies_everybody_is_told_and_the_next_agent_is_found() {
    let served = served();
    let waiting = tokio::spawn({
        let client = served.client.clone();
        async move { client.request(request("slow")).await }
    });
    served.client.request(request("echo")).await.unwrap();
    served.server.abort();
    assert_eq!(
        waiting.await.unwrap().unwrap_err().kind,
        ErrorKind::Unavailable
    );
    assert_eq!(
        served
            .client
            .request(request("echo"))
            .await
            .unwrap_err()
            .kind,
        ErrorKind::Unavailable
    );
    let path = served._folder.path().join("node.sock");
    std::fs::remove_file(&path).unwrap();
    tokio::spawn(serve(UnixListener::bind(&path).unwrap(), Arc::new(Echo)));
    served.client.request(request("echo")).await.unwrap();
}

#[tokio::test]
async fn nonsense_ends_the_connection_and_nothing_else() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let served = served();
    for nonsense in [
        &b"\xff\xff\xff\xffxx"[..],
        b"\x00\x00\x00\x02{}",
        b"\x00\x00\x00\x09not jsonn",
    ] {
        let path = served._folder.path().join("node.sock");
        let mut socket = tokio::net::UnixStream::connect(path).await.unwrap();
        socket.write_all(nonsense).await.unwrap();
        assert_eq!(socket.read(&mut [0; 10]).await.unwrap_or(0), 0);
    }
    served.client.request(request("echo")).await.unwrap();
}
