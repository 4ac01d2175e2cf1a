//! An open websocket: what is about the connection itself is dealt with here.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use model::Clock;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::sync::Mutex;

use super::{FrameError, encode, encode_close, head, opcode, read};

/// How often a client is asked whether it is there, and how many of that may go unanswered.
const PING_S: u64 = 30;
const UNANSWERED: u32 = 4;

/// How long a client may take to hear that the connection ends.
const GOODBYE_S: u64 = 10;

/// Codes of the last frame.
pub(crate) const NORMAL: u16 = 1000;
pub(crate) const GONE: u16 = 1001;
pub(crate) const POLICY: u16 = 1008;

/// Why a connection ends: code and reason of the last frame.
pub(crate) type End = (u16, String);

pub(crate) fn lost(error: std::io::Error) -> End {
    broken(error.into())
}

fn broken(error: FrameError) -> End {
    (error.close_code(), error.to_string())
}

/// Takes a connection apart: what the client says, and what it is told.
pub(crate) fn split<S: AsyncRead + AsyncWrite>(socket: S) -> (BufReader<ReadHalf<S>>, Writer<S>) {
    let (reader, writer) = tokio::io::split(socket);
    let writer = Writer {
        socket: Mutex::new(writer),
        unanswered: AtomicU32::new(0),
    };
    (BufReader::new(reader), writer)
}

/// The side that writes; several may.
pub(crate) struct Writer<S> {
    socket: Mutex<WriteHalf<S>>,
    /// Pings since the client last said something.
    unanswered: AtomicU32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Writer<S> {
    /// Sends a frame; it goes out at once.
    pub(crate) async fn send(&self, frame: &[u8]) -> Result<(), End> {
        let mut socket = self.socket.lock().await;
        write(&mut *socket, frame).await.map_err(lost)
    }

    /// Sends a text whose parts lie apart as one message. Each part must be taken in time.
    pub(crate) async fn send_text(
        &self,
        parts: &[&[u8]],
        patience: Duration,
        clock: &dyn Clock,
    ) -> Result<(), End> {
        let mut socket = self.socket.lock().await;
        let length = parts.iter().map(|part| part.len()).sum();
        let begin = head(opcode::TEXT, length);
        for part in std::iter::once(&*begin).chain(parts.iter().copied()) {
            tokio::select! {
                sent = socket.write_all(part) => sent.map_err(lost)?,
                () = clock.sleep(patience) => {
                    return Err((GONE, "the client takes nothing".to_owned()));
                }
            }
        }
        socket.flush().await.map_err(lost)
    }

    /// Finds out that a client has gone without a word. Ends when it has.
    pub(crate) async fn keep_alive(&self, clock: &dyn Clock) -> End {
        loop {
            clock.sleep(Duration::from_secs(PING_S)).await;
            if self.unanswered.fetch_add(1, Ordering::Relaxed) >= UNANSWERED {
                return (GONE, "no answer to pings".to_owned());
            }
            // Where somebody waits to write, the client has enough to answer to.
            let Ok(mut socket) = self.socket.try_lock() else {
                continue;
            };
            let ping = encode(opcode::PING, b"");
            // A client that takes nothing must not keep us from counting.
            let sent = tokio::select! {
                sent = write(&mut *socket, &ping) => sent,
                () = clock.sleep(Duration::from_secs(PING_S)) => {
                    return (GONE, "the client takes nothing".to_owned());
                }
            };
            if let Err(error) = sent {
                return lost(error);
            }
        }
    }

    /// Says why the connection ends, and ends it.
    pub(crate) async fn close(&self, (code, reason): End, clock: &dyn Clock) {
        let goodbye = async {
            let mut socket = self.socket.lock().await;
            // A client that has gone needs no goodbye.
            let _ = write(&mut *socket, &encode_close(code, &reason)).await;
            let _ = socket.shutdown().await;
        };
        tokio::select! {
            () = goodbye => {}
            () = clock.sleep(Duration::from_secs(GOODBYE_S)) => {}
        }
    }

    /// The next data from the client.
    pub(crate) async fn data(&self, reader: &mut BufReader<ReadHalf<S>>) -> Result<Vec<u8>, End> {
        loop {
            let frame = read(reader).await.map_err(broken)?;
            self.unanswered.store(0, Ordering::Relaxed);
            match frame.opcode {
                opcode::CLOSE => return Err((NORMAL, String::new())),
                opcode::PING => {
                    self.send(&encode(opcode::PONG, &frame.payload)).await?;
                }
                opcode::PONG => {}
                _ => return Ok(frame.payload),
            }
        }
    }
}

async fn write(socket: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> std::io::Result<()> {
    socket.write_all(frame).await?;
    socket.flush().await
}
