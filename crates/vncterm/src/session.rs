//! One viewer of one line.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::font::{GLYPH_HEIGHT, GLYPH_WIDTH};
use crate::keys::Keys;
use crate::rfb::{self, Message, PixelFormat};
use crate::screen::{COLUMNS, ROWS, Screen};

const ROW_HEIGHT: u16 = GLYPH_HEIGHT as u16;
const WIDTH: u16 = COLUMNS * GLYPH_WIDTH as u16;

/// Shows `line` to a VNC client with the password, of which VNC uses eight bytes. Ends when either
/// side does. May be dropped.
pub async fn serve<C, L>(mut client: C, line: L, name: &str, password: &str) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    L: AsyncRead + AsyncWrite + Unpin,
{
    rfb::authenticate(&mut client, password).await?;
    rfb::initialise(&mut client, (WIDTH, ROWS * ROW_HEIGHT), name).await?;
    let (mut said_by, mut typed_to) = tokio::io::split(line);
    let mut viewer = Viewer::new();
    let (mut sent, mut said, mut typed) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
    loop {
        // Data from one side is buffered while the other is served. If the guest does not read, the
        // client can still hang up, and its input is lost.
        let ended = tokio::select! {
            read = client.read_buf(&mut sent) => {
                let keys = viewer.hear(&mut sent)?;
                if typed.len() + keys.len() <= TYPED_MAX {
                    typed.extend(keys);
                }
                read? == 0
            }
            read = said_by.read_buf(&mut said) => {
                typed.extend(viewer.screen.take(&said.split()));
                read? == 0
            }
            written = typed_to.write_buf(&mut typed), if !typed.is_empty() => written? == 0,
        };
        if let Some(update) = viewer.update() {
            client.write_all(&update).await?;
        }
        if ended {
            return Ok(());
        }
    }
}

/// The maximum of input that waits for the guest.
const TYPED_MAX: usize = 128 << 10;

struct Viewer {
    screen: Screen,
    keys: Keys,
    format: PixelFormat,
    /// The client has an open request for changes.
    wants_update: bool,
}

impl Viewer {
    fn new() -> Self {
        Self {
            screen: Screen::new(),
            keys: Keys::default(),
            format: PixelFormat::default(),
            wants_update: false,
        }
    }

    /// Processes the complete messages received; returns the input that they contain.
    fn hear(&mut self, sent: &mut BytesMut) -> io::Result<Vec<u8>> {
        let mut typed = Vec::new();
        while let Some(message) = rfb::next_message(sent)? {
            match message {
                Message::Format(format) => {
                    self.format = format;
                    self.screen.forget();
                }
                Message::Update { is_incremental } => {
                    self.wants_update = true;
                    if !is_incremental {
                        self.screen.forget();
                    }
                }
                Message::Key { is_down, keysym } => {
                    let application = self.screen.application_cursor();
                    typed.extend(self.keys.typed(is_down, keysym, application));
                }
                Message::Paste(text) => {
                    let text: String = text.iter().copied().map(char::from).collect();
                    let text = text.replace("\r\n", "\r").replace('\n', "\r");
                    typed.extend(text.into_bytes());
                }
                Message::Ignored => {}
            }
        }
        Ok(typed)
    }

    /// The requested update, once there is a change.
    fn update(&mut self) -> Option<BytesMut> {
        if !self.wants_update {
            return None;
        }
        let rows = self.screen.changed();
        if rows.is_empty() {
            return None;
        }
        self.wants_update = false;
        Some(rfb::update(&rows, WIDTH, ROW_HEIGHT, self.format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{DuplexStream, duplex};

    const PASSWORD: &str = "opens-it";

    /// A client after the handshake, and the far end of the line.
    async fn seen(password: &str) -> (io::Result<DuplexStream>, DuplexStream) {
        let (mut client, server) = duplex(1 << 22);
        let (line, far) = duplex(1 << 16);
        tokio::spawn(async move { serve(server, line, "tiny", PASSWORD).await });
        let mut version = [0; 12];
        client.read_exact(&mut version).await.unwrap();
        client.write_all(&version).await.unwrap();
        let mut kinds = [0; 2];
        client.read_exact(&mut kinds).await.unwrap();
        assert_eq!(kinds, [1, 2]);
        client.write_u8(2).await.unwrap();
        let mut challenge = [0; 16];
        client.read_exact(&mut challenge).await.unwrap();
        let response = rfb::response(&challenge, password);
        client.write_all(&response).await.unwrap();
        if client.read_u32().await.unwrap() != 0 {
            return (Err(io::ErrorKind::PermissionDenied.into()), far);
        }
        client.write_u8(1).await.unwrap();
        let mut init = [0; 24];
        client.read_exact(&mut init).await.unwrap();
        assert_eq!(init[..4], [2, 128, 1, 128], "640 by 384");
        let mut name = [0; 4];
        client.read_exact(&mut name).await.unwrap();
        assert_eq!(&name, b"tiny");
        (Ok(client), far)
    }

    async fn ask(client: &mut DuplexStream, incremental: u8) -> Vec<u16> {
        let request = [3, incremental, 0, 0, 0, 0, 2, 128, 1, 128];
        client.write_all(&request).await.unwrap();
        let mut head = [0; 4];
        client.read_exact(&mut head).await.unwrap();
        let mut rows = Vec::new();
        for _ in 0..u16::from_be_bytes([head[2], head[3]]) {
            let mut rectangle = vec![0; 12 + usize::from(WIDTH * ROW_HEIGHT) * 4];
            client.read_exact(&mut rectangle).await.unwrap();
            rows.push(u16::from_be_bytes([rectangle[2], rectangle[3]]) / ROW_HEIGHT);
        }
        rows
    }

    #[tokio::test]
    async fn a_viewer_sees_what_changes_and_types() {
        let (client, mut line) = seen(PASSWORD).await;
        let mut client = client.unwrap();
        assert_eq!(ask(&mut client, 0).await.len(), usize::from(ROWS));
        line.write_all(b"login: ").await.unwrap();
        assert_eq!(ask(&mut client, 1).await, [0]);
        for keysym in [u32::from('h'), u32::from('i'), 0xff0d] {
            let mut key = vec![4, 1, 0, 0];
            key.extend(keysym.to_be_bytes());
            client.write_all(&key).await.unwrap();
        }
        let mut typed = [0; 3];
        line.read_exact(&mut typed).await.unwrap();
        assert_eq!(&typed, b"hi\r");
        drop(line);
        assert_eq!(
            client.read_u8().await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[tokio::test]
    async fn a_wrong_password_sees_nothing() {
        let (client, mut line) = seen("guessing").await;
        assert!(client.is_err());
        assert_eq!(
            line.read(&mut [0; 8]).await.unwrap(),
            0,
            "the line is let go"
        );
    }

    #[tokio::test]
    async fn a_viewer_hangs_up_also_where_the_guest_takes_nothing() {
        let (client, line) = seen(PASSWORD).await;
        let mut client = client.unwrap();
        // The line is not read, and buffers less than this.
        let mut paste = vec![6, 0, 0, 0, 0, 1, 0, 0];
        paste.resize(8 + (1 << 16), b'x');
        for _ in 0..4 {
            client.write_all(&paste).await.unwrap();
        }
        drop(client);
        let mut line = line;
        let mut rest = Vec::new();
        let ended = line.read_to_end(&mut rest);
        let ended = tokio::time::timeout(std::time::Duration::from_secs(30), ended);
        ended.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn whatever_a_client_sends_is_no_panic() {
        for seed in 0..200_u32 {
            let (client, _line) = seen(PASSWORD).await;
            let mut client = client.unwrap();
            let mut noise = seed.wrapping_mul(2_654_435_761);
            let bytes: Vec<u8> = (0..64)
                .map(|_| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (noise >> 24) as u8 % 8
                })
                .collect();
            let _ = client.write_all(&bytes).await;
            drop(client);
        }
    }
}
