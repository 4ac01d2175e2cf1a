//! `GET /access/permissions`

use auth::acl;
use model::{Error, Privilege, UserId};
use proto::Identity;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Op;

#[derive(Deserialize)]
struct Params {
    path: Option<String>,
    userid: Option<String>,
}

pub(super) async fn permissions_get(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    let who = subject(&op, params.userid.as_deref())?;
    let Some(who) = who else {
        return Ok(Answer::new(json!({})));
    };
    let authority = &op.context.authority;
    let access = authority.access();
    let view = access.view(&who, authority.now());
    let flags = |permissions: std::collections::BTreeMap<&'static str, bool>| {
        let flags = permissions
            .into_iter()
            .map(|(name, below)| (name, u8::from(below)));
        Value::Object(
            flags
                .map(|(name, flag)| (name.to_owned(), flag.into()))
                .collect(),
        )
    };
    let data: Map<String, Value> = match params.path {
        Some(path) => {
            let invalid = || Error::invalid("path", format!("invalid ACL path '{path}'"));
            let path = acl::normalize(&path).ok_or_else(invalid)?;
            Map::from_iter([(path.clone(), flags(view.permissions_on(&path)))])
        }
        None => view
            .permissions()
            .into_iter()
            .map(|(path, p)| (path, flags(p)))
            .collect(),
    };
    Ok(Answer::new(data))
}

/// Whose rights are shown: the caller's own and its tokens', or with `Sys.Audit` anyone's. None for
/// a user or token that exists but is not active.
fn subject(op: &Op, asked: Option<&str>) -> Result<Option<Identity>, Error> {
    let (caller, authority) = (op.identity()?, &op.context.authority);
    let Some(asked) = asked.filter(|asked| *asked != caller.label()) else {
        return Ok(Some(caller.clone()));
    };
    let access = authority.access();
    let (user, token) = asked
        .split_once('!')
        .map_or((asked, None), |(u, t)| (u, Some(t)));
    let no_user = || Error::not_found(format!("no such user ('{user}')"));
    let user_id: UserId = user.parse().map_err(|_| no_user())?;
    if caller.token.is_some() || caller.user != user_id {
        access
            .view(caller, authority.now())
            .require("/access", &[Privilege::SysAudit])?;
    }
    access.user(&user_id).ok_or_else(no_user)?;
    if let Some(token) = token {
        let no_token = || Error::not_found(format!("no such token '{token}' for user '{user_id}'"));
        let name = token.parse().map_err(|_| no_token())?;
        access.token(&user_id, &name).ok_or_else(no_token)?;
    }
    Ok(authority.identity_of(asked))
}
