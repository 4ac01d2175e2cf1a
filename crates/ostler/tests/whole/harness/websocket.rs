//! A websocket client that shows every frame.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::https::connector;

/// Kinds of frames.
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

pub struct Websocket {
    stream: TlsStream<TcpStream>,
    /// Received text that was not expected yet.
    seen: String,
}

impl Websocket {
    /// Opens a websocket; returns also the head of the answer, or the status line of a refusal.
    pub async fn open(
        port: u16,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(String, Self), String> {
        let mut text = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = connector(rustls::DEFAULT_VERSIONS, &[]);
        let mut stream = connector.connect(name, tcp).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        if !head.starts_with("HTTP/1.1 101 ") {
            return Err(head.lines().next().unwrap().to_owned());
        }
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        let seen = String::new();
        Ok((head, Self { stream, seen }))
    }

    pub async fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | opcode];
        match u8::try_from(payload.len()) {
            Ok(short @ 0..=125) => frame.push(0x80 | short),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
            }
        }
        frame.extend([9, 8, 7, 6]);
        let mask = [9, 8, 7, 6].into_iter().cycle();
        frame.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        self.stream.write_all(&frame).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn receive(&mut self) -> (u8, Vec<u8>) {
        let receiving = async {
            let first = self.stream.read_u8().await.unwrap();
            let length = match self.stream.read_u8().await.unwrap() {
                126 => u64::from(self.stream.read_u16().await.unwrap()),
                127 => self.stream.read_u64().await.unwrap(),
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut payload).await.unwrap();
            (first & 0x0f, payload)
        };
        let received = tokio::time::timeout(Duration::from_secs(90), receiving).await;
        received.unwrap_or_else(|_| panic!("waited in vain after: {}", self.seen))
    }

    /// Reads until a text has appeared.
    pub async fn expect(&mut self, text: &str) {
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let (opcode, payload) = self.receive().await;
            assert_eq!(opcode, BINARY, "{}", String::from_utf8_lossy(&payload));
            self.seen.push_str(&String::from_utf8_lossy(&payload));
        }
    }
}
