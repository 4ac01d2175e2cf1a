//! A fake QEMU: enough of QMP for the tasks.

mod machine;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use sys::{Command, Output, PassDescriptor, Stream};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::watch;

use crate::host::{Disk, Service};
use crate::{FakeAgent, Faults};
use machine::Machine;

/// The output of `qemu-system-x86_64` for queries of its properties.
pub fn qemu_facts(_: &mut Disk, command: &Command) -> Output {
    let text = match command.args.first().map(String::as_str) {
        Some("--version") => "QEMU emulator version 7.2.0 (fake)\n",
        Some("-machine") => "pc-i440fx-7.2       Standard PC\npc-q35-7.2          Standard PC\n",
        Some("-nodefaults") => return cpu_answers(&["aes", "avx2", "sse2"]),
        _ => "",
    };
    Output {
        code: Some(0),
        stdout: text.as_bytes().to_vec(),
        stderr: Vec::new(),
    }
}

/// The answers of a QEMU that is asked what processors can have.
pub fn cpu_answers(flags: &[&str]) -> Output {
    let mut most = expanded(flags);
    most["id"] = "most".into();
    let models = json!([{"name": "qemu64", "unavailable-features": []}]);
    let models = json!({"id": "models", "return": models});
    Output {
        code: Some(0),
        stdout: format!("{most}\n{models}\n").into_bytes(),
        stderr: Vec::new(),
    }
}

/// A processor with these flags.
fn expanded(flags: &[&str]) -> Value {
    let mut properties = json!({"vendor": "AuthenticAMD"});
    for flag in flags {
        properties[*flag] = true.into();
    }
    json!({"return": {"model": {"name": "base", "props": properties}}})
}

/// Starts a fake QEMU with the sockets and devices of its command line.
pub fn spawn_qemu(command: &Command) -> Arc<dyn Service> {
    let waits = command
        .args
        .windows(2)
        .any(|pair| pair == ["-incoming", "defer"]);
    let state = Arc::new(State {
        status: Mutex::new(if waits { "inmigrate" } else { "prelaunch" }),
        alive: watch::Sender::new(true),
        machine: Mutex::new(Machine::started(&command.args)),
    });
    let agent = FakeAgent::default();
    let guest = state.clone();
    agent.on_shutdown(move || guest.end());
    Arc::new(FakeQemu {
        arguments: command.args.clone(),
        state,
        agent,
    })
}

struct FakeQemu {
    arguments: Vec<String>,
    state: Arc<State>,
    agent: FakeAgent,
}

struct State {
    status: Mutex<&'static str>,
    /// Connections are closed when QEMU ends.
    alive: watch::Sender<bool>,
    machine: Mutex<Machine>,
}

impl State {
    fn end(&self) {
        self.alive.send_replace(false);
    }

    /// Waits until QEMU has ended.
    async fn ended(&self) {
        let mut alive = self.alive.subscribe();
        let _ = alive.wait_for(|alive| !alive).await;
    }
}

/// QEMU ends when this is dropped, which is how its scope kills it.
impl Drop for FakeQemu {
    fn drop(&mut self) {
        self.state.end();
    }
}

/// A connection in memory. A descriptor passed over it is dropped, since the fake reads no images.
struct Wire(DuplexStream);

impl Stream for Wire {
    fn pass_descriptors(&self) -> std::io::Result<PassDescriptor> {
        Ok(Box::new(|_| Ok(())))
    }
}

mod wire {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::Wire;

    impl AsyncRead for Wire {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Wire {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, buf)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }
}

impl Service for FakeQemu {
    fn connect(&self, socket: &Path, faults: &Faults) -> Option<Box<dyn Stream>> {
        let path = socket.display().to_string();
        let listens = self
            .arguments
            .iter()
            .any(|argument| argument.contains(&path));
        if !listens || !self.is_alive() {
            return None;
        }
        if path.ends_with("/agent.sock") {
            return Some(Box::new(Wire(self.agent.connect())));
        }
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(converse(ours, self.state.clone(), faults.clone()));
        Some(Box::new(Wire(theirs)))
    }

    fn is_alive(&self) -> bool {
        *self.state.alive.borrow()
    }

    fn inventory(&self) -> Vec<String> {
        let machine = &self.state.machine;
        let machine = machine.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = machine.inventory();
        if self.agent.is_frozen() {
            lines.push("frozen file systems".to_owned());
        }
        lines
    }
}

/// One connection, as long as QEMU lives. After the death of the process at its other end, no more
/// answers are sent.
async fn converse(stream: DuplexStream, state: Arc<State>, faults: Faults) {
    let deaths = faults.deaths();
    let talking = talk(stream, &state, &faults);
    tokio::pin!(talking);
    tokio::select! {
        biased;
        () = &mut talking => return,
        () = state.ended() => {}
    }
    if faults.deaths() != deaths {
        std::future::pending::<()>().await;
    }
}

/// One connection, until the peer disconnects, or until a command breaks, which closes it.
async fn talk(stream: DuplexStream, state: &State, faults: &Faults) {
    let (reader, mut writer) = tokio::io::split(stream);
    let version = json!({"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": "fake"});
    let greeting = json!({"QMP": {"version": version, "capabilities": []}});
    let mut lines = BufReader::new(reader).lines();
    let mut line = Some(greeting);
    while let Some(message) = line.take() {
        if writer
            .write_all(format!("{message}\r\n").as_bytes())
            .await
            .is_err()
        {
            return;
        }
        let Ok(Some(text)) = lines.next_line().await else {
            return;
        };
        let command: Value = serde_json::from_str(&text).unwrap_or_default();
        let what = || format!("qmp {} {}", command["execute"], command["arguments"]);
        let Ok(call) = faults.begin(what).await else {
            return;
        };
        let Ok(mut reply) = call.end(answer(state, &command)).await else {
            return;
        };
        reply["id"] = command["id"].clone();
        let machine = state.machine.lock();
        let events = std::mem::take(&mut machine.unwrap_or_else(PoisonError::into_inner).events);
        for event in events {
            let said = writer.write_all(format!("{event}\r\n").as_bytes()).await;
            if said.is_err() {
                return;
            }
        }
        line = Some(reply);
    }
}

fn answer(state: &State, command: &Value) -> Value {
    let mut status = state.status.lock().unwrap_or_else(PoisonError::into_inner);
    match command["execute"].as_str().unwrap_or_default() {
        "query-status" => {
            json!({"return": {"status": *status, "running": *status == "running"}})
        }
        "cont" => {
            *status = "running";
            json!({"return": {}})
        }
        "stop" => {
            *status = "paused";
            json!({"return": {}})
        }
        "quit" | "system_powerdown" => {
            state.end();
            json!({"return": {}})
        }
        "query-cpu-model-expansion" => expanded(&["avx2", "sse2"]),
        "query-cpus-fast" => json!({"return": [{"qom-path": "/machine/unattached/device[0]"}]}),
        "qom-get" if command["arguments"]["property"] == "unavailable-features" => {
            json!({"return": []})
        }
        "qmp_capabilities" | "system_reset" => json!({"return": {}}),
        other => {
            // A guest is paused at the end of a migration.
            match other {
                "migrate" => *status = "finish-migrate",
                // Everything comes at once.
                "migrate-incoming" => *status = "paused",
                "migrate-continue" => *status = "postmigrate",
                "migrate_cancel" if *status == "finish-migrate" => *status = "running",
                _ => {}
            }
            let mut machine = state.machine.lock().unwrap_or_else(PoisonError::into_inner);
            match machine.execute(other, &command["arguments"]) {
                Ok(answer) => json!({"return": answer}),
                Err((class, text)) => json!({"error": {"class": class, "desc": text}}),
            }
        }
    }
}
