//! Pauses a running guest: its processors stand still.

use guest::qemu::{Qmp, QmpError};

use super::qemu_power::{Command, QemuPower};

pub type QemuSuspend = QemuPower<Suspend>;

#[derive(Debug, Clone)]
pub struct Suspend;

impl Command for Suspend {
    const NAME: &'static str = "qemu_suspend";
    const KIND: &'static str = "qmsuspend";
    const RESULT: Option<&'static str> = Some("paused");

    async fn send(qmp: &Qmp) -> Result<(), QmpError> {
        qmp.pause().await
    }
}
