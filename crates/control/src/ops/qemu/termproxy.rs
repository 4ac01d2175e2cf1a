//! `POST /nodes/{node}/qemu/{vmid}/termproxy`

use model::Error;
use node::ConsoleKind;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use super::console::{check_serial, reserve, serial_number, sockets};
use crate::ops::Op;

#[derive(Deserialize)]
struct Terminal {
    serial: Option<String>,
}

pub(super) async fn termproxy(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Terminal { serial } = op.params()?;
    let entry = op.records.qemu(vmid).await?;
    let sockets = sockets(&op, vmid).await?;
    let screen = entry.record.data.config.text("vga");
    let wanted = serial.as_deref().and_then(serial_number);
    // If the guest's display is a serial port, that one is the default.
    let wanted = wanted.or_else(|| screen.as_deref().and_then(serial_number));
    let port = sockets
        .serial
        .iter()
        .map(|(port, _)| *port)
        .find(|port| wanted.is_none_or(|wanted| wanted == *port));
    let port = port.ok_or_else(|| {
        let name = wanted.map_or_else(|| "serial port".to_owned(), |port| format!("serial{port}"));
        Error::conflict(format!("VM {vmid} has no {name} that is a socket"))
    })?;
    check_serial(&op, vmid, port).await?;
    let answer = reserve(&op, vmid, ConsoleKind::Serial(port)).await?;
    Ok(Answer::new(answer))
}
