//! `GET /access/domains`

use model::Error;
use proto::wire::Answer;
use serde_json::{Value, json};

use super::Op;

pub(super) async fn domain_list(op: Op) -> Result<Answer, Error> {
    let realms = op.context.authority.access().realms();
    let rows = realms.iter().map(|(id, realm)| {
        let mut row = json!({"realm": id.as_str(), "type": realm.kind.as_str()});
        if let Some(comment) = &realm.comment {
            row["comment"] = comment.as_str().into();
        }
        if realm.default {
            row["default"] = 1.into();
        }
        row
    });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}
