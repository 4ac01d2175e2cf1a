//! A proxy between a store and its etcd that holds a request back or cuts the connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the proxy does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    /// Keeps what the client sends, up to and with the mark, and nothing that comes after it.
    Hold,
    /// Sends what was kept, and nothing else.
    Release,
    /// Sends what the client sends, and keeps the answers.
    LoseAnswers,
    /// Closes every connection.
    Cut,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    seen: Arc<Seen>,
    _connections: JoinSet<()>,
}

/// What went through since the mark was set.
struct Seen {
    mark: Mutex<Vec<u8>>,
    held: watch::Sender<bool>,
    /// How many calls the server has answered.
    answers: watch::Sender<usize>,
}

impl Proxy {
    /// To a server at `HOST:PORT`.
    pub(crate) async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mode = watch::Sender::new(Mode::Pass);
        let seen = Arc::new(Seen {
            mark: Mutex::new(Vec::new()),
            held: watch::Sender::new(false),
            answers: watch::Sender::new(0),
        });
        let mut connections = JoinSet::new();
        let (modes, shared) = (mode.clone(), Arc::clone(&seen));
        connections.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await;
                if let (Ok(server), Mode::Pass) = (server, *modes.borrow()) {
                    serving.spawn(serve(client, server, modes.subscribe(), shared.clone()));
                }
            }
        });
        Self {
            address,
            mode,
            seen,
            _connections: connections,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Holds the next request that contains `mark`.
    pub(crate) fn hold(&self, mark: &str) {
        *self.seen.mark.lock().unwrap() = mark.as_bytes().to_vec();
        self.mode.send_replace(Mode::Hold);
    }

    /// Waits until the request is held.
    pub(crate) async fn held(&self) {
        let mut held = self.seen.held.subscribe();
        held.wait_for(|held| *held).await.unwrap();
    }

    /// Lets the held request through, and waits until etcd has answered it.
    pub(crate) async fn release(&self) {
        let mut answers = self.seen.answers.subscribe();
        let before = *answers.borrow_and_update();
        self.mode.send_replace(Mode::Release);
        answers.wait_for(|answers| *answers > before).await.unwrap();
    }

    pub(crate) fn lose_answers(&self) {
        self.mode.send_replace(Mode::LoseAnswers);
    }

    pub(crate) fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    pub(crate) fn mend(&self) {
        self.mode.send_replace(Mode::Pass);
    }
}

async fn serve(
    mut client: TcpStream,
    mut server: TcpStream,
    mut mode: watch::Receiver<Mode>,
    seen: Arc<Seen>,
) {
    let (mut from_client, mut from_server) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let (mut kept, mut frames) = (Vec::new(), Frames::default());
    let mut is_held = false;
    loop {
        tokio::select! {
            _ = mode.changed() => {
                let now = *mode.borrow_and_update();
                if now == Mode::Cut {
                    return;
                }
                if now == Mode::Release {
                    server.write_all(&std::mem::take(&mut kept)).await.unwrap();
                }
            }
            // A held client is not read any more: it may even be gone.
            read = client.read(&mut from_client), if !is_held => {
                let Ok(length @ 1..) = read else { return };
                if matches!(*mode.borrow(), Mode::Pass | Mode::LoseAnswers) {
                    server.write_all(&from_client[..length]).await.unwrap();
                    continue;
                }
                kept.extend_from_slice(&from_client[..length]);
                let mark = seen.mark.lock().unwrap().clone();
                if kept.windows(mark.len()).any(|part| part == mark) {
                    is_held = true;
                    seen.held.send_replace(true);
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(length @ 1..) = read else { return };
                let answers = frames.ends_of_streams(&from_server[..length]);
                seen.answers.send_modify(|all| *all += answers);
                if *mode.borrow() == Mode::LoseAnswers {
                    continue;
                }
                if client.write_all(&from_server[..length]).await.is_err() && !is_held {
                    return;
                }
            }
        }
    }
}

/// Reads the frames of HTTP/2.
#[derive(Default)]
struct Frames(Vec<u8>);

impl Frames {
    const HEADER_BYTES: usize = 9;
    const HEADERS: u8 = 1;
    const END_STREAM: u8 = 1;

    /// How many calls end in these bytes: their last frame is one of headers.
    fn ends_of_streams(&mut self, bytes: &[u8]) -> usize {
        self.0.extend_from_slice(bytes);
        let mut ends = 0;
        while let Some(&[a, b, c, kind, flags]) = self.0.first_chunk() {
            let length = u32::from_be_bytes([0, a, b, c]) as usize + Self::HEADER_BYTES;
            if self.0.len() < length {
                break;
            }
            ends += usize::from(kind == Self::HEADERS && flags & Self::END_STREAM != 0);
            self.0.drain(..length);
        }
        ends
    }
}
