//! Both ends of the wire, in one process.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use model::{Error, ErrorKind};
use proto::wire::{
    ANSWER_LIMIT, Answer, Client, FRAME_LIMIT, Peer, Request, Responder, Service, Streamed, serve,
};
use proto::{Credential, Identity};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::Notify;

/// Answers requests, and counts those in progress.
#[derive(Default)]
struct Echo {
    begun: AtomicUsize,
    dropped: AtomicUsize,
    /// Releases the changes that wait.
    go_on: Notify,
    made: AtomicUsize,
}

/// Counts when a request that never ends by itself is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Service for Echo {
    async fn request(&self, peer: Peer, request: Request) -> Result<Answer, Error> {
        match request.op.as_str() {
            "slow" => {
                let _counted = Counted(&self.dropped);
                self.begun.fetch_add(1, Ordering::SeqCst);
                std::future::pending().await
            }
            "change" => {
                self.begun.fetch_add(1, Ordering::SeqCst);
                self.go_on.notified().await;
                self.made.fetch_add(1, Ordering::SeqCst);
                Ok(Answer::null())
            }
            "panic" => panic!("a mistake"),
            "fail" => Err(Error::invalid("vmid", "no such thing")),
            "large" => Ok(Answer::new("x".repeat(FRAME_LIMIT * 2))),
            "too large" => Ok(Answer::new("x".repeat(ANSWER_LIMIT + 1))),
            _ => Ok(Answer::new(json!([peer.uid(), request.params])).at(7)),
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
    fn is_abandonable(&self, request: &Request) -> bool {
        request.op == "slow"
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

/// Files of guests are sent as answers, which may be longer than requests; an answer that is too
/// long is reported as an error.
#[tokio::test]
async fn a_long_answer_comes_whole_or_as_an_error() {
    let served = served();
    let large = served.client.request(request("large")).await.unwrap();
    assert_eq!(large.data.as_str().unwrap().len(), FRAME_LIMIT * 2);
    let error = served.client.request(request("too large")).await;
    let text = error.unwrap_err().message;
    assert!(text.ends_with("bytes exceeds the limit"), "{text}");
    served.client.request(request("echo")).await.unwrap();
}

struct Served {
    client: Client,
    echo: Arc<Echo>,
    _folder: tempfile::TempDir,
    server: tokio::task::JoinHandle<()>,
}

fn served() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.sock");
    let echo = Arc::new(Echo::default());
    let server = tokio::spawn(serve(UnixListener::bind(&path).unwrap(), echo.clone()));
    Served {
        client: Client::new(path),
        echo,
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

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

/// Hanging requests, in any number, do not keep other frames from being read.
#[tokio::test]
async fn a_thousand_that_hang_hold_nothing_up_and_are_dropped_when_they_are_given_up() {
    let Served {
        client,
        echo,
        _folder,
        server: _server,
    } = served();
    let mut hanging = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let client = client.clone();
        hanging.spawn(async move { client.request(request("slow")).await });
    }
    until(|| echo.begun.load(Ordering::SeqCst) == 1000).await;
    client.request(request("echo")).await.unwrap();
    hanging.shutdown().await;
    until(|| echo.dropped.load(Ordering::SeqCst) == 1000).await;
    client.request(request("echo")).await.unwrap();
}

#[tokio::test]
async fn a_change_is_made_also_where_it_is_given_up_and_a_read_ends_with_the_connection() {
    let Served {
        client,
        echo,
        _folder,
        server: _server,
    } = served();
    for op in ["change", "slow"] {
        let client = client.clone();
        let asked = tokio::spawn(async move { client.request(request(op)).await });
        let begun = echo.begun.load(Ordering::SeqCst);
        until(|| echo.begun.load(Ordering::SeqCst) > begun).await;
        asked.abort();
        let _ = asked.await;
    }
    until(|| echo.dropped.load(Ordering::SeqCst) == 1).await;
    let other = client.clone();
    let asked = tokio::spawn(async move { other.request(request("slow")).await });
    until(|| echo.begun.load(Ordering::SeqCst) == 3).await;
    drop(client);
    asked.abort();
    let _ = asked.await;
    until(|| echo.dropped.load(Ordering::SeqCst) == 2).await;
    assert_eq!(echo.made.load(Ordering::SeqCst), 0);
    echo.go_on.notify_waiters();
    until(|| echo.made.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_panic_is_answered_and_counted() {
    let served = served();
    let before = proto::wire::panics();
    for _ in 0..3 {
        let error = served.client.request(request("panic")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Bug);
    }
    assert!(proto::wire::panics() >= before + 3);
    served.client.request(request("echo")).await.unwrap();
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
    tokio::spawn(serve(
        UnixListener::bind(&path).unwrap(),
        Arc::new(Echo::default()),
    ));
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
