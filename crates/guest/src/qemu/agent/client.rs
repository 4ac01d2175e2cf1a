//! The connection.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use super::AgentError;
use super::reader::{DELIMITER, Line, Message, answers_sync, parse, read_line, skip_to_sync};

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Limits of a command: time and size of the answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) within: Duration,
    pub(super) answer_bytes_max: usize,
}

/// A connection to the agent of one guest, past its handshake.
pub struct GuestAgent {
    stream: BufReader<Box<dyn Stream>>,
    /// A late answer may still arrive, so the connection can no longer be used.
    is_spent: bool,
}

impl std::fmt::Debug for GuestAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestAgent")
            .field("is_spent", &self.is_spent)
            .finish_non_exhaustive()
    }
}

impl GuestAgent {
    /// Connects, with a handshake. The stream must have no other user. An agent that does not
    /// answer in time is `Silent`.
    pub async fn connect<S>(stream: S, within: Duration) -> Result<Self, AgentError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut agent = Self {
            stream: BufReader::new(Box::new(stream)),
            is_spent: false,
        };
        let greeted = timeout(within, agent.synchronise()).await;
        greeted.map_err(|_| AgentError::Silent)??;
        Ok(agent)
    }

    async fn synchronise(&mut self) -> Result<(), AgentError> {
        let id = random_id();
        // Makes the agent drop a partial command of an earlier connection.
        let mut bytes = vec![DELIMITER];
        bytes.extend(sync(id));
        self.send(&bytes).await.map_err(lost)?;
        match skip_to_sync(&mut self.stream, id).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(closed()),
            Err(error) => Err(lost(error)),
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes).await?;
        self.stream.get_mut().flush().await
    }

    /// Executes a command with an answer. After a timeout or a cancelled call the guest may still
    /// execute it, and this connection is spent.
    pub(super) async fn execute(
        &mut self,
        command: &str,
        arguments: Value,
        limits: Limits,
    ) -> Result<Value, AgentError> {
        self.begin()?;
        let exchange = self.exchange(command, arguments, limits.answer_bytes_max);
        let message = timeout(limits.within, exchange).await;
        let message = message.map_err(|_| AgentError::TimedOut {
            command: command.to_owned(),
            seconds: limits.within.as_secs(),
        })??;
        self.is_spent = false;
        match message {
            Message::Answer(answer) => Ok(answer),
            Message::Refusal { class, description } => Err(refused(command, class, description)),
        }
    }

    /// A connection is spent until an answer has come: if the wait is interrupted, it stays so.
    fn begin(&mut self) -> Result<(), AgentError> {
        if self.is_spent {
            let reason = "an earlier command was not answered".to_owned();
            return Err(AgentError::Lost { reason });
        }
        self.is_spent = true;
        Ok(())
    }

    async fn exchange(
        &mut self,
        command: &str,
        arguments: Value,
        bytes_max: usize,
    ) -> Result<Message, AgentError> {
        self.send(&request(command, arguments))
            .await
            .map_err(lost)?;
        let mut line = Vec::new();
        loop {
            match read_line(&mut self.stream, &mut line, bytes_max).await {
                Ok(Line::Whole) => {}
                Ok(Line::End) => return Err(closed()),
                Ok(Line::TooLong) => {
                    let command = command.to_owned();
                    return Err(AgentError::TooLong { command, bytes_max });
                }
                Err(error) => return Err(lost(error)),
            }
            // Blank lines have no meaning, and a delimiter begins an answer to a handshake.
            if line.trim_ascii().is_empty() || line[0] == DELIMITER {
                continue;
            }
            return parse(&line).ok_or_else(|| AgentError::Unexpected {
                command: command.to_owned(),
            });
        }
    }

    /// Sends a command that is only answered if it is refused: shutdown, suspend. Done when it was
    /// refused, when a later handshake was answered, when the connection ended with the guest, or
    /// after this long without an answer, which usually means success.
    pub(super) async fn tell(
        &mut self,
        command: &str,
        arguments: Value,
        patience: Duration,
    ) -> Result<(), AgentError> {
        self.begin()?;
        match timeout(patience, self.tell_and_listen(command, arguments)).await {
            Err(_) | Ok(Err(AgentError::Lost { .. })) => Ok(()),
            Ok(done) => done,
        }
    }

    async fn tell_and_listen(&mut self, command: &str, arguments: Value) -> Result<(), AgentError> {
        let id = random_id();
        let mut bytes = request(command, arguments);
        bytes.extend(sync(id));
        self.send(&bytes).await.map_err(lost)?;
        let (mut line, bytes_max) = (Vec::new(), 64 << 10);
        loop {
            match read_line(&mut self.stream, &mut line, bytes_max).await {
                Ok(Line::Whole) => {}
                Ok(Line::End) => return Err(closed()),
                Ok(Line::TooLong) => {
                    let command = command.to_owned();
                    return Err(AgentError::TooLong { command, bytes_max });
                }
                Err(error) => return Err(lost(error)),
            }
            if let Some(rest) = line.strip_prefix(&[DELIMITER]) {
                if answers_sync(rest, id) {
                    self.is_spent = false;
                    return Ok(());
                }
            } else if let Some(Message::Refusal { class, description }) = parse(&line) {
                return Err(refused(command, class, description));
            }
        }
    }
}

fn request(command: &str, arguments: Value) -> Vec<u8> {
    let mut request = json!({"execute": command});
    if !arguments.is_null() {
        request["arguments"] = arguments;
    }
    format!("{request}\n").into_bytes()
}

fn sync(id: i64) -> Vec<u8> {
    request("guest-sync-delimited", json!({"id": id}))
}

/// A new number for a handshake, exact in JSON.
fn random_id() -> i64 {
    let (_, low) = uuid::Uuid::new_v4().as_u64_pair();
    i64::try_from(low >> 12).unwrap_or_default()
}

fn refused(command: &str, class: String, description: String) -> AgentError {
    AgentError::Refused {
        command: command.to_owned(),
        class,
        description,
    }
}

fn lost(error: std::io::Error) -> AgentError {
    AgentError::Lost {
        reason: error.to_string(),
    }
}

fn closed() -> AgentError {
    AgentError::Lost {
        reason: "QEMU closed it".to_owned(),
    }
}
