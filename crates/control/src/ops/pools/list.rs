//! `GET /pools`

use model::{Error, PoolId, Privilege};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shown;
use crate::ops::Op;

#[derive(Deserialize)]
struct List {
    poolid: Option<PoolId>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// All pools that the caller may audit, or the given one with its members.
pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let params: List = op.params()?;
    let authority = &op.context.authority;
    let access = authority.access();
    let view = access.view(op.identity()?, authority.now());
    if let Some(id) = params.poolid {
        view.require(&format!("/pool/{id}"), &[Privilege::PoolAudit])?;
        return Ok(Answer::new(vec![
            shown(&op, &id, params.kind.as_deref()).await?,
        ]));
    }
    let audited = access
        .pools()
        .filter(|(id, _)| view.has(&format!("/pool/{id}"), Privilege::PoolAudit));
    let rows = audited.map(|(id, pool)| {
        let mut row = json!({"poolid": id.as_str()});
        if !pool.comment.is_empty() {
            row["comment"] = pool.comment.as_str().into();
        }
        row
    });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}
