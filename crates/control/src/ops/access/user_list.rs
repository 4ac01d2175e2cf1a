//! `GET /access/users`

use std::collections::HashMap;

use auth::{Access, User};
use model::{Error, GroupId, Privilege, UserId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;

use super::users::shown;
use super::{Op, tfa, tokens};

#[derive(Deserialize)]
struct List {
    enabled: Option<bool>,
    full: Option<bool>,
}

pub(super) async fn user_list(op: Op) -> Result<Answer, Error> {
    const SEES: &[Privilege] = &[Privilege::UserModify, Privilege::SysAudit];
    let params: List = op.params()?;
    let authority = &op.context.authority;
    let (access, who, now) = (authority.access(), op.identity()?, authority.now());
    let factors: HashMap<UserId, _> = authority.all_factors().await?.into_iter().collect();
    let view = access.view(who, now);
    let seen =
        |id: &UserId| (who.token.is_none() && who.user == *id) || view.manages_user(id, SEES);
    let wanted = |user: &User| params.enabled.is_none_or(|enabled| user.enable == enabled);
    let mut rows: Vec<Value> = Vec::new();
    for (id, user) in access.users() {
        if !seen(&id) || !wanted(&user) {
            continue;
        }
        let mut row = list_row(&access, &id, &user);
        if params.full.unwrap_or(false) {
            add_full(&access, &id, &mut row);
        }
        if let Some(factors) = factors.get(&id) {
            tfa::show_locks(factors, now, &mut row);
        }
        rows.push(row);
    }
    Ok(Answer::new(rows))
}

fn list_row(access: &Access, id: &UserId, user: &User) -> Value {
    let mut row = shown(user);
    row["userid"] = id.as_str().into();
    if let Some(realm) = access.realm(id.realm()) {
        row["realm-type"] = realm.kind.as_str().into();
    }
    row
}

fn add_full(access: &Access, id: &UserId, row: &mut Value) {
    let groups: Vec<&str> = access.groups_of(id).map(GroupId::as_str).collect();
    let tokens: Vec<Value> = access
        .tokens_of(id)
        .map(|(name, token)| tokens::row(name, token))
        .collect();
    row["groups"] = groups.join(",").into();
    row["tokens"] = if tokens.is_empty() {
        Value::Null
    } else {
        tokens.into()
    };
}
