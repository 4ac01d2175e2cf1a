//! Parses what a guest's agent sends: one JSON object per line.

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Precedes the answer to a delimited handshake. It is not part of any UTF-8 text, so it also makes
/// the agent drop a partial command.
pub(super) const DELIMITER: u8 = 0xff;

/// The maximum length of an answer to a handshake: a number in an object.
const SYNC_MAX: usize = 256;

/// One line from an agent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    Answer(Value),
    Refusal { class: String, description: String },
}

/// How reading a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Whole,
    TooLong,
    /// The peer closed the connection; an incomplete line is dropped.
    End,
}

/// Reads one line into `line`, without its end. The bytes of a line that is too long are dropped.
pub(super) async fn read_line<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    line: &mut Vec<u8>,
    bytes_max: usize,
) -> std::io::Result<Line> {
    line.clear();
    loop {
        let buffer = reader.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(Line::End);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(buffer.len());
        if line.len() + taken > bytes_max {
            return Ok(Line::TooLong);
        }
        line.extend_from_slice(&buffer[..taken]);
        reader.consume(end.map_or(taken, |end| end + 1));
        if end.is_some() {
            return Ok(Line::Whole);
        }
    }
}

/// Reads up to and including the answer to the handshake with this number, and drops everything
/// before it. False at the end of the stream.
pub(super) async fn skip_to_sync<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    id: i64,
) -> std::io::Result<bool> {
    // None: no delimiter was seen since the last line's end.
    let mut line: Option<Vec<u8>> = None;
    loop {
        let buffer = reader.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(false);
        }
        for (at, byte) in buffer.iter().enumerate() {
            match (*byte, line.as_mut()) {
                (DELIMITER, _) => line = Some(Vec::new()),
                (b'\n', Some(text)) => {
                    if answers_sync(text, id) {
                        reader.consume(at + 1);
                        return Ok(true);
                    }
                    line = None;
                }
                (byte, Some(text)) if text.len() < SYNC_MAX => text.push(byte),
                (_, Some(_)) => line = None,
                (_, None) => {}
            }
        }
        let all = buffer.len();
        reader.consume(all);
    }
}

/// Whether a line, without its delimiter, is the answer to the handshake with this number.
pub(super) fn answers_sync(line: &[u8], id: i64) -> bool {
    parse(line) == Some(Message::Answer(id.into()))
}

/// Parses a line; none if it does not belong to the protocol.
pub(super) fn parse(line: &[u8]) -> Option<Message> {
    let mut message: Value = serde_json::from_slice(line).ok()?;
    let object = message.as_object_mut()?;
    if let Some(error) = object.get("error") {
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        return Some(Message::Refusal {
            class: text("class"),
            description: text("desc"),
        });
    }
    object.remove("return").map(Message::Answer)
}
