//! Parses what QEMU sends: one JSON object per line.

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use super::Event;

/// The maximum length of a line. The largest answers (`query-named-block-nodes` of a guest with
/// long backing chains) are well below it.
pub(super) const LINE_MAX: usize = 16 << 20;

/// One message from QEMU.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    Greeting,
    Event(Event),
    Answer {
        id: Option<u64>,
        result: Result<Value, Refusal>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) class: String,
    pub(super) description: String,
}

/// Reads one line into `line`, without its end. `Ok(false)` at the end of the stream; an incomplete
/// last line is dropped.
pub(super) async fn read_line<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    line: &mut Vec<u8>,
) -> std::io::Result<bool> {
    line.clear();
    loop {
        let buffer = reader.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(false);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(buffer.len());
        if line.len() + taken > LINE_MAX {
            return Err(std::io::Error::other("a line is too long"));
        }
        line.extend_from_slice(&buffer[..taken]);
        reader.consume(end.map_or(taken, |end| end + 1));
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// Parses a line. `None` for an unknown message: it is ignored, like unknown fields, because a
/// newer QEMU may send more than this program knows.
pub(super) fn parse(line: &[u8]) -> Option<Message> {
    let mut message: Value = serde_json::from_slice(line).ok()?;
    let object = message.as_object_mut()?;
    if object.contains_key("QMP") {
        return Some(Message::Greeting);
    }
    if let Some(name) = object.get("event") {
        let name = name.as_str()?.to_owned();
        let data = object.get("data").cloned().unwrap_or(Value::Null);
        let seconds = object
            .get("timestamp")
            .and_then(|time| time["seconds"].as_i64());
        return Some(Message::Event(Event {
            name,
            data,
            seconds: seconds.unwrap_or(0),
        }));
    }
    let id = object.get("id").and_then(Value::as_u64);
    if let Some(error) = object.get("error") {
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        let refusal = Refusal {
            class: text("class"),
            description: text("desc"),
        };
        return Some(Message::Answer {
            id,
            result: Err(refusal),
        });
    }
    let answer = object.remove("return")?;
    Some(Message::Answer {
        id,
        result: Ok(answer),
    })
}
