//! Resets a running guest, as its reset button does.

use guest::qemu::{Qmp, QmpError};

use super::qemu_power::{Command, QemuPower};

pub type QemuReset = QemuPower<Reset>;

#[derive(Debug, Clone)]
pub struct Reset;

impl Command for Reset {
    const NAME: &'static str = "qemu_reset";
    const KIND: &'static str = "qmreset";
    const RESULT: Option<&'static str> = None;

    async fn send(qmp: &Qmp) -> Result<(), QmpError> {
        qmp.reset().await
    }
}
