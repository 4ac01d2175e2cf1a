//! Standard input, without blocking other tasks.

use std::io::Read;

use anyhow::{Context, Result};
use tokio::sync::mpsc::{Receiver, channel};

/// The input, in pieces. A thread of its own reads it: a read cannot be cancelled, and the thread
/// ends with the process.
pub(crate) struct Keyboard {
    pieces: Receiver<std::io::Result<Vec<u8>>>,
    /// Input after the last requested line.
    rest: Vec<u8>,
}

impl Keyboard {
    pub(crate) fn open() -> Self {
        let (sender, pieces) = channel(16);
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            loop {
                let read = std::io::stdin()
                    .read(&mut buffer)
                    .map(|count| buffer[..count].to_vec());
                let is_last = read.as_ref().map_or(true, Vec::is_empty);
                if sender.blocking_send(read).is_err() || is_last {
                    return;
                }
            }
        });
        Self {
            pieces,
            rest: Vec::new(),
        }
    }

    /// The next piece; empty at the end.
    pub(crate) async fn read(&mut self) -> Result<Vec<u8>> {
        let piece = self.pieces.recv().await.transpose();
        Ok(piece.context("reading standard input")?.unwrap_or_default())
    }

    /// The next line, without its end; none when there are no more.
    pub(crate) async fn line(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(at) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=at).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            let piece = self.read().await?;
            if piece.is_empty() {
                let last = std::mem::take(&mut self.rest);
                let last = String::from_utf8_lossy(&last).into_owned();
                return Ok((!last.is_empty()).then_some(last));
            }
            self.rest.extend(piece);
        }
    }
}
