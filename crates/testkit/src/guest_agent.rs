//! A fake guest agent: the guest's end of the channel, like `qemu-ga`.
//!
//! The channel outlives connections: an answer that was not read in time goes to the next
//! connection, so a client must distinguish it from its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const DELIMITER: u8 = 0xff;

/// The agent of one guest. Clones are the same agent.
#[derive(Clone, Default)]
pub struct FakeAgent {
    state: Arc<Mutex<State>>,
}

type Shutdown = Box<dyn FnMut() + Send>;

#[derive(Default)]
struct State {
    /// The newest connection, which gets all answers.
    connection: Option<UnboundedSender<Vec<u8>>>,
    /// Answers are held back.
    is_slow: bool,
    kept_back: VecDeque<Vec<u8>>,
    is_frozen: bool,
    commands: Vec<String>,
    files: BTreeMap<String, Vec<u8>>,
    open: BTreeMap<i64, (String, usize)>,
    /// The input of programs, by pid.
    programs: BTreeMap<i64, Vec<u8>>,
    last_number: i64,
    on_shutdown: Option<Shutdown>,
}

impl FakeAgent {
    /// The effect of a shutdown, which is refused without one.
    pub fn on_shutdown(&self, shutdown: impl FnMut() + Send + 'static) {
        self.state().on_shutdown = Some(Box::new(shutdown));
    }

    /// Connects to the guest. Must be called within a runtime.
    pub fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, mut writer) = tokio::io::split(ours);
        let (sender, mut answers) = unbounded_channel::<Vec<u8>>();
        self.state().connection = Some(sender);
        tokio::spawn(async move {
            while let Some(answer) = answers.recv().await {
                if writer.write_all(&answer).await.is_err() {
                    return;
                }
            }
        });
        tokio::spawn(self.clone().listen(reader));
        theirs
    }

    /// From now on commands are executed, but answers are held back.
    pub fn slow_down(&self) {
        self.state().is_slow = true;
    }

    /// Sends all answers that were held back.
    pub fn catch_up(&self) {
        let mut state = self.state();
        state.is_slow = false;
        while let Some(answer) = state.kept_back.pop_front() {
            state.send(answer);
        }
    }

    /// Sends bytes that are not an answer.
    pub fn babble(&self, bytes: &[u8]) {
        self.state().send(bytes.to_vec());
    }

    pub fn is_frozen(&self) -> bool {
        self.state().is_frozen
    }

    /// All commands except handshakes, in order.
    pub fn commands(&self) -> Vec<String> {
        self.state().commands.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listen(self, mut reader: ReadHalf<DuplexStream>) {
        let (mut line, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = reader.read(&mut buffer).await {
            for byte in &buffer[..length] {
                match byte {
                    b'\n' => self.hear(&std::mem::take(&mut line)),
                    &DELIMITER => {
                        line.clear();
                        self.state()
                            .answer(&refusal("JSON parse error, stray byte"));
                    }
                    byte => line.push(*byte),
                }
            }
        }
    }

    fn hear(&self, line: &[u8]) {
        let Ok(request) = serde_json::from_slice::<Value>(line) else {
            self.state().answer(&refusal("JSON parse error"));
            return;
        };
        let mut state = self.state();
        let command = request["execute"].as_str().unwrap_or_default();
        let arguments = &request["arguments"];
        if command == "guest-sync-delimited" {
            let mut bytes = vec![DELIMITER];
            bytes.extend(json!({"return": arguments["id"]}).to_string().into_bytes());
            bytes.push(b'\n');
            state.say(bytes);
            return;
        }
        state.commands.push(command.to_owned());
        match state.execute(command, arguments) {
            Ok(Value::Null) => {}
            Ok(answer) => state.answer(&json!({ "return": answer })),
            Err(why) => state.answer(&refusal(&why)),
        }
    }
}

fn refusal(why: &str) -> Value {
    let is_unknown = why.ends_with("has not been found");
    let class = if is_unknown {
        "CommandNotFound"
    } else {
        "GenericError"
    };
    json!({"error": {"class": class, "desc": why}})
}

impl State {
    fn answer(&mut self, message: &Value) {
        self.say(format!("{message}\n").into_bytes());
    }

    fn say(&mut self, bytes: Vec<u8>) {
        if self.is_slow {
            self.kept_back.push_back(bytes);
        } else {
            self.send(bytes);
        }
    }

    fn send(&mut self, bytes: Vec<u8>) {
        if let Some(connection) = &self.connection {
            // The client may be gone, which an agent cannot know.
            let _ = connection.send(bytes);
        }
    }

    /// The answer, null for none.
    fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, String> {
        const FROZEN: [&str; 5] = [
            "guest-ping",
            "guest-info",
            "guest-fsfreeze-freeze",
            "guest-fsfreeze-status",
            "guest-fsfreeze-thaw",
        ];
        if self.is_frozen && !FROZEN.contains(&command) {
            return Err(format!(
                "Command {command} has been disabled: the agent is in frozen state"
            ));
        }
        let number = |name: &str| arguments[name].as_i64().unwrap_or_default();
        match command {
            "guest-ping" => Ok(json!({})),
            "guest-info" => Ok(json!({"version": "7.2.0", "supported_commands": []})),
            "guest-get-host-name" => Ok(json!({"host-name": "fake"})),
            "guest-fsfreeze-status" => Ok(match self.is_frozen {
                true => "frozen".into(),
                false => "thawed".into(),
            }),
            "guest-fsfreeze-freeze" => {
                self.is_frozen = true;
                Ok(1.into())
            }
            "guest-fsfreeze-thaw" => Ok(u8::from(std::mem::take(&mut self.is_frozen)).into()),
            "guest-shutdown" => {
                let shutdown = self.on_shutdown.as_mut();
                shutdown.ok_or("no such power state")?();
                Ok(Value::Null)
            }
            "guest-exec" => {
                self.last_number += 1;
                let input = arguments["input-data"].as_str().unwrap_or_default();
                let input = STANDARD.decode(input).map_err(|error| error.to_string())?;
                self.programs.insert(self.last_number, input);
                Ok(json!({"pid": self.last_number}))
            }
            "guest-exec-status" => {
                let output = self.programs.remove(&number("pid"));
                let output = output.ok_or("PID does not exist")?;
                Ok(json!({"exited": true, "exitcode": 0, "out-data": STANDARD.encode(output)}))
            }
            _ if command.starts_with("guest-file-") => self.file(command, arguments),
            _ => Err(format!("The command {command} has not been found")),
        }
    }

    fn file(&mut self, command: &str, arguments: &Value) -> Result<Value, String> {
        let number = |name: &str| arguments[name].as_i64().unwrap_or_default();
        if command == "guest-file-open" {
            let path = arguments["path"].as_str().unwrap_or_default().to_owned();
            let is_there = self.files.contains_key(&path);
            match arguments["mode"].as_str() {
                Some("w") => drop(self.files.insert(path.clone(), Vec::new())),
                _ if is_there => {}
                _ => return Err(format!("failed to open file '{path}': No such file")),
            }
            self.last_number += 1;
            self.open.insert(self.last_number, (path, 0));
            return Ok(self.last_number.into());
        }
        let handle = number("handle");
        let missing = || format!("handle '{handle}' has not been found");
        if command == "guest-file-close" {
            return self
                .open
                .remove(&handle)
                .ok_or_else(missing)
                .map(|_| json!({}));
        }
        let (path, at) = self.open.get_mut(&handle).ok_or_else(missing)?;
        let file = self.files.entry(path.clone()).or_default();
        match command {
            "guest-file-seek" => {
                *at = usize::try_from(number("offset")).unwrap_or_default();
                Ok(json!({"position": *at, "eof": false}))
            }
            "guest-file-read" => {
                let count = usize::try_from(number("count")).unwrap_or_default();
                let from = file.get(*at..).unwrap_or_default();
                let bytes = &from[..count.min(from.len())];
                *at += bytes.len();
                // As with `fread`: the end is only noticed by reading beyond it.
                let eof = bytes.len() < count;
                Ok(json!({"count": bytes.len(), "buf-b64": STANDARD.encode(bytes), "eof": eof}))
            }
            "guest-file-write" => {
                let text = arguments["buf-b64"].as_str().unwrap_or_default();
                let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
                // Only a part, so that a writer must continue.
                let taken = bytes.len().div_ceil(2);
                file.extend_from_slice(&bytes[..taken]);
                Ok(json!({"count": taken, "eof": false}))
            }
            _ => Err(format!("The command {command} has not been found")),
        }
    }
}
