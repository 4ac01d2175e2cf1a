//! A guest whose display is a serial port, used by a VNC client.

use std::collections::HashMap;

use crate::harness::namespace::with_bridge;
use crate::harness::websocket::{BINARY, Websocket};
use crate::harness::{about, left_out};
use crate::qemu_console::Scene;
use serde_json::json;
use vncterm::{COLUMNS, GLYPH_HEIGHT, GLYPH_WIDTH, ROWS, glyph};

const WIDTH: usize = COLUMNS as usize * GLYPH_WIDTH;

/// A VNC client that reads the letters from the pixels.
struct Viewer {
    websocket: Websocket,
    received: Vec<u8>,
    letters: HashMap<[u8; GLYPH_HEIGHT], char>,
    rows: Vec<String>,
}

impl Viewer {
    async fn new(websocket: Websocket, password: &str) -> Self {
        let printable = (' '..='~').map(|letter| (glyph(letter), letter));
        let mut viewer = Self {
            websocket,
            received: Vec::new(),
            letters: printable.collect(),
            rows: vec![String::new(); ROWS.into()],
        };
        assert_eq!(viewer.take(12).await, b"RFB 003.008\n");
        viewer.send(b"RFB 003.008\n").await;
        assert_eq!(viewer.take(2).await, [1, 2]);
        viewer.send(&[2]).await;
        let challenge = viewer.take(16).await.try_into().unwrap();
        viewer.send(&vncterm::response(&challenge, password)).await;
        assert_eq!(viewer.take(4).await, [0; 4], "the password is right");
        viewer.send(&[1]).await;
        let init = viewer.take(24).await;
        let name = u32::from_be_bytes(init[20..].try_into().unwrap());
        assert_eq!(viewer.take(name as usize).await, b"VM 100");
        viewer
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.websocket.send(BINARY, bytes).await;
    }

    async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            let (kind, bytes) = self.websocket.receive().await;
            assert_eq!(kind, BINARY);
            self.received.extend(bytes);
        }
        self.received.drain(..count).collect()
    }

    async fn type_line(&mut self, line: &str) {
        for keysym in line.bytes().map(u32::from).chain([0xff0d]) {
            for is_down in [1, 0] {
                let mut key = vec![4, is_down, 0, 0];
                key.extend(keysym.to_be_bytes());
                self.send(&key).await;
            }
        }
    }

    /// Requests updates until a text can be read.
    async fn expect(&mut self, text: &str) {
        let mut is_incremental = 0;
        while !self.rows.iter().any(|row| row.contains(text)) {
            self.send(&[3, is_incremental, 0, 0, 0, 0, 2, 128, 1, 128])
                .await;
            is_incremental = 1;
            let head = self.take(4).await;
            for _ in 0..u16::from_be_bytes([head[2], head[3]]) {
                self.rectangle().await;
            }
        }
    }

    async fn rectangle(&mut self) {
        let head = self.take(12).await;
        let row = usize::from(u16::from_be_bytes([head[2], head[3]])) / GLYPH_HEIGHT;
        let pixels = self.take(WIDTH * GLYPH_HEIGHT * 4).await;
        let is_set = |x: usize, y: usize| pixels[(y * WIDTH + x) * 4..][..3] != [0; 3];
        self.rows[row] = (0..usize::from(COLUMNS))
            .map(|column| {
                let mut picture = [0_u8; GLYPH_HEIGHT];
                for (y, bits) in picture.iter_mut().enumerate() {
                    for x in 0..GLYPH_WIDTH {
                        let bit = u8::from(is_set(column * GLYPH_WIDTH + x, y));
                        *bits |= bit << (GLYPH_WIDTH - 1 - x);
                    }
                }
                self.letters.get(&picture).copied().unwrap_or('\u{fffd}')
            })
            .collect();
    }
}

#[test]
fn a_serial_display_is_shown_by_vnc() {
    if left_out("VNC of a serial display") {
        return;
    }
    with_bridge(async {
        let Some(scene) = Scene::new().await else {
            return;
        };
        let options = about(100, json!({"vga": "serial0"}));
        scene.node.call("qemu_configure", options).await.unwrap();
        scene.start().await;
        let console = scene
            .console(&scene.root, "vncproxy?generate-password=1&websocket=1")
            .await;
        let websocket = scene.open(&scene.root, &console).await.unwrap();
        let password = console["password"].as_str().unwrap();
        let mut viewer = Viewer::new(websocket, password).await;
        viewer.expect("tiny: ready").await;
        viewer.type_line("echo seen-$((40+2))").await;
        viewer.expect("seen-42").await;
        // The port takes one client, for either kind of console.
        for other in ["vncproxy", "termproxy"] {
            let (status, message) = scene.ask(&scene.root, other).await;
            assert_eq!(status, 500, "{other}");
            let message = message.as_str().unwrap();
            assert!(message.contains("in use by another console"), "{message}");
        }
        drop(viewer);
        assert_eq!(scene.ended(&console).await, "OK");
    });
}
