//! `POST /nodes/{node}/qemu/{vmid}/vncproxy`

use model::Error;
use node::ConsoleKind;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use super::console::{check_serial, reserve, serial_number, sockets};
use crate::ops::{Op, console};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Display {
    generate_password: Option<bool>,
}

pub(super) async fn vncproxy(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Display { generate_password } = op.params()?;
    let entry = op.records.qemu(vmid).await?;
    let sockets = sockets(&op, vmid).await?;
    let password = console::new_password()?;
    let kind = if sockets.vnc.is_some() {
        ConsoleKind::Display {
            password: password.clone(),
        }
    } else {
        // If the display is a serial port, the VNC console shows a terminal.
        let vga = entry.record.data.config.text("vga");
        let serial = vga.as_deref().and_then(serial_number);
        let has_socket = |port: &u8| sockets.serial.iter().any(|(number, _)| number == port);
        let serial = serial.filter(has_socket);
        let no_display = || Error::conflict(format!("VM {vmid} has no display"));
        let serial = serial.ok_or_else(no_display)?;
        check_serial(&op, vmid, serial).await?;
        ConsoleKind::Screen {
            serial,
            password: password.clone(),
        }
    };
    let answer = reserve(&op, vmid, kind).await?;
    console::with_password(&op, answer, password, generate_password == Some(true)).await
}
