//! `GET /access/users/{userid}`

use model::{Error, GroupId};
use proto::wire::Answer;
use serde_json::{Map, Value};

use super::users::{Params, shown};
use super::{Op, tokens};

pub(super) async fn user_get(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    let access = op.context.authority.access();
    let missing = || Error::not_found(format!("no such user ('{}')", params.userid));
    let user = access.user(&params.userid).ok_or_else(missing)?;
    let mut data = shown(&user);
    let groups: Vec<&str> = access
        .groups_of(&params.userid)
        .map(GroupId::as_str)
        .collect();
    data["groups"] = groups.into();
    let tokens: Map<String, Value> = access
        .tokens_of(&params.userid)
        .map(|(name, token)| (name.to_string(), tokens::shown(token)))
        .collect();
    data["tokens"] = if tokens.is_empty() {
        Value::Null
    } else {
        tokens.into()
    };
    Ok(Answer::new(data))
}
