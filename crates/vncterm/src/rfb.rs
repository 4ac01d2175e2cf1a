//! The Remote Framebuffer protocol (RFC 6143), version 3.8, as far as a text screen needs it.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::screen::Rgb;

const VERSION: &[u8; 12] = b"RFB 003.008\n";
const VNC_AUTHENTICATION: u8 = 2;
const RAW: i32 = 0;

/// The maximum size of pasted text; the rest is cut off.
const CUT_TEXT_MAX: usize = 64 << 10;

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Agrees on the version, and checks the client's password.
pub(crate) async fn authenticate<C>(client: &mut C, password: &str) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    client.write_all(VERSION).await?;
    let mut version = [0; VERSION.len()];
    client.read_exact(&mut version).await?;
    if !version.starts_with(b"RFB 003.") {
        return Err(broken("the client does not use RFB 3"));
    }
    // Before 3.7 the server chooses.
    if version < *b"RFB 003.007\n" {
        client.write_u32(VNC_AUTHENTICATION.into()).await?;
    } else {
        client.write_all(&[1, VNC_AUTHENTICATION]).await?;
        if client.read_u8().await? != VNC_AUTHENTICATION {
            return Err(broken("the client does not support VNC authentication"));
        }
    }
    let mut challenge = [0; 16];
    aws_lc_rs::rand::fill(&mut challenge)
        .map_err(|_| broken("the system's random numbers are not available"))?;
    client.write_all(&challenge).await?;
    let mut response = [0; 16];
    client.read_exact(&mut response).await?;
    let wanted = self::response(&challenge, password);
    if aws_lc_rs::constant_time::verify_slices_are_equal(&wanted, &response).is_ok() {
        return client.write_u32(0).await;
    }
    client.write_u32(1).await?;
    if version == *VERSION {
        write_text(client, "authentication failed").await?;
    }
    Err(broken("wrong password"))
}

/// The client's response to a challenge: DES with the password as key, whose bits VNC reverses in
/// each byte.
pub fn response(challenge: &[u8; 16], password: &str) -> [u8; 16] {
    let mut key = [0; 8];
    for (byte, given) in key.iter_mut().zip(password.bytes()) {
        *byte = given.reverse_bits();
    }
    let cipher = Des::new(&key.into());
    let mut response = *challenge;
    for half in response.chunks_exact_mut(8) {
        let mut block = [0; 8];
        block.copy_from_slice(half);
        let mut block = block.into();
        cipher.encrypt_block(&mut block);
        half.copy_from_slice(&block);
    }
    response
}

async fn write_text<C: AsyncWrite + Unpin>(client: &mut C, text: &str) -> io::Result<()> {
    client
        .write_u32(u32::try_from(text.len()).unwrap_or(0))
        .await?;
    client.write_all(text.as_bytes()).await
}

/// Shares the screen with any client, and sends its size.
pub(crate) async fn initialise<C>(client: &mut C, size: (u16, u16), name: &str) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    client.read_u8().await?;
    let mut init = BytesMut::new();
    init.put_u16(size.0);
    init.put_u16(size.1);
    PixelFormat::default().put(&mut init);
    client.write_all(&init).await?;
    write_text(client, name).await
}

/// The client's pixel format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PixelFormat {
    bytes: usize,
    is_big_endian: bool,
    max: [u16; 3],
    shift: [u8; 3],
}

impl Default for PixelFormat {
    fn default() -> Self {
        Self {
            bytes: 4,
            is_big_endian: false,
            max: [255; 3],
            shift: [16, 8, 0],
        }
    }
}

impl PixelFormat {
    fn read(mut from: Bytes) -> io::Result<Self> {
        let bits = from.get_u8();
        let _depth = from.get_u8();
        let is_big_endian = from.get_u8() != 0;
        let has_true_colour = from.get_u8() != 0;
        let max = [from.get_u16(), from.get_u16(), from.get_u16()];
        let shift = [from.get_u8(), from.get_u8(), from.get_u8()];
        if !matches!(bits, 8 | 16 | 32) || !has_true_colour || shift.iter().any(|s| *s >= bits) {
            return Err(broken("the client requests an unknown pixel format"));
        }
        Ok(Self {
            bytes: usize::from(bits / 8),
            is_big_endian,
            max,
            shift,
        })
    }

    fn put(&self, out: &mut BytesMut) {
        let bits = (self.bytes * 8) as u8;
        out.put_slice(&[bits, 24, u8::from(self.is_big_endian), 1]);
        self.max.iter().for_each(|max| out.put_u16(*max));
        out.put_slice(&self.shift);
        out.put_bytes(0, 3);
    }

    fn put_pixel(&self, rgb: Rgb, out: &mut BytesMut) {
        let mut value = 0_u32;
        for ((colour, max), shift) in rgb.iter().zip(self.max).zip(self.shift) {
            value |= (u32::from(*colour) * u32::from(max) / 255) << shift;
        }
        if self.is_big_endian {
            out.put_slice(&value.to_be_bytes()[4 - self.bytes..]);
        } else {
            out.put_slice(&value.to_le_bytes()[..self.bytes]);
        }
    }
}

/// A message from a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Format(PixelFormat),
    /// A request for the screen, or only for its changes.
    Update {
        is_incremental: bool,
    },
    Key {
        is_down: bool,
        keysym: u32,
    },
    /// Pasted text, as Latin-1.
    Paste(Bytes),
    /// Encodings, of which we have one, and the pointer.
    Ignored,
}

/// Takes the next complete message out of the received bytes.
pub(crate) fn next_message(sent: &mut BytesMut) -> io::Result<Option<Message>> {
    let Some(kind) = sent.first() else {
        return Ok(None);
    };
    let length = match kind {
        0 => 20,
        2 if sent.len() >= 4 => 4 + 4 * usize::from(u16::from_be_bytes([sent[2], sent[3]])),
        3 => 10,
        4 => 8,
        5 => 6,
        6 if sent.len() >= 8 => 8 + cut_text_length(&sent[4..8])?,
        2 | 6 => return Ok(None),
        _ => return Err(broken("the client sends messages of an unknown kind")),
    };
    if sent.len() < length {
        return Ok(None);
    }
    let mut message = sent.split_to(length).freeze();
    Ok(Some(match message[0] {
        0 => Message::Format(PixelFormat::read(message.split_off(4))?),
        3 => Message::Update {
            is_incremental: message[1] != 0,
        },
        4 => Message::Key {
            is_down: message[1] != 0,
            keysym: message.split_off(4).get_u32(),
        },
        6 => Message::Paste(message.split_off(8)),
        _ => Message::Ignored,
    }))
}

fn cut_text_length(mut bytes: &[u8]) -> io::Result<usize> {
    let length = usize::try_from(bytes.get_u32()).unwrap_or(usize::MAX);
    if length > CUT_TEXT_MAX {
        return Err(broken("the client pasted too much text"));
    }
    Ok(length)
}

/// An update of some rows of text, each as wide as the screen.
pub(crate) fn update(
    rows: &[(u16, Vec<Rgb>)],
    width: u16,
    height_of_row: u16,
    format: PixelFormat,
) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_slice(&[0, 0]);
    out.put_u16(u16::try_from(rows.len()).unwrap_or(0));
    for (row, pixels) in rows {
        for number in [0, row * height_of_row, width, height_of_row] {
            out.put_u16(number);
        }
        out.put_i32(RAW);
        out.reserve(pixels.len() * format.bytes);
        for pixel in pixels {
            format.put_pixel(*pixel, &mut out);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENSSL: [u8; 16] = [
        0x8e, 0xfc, 0x8f, 0xd7, 0xbb, 0xa6, 0xf5, 0x81, 0x3b, 0x1d, 0xaf, 0xab, 0x72, 0x8b, 0x2d,
        0xc7,
    ];

    /// The expected value is OpenSSL's `des-ecb`, with the key's bits reversed by hand.
    #[test]
    fn a_response_is_the_one_of_vnc() {
        let challenge: [u8; 16] = std::array::from_fn(|at| at as u8);
        assert_eq!(response(&challenge, "opens-it"), OPENSSL);
        assert_eq!(response(&challenge, "opens-it and more"), OPENSSL);
    }

    #[test]
    fn messages_come_in_pieces() {
        let all = [
            &[
                0, 0, 0, 0, 16, 16, 1, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0, 0, 0, 0,
            ][..],
            &[2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7],
            &[3, 1, 0, 0, 0, 0, 0, 80, 0, 24],
            &[4, 1, 0, 0, 0, 0, 0xff, 0x0d],
            &[5, 0, 0, 1, 0, 1],
            &[6, 0, 0, 0, 0, 0, 0, 2, b'h', b'i'],
        ]
        .concat();
        let (mut sent, mut messages) = (BytesMut::new(), Vec::new());
        for byte in all {
            sent.put_u8(byte);
            messages.extend(next_message(&mut sent).unwrap());
        }
        let format = PixelFormat {
            bytes: 2,
            is_big_endian: true,
            max: [31, 63, 31],
            shift: [11, 5, 0],
        };
        let key = Message::Key {
            is_down: true,
            keysym: 0xff0d,
        };
        let update = Message::Update {
            is_incremental: true,
        };
        let paste = Message::Paste(Bytes::from_static(b"hi"));
        let wanted = [
            Message::Format(format),
            Message::Ignored,
            update,
            key,
            Message::Ignored,
            paste,
        ];
        assert_eq!(messages, wanted);
        let mut pixel = BytesMut::new();
        format.put_pixel([255, 0, 255], &mut pixel);
        assert_eq!(&pixel[..], [0xf8, 0x1f]);
    }

    #[test]
    fn what_is_too_much_or_unknown_is_refused() {
        for bytes in [
            &[99][..],
            &[6, 0, 0, 0, 0xff, 0, 0, 0],
            &[0, 0, 0, 0, 24, 24, 0, 1, 0, 9, 0, 9, 0, 9, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 8, 8, 0, 1, 0, 7, 0, 7, 0, 3, 0, 3, 60, 0, 0, 0],
        ] {
            let mut sent = BytesMut::from(bytes);
            assert!(next_message(&mut sent).is_err(), "{bytes:?}");
        }
    }
}
