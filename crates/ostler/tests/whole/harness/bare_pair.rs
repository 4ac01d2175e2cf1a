//! Two QEMUs without Ostler, between which a guest moves: what a migration takes by itself.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use guest::qemu::Qmp;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use super::writing::WRITE;
use super::{Serial, until};

/// What a migration took.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub downtime: Duration,
    pub total: Duration,
}

/// A QEMU, until this is dropped.
struct Bare {
    process: Child,
    qmp: Qmp,
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Bare {
    async fn start(folder: &Path, name: &str, more: &[&str]) -> Self {
        let path = |file: &str| folder.join(file).display().to_string();
        let socket = path(&format!("{name}.qmp"));
        let process = Command::new("qemu-system-x86_64")
            .args(["-machine", "pc,accel=tcg", "-m", "128", "-nodefaults"])
            .args(["-display", "none", "-qmp"])
            .arg(format!("unix:{socket},server=on,wait=off"))
            .arg("-serial")
            .arg(format!(
                "unix:{},server=on,wait=off",
                path(&format!("{name}.serial"))
            ))
            .arg("-drive")
            .arg(format!(
                "file={},if=virtio,format=qcow2,cache=none",
                path("boot.qcow2")
            ))
            .arg("-drive")
            .arg(format!(
                "file={},if=virtio,format=raw,cache=none",
                path("data.raw")
            ))
            .args(more)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        until("QEMU listens", async || {
            UnixStream::connect(&socket).await.is_ok()
        })
        .await;
        let stream = UnixStream::connect(&socket).await.unwrap();
        let qmp = Qmp::connect(stream).await.unwrap();
        Self { process, qmp }
    }

    async fn tell(&self, command: &str, arguments: Value) {
        self.qmp.execute(command, arguments).await.unwrap();
    }
}

/// Moves a guest that boots from `disk` and writes, as the guests of these tests do.
pub async fn migrate(disk: &Path) -> Taken {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::copy(disk, folder.join("boot.qcow2")).unwrap();
    let data = std::fs::File::create(folder.join("data.raw")).unwrap();
    data.set_len(1 << 20).unwrap();
    let source = Bare::start(folder, "source", &[]).await;
    let mut serial = Serial::connect(&folder.join("source.serial"));
    serial.expect("tiny: ready");
    serial.ask(WRITE);
    let target = Bare::start(folder, "target", &["-incoming", "defer"]).await;
    let uri = json!({"uri": format!("unix:{}", folder.join("migration").display())});
    target.tell("migrate-incoming", uri.clone()).await;
    let downtime_ms = json!({"downtime-limit": 100, "max-bandwidth": 1_u64 << 40});
    source.tell("migrate-set-parameters", downtime_ms).await;
    let (mut paused, mut resumed) = (source.qmp.events(), target.qmp.events());
    let begun = Instant::now();
    source.tell("migrate", uri).await;
    paused.next_named("STOP").await.unwrap();
    let stood = Instant::now();
    resumed.next_named("RESUME").await.unwrap();
    Taken {
        downtime: stood.elapsed(),
        total: begun.elapsed(),
    }
}
