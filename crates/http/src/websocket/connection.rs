//! An open websocket: pings, goodbyes, and frames that are sent from several places.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use model::Clock;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::sync::Mutex;

use super::{FrameError, encode, encode_close, head, opcode, read};

/// The interval of pings, and how many may go unanswered.
const PING_S: u64 = 30;
const UNANSWERED: u32 = 4;

/// The time limit for the last frame.
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

/// Splits a connection into the side that reads and the side that writes.
pub(crate) fn split<S: AsyncRead + AsyncWrite>(socket: S) -> (BufReader<ReadHalf<S>>, Writer<S>) {
    let (reader, writer) = tokio::io::split(socket);
    let writer = Writer {
        socket: Mutex::new(writer),
        unanswered: AtomicU32::new(0),
    };
    (BufReader::new(reader), writer)
}

/// The side that writes, shared by all who do.
pub(crate) struct Writer<S> {
    socket: Mutex<WriteHalf<S>>,
    /// The number of pings since the client's last frame.
    unanswered: AtomicU32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Writer<S> {
    /// Sends a frame; it goes out at once.
    pub(crate) async fn send(&self, frame: &[u8]) -> Result<(), End> {
        let mut socket = self.socket.lock().await;
        write(&mut *socket, frame).await.map_err(lost)
    }

    /// Sends a text of several parts as one message. Each part must be taken in time.
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

    /// Sends pings. Ends when they are not answered.
    pub(crate) async fn keep_alive(&self, clock: &dyn Clock) -> End {
        loop {
            clock.sleep(Duration::from_secs(PING_S)).await;
            if self.unanswered.fetch_add(1, Ordering::Relaxed) >= UNANSWERED {
                return (GONE, "no answer to pings".to_owned());
            }
            // While another frame is being sent, a ping is not needed.
            let Ok(mut socket) = self.socket.try_lock() else {
                continue;
            };
            let ping = encode(opcode::PING, b"");
            // A client that takes no data must not stop the counting.
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

    /// Sends the last frame and closes the connection.
    pub(crate) async fn close(&self, (code, reason): End, clock: &dyn Clock) {
        let goodbye = async {
            let mut socket = self.socket.lock().await;
            // Errors do not matter: the client may be gone.
            let _ = write(&mut *socket, &encode_close(code, &reason)).await;
            let _ = socket.shutdown().await;
        };
        tokio::select! {
            () = goodbye => {}
            () = clock.sleep(Duration::from_secs(GOODBYE_S)) => {}
        }
    }

    /// The next data frame from the client. Control frames are handled here.
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
