//! Lets a paused guest go on, and wakes one that sleeps.

use guest::qemu::{Qmp, QmpError};

use super::qemu_power::{Command, QemuPower};

pub type QemuResume = QemuPower<Resume>;

#[derive(Debug, Clone)]
pub struct Resume;

impl Command for Resume {
    const NAME: &'static str = "qemu_resume";
    const KIND: &'static str = "qmresume";
    const RESULT: Option<&'static str> = Some("running");

    async fn send(qmp: &Qmp) -> Result<(), QmpError> {
        match qmp.status().await?.state.as_str() {
            "suspended" => qmp.wake_up().await,
            _ => qmp.cont().await,
        }
    }
}
