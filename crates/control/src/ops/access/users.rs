//! Users.

use std::collections::HashMap;

use auth::edit::users::UserChange;
use auth::{Access, User, edit};
use model::{Error, GroupId, Privilege, UnixTime, UserId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Op, check_user, guard_root, items, tfa, tokens};

/// What lists and single reads have in common. An empty `email` is there where a comment is, as
/// clients know it.
fn shown(user: &User) -> Value {
    let mut row = json!({
        "enable": u8::from(user.enable),
        "expire": user.expire,
    });
    if !user.email.is_empty() || !user.comment.is_empty() {
        row["email"] = user.email.as_str().into();
    }
    for (name, value) in [
        ("firstname", &user.firstname),
        ("lastname", &user.lastname),
        ("comment", &user.comment),
    ] {
        if !value.is_empty() {
            row[name] = value.as_str().into();
        }
    }
    row
}

#[derive(Deserialize)]
struct List {
    enabled: Option<bool>,
    full: Option<bool>,
}

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
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

#[derive(Deserialize)]
struct Params {
    userid: UserId,
    password: Option<String>,
    comment: Option<String>,
    email: Option<String>,
    enable: Option<bool>,
    expire: Option<UnixTime>,
    firstname: Option<String>,
    lastname: Option<String>,
    groups: Option<String>,
    append: Option<bool>,
    keys: Option<String>,
}

impl Params {
    fn change(&self) -> Result<UserChange, Error> {
        if self.keys.as_deref().is_some_and(|keys| !keys.is_empty()) {
            // Clients send the field empty; keys themselves would be kept without any effect.
            return Err(Error::invalid(
                "keys",
                "not supported by this version of Ostler",
            ));
        }
        let groups = self
            .groups
            .as_deref()
            .map(|groups| items(Some(groups)))
            .transpose()?;
        Ok(UserChange {
            enable: self.enable,
            expire: self.expire,
            firstname: self.firstname.clone(),
            lastname: self.lastname.clone(),
            email: self.email.clone(),
            comment: self.comment.clone(),
            groups: groups.map(|groups| groups.into_iter().collect()),
            append: self.append.unwrap_or(false),
        })
    }
}

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    let change = params.change()?;
    let authority = &op.context.authority;
    let password = match &params.password {
        None => None,
        Some(_) if !edit::passwords::is_kept_here(&authority.access(), &params.userid) => {
            let reason = format!(
                "realm '{}' keeps its passwords itself",
                params.userid.realm()
            );
            return Err(Error::invalid("password", reason));
        }
        Some(password) => Some(authority.hash_password(password).await?),
    };
    let revision = authority
        .change(|access| edit::users::create(access, &params.userid, &change, password.as_ref()))
        .await
        .map_err(|error| error.during("create user failed"))?;
    Ok(Answer::null().at(revision.0))
}

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    guard_root(op.identity()?, &params.userid)?;
    let change = params.change()?;
    let now = op.context.authority.now();
    let revision = op
        .context
        .authority
        .change(|access| edit::users::update(access, &params.userid, &change, now))
        .await
        .map_err(|error| error.during("update user failed"))?;
    Ok(Answer::null().at(revision.0))
}

pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    check_user(&op, &params.userid)?;
    let revision = op
        .context
        .authority
        .change(|access| edit::users::delete(access, &params.userid))
        .await
        .map_err(|error| error.during("delete user failed"))?;
    Ok(Answer::null().at(revision.0))
}

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
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
