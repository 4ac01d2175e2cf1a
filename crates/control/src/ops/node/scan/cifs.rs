//! `GET /nodes/{node}/scan/cifs`

use model::Error;
use node::host::scan::{self, SmbUser};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ops::Op;

#[derive(Deserialize)]
struct Asked {
    server: String,
    username: Option<String>,
    password: Option<String>,
    domain: Option<String>,
}

pub(super) async fn cifs(op: Op) -> Result<Answer, Error> {
    let asked: Asked = op.params()?;
    let user = SmbUser {
        name: asked.username,
        password: asked.password,
        domain: asked.domain,
    };
    let shares = scan::shares(&op.context.node.host, &asked.server, user).await?;
    let rows = shares
        .iter()
        .map(|share| json!({"share": share.name, "description": share.description}));
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}
