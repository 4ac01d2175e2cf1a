//! `POST /nodes/{node}/qemu/{vmid}/vncproxy`

use model::Error;
use node::ConsoleKind;
use proto::wire::Answer;

use super::Guest;
use super::console::{Display, check_serial, reserve, serial_number, sockets};
use crate::ops::Op;

pub(super) async fn vncproxy(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Display { generate_password } = op.params()?;
    let entry = op.records.qemu(vmid).await?;
    let sockets = sockets(&op, vmid).await?;
    let password = new_password()?;
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
    let mut answer = reserve(&op, vmid, kind).await?;
    // Clients that request no password use the beginning of the ticket as one.
    let ticket = answer["ticket"].as_str().unwrap_or_default();
    answer["ticket"] = format!("{password}:{ticket}").into();
    let node = &op.context.node;
    let certificate = node.host.read(&node.paths.tls().join("ca.pem")).await?;
    answer["cert"] = String::from_utf8_lossy(&certificate).into();
    if generate_password == Some(true) {
        answer["password"] = password.into();
    }
    Ok(Answer::new(answer))
}

/// Eight characters of 6 random bits each; VNC uses no more.
fn new_password() -> Result<String, Error> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::bug("the system's random numbers are not available"))?;
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 64)]);
    Ok(bytes.iter().map(letter).collect())
}
