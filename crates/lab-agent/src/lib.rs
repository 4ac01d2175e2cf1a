//! The protocol between the supervisor of a lab and the agent in each node.
//!
//! ```text
//! supervisor                                     agent, in a node
//!     │  Hello(id)              ──────────────►      │
//!     │  ◄──────────────  Hello(id, boot id)         │
//!     │  Run(id, script)        ──────────────►      │
//!     │  Input(id, bytes) …     ──────────────►      │   any number of ids at once
//!     │  ◄──────────  Stdout(id, bytes) …            │
//!     │  ◄──────────  Exit(id, code)                 │
//! ```
//!
//! A frame is a length (four bytes, little endian, of what follows), a kind, an id (four bytes) and
//! a payload. It is for tests only: access to the port is root access.
//!
//! **A connection that was cut is never resumed**: both ends drop a partial frame when it closes.

use std::io::{self, Read, Write};

/// The name of the virtio-serial port.
pub const PORT: &str = "ostler.lab.0";

/// The maximum size of a frame; longer data takes several.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// How many bytes of a stream one frame carries.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// The content of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Checks that the peer is there; answered with the boot id of the kernel.
    Hello(Vec<u8>),
    /// Starts a shell with this script; `input` says whether its standard input follows.
    Run {
        /// Whether frames of `Input` follow; otherwise the script reads nothing.
        input: bool,
        /// The script, for `sh -c`.
        script: Vec<u8>,
    },
    /// More standard input; an empty one ends it.
    Input(Vec<u8>),
    /// Sends this signal to the script's process group.
    Signal(i32),
    /// Standard output of the script.
    Stdout(Vec<u8>),
    /// Standard error of the script.
    Stderr(Vec<u8>),
    /// The script ended, with its exit code, or 128 and its signal.
    Exit(i32),
}

/// A message, with the id of its exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Chosen by the supervisor; answers carry the same.
    pub id: u32,
    /// The message.
    pub message: Message,
}

impl Frame {
    /// Writes the frame in one piece.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut payload = Vec::new();
        let (kind, bytes): (u8, &[u8]) = match &self.message {
            Message::Hello(bytes) => (0, bytes),
            Message::Run { input, script } => {
                payload.push(u8::from(*input));
                payload.extend_from_slice(script);
                (1, &payload)
            }
            Message::Input(bytes) => (2, bytes),
            Message::Signal(signal) => {
                payload.extend_from_slice(&signal.to_le_bytes());
                (3, &payload)
            }
            Message::Stdout(bytes) => (4, bytes),
            Message::Stderr(bytes) => (5, bytes),
            Message::Exit(code) => {
                payload.extend_from_slice(&code.to_le_bytes());
                (6, &payload)
            }
        };
        let length = bytes.len() + 5;
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::other(format!("a frame of {length} bytes")));
        }
        let mut whole = Vec::with_capacity(length + 4);
        whole.extend_from_slice(&(length as u32).to_le_bytes());
        whole.push(kind);
        whole.extend_from_slice(&self.id.to_le_bytes());
        whole.extend_from_slice(bytes);
        to.write_all(&whole)?;
        to.flush()
    }

    /// Reads the next frame. The end of the stream, between frames or within one, is an error of
    /// kind `UnexpectedEof`; an invalid frame is `InvalidData`.
    pub fn read(from: &mut impl Read) -> io::Result<Frame> {
        let mut header = [0; 4];
        from.read_exact(&mut header)?;
        let length = u32::from_le_bytes(header) as usize;
        if !(5..=FRAME_BYTES_MAX).contains(&length) {
            return Err(invalid(&format!("a frame of {length} bytes")));
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        let payload = body.split_off(5);
        let id = u32::from_le_bytes([body[1], body[2], body[3], body[4]]);
        let message = match body[0] {
            0 => Message::Hello(payload),
            1 => match payload.split_first() {
                Some((input, script)) => Message::Run {
                    input: *input != 0,
                    script: script.to_vec(),
                },
                None => return Err(invalid("a run without a script")),
            },
            2 => Message::Input(payload),
            3 => Message::Signal(number(&payload)?),
            4 => Message::Stdout(payload),
            5 => Message::Stderr(payload),
            6 => Message::Exit(number(&payload)?),
            kind => return Err(invalid(&format!("a frame of kind {kind}"))),
        };
        Ok(Frame { id, message })
    }
}

fn number(payload: &[u8]) -> io::Result<i32> {
    let bytes = payload
        .try_into()
        .map_err(|_| invalid("a number must have four bytes"))?;
    Ok(i32::from_le_bytes(bytes))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_comes_back_as_it_was_sent() {
        let messages = [
            Message::Hello(b"boot".to_vec()),
            Message::Run {
                input: true,
                script: b"echo hi".to_vec(),
            },
            Message::Input(Vec::new()),
            Message::Signal(9),
            Message::Stdout(vec![0, 255]),
            Message::Stderr(b"no".to_vec()),
            Message::Exit(-3),
        ];
        let mut wire = Vec::new();
        for (id, message) in messages.iter().enumerate() {
            let frame = Frame {
                id: id as u32,
                message: message.clone(),
            };
            frame.write(&mut wire).unwrap();
        }
        let mut from = &wire[..];
        for (id, message) in messages.into_iter().enumerate() {
            let frame = Frame::read(&mut from).unwrap();
            assert_eq!((frame.id, frame.message), (id as u32, message));
        }
        let end = Frame::read(&mut from).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn nonsense_is_refused_before_memory_is_taken_for_it() {
        let huge = u32::MAX.to_le_bytes();
        let error = Frame::read(&mut &huge[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let unknown = [5, 0, 0, 0, 99, 1, 0, 0, 0];
        let error = Frame::read(&mut &unknown[..]).unwrap_err();
        assert_eq!(error.to_string(), "a frame of kind 99");
    }
}
