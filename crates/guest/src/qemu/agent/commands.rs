//! Typed commands.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client::Limits;
use super::plain::{FREEZE, PING, SHORT, THAW};
use super::{AgentError, GuestAgent, PlainCommand};

/// How many bytes of a guest's file are read at most.
pub const FILE_READ_MAX: usize = 16 << 20;

/// How many bytes of a file are requested in one command.
const CHUNK: usize = 1 << 20;

/// The maximum size of a usual answer: interfaces, file systems and memory blocks of a large guest.
const ANSWER_MAX: usize = 4 << 20;

/// The agent keeps 16 MiB of each of a program's two outputs, here in base64.
const OUTPUT_MAX: usize = 48 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreezeStatus {
    Thawed,
    Frozen,
}

/// The state of a program that was started in the guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecStatus {
    pub exited: bool,
    pub exit_code: Option<i64>,
    pub signal: Option<i64>,
    /// Its output; none if it wrote nothing or has not ended.
    pub out: Option<Vec<u8>>,
    pub err: Option<Vec<u8>>,
    /// Whether the agent dropped some of the output; none if it does not say.
    pub out_truncated: Option<bool>,
    pub err_truncated: Option<bool>,
}

/// A piece of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileContent {
    pub bytes: Vec<u8>,
    /// Whether the file is longer.
    pub is_truncated: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawStatus {
    exited: bool,
    exitcode: Option<i64>,
    signal: Option<i64>,
    out_data: Option<String>,
    err_data: Option<String>,
    out_truncated: Option<bool>,
    err_truncated: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawRead {
    count: usize,
    buf_b64: String,
    eof: bool,
}

impl GuestAgent {
    /// Executes a command without arguments; null for one without an answer.
    pub async fn plain(&mut self, command: PlainCommand) -> Result<Value, AgentError> {
        let PlainCommand {
            name,
            within,
            is_answered,
        } = command;
        if is_answered {
            return self.ask(name, Value::Null, within).await;
        }
        self.tell(name, Value::Null, within).await?;
        Ok(Value::Null)
    }

    pub async fn ping(&mut self) -> Result<(), AgentError> {
        self.ask("guest-ping", Value::Null, PING).await.map(drop)
    }

    /// Asks the guest to shut down. Success only means that the agent got the command.
    pub async fn shut_down(&mut self) -> Result<(), AgentError> {
        let mode = json!({"mode": "powerdown"});
        self.tell("guest-shutdown", mode, PING).await
    }

    /// Freezes all file systems that support it; returns how many.
    pub async fn freeze(&mut self) -> Result<u64, AgentError> {
        self.typed("guest-fsfreeze-freeze", Value::Null, FREEZE)
            .await
    }

    /// Thaws them; returns how many were frozen.
    pub async fn thaw(&mut self) -> Result<u64, AgentError> {
        self.typed("guest-fsfreeze-thaw", Value::Null, THAW).await
    }

    pub async fn freeze_status(&mut self) -> Result<FreezeStatus, AgentError> {
        let command = "guest-fsfreeze-status";
        match self.ask(command, Value::Null, SHORT).await?.as_str() {
            Some("thawed") => Ok(FreezeStatus::Thawed),
            Some("frozen") => Ok(FreezeStatus::Frozen),
            _ => Err(unexpected(command)),
        }
    }

    /// Starts a program with its arguments; returns its pid in the guest.
    pub async fn exec(
        &mut self,
        program: &str,
        arguments: &[String],
        input: Option<&[u8]>,
    ) -> Result<i64, AgentError> {
        #[derive(Deserialize)]
        struct Started {
            pid: i64,
        }
        let mut request = json!({"path": program, "arg": arguments, "capture-output": true});
        if let Some(input) = input {
            request["input-data"] = STANDARD.encode(input).into();
        }
        let started: Started = self.typed("guest-exec", request, SHORT).await?;
        Ok(started.pid)
    }

    /// The state of a program. The agent forgets an ended program after this query.
    pub async fn exec_status(&mut self, pid: i64) -> Result<ExecStatus, AgentError> {
        let command = "guest-exec-status";
        let limits = Limits {
            within: SHORT,
            answer_bytes_max: OUTPUT_MAX,
        };
        let answer = self.execute(command, json!({"pid": pid}), limits).await?;
        let raw: RawStatus = read(command, answer)?;
        let output = |text: Option<String>| text.map(|text| decoded(command, &text)).transpose();
        Ok(ExecStatus {
            exited: raw.exited,
            exit_code: raw.exitcode,
            signal: raw.signal,
            out: output(raw.out_data)?,
            err: output(raw.err_data)?,
            out_truncated: raw.out_truncated,
            err_truncated: raw.err_truncated,
        })
    }

    /// Reads at most `count` bytes of a file from `offset` on.
    pub async fn read_file(
        &mut self,
        path: &str,
        offset: u64,
        count: usize,
    ) -> Result<FileContent, AgentError> {
        let handle = self.open(path, "r").await?;
        let content = self.read_open(handle, offset, count).await;
        self.close(handle, content).await
    }

    async fn read_open(
        &mut self,
        handle: i64,
        offset: u64,
        count: usize,
    ) -> Result<FileContent, AgentError> {
        if offset > 0 {
            let seek = json!({"handle": handle, "offset": offset, "whence": "set"});
            self.ask("guest-file-seek", seek, SHORT).await?;
        }
        let mut content = FileContent::default();
        loop {
            // One byte more than requested shows whether the file is longer.
            let left = count + 1 - content.bytes.len();
            let read = self.read_chunk(handle, left.min(CHUNK)).await?;
            content.bytes.extend_from_slice(&read.0);
            if content.bytes.len() > count {
                content.bytes.truncate(count);
                content.is_truncated = true;
                return Ok(content);
            }
            if read.1 {
                return Ok(content);
            }
        }
    }

    /// The next bytes of a file, and whether it ended with them.
    async fn read_chunk(
        &mut self,
        handle: i64,
        count: usize,
    ) -> Result<(Vec<u8>, bool), AgentError> {
        let command = "guest-file-read";
        let request = json!({"handle": handle, "count": count});
        let raw: RawRead = self.typed(command, request, SHORT).await?;
        let bytes = decoded(command, &raw.buf_b64)?;
        if raw.count != bytes.len() || bytes.len() > count {
            return Err(unexpected(command));
        }
        let is_over = raw.eof || bytes.is_empty();
        Ok((bytes, is_over))
    }

    /// Writes these bytes to a file, replacing its content.
    pub async fn write_file(&mut self, path: &str, bytes: &[u8]) -> Result<(), AgentError> {
        let handle = self.open(path, "w").await?;
        let written = self.write_open(handle, bytes).await;
        self.close(handle, written).await
    }

    async fn write_open(&mut self, handle: i64, bytes: &[u8]) -> Result<(), AgentError> {
        #[derive(Deserialize)]
        struct Written {
            count: usize,
        }
        let command = "guest-file-write";
        let mut rest = bytes;
        while !rest.is_empty() {
            let chunk = &rest[..rest.len().min(CHUNK)];
            let request = json!({"handle": handle, "buf-b64": STANDARD.encode(chunk)});
            let Written { count } = self.typed(command, request, SHORT).await?;
            rest = match count {
                0 => return Err(unexpected(command)),
                count if count <= chunk.len() => &rest[count..],
                _ => return Err(unexpected(command)),
            };
        }
        Ok(())
    }

    async fn open(&mut self, path: &str, mode: &str) -> Result<i64, AgentError> {
        let request = json!({"path": path, "mode": mode});
        self.typed("guest-file-open", request, SHORT).await
    }

    /// Closes a file after success and failure alike. Written data counts only if closing succeeds,
    /// too.
    async fn close<T>(
        &mut self,
        handle: i64,
        done: Result<T, AgentError>,
    ) -> Result<T, AgentError> {
        let closed = self.ask("guest-file-close", json!({"handle": handle}), SHORT);
        let closed = closed.await.map(drop);
        done.and_then(|done| closed.map(|()| done))
    }

    /// Sets a user's password, as plain text or as a `crypt` hash.
    pub async fn set_user_password(
        &mut self,
        user: &str,
        password: &str,
        is_crypted: bool,
    ) -> Result<(), AgentError> {
        let password = STANDARD.encode(password);
        let request = json!({"username": user, "password": password, "crypted": is_crypted});
        let command = "guest-set-user-password";
        self.ask(command, request, SHORT).await.map(drop)
    }

    async fn typed<T: DeserializeOwned>(
        &mut self,
        command: &str,
        arguments: Value,
        within: Duration,
    ) -> Result<T, AgentError> {
        read(command, self.ask(command, arguments, within).await?)
    }

    async fn ask(
        &mut self,
        command: &str,
        arguments: Value,
        within: Duration,
    ) -> Result<Value, AgentError> {
        let answer_bytes_max = ANSWER_MAX;
        let limits = Limits {
            within,
            answer_bytes_max,
        };
        self.execute(command, arguments, limits).await
    }
}

fn read<T: DeserializeOwned>(command: &str, answer: Value) -> Result<T, AgentError> {
    serde_json::from_value(answer).map_err(|_| unexpected(command))
}

fn decoded(command: &str, text: &str) -> Result<Vec<u8>, AgentError> {
    STANDARD.decode(text).map_err(|_| unexpected(command))
}

fn unexpected(command: &str) -> AgentError {
    AgentError::Unexpected {
        command: command.to_owned(),
    }
}
