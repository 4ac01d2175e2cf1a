//! `GET /nodes/{node}/disks/directory`

use model::Error;
use node::host::pools::directories::{self, Directory};
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

pub(super) async fn directory_list(op: Op) -> Result<Answer, Error> {
    let found = directories::directories(&op.context.node.host).await?;
    let rows: Vec<Value> = found.iter().map(row).collect();
    Ok(Answer::new(rows))
}

fn row(directory: &Directory) -> Value {
    json!({
        "device": directory.device,
        "options": directory.options,
        "path": directory.path,
        "type": directory.kind,
        "unitfile": directory.unit_file,
    })
}
