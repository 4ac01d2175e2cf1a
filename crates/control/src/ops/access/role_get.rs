//! `GET /access/roles/{roleid}`

use model::Error;
use proto::wire::Answer;
use serde_json::Map;

use super::Op;
use super::roles::Params;

pub(super) async fn role_get(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    let access = op.context.authority.access();
    let missing = || Error::not_found(format!("role '{}' does not exist", params.roleid));
    let privileges = access.role(params.roleid.as_str()).ok_or_else(missing)?;
    let flags = privileges
        .iter()
        .map(|privilege| (privilege.as_str().to_owned(), 1.into()));
    Ok(Answer::new(Map::from_iter(flags)))
}
