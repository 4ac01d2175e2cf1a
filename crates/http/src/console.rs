//! Consoles: a websocket on the one side, a connection to a guest's socket or to a shell, which the
//! agent made, on the other.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use hyper::Response;
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use model::{Clock, Error};
use proto::terminal::Terminal;
use proto::wire::{Held, Request};
use proto::{Form, Row, Verb};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf};
use tokio::net::UnixStream;

use crate::dispatch::Outcome;
use crate::envelope::{Body, Refusal};
use crate::front::Work;
use crate::service::Api;
use crate::websocket::connection::{End, NORMAL, POLICY, Writer, lost, split};
use crate::websocket::{self, Handshake, opcode};

/// The websocket's subprotocol.
const PROTOCOL: &str = "binary";

/// Read from a guest at a time.
const BLOCK: usize = 16 * 1024;

/// How long a client may take to say who it is.
const GREETING_S: u64 = 10;

/// Whether a request asks for a console.
pub(crate) fn is_console(row: &Row, parts: &Parts) -> bool {
    row.form == Form::Stream && row.verb == Verb::Get && websocket::is_wanted(&parts.headers)
}

/// Has the agent open the console; what is left happens when the connection has changed its
/// protocol.
pub(crate) async fn open(
    api: &Api,
    request: Request,
    parts: &Parts,
    client: &crate::server::Client,
) -> Result<Response<Body>, Outcome> {
    let handshake = Handshake::of(&parts.headers, PROTOCOL)?;
    let upgrade = parts.extensions.get::<OnUpgrade>().cloned();
    let upgrade =
        upgrade.ok_or_else(|| Refusal::text(400, "this connection cannot become a websocket"))?;
    let ticket = request.params.get("vncticket").cloned().unwrap_or_default();
    let ticket = ticket.as_str().unwrap_or_default().to_owned();
    let (answer, descriptor, held) = api.client.stream_held(request).await?;
    let (speech, login) = match answer.data["speech"].as_str() {
        Some("terminal") => (Speech::Typed, true),
        Some("sized-terminal") => (Speech::Messages, true),
        _ => (Speech::Bytes, false),
    };
    let user = answer.data["user"].as_str().unwrap_or_default();
    let console = Console {
        guest: guest(descriptor)?,
        speech,
        // The agent has verified this ticket for this user a moment ago.
        login: login.then(|| format!("{user}:{ticket}")),
        clock: api.clock.clone(),
        _held: held,
        _work: client.place.work(),
    };
    api.spawn_socket(async move {
        match upgrade.await {
            Ok(upgraded) => console.run(TokioIo::new(upgraded)).await,
            Err(error) => tracing::debug!(%error, "a console was not upgraded"),
        }
    });
    Ok(handshake.response())
}

fn guest(descriptor: OwnedFd) -> Result<UnixStream, Error> {
    let stream = std::os::unix::net::UnixStream::from(descriptor);
    let stream = stream.set_nonblocking(true).map(|()| stream);
    stream
        .and_then(UnixStream::from_std)
        .map_err(|error| Error::unavailable(format!("the console cannot be used: {error}")))
}

/// What the guest's side gets of what a client says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speech {
    /// All of it: the client is a display.
    Bytes,
    /// What is typed at a terminal: the other side is a serial line.
    Typed,
    /// The messages of a terminal, which the other side understands.
    Messages,
}

/// A console that is open.
struct Console {
    guest: UnixStream,
    speech: Speech,
    /// What a terminal must say first; none for a display.
    login: Option<String>,
    clock: Arc<dyn Clock>,
    /// The agent takes the console for closed when this is dropped.
    _held: Held,
    /// The connection counts for as long as the console is open.
    _work: Work,
}

impl Console {
    async fn run<S: AsyncRead + AsyncWrite + Send + Unpin>(self, socket: S) {
        let (reader, writer) = split(socket);
        let client = Client {
            reader,
            writer: &writer,
            terminal: Terminal::default(),
            speech: self.speech,
        };
        let end = converse(client, self.guest, self.login, &*self.clock).await;
        tracing::debug!(code = end.0, reason = end.1, "a console ended");
        writer.close(end, &*self.clock).await;
    }
}

/// Lets both sides talk until one of them ends.
async fn converse<S: AsyncRead + AsyncWrite + Send + Unpin>(
    mut client: Client<'_, S>,
    guest: UnixStream,
    login: Option<String>,
    clock: &dyn Clock,
) -> End {
    if let Some(login) = login {
        let greeted = tokio::select! {
            greeted = client.greet(&login) => greeted,
            () = clock.sleep(Duration::from_secs(GREETING_S)) => {
                Err((POLICY, "nobody said who it is".to_owned()))
            }
        };
        if let Err(end) = greeted {
            return end;
        }
    }
    let writer = client.writer;
    let (from_guest, to_guest) = guest.into_split();
    tokio::select! {
        end = client.listen(to_guest) => end,
        end = show(from_guest, writer) => end,
        end = writer.keep_alive(clock) => end,
    }
}

/// The side that listens to a client.
struct Client<'a, S> {
    reader: BufReader<ReadHalf<S>>,
    writer: &'a Writer<S>,
    terminal: Terminal,
    speech: Speech,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Client<'_, S> {
    /// Waits for the line that says who it is.
    async fn greet(&mut self, login: &str) -> Result<(), End> {
        loop {
            let data = self.writer.data(&mut self.reader).await?;
            self.terminal.add(&data);
            match self.terminal.login().map_err(nonsense)? {
                None => {}
                Some(said) if said == login.as_bytes() => break,
                Some(_) => return Err((POLICY, "permission denied - invalid ticket".to_owned())),
            }
        }
        let welcome = websocket::encode(opcode::BINARY, b"OK");
        self.writer.send(&welcome).await
    }

    /// Hands on what the client says.
    async fn listen(mut self, mut guest: impl AsyncWrite + Unpin) -> End {
        // What followed the first line in its frame comes first.
        let mut data = self.terminal.take_rest();
        loop {
            let said = match self.speech {
                Speech::Bytes | Speech::Messages => Ok(data),
                Speech::Typed => {
                    self.terminal.add(&data);
                    self.terminal.typed().map_err(nonsense)
                }
            };
            match said {
                Ok(said) => {
                    if let Err(error) = guest.write_all(&said).await {
                        return lost(error);
                    }
                }
                Err(end) => return end,
            }
            data = match self.writer.data(&mut self.reader).await {
                Ok(data) => data,
                Err(end) => return end,
            };
        }
    }
}

/// Shows a client what the guest says.
async fn show<S: AsyncRead + AsyncWrite + Unpin>(
    mut guest: impl AsyncRead + Unpin,
    writer: &Writer<S>,
) -> End {
    let mut block = vec![0; BLOCK];
    loop {
        let read = match guest.read(&mut block).await {
            Ok(0) => return (NORMAL, "the console was closed".to_owned()),
            Ok(read) => read,
            Err(error) => return lost(error),
        };
        let frame = websocket::encode(opcode::BINARY, &block[..read]);
        if let Err(end) = writer.send(&frame).await {
            return end;
        }
    }
}

fn nonsense(text: &str) -> End {
    (POLICY, text.to_owned())
}
