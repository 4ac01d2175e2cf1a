//! `GET /nodes/{node}/qemu/{vmid}/agent/file-read`

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use guest::qemu::agent::FILE_READ_MAX;
use model::Error;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use super::super::Guest;
use super::text;
use crate::ops::Op;

#[derive(Deserialize)]
struct FileRead {
    file: String,
    count: Option<usize>,
    decode: Option<bool>,
    offset: Option<u64>,
}

pub(super) async fn file_read(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let FileRead {
        file,
        count,
        decode,
        offset,
    } = op.params()?;
    let count = count.unwrap_or(FILE_READ_MAX);
    let mut agent = op.context.node.guest_agent(vmid).await?;
    let read = agent.read_file(&file, offset.unwrap_or(0), count).await;
    let read = read.map_err(|error| agent.failed(error))?;
    let content = match decode {
        Some(false) => STANDARD.encode(read.bytes),
        _ => text(read.bytes),
    };
    let mut answer = json!({ "content": content });
    if read.is_truncated {
        answer["truncated"] = 1.into();
    }
    Ok(Answer::new(answer))
}
