//! `POST /nodes/{node}/qemu/{vmid}/agent/file-write`

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::Error;
use node::snapshot_jobs::Change;
use proto::wire::Answer;
use serde::Deserialize;

use super::super::Guest;
use crate::ops::Op;
use crate::ops::before::snapshot_before;

#[derive(Deserialize)]
struct FileWrite {
    file: String,
    content: String,
    encode: Option<bool>,
}

pub(super) async fn file_write(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let FileWrite {
        file,
        content,
        encode,
    } = op.params()?;
    let bytes = match encode {
        Some(false) => STANDARD.decode(&content).map_err(|error| {
            Error::invalid(
                "content",
                format!("is not base64, as 'encode' says: {error}"),
            )
        })?,
        _ => content.into_bytes(),
    };
    let has_agent = async || op.context.node.guest_agent(vmid).await.map(drop);
    snapshot_before(&op, vmid, Change::Exec, has_agent).await?;
    let mut agent = op.context.node.guest_agent(vmid).await?;
    let written = agent.write_file(&file, &bytes).await;
    written.map_err(|error| agent.failed(error))?;
    Ok(Answer::null())
}
