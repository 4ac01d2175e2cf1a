//! `GET /access/domains/{realm}`

use auth::edit;
use model::Error;
use proto::wire::Answer;
use serde_json::json;

use super::Op;
use super::domains::Named;

pub(super) async fn domain_get(op: Op) -> Result<Answer, Error> {
    let Named { realm: id } = op.params()?;
    let access = op.context.authority.access();
    let missing = || Error::not_found(format!("domain '{id}' does not exist"));
    let realm = access.realm(id.as_str()).ok_or_else(missing)?;
    let mut data = json!({"type": realm.kind.as_str(), "digest": edit::realms::digest(&access)});
    if let Some(comment) = realm.comment {
        data["comment"] = comment.into();
    }
    if realm.default {
        data["default"] = 1.into();
    }
    Ok(Answer::new(data))
}
