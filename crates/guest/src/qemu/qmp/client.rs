//! The connection.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::reader::{Message, Refusal, parse, read_line};
use super::{Event, QmpError};

/// How many events a slow listener may lag behind before it loses the oldest.
const EVENTS_KEPT: usize = 64;
/// How many commands may wait to be sent to a QEMU that does not read.
const COMMANDS_QUEUED: usize = 64;
/// The name of the event that wakes listeners when the connection is lost.
const LOST_MARK: &str = "";
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

type Answer = Result<Value, Refusal>;

/// Passes a descriptor to QEMU together with one space, which QMP ignores.
pub type PassDescriptor = Box<dyn Fn(BorrowedFd<'_>) -> io::Result<()> + Send + Sync>;

/// A connection to one QEMU. Cheap to clone; it ends with its last clone.
#[derive(Clone)]
pub struct Qmp {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    /// The queue of the writer task.
    writer: mpsc::Sender<Command>,
    next_id: AtomicU64,
    /// The reader task and the writer task.
    tasks: [AbortHandle; 2],
}

/// A command on its way to QEMU. The writer task gets complete commands, so a cancelled caller
/// leaves no partial command on the wire.
struct Command {
    id: u64,
    line: String,
    descriptor: Option<OwnedFd>,
}

/// What the reader task and the callers share.
struct Shared {
    state: Mutex<State>,
    events: broadcast::Sender<Event>,
}

struct State {
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    /// Why the connection was lost.
    lost: Option<String>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The events of a connection since this was created.
pub struct Events {
    receiver: broadcast::Receiver<Event>,
    shared: Arc<Shared>,
}

impl Events {
    /// Waits for the next event. Cancellation-safe. A listener that is too slow loses the oldest
    /// events; it should then query the state it needs.
    pub async fn next(&mut self) -> Result<Event, QmpError> {
        loop {
            // The mark of a lost connection comes after all events. A later listener finds the
            // connection lost already.
            if self.receiver.is_empty() && self.shared.lock().lost.is_some() {
                return Err(self.shared.lost_error());
            }
            match self.receiver.recv().await {
                Ok(event) if event.name == LOST_MARK => {}
                Ok(event) => return Ok(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "events of QEMU came faster than they were read");
                }
                Err(broadcast::error::RecvError::Closed) => return Err(self.shared.lost_error()),
            }
        }
    }

    /// Waits for the next event of this name, skipping others.
    pub async fn next_named(&mut self, name: &str) -> Result<Event, QmpError> {
        loop {
            let event = self.next().await?;
            if event.name == name {
                return Ok(event);
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and the state is consistent at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, reason: String) {
        let mut state = self.lock();
        state.lost.get_or_insert(reason);
        // Dropping a sender fails its command.
        state.waiting.clear();
        drop(state);
        let mark = Event {
            name: LOST_MARK.to_owned(),
            data: Value::Null,
            seconds: 0,
        };
        let _ = self.events.send(mark);
    }

    /// Whether the caller of a command still waits for its answer.
    fn is_waiting(&self, id: u64) -> bool {
        self.lock().waiting.contains_key(&id)
    }

    /// Fails a command that could not be sent.
    fn refuse(&self, id: u64, description: String) {
        let refusal = Refusal {
            class: "GenericError".to_owned(),
            description,
        };
        self.take(Message::Answer {
            id: Some(id),
            result: Err(refusal),
        });
    }

    fn lost_error(&self) -> QmpError {
        let reason = self.lock().lost.clone();
        QmpError::Lost {
            reason: reason.unwrap_or_else(|| "it was closed".to_owned()),
        }
    }

    fn take(&self, message: Message) {
        match message {
            Message::Greeting => {}
            Message::Event(event) => {
                // Having no listener is not an error.
                let _ = self.events.send(event);
            }
            Message::Answer { id, result } => {
                let waiting = id.and_then(|id| self.lock().waiting.remove(&id));
                match waiting {
                    // The command may have timed out meanwhile.
                    Some(waiting) => drop(waiting.send(result)),
                    None => tracing::debug!(?id, "QEMU answered an unknown command"),
                }
            }
        }
    }
}

impl Qmp {
    /// Performs the greeting with QEMU. The stream must have no other user.
    pub async fn connect<S>(stream: S) -> Result<Self, QmpError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::connect_passing(stream, None).await
    }

    /// Performs the greeting with QEMU over a stream that can pass descriptors.
    pub async fn connect_passing<S>(
        stream: S,
        pass: Option<PassDescriptor>,
    ) -> Result<Self, QmpError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (read, write) = tokio::io::split(stream);
        let mut reader = BufReader::new(read);
        let greeting = tokio::time::timeout(GREETING_TIMEOUT, greeted(&mut reader)).await;
        greeting.map_err(|_| QmpError::Lost {
            reason: "QEMU did not greet".to_owned(),
        })??;
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let state = Mutex::new(State {
            waiting: HashMap::new(),
            lost: None,
        });
        let shared = Arc::new(Shared { state, events });
        let (writer, commands) = mpsc::channel(COMMANDS_QUEUED);
        let reads = read_all(reader, Arc::clone(&shared));
        let writes = write_all(write, pass, commands, Arc::clone(&shared));
        #[allow(
            clippy::disallowed_methods,
            reason = "both end with the connection, and are aborted with the last handle to it"
        )]
        let tasks = [
            tokio::spawn(reads).abort_handle(),
            tokio::spawn(writes).abort_handle(),
        ];
        let inner = Inner {
            shared,
            writer,
            next_id: AtomicU64::new(1),
            tasks,
        };
        let qmp = Self {
            inner: Arc::new(inner),
        };
        qmp.execute("qmp_capabilities", Value::Null).await?;
        Ok(qmp)
    }

    /// Whether the connection is lost: QEMU ended, or the connection broke.
    pub fn is_lost(&self) -> bool {
        self.inner.shared.lock().lost.is_some()
    }

    /// The events from now on.
    pub fn events(&self) -> Events {
        let shared = Arc::clone(&self.inner.shared);
        Events {
            receiver: shared.events.subscribe(),
            shared,
        }
    }

    /// Executes a command that QEMU answers at once.
    pub async fn execute(&self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        self.execute_within(command, arguments, COMMAND_TIMEOUT)
            .await
    }

    /// Executes a command and waits at most this long for its answer. After a timeout or a
    /// cancelled call, QEMU may still execute it; only its answer is dropped.
    pub async fn execute_within(
        &self,
        command: &str,
        arguments: Value,
        limit: Duration,
    ) -> Result<Value, QmpError> {
        self.converse(command, arguments, limit, None).await
    }

    /// Executes a command with a descriptor.
    pub async fn execute_passing(
        &self,
        command: &str,
        arguments: Value,
        descriptor: BorrowedFd<'_>,
    ) -> Result<Value, QmpError> {
        self.converse(command, arguments, COMMAND_TIMEOUT, Some(descriptor))
            .await
    }

    async fn converse(
        &self,
        command: &str,
        arguments: Value,
        limit: Duration,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<Value, QmpError> {
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        let mut request = json!({"execute": command, "id": id});
        if !arguments.is_null() {
            request["arguments"] = arguments;
        }
        let descriptor = descriptor.map(|descriptor| descriptor.try_clone_to_owned());
        let sent = Command {
            id,
            line: format!("{request}\n"),
            descriptor: descriptor.transpose().map_err(|error| QmpError::Refused {
                command: command.to_owned(),
                class: "GenericError".to_owned(),
                description: format!("a descriptor cannot be passed: {error}"),
            })?,
        };
        let waiting = Waiting {
            shared: &self.inner.shared,
            id,
        };
        let answer = tokio::time::timeout(limit, waiting.exchange(self, sent));
        let answer = answer.await.map_err(|_| QmpError::TimedOut {
            command: command.to_owned(),
            seconds: limit.as_secs(),
        })?;
        answer?.map_err(|refusal| QmpError::Refused {
            command: command.to_owned(),
            class: refusal.class,
            description: refusal.description,
        })
    }
}

/// A command that waits for its answer. Its entry is removed however it ends.
struct Waiting<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Waiting<'_> {
    async fn exchange(&self, qmp: &Qmp, command: Command) -> Result<Answer, QmpError> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            if state.lost.is_none() {
                state.waiting.insert(self.id, sender);
            } else {
                drop(state);
                return Err(self.shared.lost_error());
            }
        }
        let sent = qmp.inner.writer.send(command).await;
        sent.map_err(|_| self.shared.lost_error())?;
        receiver.await.map_err(|_| self.shared.lost_error())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.lock().waiting.remove(&self.id);
    }
}

async fn greeted<R: AsyncRead + Unpin>(reader: &mut BufReader<R>) -> Result<(), QmpError> {
    let mut line = Vec::new();
    loop {
        let more = read_line(reader, &mut line).await;
        if !more.map_err(|error| QmpError::Lost {
            reason: error.to_string(),
        })? {
            return Err(QmpError::Lost {
                reason: "QEMU closed it".to_owned(),
            });
        }
        if parse(&line) == Some(Message::Greeting) {
            return Ok(());
        }
    }
}

async fn read_all<R: AsyncRead + Unpin>(mut reader: BufReader<R>, shared: Arc<Shared>) {
    let mut line = Vec::new();
    let reason = loop {
        match read_line(&mut reader, &mut line).await {
            Ok(true) => match parse(&line) {
                Some(message) => shared.take(message),
                None => tracing::warn!(bytes = line.len(), "QEMU sent an invalid QMP message"),
            },
            Ok(false) => break "QEMU closed it".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    shared.lose(reason);
}

/// Writes complete commands, one after the other, until all senders are gone.
async fn write_all<W: AsyncWrite + Unpin>(
    mut writer: W,
    pass: Option<PassDescriptor>,
    mut commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
) {
    while let Some(command) = commands.recv().await {
        if !shared.is_waiting(command.id) {
            continue;
        }
        if let Some(descriptor) = &command.descriptor {
            // QEMU assigns it to the next command.
            let passed = match &pass {
                Some(pass) => pass(descriptor.as_fd()),
                None => Err(io::Error::from(io::ErrorKind::Unsupported)),
            };
            if let Err(error) = passed {
                shared.refuse(
                    command.id,
                    format!("a descriptor cannot be passed: {error}"),
                );
                continue;
            }
        }
        let written = async {
            writer.write_all(command.line.as_bytes()).await?;
            writer.flush().await
        };
        if let Err(error) = written.await {
            shared.lose(error.to_string());
            return;
        }
    }
}
